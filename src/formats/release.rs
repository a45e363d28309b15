//! The Proxmox VE releases whose parsers are followed.

use std::fmt;

/// A major release of Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// Proxmox VE 7, on Debian 11.
    Pve7,
    /// Proxmox VE 8, on Debian 12.
    Pve8,
    /// Proxmox VE 9, on Debian 13.
    Pve9,
}

impl Release {
    /// The major version number.
    pub fn major(self) -> u8 {
        match self {
            Self::Pve7 => 7,
            Self::Pve8 => 8,
            Self::Pve9 => 9,
        }
    }

    /// The release with this major version number, if it is one of the known ones.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_its_major_number_and_prints_it() {
        for release in [Release::Pve7, Release::Pve8, Release::Pve9] {
            assert_eq!(Release::from_major(release.major()), Some(release));
        }
        assert_eq!(Release::from_major(6), None);
        assert_eq!(Release::Pve9.to_string(), "Proxmox VE 9");
    }
}
