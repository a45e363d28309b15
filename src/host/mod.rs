//! The effective state of the host, computed from its files as the programs on it would.

pub mod access;
