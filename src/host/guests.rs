//! The guests of the cluster and their configurations.
//!
//! Every node sees the configurations of all guests, so all of them are read, whichever node they are on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::{Files, Kind as EntryKind, Text, Trouble};
use crate::formats::guest::is_guest_file_name;
use crate::formats::guest::lxc::{self, LxcConfig};
use crate::formats::guest::qemu::{self, QemuConfig};
use crate::formats::release::Release;
use crate::formats::vmlist::{self, Vmlist};
use crate::formats::{Issue, Parsed};

/// All guests as the cluster file system knows them. Only the mounted one has it: a copy of a tree may lack it.
const VMLIST: &str = "/etc/pve/.vmlist";

/// One folder per node. The links `/etc/pve/local`, `/etc/pve/qemu-server` and `/etc/pve/lxc` lead here, too, and
/// are not followed: no guest counts twice.
const NODES: &str = "/etc/pve/nodes";

/// How many files are read at once: their texts are dropped before the next ones are read.
const READ_AT_ONCE: usize = 512;

#[derive(Default)]
pub(super) struct Facts {
    guests: OnceCell<Fact<Guests>>,
}

/// What kind of guest it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A virtual machine.
    Vm,
    /// A container.
    Container,
}

impl Kind {
    /// The folder of its configurations, below the folder of the node.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Vm => "qemu-server",
            Self::Container => "lxc",
        }
    }
}

/// The configuration of a guest.
#[derive(Debug, Clone)]
pub enum GuestConfig {
    /// Of a virtual machine.
    Vm(Box<QemuConfig>),
    /// Of a container.
    Container(Box<LxcConfig>),
}

/// A guest, whether or not its configuration could be read.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its id, the same all over the cluster.
    pub vmid: u32,
    /// The node it is on.
    pub node: String,
    /// What it is.
    pub kind: Kind,
    /// Its configuration file.
    pub path: String,
    /// What the file says; its troubles are those of this guest alone.
    pub config: Fact<GuestConfig>,
    /// What upstream does not take over as it is written; among the doubts, too.
    pub issues: Vec<Issue>,
}

/// The guests, sorted by VMID.
#[derive(Debug, Clone, Default)]
pub struct Guests {
    /// All of them.
    pub all: Vec<Guest>,
}

impl Guests {
    /// The guests of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Guest> {
        self.all.iter().filter(move |guest| guest.kind == kind)
    }
}

impl Guest {
    /// The configuration as far as it is known.
    pub fn known(&self) -> Option<&GuestConfig> {
        self.config.value.as_ref().ok()
    }

    /// The configuration of a virtual machine, if it is one and known.
    pub fn vm(&self) -> Option<&QemuConfig> {
        match self.known()? {
            GuestConfig::Vm(config) => Some(config),
            GuestConfig::Container(_) => None,
        }
    }

    /// The configuration of a container, if it is one and known.
    pub fn container(&self) -> Option<&LxcConfig> {
        match self.known()? {
            GuestConfig::Container(config) => Some(config),
            GuestConfig::Vm(_) => None,
        }
    }

    /// The name it was given: untrusted text.
    pub fn name(&self) -> Option<&str> {
        match self.known()? {
            GuestConfig::Vm(config) => config.current.text("name"),
            GuestConfig::Container(config) => config.current.text("hostname"),
        }
    }

    /// Whether it is known to be a template, which never runs.
    pub fn is_template(&self) -> bool {
        self.known().is_some_and(|config| match config {
            GuestConfig::Vm(config) => config.current.is_template(),
            GuestConfig::Container(config) => config.current.is_template(),
        })
    }

    /// Whether it is on the audited node.
    pub fn is_local(&self, host: &Host) -> bool {
        host.node_name().is_some_and(|name| name == self.node)
    }
}

impl Host {
    /// All guests of the cluster: those of `/etc/pve/.vmlist` and those with a file in `/etc/pve/nodes/*/qemu-server`
    /// or `/etc/pve/nodes/*/lxc`. A guest that only one of the two knows, or that they place differently, is a doubt
    /// about this guest; a guest without a file is one with an unknown configuration. A tree without `.vmlist` has
    /// the guests it has files of; a folder that cannot be listed is a doubt about all.
    pub fn guests(&self) -> &Fact<Guests> {
        self.guests.guests.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let listed = read_vmlist(gather);
                let places = find_places(gather, listed.as_ref())?;
                Ok(read_guests(&self.files, places, self.format_release()))
            })
        })
    }
}

/// Where a guest's configuration is, in the order of the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    vmid: u32,
    node: String,
    kind: Kind,
}

impl Place {
    fn path(&self) -> String {
        format!("{NODES}/{}/{}/{}.conf", self.node, self.kind.folder(), self.vmid)
    }
}

/// A place and what the two listings disagree about.
type Places = BTreeMap<Place, Option<String>>;

