//! Names that are chosen to deceive.

use serde_json::Value;

use super::{answer, host, question};

/// A name that clears the screen, one that turns text around, and one spelled like what the first is written as.
const NAMES: [&str; 3] = ["a\u{1b}[2J@pve", "b\u{202e}c@pve", "a\\u{1b}[2J@pve"];

fn printed(typed: &str, as_json: bool) -> String {
    let users = NAMES.iter().map(|name| format!("user:{name}:1:0:::::::\n")).collect::<Vec<_>>().concat();
    let acl = NAMES.iter().map(|name| format!("acl:1:/vms:{name}:PVEVMUser:\n")).collect::<Vec<_>>().concat();
    let cfg = format!("user:root@pam:1:0::::%1b]0;x::\n{users}group:g:{}:%1B[31m:\n{acl}", NAMES[1]);
    answer(&host(&[("/etc/pve/user.cfg", &cfg)]), &question(typed), as_json).unwrap()
}

#[test]
fn no_name_drives_a_terminal_and_every_name_stays_apart() {
    for typed in ["", "--report", "--path /vms"] {
        for as_json in [true, false] {
            let printed = printed(typed, as_json);
            assert!(!printed.contains(['\u{1b}', '\u{202e}']), "{printed}");
            assert!(printed.lines().all(|line| !line.contains('\r')), "{printed}");
        }
    }
    let json: Value = serde_json::from_str(&printed("", true)).unwrap();
    let names: Vec<&String> = json["identities"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a\\u{1b}[2J@pve", "a\\u{5c}u{1b}[2J@pve", "b\\u{202e}c@pve", "root@pam"]);
    let text = printed("", false);
    assert!(
        text.contains("  a\\u{1b}[2J@pve: active") && text.contains("  a\\u{5c}u{1b}[2J@pve: active"),
        "{text}"
    );
}

#[test]
fn a_hostile_name_can_be_asked_for_as_it_is() {
    let mut asked = question("");
    asked.ids.push(NAMES[0].to_owned());
    let cfg = format!("user:root@pam:1:0::::::\nuser:{}:1:0:::::::\n", NAMES[0]);
    let host = host(&[("/etc/pve/user.cfg", &cfg)]);
    let text = answer(&host, &asked, false).unwrap();
    assert_eq!(
        text,
        "users and tokens\n  a\\u{1b}[2J@pve: active, no second factor, realm pve\n    no rights\n"
    );
}
