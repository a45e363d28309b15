//! `pve-audit show sshd`: what `sshd -T` would print.

use std::collections::BTreeSet;

use super::{Shown, issues};
use crate::formats::sshd::{Specification, may_hold_secret};
use crate::host::sshd::Sshd;
use crate::host::{Doubt, Fact, Host, Stop};

/// What is shown of a value: of a command line only whether there is one.
fn open<'v>(setting: &str, value: &'v str) -> &'v str {
    if may_hold_secret(setting) && value != "none" { "set" } else { value }
}

/// Reads a connection, as `sshd -T -C` takes it.
///
/// # Errors
/// What is wrong with it.
pub fn connection(text: &str) -> Result<Specification, String> {
    Specification::parse(text)
}

/// The effective settings of sshd for one connection.
///
/// # Errors
/// Why there are none to show.
pub fn answer(host: &Host, connection: &Specification) -> Result<Shown, String> {
    shown_of(&host.sshd_for(connection))
}

/// The effective settings of sshd.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    shown_of(host.sshd())
}

/// What systemd listens on in the place of sshd.
fn of_socket(sshd: &Sshd) -> Option<Doubt> {
    let socket = sshd.socket.as_ref()?;
    let (path, line) = &socket.place;
    let what = format!(
        "systemd listens for sshd on {}: Port and ListenAddress do not count",
        socket.listens.join(", ")
    );
    Some(Doubt { line: *line, ..Doubt::about(path, what) })
}

fn shown_of(fact: &Fact<Sshd>) -> Result<Shown, String> {
    let sshd = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let problems = sshd.config.problems.iter().map(|problem| sshd.doubt_of(problem));
    let all: BTreeSet<Doubt> = fact.doubts.iter().cloned().chain(problems).chain(of_socket(sshd)).collect();
    let all: Vec<Doubt> = all.into_iter().collect();
    let mut settings = sshd.config.settings();
    for (setting, values) in &mut settings {
        for value in values {
            *value = open(setting, value).to_owned();
        }
    }
    let json = serde_json::json!({
        "valid": sshd.config.valid(),
        "settings": settings,
        "issues": issues(&all),
    });
    let comments = all.iter().map(|doubt| format!("# {doubt}\n"));
    let lines = sshd.config.lines().into_iter().map(|line| match line.split_once(' ') {
        Some((setting, value)) => format!("{setting} {}\n", open(setting, value)),
        None => line + "\n",
    });
    Ok(Shown { json, text: comments.chain(lines).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};

    const STATUS: &str =
        "Package: openssh-server\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:9.2p1-2\n\n";

    fn shown_with(config: &str) -> Shown {
        let mut tree = Tree::default();
        tree.insert("/var/lib/dpkg/status", Node::file(STATUS));
        tree.insert("/etc/ssh/sshd_config", Node::file(config));
        shown(&Host::new(Files::memory(tree), None, None)).unwrap()
    }

    #[test]
    fn settings_are_lists_in_json_and_lines_as_of_sshd_in_text() {
        let shown = shown_with("PermitRootLogin yes\nCiphers aes256-ctr,aes128-ctr\nAllowUsers root anna\n");
        let keys: Vec<_> = shown.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["issues", "settings", "valid"]);
        assert_eq!(shown.json["valid"], true);
        assert_eq!(shown.json["settings"]["permitrootlogin"], serde_json::json!(["yes"]));
        assert_eq!(shown.json["settings"]["ciphers"], serde_json::json!(["aes256-ctr", "aes128-ctr"]));
        assert_eq!(shown.json["issues"], serde_json::json!([]));
        for line in
            ["permitrootlogin yes", "ciphers aes256-ctr,aes128-ctr", "allowusers root", "allowusers anna"]
        {
            assert!(shown.text.lines().any(|shown| shown == line), "{line}");
        }
    }

    #[test]
    fn a_connection_meets_its_match_blocks() {
        let mut tree = Tree::default();
        tree.insert("/var/lib/dpkg/status", Node::file(STATUS));
        tree.insert("/etc/passwd", Node::file("root:x:0:0::/root:/bin/sh\n"));
        tree.insert("/etc/group", Node::file("root:x:0:\nadmins:x:9:root\n"));
        let config = "PermitRootLogin no\nMatch Group admins Address 10.0.0.0/8\nPermitRootLogin yes\n";
        tree.insert("/etc/ssh/sshd_config", Node::file(config));
        let host = Host::new(Files::memory(tree), None, None);
        let login = |told: &str| {
            let shown = answer(&host, &connection(told).unwrap()).unwrap();
            shown.json["settings"]["permitrootlogin"][0].as_str().map(str::to_owned)
        };
        assert_eq!(login("user=root,addr=10.1.2.3").as_deref(), Some("yes"));
        assert_eq!(login("user=root,addr=192.0.2.1").as_deref(), Some("no"));
        assert_eq!(login("user=anna,addr=10.1.2.3").as_deref(), Some("no"));
        assert_eq!(login("addr=10.1.2.3").as_deref(), Some("no"));
    }

    #[test]
    fn a_socket_of_systemd_listens_instead() {
        let mut tree = Tree::default();
        tree.insert("/var/lib/dpkg/status", Node::file(STATUS));
        tree.insert("/etc/ssh/sshd_config", Node::file("Port 22\n"));
        let drop_in = "/etc/systemd/system/ssh.socket.d/port.conf";
        tree.insert(drop_in, Node::file("[Socket]\nListenStream=\nListenStream=2222\n"));
        let host = Host::new(Files::memory(tree.clone()), None, None);
        assert_eq!(shown(&host).unwrap().json["issues"], serde_json::json!([]), "it is not enabled");
        let link = "/etc/systemd/system/sockets.target.wants/ssh.socket";
        tree.insert(link, Node::link("/usr/lib/systemd/system/ssh.socket"));
        let issues = &shown(&Host::new(Files::memory(tree), None, None)).unwrap().json["issues"];
        assert_eq!(issues[0]["path"], drop_in);
        assert_eq!(issues[0]["line"], 3);
        assert!(issues[0]["what"].as_str().unwrap().contains("2222"), "{issues}");
    }

    #[test]
    fn of_a_command_line_only_that_it_is_set_is_shown() {
        let shown =
            shown_with("AuthorizedKeysCommand /bin/keys --password hunter2\nForceCommand /bin/x hunter2\n");
        assert!(!shown.text.contains("hunter2") && !shown.json.to_string().contains("hunter2"));
        assert_eq!(shown.json["settings"]["forcecommand"], serde_json::json!(["set"]));
        assert!(shown.text.lines().any(|line| line == "authorizedkeyscommand set"));
        assert!(shown.text.lines().any(|line| line == "authorizedprincipalscommand none"));
    }

    #[test]
    fn what_sshd_refuses_is_named_with_its_line() {
        let shown = shown_with("UsePAM yes\nNonsense 1\n");
        assert_eq!(shown.json["valid"], false);
        assert_eq!(shown.json["issues"][0]["path"], "/etc/ssh/sshd_config");
        assert_eq!(shown.json["issues"][0]["line"], 2);
        assert!(shown.text.starts_with("# /etc/ssh/sshd_config:2: "));
    }

    #[test]
    fn a_host_without_the_daemon_has_nothing_to_show() {
        let mut tree = Tree::default();
        tree.insert(
            "/var/lib/dpkg/status",
            Node::file("Package: apt\nStatus: install ok installed\nVersion: 2\n\n"),
        );
        let why = shown(&Host::new(Files::memory(tree), None, None)).err();
        assert_eq!(why.as_deref(), Some("openssh-server is not installed"));
    }
}
