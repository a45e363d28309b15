//! Virtual machines: `nodes/NODE/qemu-server/VMID.conf`.
//!
//! Follows `parse_vm_config` and `check_type` of qemu-server's `PVE::QemuServer` (branches stable-7,
//! stable-bookworm and master). An option with a bad value is dropped, the last of several wins, and a line with
//! leading white space is no option. A section header upstream does not know is skipped together with its lines;
//! Proxmox VE 7 (and 8 before qemu-server 8.3.11) skips only the header, so the lines after it overwrite the
//! section before.

use std::collections::BTreeMap;

use super::options::{Check, OptionRule, find};
use super::qemu_options::{FLEECING_OPTIONS, OPTIONS};
use super::text::{bracketed, indexed, is_snapshot_name, is_snapstate_line, named_line, option_line};
use super::{Arguments, Deletion, GuestOption, Password, Refused, Snapshot, deletions};
use crate::formats::perl::{boolean_word, is_blank, is_digits};
use crate::formats::release::Release;
use crate::formats::{Issue, Located, Parsed, numbered, property_string, shown, verify};

pub use super::qemu_view::{Boot, Disk, HostPci, Nic, Parallel, Serial, Usb, UsbDevice, Virtiofs};

/// The configuration of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QemuConfig {
    /// What is in force (or will be at the next start, when nothing is pending).
    pub current: QemuSection,
    /// What comes into force at the next start.
    pub pending: Option<QemuPending>,
    /// The snapshots, by name.
    pub snapshots: BTreeMap<String, QemuSection>,
    /// The configuration the cloud-init drive was last made from; upstream does not check it.
    pub cloudinit: Option<QemuSection>,
    /// Whether the section about left-over fleecing images is there.
    pub has_fleecing_section: bool,
}

/// Changes that wait for the next start of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QemuPending {
    /// The options to set.
    pub section: QemuSection,
    /// The options to remove.
    pub deletions: Vec<Deletion>,
}

/// One section of the file: the current configuration, the pending one or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QemuSection {
    /// Line of the section header; 1 for the current configuration.
    pub line: u32,
    /// The options upstream takes over, by name. `cdrom` is `ide2`.
    pub options: BTreeMap<String, GuestOption>,
    /// The options that stand in the section and that upstream drops, in line order.
    pub refused: Vec<Refused>,
    /// The extra command line, if `args` is set.
    pub arguments: Option<Arguments>,
    /// The password for cloud-init, if `cipassword` is set.
    pub password: Option<Located<Password>>,
    /// Whether the section has a description.
    pub has_description: bool,
}

/// Options whose text is never kept: a secret, free text, or a command line.
const WITHHELD: [&str; 4] = ["args", "cipassword", "description", "sshkeys"];

/// Reads the configuration of a virtual machine as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<QemuConfig> {
    let mut reader = Reader::new(release);
    for (number, line) in numbered(text) {
        if !is_blank(line) {
            reader.line(number, line);
        }
    }
    reader.finish()
}

impl QemuConfig {
    /// The snapshots in order of their names, with what an auditor wants to know about each.
    pub fn snapshot_facts(&self) -> Vec<Snapshot> {
        let facts = |(name, section): (&String, &QemuSection)| Snapshot {
            name: name.clone(),
            line: section.line,
            taken_at: section.text("snaptime").and_then(|text| text.parse().ok()),
            has_memory: section.options.contains_key("vmstate"),
            password: section.password.as_ref().map(|password| password.value.clone()),
            environment_variables: 0,
        };
        self.snapshots.iter().map(facts).collect()
    }
}

/// Which section the lines belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Current,
    Pending,
    Snapshot(String),
    Cloudinit,
    Fleecing,
    /// A section upstream knows by name but has no options for, or one it skips.
    Skipped,
}

struct Reader {
    release: Release,
    config: QemuConfig,
    issues: Vec<Issue>,
    place: Place,
    section: QemuSection,
    deletions: Vec<Deletion>,
}

