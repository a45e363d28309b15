//! Which devices data passes through on its way to a disk, and what that makes of it.
//!
//! A device is encrypted if **every** path from it to a disk crosses a device that encrypts. So the walk goes down
//! from the device, stops at whatever encrypts, and looks at where it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// What a device does to the data written through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The kernel encrypts it.
    Encrypts,
    /// The drive encrypts it.
    EncryptsInHardware,
    /// Nothing: the devices below decide. A device that has none below is a disk.
    Passes,
    /// The data leaves this host.
    Remote,
    /// It cannot be told, and why.
    Unknown(String),
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What people call it.
    pub label: String,
    /// What it does.
    pub layer: Layer,
    /// The names of the devices it is made of.
    pub below: Vec<String>,
}

/// How data lies on its disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Encrypted by the kernel, all of it.
    Encrypted,
    /// Encrypted by the drives, all of it.
    EncryptedHardware,
    /// Encrypted on some disks, in clear on others.
    Partial,
    /// In clear.
    NotEncrypted,
    /// On another machine, which alone knows.
    RemoteUnverified,
    /// Cannot be told, and why.
    Unknown(String),
}

impl Class {
    /// The name used in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::EncryptedHardware => "encrypted-hardware",
            Self::Partial => "partial",
            Self::NotEncrypted => "not-encrypted",
            Self::RemoteUnverified => "remote-unverified",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// How data lies on its disks, with the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRest {
    /// The answer.
    pub class: Class,
    /// The devices that prove it, from the data down to the one that decides.
    pub chain: Vec<String>,
}

impl AtRest {
    /// An answer that needs no walk.
    pub fn new(class: Class, proof: impl Into<String>) -> Self {
        Self { class, chain: vec![proof.into()] }
    }

    /// It cannot be told.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { class: Class::Unknown(why.into()), chain: Vec::new() }
    }
}

impl fmt::Display for AtRest {
    /// One clause for a summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain.join(", on ");
        match &self.class {
            Class::Encrypted => write!(f, "is encrypted: {chain}"),
            Class::EncryptedHardware => write!(f, "is encrypted by its drives: {chain}"),
            Class::Partial => write!(f, "is in clear on some of its disks: {chain}"),
            Class::NotEncrypted => write!(f, "is in clear: {chain}"),
            Class::RemoteUnverified => write!(f, "is on another machine, which alone knows: {chain}"),
            Class::Unknown(why) => write!(f, "cannot be judged: {why}"),
        }
    }
}

/// Walks down from `starts`; `look` tells what the device of a name is.
pub fn trace(starts: &[String], look: impl Fn(&str) -> Rc<Device>) -> AtRest {
    let mut walk = Walk::default();
    let mut open: Vec<(String, Option<String>)> =
        starts.iter().rev().map(|start| (start.clone(), None)).collect();
    while let Some((name, above)) = open.pop() {
        if walk.seen.contains_key(&name) {
            continue;
        }
        let device = look(&name);
        if device.layer == Layer::Passes && !device.below.is_empty() {
            let below = device.below.iter().rev().map(|below| (below.clone(), Some(name.clone())));
            open.extend(below);
        } else {
            walk.ends.push((device.layer.clone(), name.clone()));
        }
        walk.seen.insert(name, (device, above));
    }
    walk.verdict()
}

#[derive(Default)]
struct Walk {
    /// Every device reached, with the one it was reached from.
    seen: BTreeMap<String, (Rc<Device>, Option<String>)>,
    /// Where the walk ended, in the order it did.
    ends: Vec<(Layer, String)>,
}

impl Walk {
    fn verdict(&self) -> AtRest {
        let end = |wanted: fn(&Layer) -> bool| {
            self.ends.iter().find(|(layer, _)| wanted(layer)).map(|(_, name)| name.as_str())
        };
        let encrypted = end(|layer| matches!(layer, Layer::Encrypts));
        let hardware = end(|layer| matches!(layer, Layer::EncryptsInHardware));
        let unknown = self.ends.iter().find_map(|(layer, name)| match layer {
            Layer::Unknown(why) => Some((why.clone(), name.as_str())),
            _ => None,
        });
        let (class, name) = if let Some(clear) = end(|layer| matches!(layer, Layer::Passes)) {
            let some = encrypted.or(hardware).is_some();
            (if some { Class::Partial } else { Class::NotEncrypted }, Some(clear))
        } else if let Some((why, name)) = unknown {
            (Class::Unknown(why), Some(name))
        } else if let Some(remote) = end(|layer| matches!(layer, Layer::Remote)) {
            (Class::RemoteUnverified, Some(remote))
        } else if encrypted.is_some() {
            (Class::Encrypted, encrypted)
        } else if hardware.is_some() {
            (Class::EncryptedHardware, hardware)
        } else {
            // Nothing but a ring of devices, or nothing at all.
            (Class::Unknown("no disk was found below it".to_owned()), None)
        };
        AtRest { class, chain: name.map(|name| self.chain(name)).unwrap_or_default() }
    }

