//! The Proxmox VE release whose parsers are imitated.

use std::fmt;

/// A supported Proxmox VE major release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Proxmox VE 7, on Debian 11 bullseye.
    Pve7,
    /// Proxmox VE 8, on Debian 12 bookworm.
    Pve8,
    /// Proxmox VE 9, on Debian 13 trixie.
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

    /// The release with this major version number, if it is a supported one.
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
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Proxmox VE {}", self.major())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_and_its_number_name_each_other() {
        for major in 0..=u8::MAX {
            match Release::from_major(major) {
                Some(release) => assert_eq!(release.major(), major),
                None => assert!(!(7..=9).contains(&major)),
            }
        }
        assert_eq!(Release::Pve9.to_string(), "Proxmox VE 9");
        assert!(Release::Pve7 < Release::Pve8 && Release::Pve8 < Release::Pve9);
    }
}