impl Reader {
    fn new(release: Release) -> Self {
        Self {
            release,
            config: QemuConfig::default(),
            issues: Vec::new(),
            place: Place::Current,
            section: QemuSection { line: 1, ..QemuSection::default() },
            deletions: Vec::new(),
        }
    }

    fn finish(mut self) -> Parsed<QemuConfig> {
        self.close();
        Parsed { value: self.config, issues: self.issues }
    }

    fn issue(&mut self, line: u32, what: impl Into<String>) {
        self.issues.push(Issue::new(line, what));
    }

    fn line(&mut self, number: u32, line: &str) {
        if let Some(name) = bracketed(line)
            && let Some(place) = self.header(number, name)
        {
            self.open(number, place);
            return;
        }
        if self.place == Place::Skipped {
            return;
        }
        if line.starts_with('#') || named_line(line, "description").is_some() {
            self.section.has_description = true;
        } else if is_snapstate_line(line) {
            // The state of an unfinished snapshot; it takes any line that ends with it away.
            if !line.starts_with("snapstate:") {
                self.issue(
                    number,
                    "the line ends like a snapshot state, upstream reads nothing else from it",
                );
            }
        } else if let Some(text) = named_line(line, "args") {
            self.section.arguments = Some(Arguments::of(text, number));
            self.keep("args", text, None, number);
        } else if let Some(text) = named_line(line, "delete") {
            self.delete(number, text);
        } else if let Some((name, text)) = option_line(line, self.release > Release::Pve7) {
            self.option(number, name, text);
        } else {
            self.issue(number, "the line is neither an option nor a section header, upstream ignores it");
        }
    }

    /// The section a header opens, or `None` if the release reads it as a line without meaning.
    fn header(&mut self, number: u32, name: &str) -> Option<Place> {
        if name.eq_ignore_ascii_case("pending") {
            return Some(Place::Pending);
        }
        if let Some(place) = self.special(name) {
            return Some(place);
        }
        if is_snapshot_name(name) {
            return Some(Place::Snapshot(name.to_owned()));
        }
        match self.release {
            Release::Pve7 => None,
            Release::Pve8 => {
                self.issue(
                    number,
                    "the section is unknown, upstream skips its lines (before qemu-server 8.3.11 they overwrite \
                     the section before)",
                );
                Some(Place::Skipped)
            }
            Release::Pve9 => {
                self.issue(number, "the section is unknown, upstream skips its lines");
                Some(Place::Skipped)
            }
        }
    }

    /// The header is matched in any case, but only a lower-case name has options: elsewhere every line fails.
    fn special(&self, name: &str) -> Option<Place> {
        let (prefix, special) = name.split_once(':')?;
        if !prefix.eq_ignore_ascii_case("special") {
            return None;
        }
        match special {
            "cloudinit" => Some(Place::Cloudinit),
            _ if special.eq_ignore_ascii_case("cloudinit") && self.release == Release::Pve7 => {
                Some(Place::Cloudinit)
            }
            "fleecing" if self.release > Release::Pve7 => Some(Place::Fleecing),
            _ if self.release == Release::Pve7 => None,
            _ if special.eq_ignore_ascii_case("cloudinit") || special.eq_ignore_ascii_case("fleecing") => {
                Some(Place::Skipped)
            }
            _ => None,
        }
    }

    fn open(&mut self, number: u32, place: Place) {
        self.close();
        let is_again = match &place {
            Place::Pending => self.config.pending.is_some(),
            Place::Snapshot(name) => self.config.snapshots.contains_key(name),
            Place::Cloudinit => self.config.cloudinit.is_some(),
            Place::Fleecing => self.config.has_fleecing_section,
            Place::Current | Place::Skipped => false,
        };
        if is_again {
            self.issue(number, "the section stands in the file twice, upstream keeps only the last one");
        }
        self.place = place;
        self.section = QemuSection { line: number, ..QemuSection::default() };
    }

