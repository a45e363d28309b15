//! Facts: what the files of a host mean together, with upstream's defaults and merges.

pub mod firewall;
