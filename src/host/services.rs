//! Services that still run code which was replaced on disk.

use std::collections::BTreeSet;

use super::{Doubt, Fact, Host, Stop};
use crate::files::Trouble;

/// Where systemd keeps the processes of its units.
const CGROUPS: &str = "/sys/fs/cgroup/system.slice";

/// The slice of the virtual machines: one scope each.
const MACHINES: &str = "/sys/fs/cgroup/qemu.slice";

/// The services that decide over a node: those reached from the network and those that run as root for guests.
const SERVICES: [&str; 22] = [
    "ssh",
    "pveproxy",
    "pvedaemon",
    "spiceproxy",
    "pvestatd",
    "pve-cluster",
    "corosync",
    "pve-ha-lrm",
    "pve-ha-crm",
    "pvescheduler",
    "pve-firewall",
    "proxmox-firewall",
    "pve-lxc-syscalld",
    "lxcfs",
    "qmeventd",
    "postfix",
    "rpcbind",
    "chrony",
    "zfs-zed",
    "iscsid",
    "systemd-journald",
    "systemd-udevd",
];

/// Most processes that are looked at in one unit: the workers of a service are alike.
const PROCESSES: usize = 4;

/// Largest list of mappings of one process.
const MAPS_LIMIT: u64 = 8 << 20;

/// A unit with what its processes have mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The unit, such as `pveproxy.service` or `100.scope`.
    pub unit: String,
    /// It is a virtual machine.
    pub is_machine: bool,
    /// Programs and libraries that are no longer on disk, with the list of mappings that says so.
    pub deleted: Vec<(String, String)>,
}

impl Host {
    /// The running services and virtual machines, with the code they run that is no longer on disk. A service without
    /// processes does not run.
    pub fn running_services(&self) -> Fact<Vec<Running>> {
        Fact::gather(&self.files, |gather| {
            if self.files.stat(CGROUPS).is_err() {
                return Err(Stop::unknown(CGROUPS, "cannot be read: run as root on the live host"));
            }
            let machines = gather.folder(MACHINES).into_iter().map(|entry| entry.name);
            let machines = machines.filter(|name| name.strip_suffix(".scope").is_some());
            let units = SERVICES.iter().map(|name| (CGROUPS, format!("{name}.service")));
            let mut running = Vec::new();
            for (slice, unit) in units.chain(machines.map(|name| (MACHINES, name))) {
                let path = format!("{slice}/{unit}/cgroup.procs");
                let Some(processes) = gather.part(&path) else { continue };
                let mut deleted = BTreeSet::new();
                let mut alive = false;
                for process in processes.lines().take(PROCESSES) {
                    if !process.bytes().all(|byte| byte.is_ascii_digit()) {
                        gather.doubt(Doubt::about(&path, "has a line that is no process"));
                        continue;
                    }
                    let path = format!("/proc/{process}/maps");
                    match self.mappings(&path) {
                        Ok(text) => {
                            alive = true;
                            if !text.ends_with('\n') || !text.lines().all(is_mapping) {
                                gather.doubt(Doubt::about(&path, "is no whole list of mappings"));
                            }
                            let gone = text.lines().filter_map(deleted_code).map(str::to_owned);
                            deleted.extend(gone.map(|file| (file, path.clone())));
                        }
                        // It ended in the meantime.
                        Err(trouble) if trouble.is_missing() && self.is_live() => {}
                        Err(trouble) => gather.doubt(trouble),
                    }
                }
                if !alive && processes.lines().next().is_some() {
                    gather.doubt(Doubt::about(&path, "names processes whose mappings cannot be read"));
                }
                if alive {
                    let deleted = deleted.into_iter().collect();
                    running.push(Running { unit, is_machine: slice == MACHINES, deleted });
                }
            }
            Ok(running)
        })
    }

    fn mappings(&self, path: &str) -> Result<String, Trouble> {
        self.files.stream(path, MAPS_LIMIT, |file| {
            let mut bytes = Vec::new();
            // What ends the reading is the trouble of the stream.
            let _ = file.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
}

/// Whether a line begins as all of them do: `55e0-55f0 r-xp 00000000 …`.
fn is_mapping(line: &str) -> bool {
    let mut words = line.split(' ');
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let range = words.next().and_then(|range| range.split_once('-'));
    let rights = words.next().is_some_and(|rights| rights.len() == 4);
    range.is_some_and(|(from, to)| hex(from) && hex(to)) && rights && words.next().is_some_and(hex)
}

/// The program or library of a mapping that is run and no longer on disk (`proc_pid_maps(5)`).
fn deleted_code(line: &str) -> Option<&str> {
    const PLACES: [&str; 5] = ["/usr/", "/lib", "/bin/", "/sbin/", "/opt/"];
    let file = line.trim_end().strip_suffix(" (deleted)")?;
    let mut words = file.splitn(6, ' ').skip(1);
    let rights = words.next()?;
    let path = file.get(file.find('/')?..)?;
    (rights.contains('x') && PLACES.iter().any(|place| path.starts_with(place))).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_is_gone_counts() {
        let line = |rights: &str, end: &str| format!("7f00-7f01 {rights} 00000000 fd:00 1234    {end}");
        let gone = "/usr/lib/x86_64-linux-gnu/libssl.so.3";
        assert_eq!(deleted_code(&line("r-xp", &format!("{gone} (deleted)"))), Some(gone));
        assert_eq!(deleted_code(&line("r--p", &format!("{gone} (deleted)"))), None);
        assert_eq!(deleted_code(&line("r-xp", gone)), None);
        assert_eq!(deleted_code(&line("rwxp", "/dev/zero (deleted)")), None);
        assert_eq!(deleted_code("(deleted)"), None);
        assert!(is_mapping(&line("r-xp", gone)) && is_mapping(&line("rw-p", "")));
        assert!(!is_mapping("garbage") && !is_mapping("") && !is_mapping("x-y r-xp 0"));
    }
}
