//! `pve-audit show sshd`: what `sshd -T` would print.

use std::collections::BTreeSet;

use super::{Shown, issues};
use crate::formats::sshd::may_hold_secret;
use crate::host::{Doubt, Host, Stop};

/// What is shown of a value: of a command line only whether there is one.
fn open<'v>(setting: &str, value: &'v str) -> &'v str {
    if may_hold_secret(setting) && value != "none" { "set" } else { value }
}

/// The effective settings of sshd.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let fact = host.sshd();
    let sshd = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let problems = sshd.config.problems.iter().map(|problem| sshd.doubt_of(problem));
    let all: BTreeSet<Doubt> = fact.doubts.iter().cloned().chain(problems).collect();
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

    fn shown_of(config: &str) -> Shown {
        let mut tree = Tree::default();
        tree.insert("/var/lib/dpkg/status", Node::file(STATUS));
        tree.insert("/etc/ssh/sshd_config", Node::file(config));
        shown(&Host::new(Files::memory(tree), None, None)).unwrap()
    }

    #[test]
    fn settings_are_lists_in_json_and_lines_as_of_sshd_in_text() {
        let shown = shown_of("PermitRootLogin yes\nCiphers aes256-ctr,aes128-ctr\nAllowUsers root anna\n");
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
    fn of_a_command_line_only_that_it_is_set_is_shown() {
        let shown =
            shown_of("AuthorizedKeysCommand /bin/keys --password hunter2\nForceCommand /bin/x hunter2\n");
        assert!(!shown.text.contains("hunter2") && !shown.json.to_string().contains("hunter2"));
        assert_eq!(shown.json["settings"]["forcecommand"], serde_json::json!(["set"]));
        assert!(shown.text.lines().any(|line| line == "authorizedkeyscommand set"));
        assert!(shown.text.lines().any(|line| line == "authorizedprincipalscommand none"));
    }

    #[test]
    fn what_sshd_refuses_is_named_with_its_line() {
        let shown = shown_of("UsePAM yes\nNonsense 1\n");
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
