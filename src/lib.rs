//! pve-audit judges the hardening of a Proxmox VE node by its effective state.

pub mod formats;
pub mod host;
