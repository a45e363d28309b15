//! `/sys/class/block/dm-*/dm/uuid`: what kind of device-mapper device this is.
//!
//! Follows `cryptsetup:lib/libdevmapper.c` (`dm_prepare_uuid`: `CRYPT-TYPE[-UUID]-NAME`), `LVM2:lib/misc/lvm-string.c`
//! (`build_dm_uuid`: `LVM-` and two ids of 32 characters) and multipath-tools (`mpath-`, `partN-`).

/// What a device-mapper uuid says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmUuid {
    /// Made by cryptsetup.
    Crypt(Crypt),
    /// A logical volume.
    Lvm {
        /// Id of the volume group, 32 characters.
        group: String,
        /// Id of the logical volume, 32 characters.
        volume: String,
        /// Inner layer such as `tpool`, `tdata`, `tmeta`, `pool`, `real`, `cow`; empty for the volume itself.
        layer: String,
    },
    /// A multipath device.
    Multipath,
    /// A partition (`kpartx`) of the device with the uuid behind `partN-`.
    Partition(u32),
    /// Any other program's device, or none (`dmsetup create` without a uuid).
    Other,
}

/// The type of a cryptsetup device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crypt {
    /// LUKS, plain dm-crypt, `loop-AES`, TrueCrypt/VeraCrypt, `BitLocker` or `FileVault`: encrypted by the kernel.
    Software(String),
    /// `LUKS2-OPAL` (cryptsetup 2.7): encrypted by the drive, perhaps also by the kernel.
    Opal,
    /// `SUBDEV`: a helper device; the devices below it decide.
    Subdevice,
    /// `VERITY`: checksums of a read-only device, **not** encrypted.
    Verity,
    /// `INTEGRITY`: checksums, **not** encrypted.
    Integrity,
    /// A type this list does not know.
    Unknown(String),
}

/// What one device-mapper device does to the data written through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Encrypted by the kernel.
    Software,
    /// Encrypted by the drive (or both).
    Hardware,
    /// Not encrypted by this device: the devices below it decide.
    Passes,
    /// Cannot be told.
    Unknown,
}

/// cryptsetup types that mean the kernel encrypts.
const ENCRYPTING: [&str; 7] = ["LUKS1", "LUKS2", "PLAIN", "LOOPAES", "TCRYPT", "BITLK", "FVAULT2"];

/// Length of each of the two ids behind `LVM-`.
const LVM_ID: usize = 32;

impl DmUuid {
    /// What this device does to the data written through it.
    pub fn encryption(&self) -> Encryption {
        match self {
            Self::Crypt(Crypt::Software(_)) => Encryption::Software,
            Self::Crypt(Crypt::Opal) => Encryption::Hardware,
            // VeraCrypt and `dmsetup create` set up dm-crypt without a uuid of cryptsetup.
            Self::Crypt(Crypt::Unknown(_)) | Self::Other => Encryption::Unknown,
            Self::Crypt(Crypt::Subdevice | Crypt::Verity | Crypt::Integrity)
            | Self::Lvm { .. }
            | Self::Multipath
            | Self::Partition(_) => Encryption::Passes,
        }
    }
}

/// Classifies the text of a `dm/uuid` file; a final newline is ignored.
pub fn classify(text: &str) -> DmUuid {
    let uuid = text.strip_suffix('\n').unwrap_or(text);
    if let Some(rest) = uuid.strip_prefix("CRYPT-") {
        return DmUuid::Crypt(crypt(rest));
    }
    if let Some(rest) = uuid.strip_prefix("LVM-") {
        return lvm(rest).unwrap_or(DmUuid::Other);
    }
    if uuid.starts_with("mpath-") {
        return DmUuid::Multipath;
    }
    let partition = uuid.strip_prefix("part").and_then(|rest| rest.split_once('-'));
    partition.and_then(|(number, _)| number.parse().ok()).map_or(DmUuid::Other, DmUuid::Partition)
}

