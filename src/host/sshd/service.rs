//! The options sshd is started with: the command of `ssh.service` and the variable in `/etc/default/ssh`.

use std::collections::BTreeMap;

use crate::files::Text;
use crate::formats::environment_file;
use crate::formats::sshd::CommandLine;
use crate::formats::systemd_conf::{self, Assignment};
use crate::host::{Doubt, Gather};

/// `ExecStart=` of the unit Debian ships, in all three releases.
const EXEC_START: &str = "/usr/sbin/sshd -D $SSHD_OPTS";

/// The environment file of the unit Debian ships.
const ENVIRONMENT: &str = "/etc/default/ssh";

/// The same in `EnvironmentFile=`: the `-` makes a missing file no error.
const ENVIRONMENT_FILE: &str = "-/etc/default/ssh";

/// The variable in the command.
const VARIABLE: &str = "SSHD_OPTS";

/// The folders of units, of two files of one name the first counting (systemd.unit(5)).
const FOLDERS: [&str; 8] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    OWN,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The folder of the administrator's own units.
const OWN: &str = "/etc/systemd/system";

/// The unit. `sshd.service` is its alias.
const UNIT: &str = "ssh.service";

/// The names of folders with drop-ins of the unit, those of a name before those of the next.
const DROP_INS: [&str; 3] = ["ssh.service.d", "sshd.service.d", "service.d"];

/// The socket that starts the daemon when somebody connects. Debian ships it and leaves it disabled.
const SOCKET: &str = "ssh.socket";

/// As [`DROP_INS`], of the socket.
const SOCKET_DROP_INS: [&str; 2] = ["ssh.socket.d", "socket.d"];

/// `ListenStream=` of the socket Debian ships, in all three releases: on every address.
const LISTEN_STREAM: &str = "22";

/// Where a link to the socket makes systemd listen from the start.
const ENABLED: [&str; 2] =
    ["/etc/systemd/system/sockets.target.wants", "/etc/systemd/system/sockets.target.requires"];

/// The units whose command is followed.
const FOLLOWED: [&str; 2] = [UNIT, "sshd.service"];

/// What a masked unit or drop-in links to.
const NOTHING: &str = "/dev/null";

/// How sshd is started.
pub(super) struct Service {
    pub(super) command_line: CommandLine,
    /// The file the options come from.
    pub(super) path: String,
    /// What systemd listens on for it.
    pub(super) socket: Option<Socket>,
}

/// What systemd listens on for sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The addresses, as [`SOCKET`] names them: a port alone is that port on every address.
    pub listens: Vec<String>,
    /// The file that says so, and the line where it is not Debian's own.
    pub place: (String, Option<u32>),
}

/// Reads the unit as the administrator changed it.
pub(super) fn read(gather: &mut Gather<'_>) -> Service {
    other_daemons(gather);
    let files = unit_files(gather, UNIT, &DROP_INS);
    let texts: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), &**text)).collect();
    let conf = systemd_conf::merge(&texts);
    for (path, issue) in &conf.issues {
        gather.doubt(Doubt::at(path, issue.line, issue.what.clone()));
    }
    let replaced = texts.first().is_some_and(|(path, _)| path.ends_with(&format!("/{UNIT}")));
    let shipped = |default: &'static str| if replaced { None } else { Some(default) };
    for assignment in conf.all("Service", "Environment") {
        if assignment.value.contains(VARIABLE) {
            let what = format!("sets {VARIABLE} in `Environment=`, which is not followed");
            gather.doubt(Doubt::at(&assignment.path, assignment.line, what));
        }
    }
    let environment = in_force(shipped(ENVIRONMENT_FILE), conf.all("Service", "EnvironmentFile"));
    let options = environment.iter().filter_map(|entry| options_in(gather, entry)).next_back();
    let commands = in_force(shipped(EXEC_START), conf.all("Service", "ExecStart"));
    let value = options.as_ref().map(|(value, _)| value.as_str()).unwrap_or_default();
    let command_line = match commands.as_slice() {
        [command] => CommandLine::from_exec_start(command.value, value),
        _ => None,
    };
    let own = commands.last().and_then(|command| command.place);
    if command_line.is_none() {
        let what = "sshd is started with a command that is not followed";
        gather.doubt(match own {
            Some((path, line)) => Doubt::at(path, line, what),
            None => Doubt::about(texts.last().map_or(ENVIRONMENT, |(path, _)| *path), what),
        });
    }
    let path = options.map(|(_, path)| path).or_else(|| own.map(|(path, _)| path.to_owned()));
    Service {
        command_line: command_line.unwrap_or_default(),
        path: path.unwrap_or_else(|| ENVIRONMENT.to_owned()),
        socket: socket(gather),
    }
}

/// The socket, where it is enabled.
fn socket(gather: &mut Gather<'_>) -> Option<Socket> {
    let link = ENABLED.iter().map(|folder| format!("{folder}/{SOCKET}"));
    let link = link.into_iter().find(|path| gather.files().link(path).is_ok())?;
    let files = unit_files(gather, SOCKET, &SOCKET_DROP_INS);
    let texts: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), &**text)).collect();
    let conf = systemd_conf::merge(&texts);
    for (path, issue) in &conf.issues {
        gather.doubt(Doubt::at(path, issue.line, issue.what.clone()));
    }
    let replaced = texts.first().is_some_and(|(path, _)| path.ends_with(&format!("/{SOCKET}")));
    let listening = in_force((!replaced).then_some(LISTEN_STREAM), conf.all("Socket", "ListenStream"));
    let place = listening.iter().find_map(|one| one.place);
    Some(Socket {
        place: place.map_or((link, None), |(path, line)| (path.to_owned(), Some(line))),
        listens: listening.iter().map(|one| one.value.to_owned()).collect(),
    })
}

/// The unit that replaces the shipped one, or it itself, if there is one, then the drop-ins sorted by name.
fn unit_files(
    gather: &mut Gather<'_>,
    unit: &'static str,
    drop_in_folders: &[&'static str],
) -> Vec<(String, Text)> {
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    let named = |name: &'static str| FOLDERS.iter().map(move |folder| format!("{folder}/{name}"));
    for folder in drop_in_folders.iter().copied().flat_map(named) {
        for entry in gather.folder(&folder) {
            if entry.name.rsplit_once('.').is_some_and(|(_, end)| end == "conf") {
                drop_ins.entry(entry.name.clone()).or_insert_with(|| format!("{folder}/{}", entry.name));
            }
        }
    }
    let mut files = Vec::new();
    if let Some(unit) = named(unit).find_map(|path| unit_file(gather, &path)) {
        files.push(unit);
    }
    files.extend(drop_ins.into_values().filter_map(|path| unit_file(gather, &path)));
    files
}

/// A unit of the administrator's own that starts the daemon a second time, with what configuration ever.
fn other_daemons(gather: &mut Gather<'_>) {
    for entry in gather.folder(OWN) {
        if !entry.name.ends_with(".service") || FOLLOWED.contains(&entry.name.as_str()) {
            continue;
        }
        let Some((path, text)) = unit_file(gather, &format!("{OWN}/{}", entry.name)) else { continue };
        // Its other lines are no concern of sshd.
        let conf = systemd_conf::merge(&[(path.as_str(), &*text)]);
        let starts = conf.all("Service", "ExecStart").iter().find(|one| one.value.contains(super::PROGRAM));
        if let Some(one) = starts {
            let what = "starts another sshd, whose configuration is not followed";
            gather.doubt(Doubt::at(&path, one.line, what));
        }
    }
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