fn read_vmlist(gather: &mut Gather<'_>) -> Option<Vmlist> {
    // Not `optional`: without the list there are still the folders.
    let text = gather.part(VMLIST);
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        gather.doubt(Doubt::about(VMLIST, "is empty"));
        return None;
    }
    let listed = text.map(|text| vmlist::parse(&text));
    // A text that is no list at all says nothing about any guest.
    let is_list = listed.as_ref().is_some_and(|listed| listed.issues.is_empty() || !listed.value.is_empty());
    listed.map(|listed| gather.parsed(VMLIST, listed)).filter(|_| is_list)
}

fn find_places(gather: &mut Gather<'_>, listed: Option<&Vmlist>) -> Result<Places, Stop> {
    let mut places: Places = places_with_files(gather)?.into_iter().map(|place| (place, None)).collect();
    let Some(listed) = listed else { return Ok(places) };
    let mut missing = Places::new();
    let found: BTreeSet<u32> = places.keys().map(|place| place.vmid).collect();
    for (place, doubt) in &mut places {
        let said = listed.get(&place.vmid);
        *doubt = match said {
            None => Some(format!("is not in {VMLIST}")),
            Some(said) if said.node != place.node || kind_of(said.kind) != place.kind => {
                Some(format!("is on another node or of another kind in {VMLIST}"))
            }
            Some(_) => None,
        };
    }
    for (vmid, said) in listed.iter().filter(|(vmid, _)| !found.contains(vmid)) {
        let place = Place { vmid: *vmid, node: said.node.clone(), kind: kind_of(said.kind) };
        missing.insert(place, Some(format!("is in {VMLIST} and was not found in its folder")));
    }
    places.append(&mut missing);
    Ok(places)
}

fn kind_of(kind: vmlist::Kind) -> Kind {
    match kind {
        vmlist::Kind::Qemu => Kind::Vm,
        vmlist::Kind::Lxc => Kind::Container,
    }
}

fn places_with_files(gather: &mut Gather<'_>) -> Result<BTreeSet<Place>, Stop> {
    let mut places = BTreeSet::new();
    let nodes = gather.files().list(NODES)?;
    for node in nodes.into_iter().filter(|entry| entry.kind == EntryKind::Folder) {
        for kind in [Kind::Vm, Kind::Container] {
            let files = gather.folder(&format!("{NODES}/{}/{}", node.name, kind.folder()));
            let vmids = files.iter().filter_map(|file| is_guest_file_name(&file.name));
            places.extend(vmids.map(|vmid| Place { vmid, node: node.name.clone(), kind }));
        }
    }
    Ok(places)
}

fn read_guests(files: &Files, places: Places, release: Release) -> Guests {
    let mut all = Vec::with_capacity(places.len());
    let places: Vec<(Place, Option<String>)> = places.into_iter().collect();
    for some in places.chunks(READ_AT_ONCE) {
        let paths: Vec<String> = some.iter().map(|(place, _)| place.path()).collect();
        let texts = files.texts(&paths);
        for (((place, doubt), path), text) in some.iter().zip(paths).zip(texts) {
            let mut issues = Vec::new();
            let config = Fact::gather(files, |gather| {
                if let Some(doubt) = doubt {
                    gather.doubt(Doubt::about(&path, doubt));
                }
                let config = read_config(gather, place.kind, &path, text, release)?;
                issues.clone_from(&config.issues);
                Ok(gather.parsed(&path, config))
            });
            let Place { vmid, node, kind } = place.clone();
            all.push(Guest { vmid, node, kind, path, config, issues });
        }
    }
    Guests { all }
}

