//! The Proxmox VE major releases whose files and rules are understood.

use std::fmt;

/// A Proxmox VE major release. Rules that differ between releases take it as a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// Proxmox VE 7, on Debian 11 (bullseye).
    Pve7,
    /// Proxmox VE 8, on Debian 12 (bookworm).
    Pve8,
    /// Proxmox VE 9, on Debian 13 (trixie).
    Pve9,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 3] = [Self::Pve7, Self::Pve8, Self::Pve9];

    /// The major version number.
    pub const fn major(self) -> u8 {
        match self {
            Self::Pve7 => 7,
            Self::Pve8 => 8,
            Self::Pve9 => 9,
        }
    }

    /// The release with this major version number, if it is one of [`Release::ALL`].
    pub fn from_major(major: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|release| release.major() == major)
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
    fn releases_are_ordered_and_found_by_their_major_number() {
        assert!(Release::Pve7 < Release::Pve8 && Release::Pve8 < Release::Pve9);
        for release in Release::ALL {
            assert_eq!(Release::from_major(release.major()), Some(release));
        }
        assert_eq!(Release::from_major(6), None);
        assert_eq!(Release::from_major(10), None);
    }

    #[test]
    fn a_release_is_written_with_the_product_name() {
        assert_eq!(Release::Pve9.to_string(), "Proxmox VE 9");
    }
}
