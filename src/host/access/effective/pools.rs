//! Which pools lend their roles to a guest or storage.

use std::collections::BTreeMap;

use crate::formats::user_cfg::UserCfg;

/// The pools by member. A cluster has thousands of guests, so these stand here by their numbers.
#[derive(Debug)]
pub(super) struct Pools<'a> {
    /// ACL path of each pool, in the order of the names.
    paths: Vec<String>,
    /// The places of their pools, in order.
    guests: BTreeMap<u64, Vec<usize>>,
    storages: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Pools<'a> {
    pub(super) fn of(cfg: &'a UserCfg) -> Self {
        let mut new = Self { paths: Vec::new(), guests: BTreeMap::new(), storages: BTreeMap::new() };
        for (place, (name, pool)) in cfg.pools.iter().enumerate() {
            new.paths.push(format!("/pool/{name}"));
            for vm in &pool.vms {
                new.guests.entry(*vm).or_default().push(place);
            }
            for storage in &pool.storages {
                new.storages.entry(storage).or_default().push(place);
            }
        }
        new
    }

    /// The ACL paths of the pools the guest or storage of this path is a direct member of, in the order of their names.
    pub(super) fn of_path(&self, path: &str) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        let places = self.places(path).unwrap_or_default();
        places.iter().map(|place| self.paths.get(*place).map(String::as_str).unwrap_or_default())
    }

    fn places(&self, path: &str) -> Option<&[usize]> {
        if let Some(storage) = path.strip_prefix("/storage/") {
            return self.storages.get(storage).map(Vec::as_slice);
        }
        let vm = path.strip_prefix("/vms/")?;
        // `/vms/0100` is another path than that of guest 100.
        let is_plain = vm.bytes().all(|byte| byte.is_ascii_digit()) && (vm == "0" || !vm.starts_with('0'));
        self.guests.get(&vm.parse().ok().filter(|_| is_plain)?).map(Vec::as_slice)
    }

    /// The paths of all members.
    pub(super) fn members(&self) -> impl Iterator<Item = String> {
        let guests = self.guests.keys().map(|vm| format!("/vms/{vm}"));
        guests.chain(self.storages.keys().map(|storage| format!("/storage/{storage}")))
    }
}