fn read_config(
    gather: &mut Gather<'_>,
    kind: Kind,
    path: &str,
    answer: Result<Text, Trouble>,
    release: Release,
) -> Result<Parsed<GuestConfig>, Stop> {
    // A guest that is listed has a file with content: Proxmox VE never writes an empty one.
    let text = answer?;
    if text.trim().is_empty() {
        return Err(Stop::unknown(path, "is empty: its content may have been lost"));
    }
    gather.part_of(path, Ok(text.clone()));
    Ok(match kind {
        Kind::Vm => {
            let Parsed { value, issues } = qemu::parse(&text, release);
            Parsed { value: GuestConfig::Vm(Box::new(value)), issues }
        }
        Kind::Container => {
            let Parsed { value, issues } = lxc::parse(&text, release);
            Parsed { value: GuestConfig::Container(Box::new(value)), issues }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Node, Tree, TroubleKind};

    fn host(files: &[(&str, Node)]) -> Host {
        let mut tree = Tree::default();
        tree.insert(NODES, Node::folder());
        for (path, node) in files {
            tree.insert(path, node.clone());
        }
        Host::new(Files::memory(tree), None, Some(Release::Pve9))
    }

    const VM: &str = "/etc/pve/nodes/a/qemu-server/100.conf";
    const CT: &str = "/etc/pve/nodes/b/lxc/101.conf";

    fn conf() -> Node {
        Node::file("memory: 512\n")
    }

    fn vmids(host: &Host) -> Vec<u32> {
        host.guests().value.as_ref().unwrap().all.iter().map(|guest| guest.vmid).collect()
    }

    fn is_clean(fact: &Fact<Guests>) -> bool {
        fact.doubts.is_empty()
            && fact.value.as_ref().is_ok_and(|guests| {
                guests.all.iter().all(|guest| guest.config.doubts.is_empty() && guest.config.value.is_ok())
            })
    }

    fn list(text: &str) -> Node {
        Node::file(format!("{{\n\"version\": 1,\n\"ids\": {{{text}}}\n}}\n"))
    }

    #[test]
    fn files_alone_make_the_guests_of_all_nodes_and_links_count_nothing_twice() {
        let host = host(&[
            (VM, conf()),
            (CT, conf()),
            ("/etc/pve/nodes/a/qemu-server/100.conf.bak", conf()),
            ("/etc/pve/nodes/a/qemu-server/0102.conf", conf()),
            ("/etc/pve/local", Node::link("nodes/a")),
            ("/etc/pve/qemu-server", Node::link("nodes/a/qemu-server")),
        ]);
        assert_eq!(vmids(&host), [100, 101]);
        assert!(is_clean(host.guests()));
    }

    #[test]
    fn a_list_that_agrees_with_the_files_raises_no_doubt() {
        let ids = r#""100":{"node":"a","type":"qemu"},"101":{"node":"b","type":"lxc"}"#;
        let host = host(&[(VM, conf()), (CT, conf()), (VMLIST, list(ids))]);
        assert_eq!(vmids(&host), [100, 101]);
        assert!(is_clean(host.guests()));
    }

    #[test]
    fn a_listed_guest_without_a_file_is_unknown_and_not_gone() {
        let ids = r#""100":{"node":"a","type":"qemu"},"103":{"node":"c","type":"lxc"}"#;
        let host = host(&[(VM, conf()), (VMLIST, list(ids))]);
        assert_eq!(vmids(&host), [100, 103]);
        let guests = host.guests().value.as_ref().unwrap();
        assert!(guests.all[0].config.value.is_ok() && guests.all[0].config.doubts.is_empty());
        assert!(matches!(guests.all[1].config.value, Err(Stop::Unknown(_))));
        assert_eq!(guests.all[1].path, "/etc/pve/nodes/c/lxc/103.conf");
    }

    #[test]
    fn a_guest_that_is_not_listed_or_listed_elsewhere_is_doubtful() {
        let host = host(&[(VM, conf()), (CT, conf()), (VMLIST, list(r#""100":{"node":"z","type":"qemu"}"#))]);
        assert_eq!(vmids(&host), [100, 101]);
        let guests = host.guests().value.as_ref().unwrap();
        assert!(guests.all.iter().all(|guest| guest.config.doubts.len() == 1 && guest.config.value.is_ok()));
    }

    #[test]
    fn an_unreadable_list_leaves_the_files_and_a_doubt() {
        for bad in [Node::file(""), Node::file("{"), Node::file("x").failing(TroubleKind::Denied)] {
            let host = host(&[(VM, conf()), (VMLIST, bad)]);
            assert_eq!(vmids(&host), [100]);
            assert!(!host.guests().doubts.is_empty());
        }
    }

    #[test]
    fn one_broken_file_leaves_the_other_guests_known() {
        for bad in [Node::file(""), conf().failing(TroubleKind::Denied), Node::fifo()] {
            let host = host(&[(VM, conf()), (CT, bad)]);
            let guests = host.guests().value.as_ref().unwrap();
            assert!(guests.all[0].config.value.is_ok() && guests.all[0].config.doubts.is_empty());
            assert!(guests.all[1].config.value.is_err());
            assert!(host.guests().doubts.is_empty());
        }
        let host = host(&[(VM, conf()), (CT, Node::file("memory: 512"))]);
        assert_eq!(host.guests().value.as_ref().unwrap().all[1].config.doubts.len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_a_doubt_about_all() {
        let folder = "/etc/pve/nodes/b/lxc";
        let host = host(&[(VM, conf()), (folder, Node::folder().failing(TroubleKind::TimedOut))]);
        assert_eq!(vmids(&host), [100]);
        assert_eq!(host.guests().doubts.len(), 1);
    }

    #[test]
    fn without_the_folder_of_the_nodes_nothing_is_known() {
        let mut tree = Tree::default();
        tree.insert("/etc/pve/storage.cfg", Node::file("\n"));
        let host = Host::new(Files::memory(tree), None, None);
        assert!(matches!(host.guests().value, Err(Stop::Unknown(_))));
    }
}