fn crypt(rest: &str) -> Crypt {
    // The type itself holds a dash, so it is tried before `LUKS2`.
    if rest.starts_with("LUKS2-OPAL-") {
        return Crypt::Opal;
    }
    let kind = rest.split_once('-').map_or(rest, |(kind, _)| kind);
    match kind {
        "SUBDEV" => Crypt::Subdevice,
        "VERITY" => Crypt::Verity,
        "INTEGRITY" => Crypt::Integrity,
        known if ENCRYPTING.contains(&known) => Crypt::Software(known.to_owned()),
        other => Crypt::Unknown(other.to_owned()),
    }
}

fn lvm(rest: &str) -> Option<DmUuid> {
    let (group, rest) = rest.split_at_checked(LVM_ID)?;
    let (volume, rest) = rest.split_at_checked(LVM_ID)?;
    let layer = if rest.is_empty() { "" } else { rest.strip_prefix('-')? };
    Some(DmUuid::Lvm { group: group.to_owned(), volume: volume.to_owned(), layer: layer.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(uuid: &str) -> Encryption {
        classify(uuid).encryption()
    }

    #[test]
    fn every_encrypting_type_of_cryptsetup_is_known() {
        for kind in ["LUKS1", "LUKS2", "TCRYPT", "BITLK", "FVAULT2", "LOOPAES"] {
            assert_eq!(
                of(&format!("CRYPT-{kind}-0123456789abcdef0123456789abcdef-sda3_crypt")),
                Encryption::Software
            );
        }
        assert_eq!(of("CRYPT-PLAIN-cswap\n"), Encryption::Software);
    }

    #[test]
    fn verity_and_integrity_are_not_encryption_although_they_start_with_crypt() {
        assert_eq!(of("CRYPT-VERITY-0123-root"), Encryption::Passes);
        assert_eq!(of("CRYPT-INTEGRITY-data"), Encryption::Passes);
        assert_eq!(of("CRYPT-SUBDEV-0123-x"), Encryption::Passes);
    }

    #[test]
    fn opal_is_hardware_and_not_taken_for_luks2() {
        assert_eq!(of("CRYPT-LUKS2-OPAL-0123456789abcdef0123456789abcdef-nvme"), Encryption::Hardware);
    }

    #[test]
    fn an_unknown_cryptsetup_type_is_unknown_and_never_a_pass() {
        assert_eq!(of("CRYPT-NEWTHING-0123-x"), Encryption::Unknown);
        assert_eq!(of("CRYPT-LUKS3-0123-x"), Encryption::Unknown);
        assert_eq!(of("CRYPT-"), Encryption::Unknown);
    }

    #[test]
    fn a_thin_pool_layer_of_lvm_is_read() {
        let uuid = format!("LVM-{}{}-tpool", "g".repeat(32), "v".repeat(32));
        let expected =
            DmUuid::Lvm { group: "g".repeat(32), volume: "v".repeat(32), layer: "tpool".to_owned() };
        assert_eq!(classify(&uuid), expected);
        assert_eq!(classify("LVM-short"), DmUuid::Other);
    }

    #[test]
    fn multipath_partitions_and_nameless_devices() {
        assert_eq!(classify("mpath-3600508b4000156d700012000000b0000"), DmUuid::Multipath);
        assert_eq!(classify("part2-mpath-3600508b4"), DmUuid::Partition(2));
        assert_eq!(classify("partition"), DmUuid::Other);
        assert_eq!(classify(""), DmUuid::Other);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_and_only_crypt_uuids_encrypt(uuid in "(CRYPT-|LVM-|part|mpath-)?[A-Z0-9ä-]{0,80}") {
            let found = of(&uuid);
            prop_assert!(uuid.starts_with("CRYPT-") || matches!(found, Encryption::Passes | Encryption::Unknown));
        }
    }
}
