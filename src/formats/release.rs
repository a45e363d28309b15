//! The releases of Proxmox VE whose semantics are known.

use std::fmt;

/// A major release of Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Proxmox VE 7, on Debian 11.
    Pve7,
    /// Proxmox VE 8, on Debian 12.
    Pve8,
    /// Proxmox VE 9, on Debian 13.
    Pve9,
}

impl Release {
    /// The number: 7, 8 or 9.
    pub fn major(self) -> u8 {
        match self {
            Self::Pve7 => 7,
            Self::Pve8 => 8,
            Self::Pve9 => 9,
        }
    }

    /// The release with this number.
    pub fn from_major(major: u8) -> Option<Self> {
        match major {
            7 => Some(Self::Pve7),
            8 => Some(Self::Pve8),
            9 => Some(Self::Pve9),
            _ => None,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxmox VE {}", self.major())
    }
}
