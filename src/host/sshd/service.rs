//! The options sshd is started with: the command of `ssh.service` and the variable in `/etc/default/ssh`.

use std::collections::BTreeMap;

use crate::files::Text;
use crate::formats::environment_file;
use crate::formats::sshd::CommandLine;
use crate::formats::systemd_conf::{self, Assignment};
use crate::host::{Doubt, Gather};

/// `ExecStart=` of the unit Debian ships, in all three releases.
const EXEC_START: &str = "/usr/sbin/sshd -D $SSHD_OPTS";

/// `EnvironmentFile=` of the unit Debian ships: the `-` makes a missing file no error.
const ENVIRONMENT_FILE: &str = "-/etc/default/ssh";

/// The variable in the command.
const VARIABLE: &str = "SSHD_OPTS";

/// Where a unit stands that replaces the one Debian ships (systemd.unit(5)).
const UNITS: [&str; 2] = ["/etc/systemd/system/ssh.service", "/run/systemd/system/ssh.service"];

/// Where drop-ins of the unit stand, of two files of one name the first counting. `sshd.service` is its alias.
const DROP_INS: [&str; 4] = [
    "/etc/systemd/system/ssh.service.d",
    "/etc/systemd/system/sshd.service.d",
    "/run/systemd/system/ssh.service.d",
    "/run/systemd/system/sshd.service.d",
];

/// What a masked unit or drop-in links to.
const NOTHING: &str = "/dev/null";

/// How sshd is started.
pub(super) struct Service {
    pub(super) command_line: CommandLine,
    /// The file the options come from.
    pub(super) path: String,
}

/// Reads the unit as the administrator changed it.
pub(super) fn read(gather: &mut Gather<'_>) -> Service {
    let files = unit_files(gather);
    let texts: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), &**text)).collect();
    let conf = systemd_conf::merge(&texts);
    for (path, issue) in &conf.issues {
        gather.doubt(Doubt::at(path, issue.line, issue.what.clone()));
    }
    let replaced = texts.first().is_some_and(|(path, _)| UNITS.contains(path));
    let shipped = |default: &'static str| if replaced { None } else { Some(default) };
    for assignment in conf.all("Service", "Environment") {
        if assignment.value.contains(VARIABLE) {
            let what = format!("sets {VARIABLE} in `Environment=`, which is not followed");
            gather.doubt(Doubt::at(&assignment.path, assignment.line, what));
        }
    }
    let environment = in_force(shipped(ENVIRONMENT_FILE), conf.all("Service", "EnvironmentFile"));
    let options = environment.iter().filter_map(|entry| options_in(gather, entry)).next_back();
    let (options, options_path) = options.unwrap_or_default();
    let commands = in_force(shipped(EXEC_START), conf.all("Service", "ExecStart"));
    let own = commands.first().and_then(|command| command.place);
    let followed = match commands.as_slice() {
        [command] => CommandLine::from_exec_start(command.value, &options),
        _ => None,
    };
    if let (None, Some((path, line))) = (&followed, commands.last().and_then(|command| command.place)) {
        gather.doubt(Doubt::at(path, line, "starts sshd with a command that is not followed"));
    } else if let (None, Some((path, _))) = (&followed, texts.first()) {
        gather.doubt(Doubt::about(path, "starts sshd with a command that is not followed"));
    }
    let path = match own {
        Some((path, _)) if options_path.is_empty() => path.to_owned(),
        _ if options_path.is_empty() => ENVIRONMENT_FILE.trim_start_matches('-').to_owned(),
        _ => options_path,
    };
    Service { command_line: followed.unwrap_or_default(), path }
}

/// The unit that replaces the shipped one, if there is one, then the drop-ins sorted by name.
fn unit_files(gather: &mut Gather<'_>) -> Vec<(String, Text)> {
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    for folder in DROP_INS {
        for entry in gather.folder(folder) {
            if entry.name.rsplit_once('.').is_some_and(|(_, end)| end == "conf") {
                drop_ins.entry(entry.name.clone()).or_insert_with(|| format!("{folder}/{}", entry.name));
            }
        }
    }
    let mut files = Vec::new();
    if let Some(unit) = UNITS.iter().find_map(|path| unit_file(gather, path)) {
        files.push(unit);
    }
    files.extend(drop_ins.into_values().filter_map(|path| unit_file(gather, &path)));
    files
}

fn unit_file(gather: &mut Gather<'_>, path: &str) -> Option<(String, Text)> {
    if gather.files().link(path).is_ok_and(|target| target == NOTHING) {
        return None;
    }
    gather.part(path).map(|text| (path.to_owned(), text))
}

/// One entry of a list setting; the place is that of an administrator's line.
struct Listed<'a> {
    value: &'a str,
    place: Option<(&'a str, u32)>,
}

/// The entries of a list setting: an empty assignment forgets those before it.
fn in_force<'a>(shipped: Option<&'a str>, assignments: &'a [Assignment]) -> Vec<Listed<'a>> {
    let mut entries: Vec<Listed<'_>> =
        shipped.into_iter().map(|value| Listed { value, place: None }).collect();
    for assignment in assignments {
        if assignment.value.is_empty() {
            entries.clear();
        } else {
            let place = Some((assignment.path.as_str(), assignment.line));
            entries.push(Listed { value: &assignment.value, place });
        }
    }
    entries
}

/// The variable in an environment file, with the path of the file.
fn options_in(gather: &mut Gather<'_>, entry: &Listed<'_>) -> Option<(String, String)> {
    let path = entry.value.trim_start_matches('-');
    if let Some((file, line)) = entry.place
        && (!path.starts_with('/') || path.contains(['*', '?', '[', '%', ' ', '"', '\'']))
    {
        gather.doubt(Doubt::at(file, line, "names an environment file in a way that is not followed"));
        return None;
    }
    let text = gather.part(path)?;
    let value = gather.parsed(path, environment_file::variable(&text, VARIABLE))?;
    Some((value.value, path.to_owned()))
}