    /// The way down to the device called `end`.
    fn chain(&self, end: &str) -> Vec<String> {
        let mut chain = Vec::new();
        let mut next = Some(end);
        while let Some((device, above)) = next.and_then(|name| self.seen.get(name)) {
            chain.push(device.label.clone());
            next = above.as_deref();
        }
        chain.reverse();
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Devices = BTreeMap<String, Rc<Device>>;

    fn devices(list: &[(&str, Layer, &[&str])]) -> Devices {
        let device = |(name, layer, below): &(&str, Layer, &[&str])| {
            let below = below.iter().map(|each| (*each).to_owned()).collect();
            ((*name).to_owned(), Rc::new(Device { label: (*name).to_owned(), layer: layer.clone(), below }))
        };
        list.iter().map(device).collect()
    }

    fn class(devices: &Devices, start: &str) -> Class {
        walk(devices, start).class
    }

    fn walk(devices: &Devices, start: &str) -> AtRest {
        trace(&[start.to_owned()], |name| {
            let missing = || {
                Rc::new(Device {
                    label: name.to_owned(),
                    layer: Layer::Unknown("missing".to_owned()),
                    below: Vec::new(),
                })
            };
            devices.get(name).cloned().unwrap_or_else(missing)
        })
    }

    #[test]
    fn a_volume_on_luks_is_encrypted_and_the_chain_ends_there() {
        let devices = devices(&[
            ("vm", Layer::Passes, &["pool"]),
            ("pool", Layer::Passes, &["data", "meta"]),
            ("data", Layer::Passes, &["luks"]),
            ("meta", Layer::Passes, &["luks"]),
            ("luks", Layer::Encrypts, &["sda3"]),
            ("sda3", Layer::Passes, &["sda"]),
            ("sda", Layer::Passes, &[]),
        ]);
        let found = walk(&devices, "vm");
        assert_eq!(found.class, Class::Encrypted);
        assert_eq!(found.chain, ["vm", "pool", "data", "luks"]);
        assert_eq!(walk(&devices, "sda3").chain, ["sda3", "sda"]);
        assert_eq!(class(&devices, "sda3"), Class::NotEncrypted);
    }

    #[test]
    fn one_clear_leg_of_a_mirror_is_partial_and_the_chain_shows_it() {
        let devices = devices(&[
            ("md0", Layer::Passes, &["luks", "sdb"]),
            ("luks", Layer::Encrypts, &["sda"]),
            ("sdb", Layer::Passes, &[]),
        ]);
        let found = walk(&devices, "md0");
        assert_eq!(found.class, Class::Partial);
        assert_eq!(found.chain, ["md0", "sdb"]);
    }

    #[test]
    fn something_unknown_beside_encryption_is_unknown_and_beside_a_clear_disk_does_not_hide_it() {
        let unknown = || Layer::Unknown("why".to_owned());
        let devices = devices(&[
            ("a", Layer::Passes, &["luks", "x"]),
            ("b", Layer::Passes, &["x", "sda"]),
            ("c", Layer::Passes, &["gone", "luks"]),
            ("d", Layer::Passes, &["luks", "opal"]),
            ("e", Layer::Passes, &["luks", "san"]),
            ("luks", Layer::Encrypts, &[]),
            ("opal", Layer::EncryptsInHardware, &[]),
            ("san", Layer::Remote, &[]),
            ("x", unknown(), &[]),
            ("sda", Layer::Passes, &[]),
        ]);
        assert_eq!(class(&devices, "a"), Class::Unknown("why".to_owned()));
        assert_eq!(class(&devices, "b"), Class::NotEncrypted);
        assert_eq!(class(&devices, "c"), Class::Unknown("missing".to_owned()));
        assert_eq!(class(&devices, "d"), Class::Encrypted);
        assert_eq!(class(&devices, "e"), Class::RemoteUnverified);
        assert_eq!(class(&devices, "opal"), Class::EncryptedHardware);
    }

    #[test]
    fn a_ring_of_devices_ends_and_is_unknown() {
        let devices = devices(&[("a", Layer::Passes, &["b"]), ("b", Layer::Passes, &["a"])]);
        assert!(matches!(class(&devices, "a"), Class::Unknown(_)));
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_devices_is_walked() {
        let name = |at: u32| format!("d{at}");
        let found = trace(&[name(0)], |asked| {
            let at: u32 = asked.trim_start_matches('d').parse().unwrap();
            let below = if at < 100_000 { vec![name(at + 1)] } else { Vec::new() };
            Rc::new(Device { label: asked.to_owned(), layer: Layer::Passes, below })
        });
        assert_eq!((found.class, found.chain.len()), (Class::NotEncrypted, 100_001));
    }

    /// The definition itself, path by path.
    fn every_path_crosses(devices: &Devices, name: &str, on_path: &mut BTreeSet<String>) -> bool {
        let device = &devices[name];
        if device.layer == Layer::Encrypts {
            return true;
        }
        if device.below.is_empty() {
            return false;
        }
        if !on_path.insert(name.to_owned()) {
            return true;
        }
        let all = device.below.iter().all(|below| every_path_crosses(devices, below, on_path));
        on_path.remove(name);
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_walk_agrees_with_the_definition(
            shape in prop::collection::vec((any::<bool>(), prop::collection::vec(0_usize..7, 0..3)), 7),
        ) {
            let name = |at: usize| format!("d{at}");
            let all: Devices = shape
                .iter()
                .enumerate()
                .map(|(at, (encrypts, below))| {
                    let layer = if *encrypts { Layer::Encrypts } else { Layer::Passes };
                    let below = below.iter().map(|below| name(*below)).collect();
                    (name(at), Rc::new(Device { label: name(at), layer, below }))
                })
                .collect();
            let found = class(&all, "d0");
            let safe = every_path_crosses(&all, "d0", &mut BTreeSet::new());
            prop_assert_eq!(matches!(found, Class::NotEncrypted | Class::Partial), !safe);
        }
    }
}