    /// Stores the section that ends here; one of the same name that was read before is replaced.
    fn close(&mut self) {
        let section = std::mem::take(&mut self.section);
        let deletions = std::mem::take(&mut self.deletions);
        match std::mem::replace(&mut self.place, Place::Skipped) {
            Place::Current => self.config.current = section,
            Place::Pending => self.config.pending = Some(QemuPending { section, deletions }),
            Place::Snapshot(name) => {
                self.config.snapshots.insert(name, section);
            }
            Place::Cloudinit => self.config.cloudinit = Some(section),
            Place::Fleecing => self.config.has_fleecing_section = true,
            Place::Skipped => {}
        }
    }

    fn delete(&mut self, number: u32, text: &str) {
        if self.place == Place::Pending {
            self.deletions = deletions(text);
        } else {
            self.issue(number, "`delete` has a meaning only among pending changes, upstream ignores it");
        }
    }

    fn option(&mut self, number: u32, name: &str, text: &str) {
        if self.place == Place::Cloudinit {
            self.keep(name, text, None, number);
            return;
        }
        match check(self.rules(), name, text, self.release) {
            Ok((value, properties)) => {
                let name = if name == "cdrom" { "ide2" } else { name };
                self.keep(name, &value, properties, number);
            }
            Err(why) => {
                self.section.refused.push(Refused { option: name.to_owned(), line: number });
                let earlier =
                    if self.section.options.contains_key(name) { ", the earlier value stays" } else { "" };
                self.issue(number, format!("option {} {why}, upstream drops it{earlier}", shown(name)));
            }
        }
    }

    fn rules(&self) -> &'static [OptionRule] {
        if self.place == Place::Fleecing { FLEECING_OPTIONS } else { OPTIONS }
    }

    fn keep(&mut self, name: &str, text: &str, properties: Option<property_string::Properties>, line: u32) {
        match name {
            "args" => self.section.arguments = Some(Arguments::of(text, line)),
            "cipassword" => self.section.password = Some(Located::new(Password::of(text), line)),
            "description" => self.section.has_description = true,
            _ => {}
        }
        let text = if WITHHELD.contains(&name) { String::new() } else { text.to_owned() };
        self.section
            .options
            .insert(name.to_owned(), GuestOption { text, properties, well_formed: true, line });
    }
}

type Checked = (String, Option<property_string::Properties>);

/// The value `check_type` makes of `text`, or what is wrong with the option. The answer never quotes the text.
fn check(rules: &'static [OptionRule], name: &str, text: &str, release: Release) -> Result<Checked, String> {
    let check = find(rules, name, release).ok_or_else(|| format!("is unknown to {release}"))?;
    if text.contains('\r') {
        return Err("has a carriage return inside its value".to_owned());
    }
    let plain = |fits: bool, wanted: &str| {
        if fits { Ok((text.to_owned(), None)) } else { Err(format!("is not {wanted}")) }
    };
    match check {
        Check::Boolean => match boolean_word(text) {
            Some(flag) => Ok((if flag { "1" } else { "0" }.to_owned(), None)),
            None => Err("is not a boolean".to_owned()),
        },
        Check::Integer => plain(is_digits(text), "a whole number"),
        Check::Number => plain(verify::decimal(text), "a number"),
        Check::Text => Ok((unquoted(text).to_owned(), None)),
        Check::Format(fits) => plain(fits(text), "of the required form"),
        Check::Properties(schema) => match property_string::parse(schema, text, release) {
            Ok(properties) => Ok((text.to_owned(), Some(properties))),
            Err(refusal) => Err(format!("has a bad value ({refusal})")),
        },
    }
}

/// One pair of double quotes around a plain text is taken away.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

impl QemuSection {
    /// The text of an option.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(|option| option.text.as_str())
    }

    /// The options of a family such as `net`, by index.
    pub fn family(&self, letters: &str) -> Vec<(u32, &GuestOption)> {
        let of_family = |(name, option)| match indexed(name) {
            Some((found, index)) if found == letters => Some((index, option)),
            _ => None,
        };
        let mut found: Vec<_> =
            self.options.iter().map(|(name, option)| (name.as_str(), option)).filter_map(of_family).collect();
        found.sort_by_key(|(index, _)| *index);
        found
    }
}
