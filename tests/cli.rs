//! The command as people and programs use it: exit codes, messages, streams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests prepare files and start the program"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const NOW: &str = "2026-11-21T12:00:00Z";

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pve-audit"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("the program exits by itself")
}

fn fresh() -> String {
    support::repository("tests/hosts/pve9-fresh").to_str().unwrap().to_owned()
}

#[test]
fn wrong_options_give_one_line_and_exit_code_2() {
    for arguments in [
        &["--bogus"][..],
        &["--format", "xml"],
        &["--now", "yesterday"],
        &["--assume-pve", "6"],
        &["--fail-on", "terrible"],
        &["--only", "no/such-check"],
        &["--skip", "*"],
        &["-q", "-v"],
        &["explain", "no/such-check"],
        &["show", "nothing"],
        &["show"],
        &["show", "host", "--id", "root@pam"],
        &["show", "sshd", "--report"],
        &["show", "access", "--bogus"],
        &["frobnicate"],
    ] {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(code(&output), 2, "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{arguments:?}: {message}");
        assert!(message.starts_with("pve-audit: "), "{message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_misspelt_check_is_answered_with_the_closest_one() {
    let output = run(&["explain", "firewall/datacenter-firewall-of"]);
    assert!(text(&output.stderr).contains("did you mean `firewall/datacenter-firewall-off`"), "{output:?}");
}

#[test]
fn a_root_that_is_not_there_gives_exit_code_4() {
    let output = run(&["--root", "/no/such/folder"]);
    assert_eq!(code(&output), 4);
    assert!(text(&output.stderr).contains("/no/such/folder"));
}

#[test]
fn global_options_are_accepted_before_and_after_a_subcommand() {
    let before =
        run(&["--root", &fresh(), "--format", "json", "--now", NOW, "--assume-pve", "9", "show", "host"]);
    let after =
        run(&["show", "host", "--root", &fresh(), "--format", "json", "--now", NOW, "--assume-pve", "9"]);
    assert_eq!(code(&before), 0, "{}", text(&before.stderr));
    assert_eq!(before.stdout, after.stdout);
}

fn show_access(arguments: &[&str]) -> Output {
    let host = support::repository("tests/hosts/pve8-cluster");
    let common = ["--root", host.to_str().unwrap(), "--now", NOW, "show", "access"];
    run(&[&common[..], arguments].concat())
}

#[test]
fn a_question_about_nobody_gives_one_line_and_exit_code_2() {
    for arguments in [["--id", "nobody@pve"], ["--path", "/vms/a:b"], ["--privilege", "VM.Fly"]] {
        let output = show_access(&arguments);
        let message = text(&output.stderr);
        assert_eq!(code(&output), 2, "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.starts_with("pve-audit: ") && message.contains(arguments[1]), "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn who_has_a_privilege_on_a_path_is_answered_as_json_text_and_review() {
    let asked = ["--privilege", "VM.Console", "--path", "/vms/100", "--path", "/vms/101"];
    let output = show_access(&asked);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = &answer["identities"]["root@pam"];
    assert_eq!((&answer["pve"], &root["administrator"]), (&serde_json::json!(8), &serde_json::json!(true)));
    let held = serde_json::json!({ "/vms/100": { "VM.Console": true }, "/vms/101": { "VM.Console": true } });
    assert_eq!(root["privileges"], held);
    let as_text = show_access(&[&asked[..], &["--format", "text"]].concat());
    assert!(text(&as_text.stdout).contains("\n    VM.Console on /vms/100: it is root@pam\n"), "{as_text:?}");
    let review = show_access(&[&asked[..], &["--report", "--format", "text"]].concat());
    assert!(text(&review.stdout).starts_with("Access review  Proxmox VE 8\n"), "{review:?}");
}

#[test]
fn a_reader_who_has_seen_enough_of_the_access_control_is_no_failure() {
    let host = support::repository("tests/hosts/pve8-cluster");
    let mut command = command();
    command.args(["--root", host.to_str().unwrap(), "show", "access"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
}

#[test]
fn the_same_run_twice_gives_the_same_bytes() {
    let arguments = ["--root", &fresh(), "--now", NOW];
    assert_eq!(run(&arguments).stdout, run(&arguments).stdout);
}

#[test]
fn into_a_pipe_goes_json_and_only_the_report() {
    let output = run(&["--root", &fresh(), "--now", NOW]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema_version"], "1.0");
    assert_eq!(report["run"]["exit_code"], code(&output));
}

#[test]
fn text_has_no_colour_outside_a_terminal() {
    let output = run(&["--root", &fresh(), "--now", NOW, "--format", "text"]);
    assert!(!text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn a_reader_who_closes_the_pipe_is_no_error() {
    let mut child = command()
        .args(["--root", &fresh(), "--now", NOW, "--format", "text", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(code(&output), 0 | 1 | 3), "{output:?}");
}

#[test]
fn quiet_prints_nothing_and_the_exit_code_tells() {
    let loud = run(&["--root", &fresh(), "--now", NOW]);
    let quiet = run(&["--root", &fresh(), "--now", NOW, "-q"]);
    assert!(quiet.stdout.is_empty());
    assert_eq!(code(&quiet), code(&loud));
}

#[test]
fn the_threshold_decides_between_clean_and_findings() {
    let lenient = run(&["--root", &fresh(), "--now", NOW, "--fail-on", "critical", "--only", "backup/*"]);
    let strict = run(&["--root", &fresh(), "--now", NOW, "--fail-on", "info"]);
    assert_ne!(code(&lenient), 1, "{}", text(&lenient.stdout));
    assert_eq!(code(&strict), 1);
}

#[test]
fn an_output_file_is_written_whole_and_private() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("report.json");
    fs::write(&file, "old").unwrap();
    let output = run(&["--root", &fresh(), "--now", NOW, "--output", file.to_str().unwrap()]);
    assert!(output.stdout.is_empty());
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(report["tool"]["name"], "pve-audit");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn an_output_that_cannot_be_written_gives_exit_code_4_and_leaves_the_old_file() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "old").unwrap();
    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for bad in [link.clone(), dir.path().join("folder"), dir.path().join("none/report.json")] {
        let output = run(&["--root", &fresh(), "--now", NOW, "--output", bad.to_str().unwrap()]);
        assert_eq!(code(&output), 4, "{}", bad.display());
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    assert!(link.is_symlink());
}

#[test]
fn every_check_is_listed_and_explained() {
    let list = run(&["checks", "--format", "json"]);
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&list.stdout).unwrap();
    assert!(checks.len() >= 30);
    for check in &checks {
        let page = run(&["explain", check["id"].as_str().unwrap(), "--format", "text"]);
        assert_eq!(code(&page), 0);
        assert!(text(&page.stdout).contains(check["title"].as_str().unwrap()));
    }
    assert_eq!(text(&run(&["checks", "--format", "text"]).stdout).lines().count(), checks.len());
}

#[test]
fn a_host_without_proxmox_is_said_in_one_line_and_the_rest_is_audited() {
    let root = support::repository("tests/hosts/debian13-plain");
    let output = run(&["--root", root.to_str().unwrap(), "--now", NOW]);
    assert_eq!(text(&output.stderr).lines().count(), 1);
    assert!(text(&output.stderr).contains("not a Proxmox VE node"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["host"]["proxmox"], false);
    assert!(report["summary"]["checks"]["pass"].as_u64().unwrap() > 0);
    assert!(report["summary"]["checks"]["not_applicable"].as_u64().unwrap() > 0);
}

#[test]
fn the_running_host_is_audited_without_a_root() {
    let output = run(&["--now", NOW]);
    assert!(matches!(code(&output), 0 | 1 | 3), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["run"]["mode"], "live");
    assert!(Path::new("/proc/sys/kernel/osrelease").exists());
    assert!(report["host"]["kernel"].is_string());
}

#[test]
fn an_advisory_of_the_site_is_a_check_like_others_and_replaces_one_of_the_same_name() {
    let root = tempfile::tempdir().unwrap();
    let over = root.path().join("etc/pve-audit/advisories.d");
    fs::create_dir_all(&over).unwrap();
    let advisory = |version: &str| {
        format!(
            "title = \"Guests do what they like\"\nseverity = \"critical\"\narea = \"support\"\nscope = \"node\"\n\
             profiles = [\"baseline\"]\nrationale = \"A flaw.\"\n[assert]\nkind = \"advisory\"\nid = \"PSA-2027-1\"\n\
             published = \"2027-01-01\"\n[[assert.fixed]]\npackage = \"pve-manager\"\npve = 9\nversion = \"{version}\"\n"
        )
    };
    fs::write(over.join("psa-2027-1.toml"), advisory("99.1")).unwrap();
    fs::write(over.join("psa-2026-00042-1.toml"), advisory("1.0")).unwrap();
    let fresh = fresh();
    let audit = |only: &str| {
        let overlay = root.path().to_str().unwrap();
        let output =
            run(&["--root", &fresh, "--overlay", overlay, "--now", NOW, "--format", "json", "--only", only]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (code(&output), report)
    };
    // Whoever runs the tests owns the files; those of root alone count.
    if nix::unistd::geteuid().is_root() {
        let (code, report) = audit("advisories/psa-2027-1");
        assert_eq!(code, 1);
        assert_eq!(report["findings"][0]["title"], "Guests do what they like");
        let (code, report) = audit("advisories/psa-2026-00042-1");
        assert_eq!((code, report["findings"].as_array().unwrap().len()), (0, 0));
    } else {
        let (_, report) = audit("advisories/site-table-not-understood");
        assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    }
}
