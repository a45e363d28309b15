//! The access review.

use serde_json::json;

use super::{host, json_of, text, with};

/// The widest line of a review whose names fit their columns.
const WIDTH: usize = 120;

#[test]
fn the_review_has_a_row_for_every_role_and_object_of_everybody() {
    let text = text(&host(&[]), "--report");
    for row in [
        "betty@pve                         active   none           WebDev             /pool/ExtWebSer         direct       [ ]",
        "bob@pve                      *    active   totp           Administrator      /                       direct       [ ]",
        "root@pam                     *    active   none           everything         everywhere              root         [ ]",
        "root@pam!ci                  *    active   not-applicable as root@pam        -                       owner        [ ]",
    ] {
        assert!(text.contains(&format!("{row}\n")), "{row}\n{text}");
    }
    // What is too wide for its column stays whole, and the row goes on below the headings.
    let indent = |columns: usize| " ".repeat(columns);
    let row = format!(
        "betty@pve                         active   none           WebDev             /vms/100                pool ExtWebSer\n{}[ ]\n",
        indent(114)
    );
    assert!(text.contains(&row), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    for line in ["host           unknown\n", "time           2026-11-21T12:00:00Z\n", "Signature      ____"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        text.starts_with("Access review  Proxmox VE 9\n") && text.contains("\nuser.cfg       changed last ")
    );
}

#[test]
fn a_name_wider_than_its_column_stays_whole() {
    let name = format!("{}.corporate.directory@pve", "n".repeat(36));
    let text = text(&with(&format!("user:{name}:1:0::::::\nacl:0:/vms:{name}:PVEVMUser:\n")), "--report");
    let row = text.lines().skip_while(|line| *line != name);
    let row: Vec<&str> = row.skip(1).take(1).collect();
    assert_eq!(
        row,
        [format!(
            "{:34}active   none           PVEVMUser          /vms alone              direct       [ ]",
            ""
        )]
    );
}

#[test]
fn the_review_says_where_a_right_ends_and_who_has_none() {
    let more = "acl:1:/vms:nancy@pve:PVEVMUser:\nacl:1:/vms/100:nancy@pve:NoAccess:\nuser:idle@pve:0:0::::::\n\
                token:betty@pve!ci:0:1::\nacl:1:/vms/100:betty@pve!ci:PVEAuditor:\n";
    let text = text(&with(more), "--report");
    let after = |start: &str| text.lines().skip_while(|line| !line.starts_with(start)).nth(1).map(str::trim);
    assert_eq!(after("betty@pve!ci "), Some("only as far as betty@pve may"));
    assert!(text.contains("PVEVMUser          /vms                    direct       [ ]\n"), "{text}");
    assert!(text.contains(&format!("\n{:58}except /vms/100\n", "")), "{text}");
    assert!(text.contains("idle@pve                          disabled none           -                  -                       -            [ ]\n"), "{text}");
}

#[test]
fn the_review_as_json_has_the_same_rows() {
    let json = json_of(&host(&[("/etc/hostname", "pve1.example.com\n")]), "--report");
    let review = &json["review"];
    assert_eq!(
        (&review["pve"], &review["host"], &review["cluster"]),
        (&json!(9), &json!("pve1"), &json!(null))
    );
    assert_eq!(review["time"], "2026-11-21T12:00:00Z");
    assert!(review["user_cfg"]["modified"].is_string());
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(
        rows[0],
        json!({
            "identity": "betty@pve", "kind": "user", "status": "active", "second_factor": "none",
            "administrator": false, "role": "WebDev", "path": "/pool/ExtWebSer", "reach": "path", "except": [],
            "source": "direct", "through": null, "limited_by": null, "line": 13,
        })
    );
    assert_eq!(
        (&rows[1]["path"], &rows[1]["source"], &rows[1]["through"]),
        (&json!("/vms/100"), &json!("pool"), &json!("ExtWebSer"))
    );
    let of = |id: &str| rows.iter().filter(|row| row["identity"] == id).count();
    assert_eq!(
        ["betty@pve", "jim@pve", "nancy@pve", "bob@pve", "root@pam", "root@pam!ci"].map(of),
        [4, 4, 8, 1, 1, 1]
    );
}

#[test]
fn a_review_can_be_about_a_path_or_a_privilege() {
    let host = host(&[]);
    let ids = |typed: &str| -> Vec<String> {
        let json = json_of(&host, typed);
        let rows = json["rows"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| {
                format!("{} {}", row["identity"].as_str().unwrap(), row["role"].as_str().unwrap_or("*"))
            })
            .collect()
    };
    assert_eq!(
        ids("--report --path /vms/100 --privilege VM.Console"),
        ["betty@pve WebDev", "bob@pve Administrator", "root@pam *", "root@pam!ci *"]
    );
    assert_eq!(ids("--report --id jim@pve --path /vms/100"), [] as [&str; 0]);
}
