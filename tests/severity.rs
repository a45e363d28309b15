//! What the cases of the check files cannot say: how much a finding weighs.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;

use pve_audit::catalogue::{Severity, find};
use pve_audit::engine;
use pve_audit::files::{Files, Node, Tree};
use pve_audit::formats::release::Release;
use pve_audit::host::Host;
use pve_audit::outcome::Verdict;

const NOW: &str = "2026-11-21T12:00:00Z";

/// The severities of what fails, by subject.
fn failing(check: &str, files: &[(&str, &str)]) -> BTreeMap<String, Severity> {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/priv", Node::folder());
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let outcome = engine::run(&host, NOW.parse().unwrap(), find(check).unwrap(), &Vec::new());
    let failed = outcome.subjects.into_iter().filter(|one| one.verdict == Verdict::Fail);
    failed.map(|one| (one.subject.id, one.severity)).collect()
}

fn severities(wanted: &[(&str, Severity)]) -> BTreeMap<String, Severity> {
    wanted.iter().map(|(id, severity)| ((*id).to_owned(), *severity)).collect()
}

/// One user of every power.
const USERS: &str = "user:root@pam:1:0::::::\nuser:admin@pam:1:0::::::\nuser:ops@pam:1:0::::::\n\
    user:look@pam:1:0::::::\nuser:none@pam:1:0::::::\n\n\
    acl:1:/:admin@pam:Administrator:\nacl:1:/vms:ops@pam:PVEVMUser:\nacl:1:/vms:look@pam:PVEAuditor:\n";

#[test]
fn the_same_weakness_weighs_what_its_user_can_do() {
    let files = [("/etc/pve/user.cfg", USERS)];
    let mut found = failing("authentication/user-without-second-factor", &files);
    found.append(&mut failing("access/administrator-without-second-factor", &files));
    let wanted = [
        ("root@pam", Severity::High),
        ("admin@pam", Severity::Critical),
        ("ops@pam", Severity::Medium),
        ("look@pam", Severity::Low),
        ("none@pam", Severity::Info),
    ];
    assert_eq!(found, severities(&wanted));
}

#[test]
fn a_key_nobody_asks_for_weighs_less_beside_another_factor() {
    let key = r#""webauthn":[{"id":"a","created":1,"entry":{"cred_id":"x","cred":{},"counter":1}}]"#;
    let totp = r#""totp":[{"id":"b","created":1,"entry":"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}]"#;
    let tfa =
        format!(r#"{{"users":{{"admin@pam":{{{key}}},"root@pam":{{{key},{totp}}},"ops@pam":{{{key}}}}}}}"#);
    let files = [
        ("/etc/pve/user.cfg", USERS),
        ("/etc/pve/priv/tfa.cfg", tfa.as_str()),
        ("/etc/pve/datacenter.cfg", "keyboard: de\n"),
    ];
    let found = failing("authentication/security-key-not-asked-for", &files);
    let wanted =
        [("admin@pam", Severity::Critical), ("ops@pam", Severity::Medium), ("root@pam", Severity::Low)];
    assert_eq!(found, severities(&wanted));
}

#[test]
fn a_client_key_weighs_more_once_an_auditor_reads_it() {
    let realm =
        "openid: sso\n\tissuer-url https://sso.example.com/\n\tclient-id pve\n\tclient-key canary\n\n";
    let of = |user_cfg| {
        let files = [("/etc/pve/user.cfg", user_cfg), ("/etc/pve/domains.cfg", realm)];
        failing("authentication/secret-in-domains-cfg", &files)
    };
    assert_eq!(of(USERS), severities(&[("sso", Severity::Low)]));
    let audited = format!("{USERS}acl:1:/access:look@pam:PVEAuditor:\n");
    assert_eq!(of(&audited), severities(&[("sso", Severity::Medium)]));
}

#[test]
fn a_provider_that_fills_a_group_of_administrators_weighs_more() {
    let realm = |name: &str, more: &str| {
        format!(
            "openid: {name}\n\tissuer-url https://sso.example.com/\n\tclient-id pve\n\tautocreate 1\n\tgroups-claim g\n{more}\n"
        )
    };
    let realms = [realm("one", ""), realm("two", ""), realm("three", "\tgroups-autocreate 1\n")].concat();
    let user_cfg = "user:root@pam:1:0::::::\ngroup:admins-one:::\ngroup:ops-two:::\n\n\
        acl:1:/:@admins-one,@admins-two,@admins-three:Administrator:\nacl:1:/vms:@ops-two:PVEAuditor:\n";
    let files = [("/etc/pve/user.cfg", user_cfg), ("/etc/pve/domains.cfg", realms.as_str())];
    let found = failing("authentication/openid-creates-users", &files);
    let wanted = [("one", Severity::High), ("two", Severity::Medium), ("three", Severity::High)];
    assert_eq!(found, severities(&wanted));
}

#[test]
fn leavers_weigh_more_where_they_have_tokens() {
    let realms =
        "ad: corp\n\tserver1 a\n\tdomain example.com\n\nad: bare\n\tserver1 a\n\tdomain example.com\n\n";
    let user_cfg =
        "user:root@pam:1:0::::::\nuser:a@corp:1:0::::::\ntoken:a@corp!ci:0:1::\nuser:b@bare:1:0::::::\n";
    let files = [("/etc/pve/user.cfg", user_cfg), ("/etc/pve/domains.cfg", realms)];
    let found = failing("authentication/realm-never-synchronised", &files);
    assert_eq!(found, severities(&[("corp", Severity::Medium), ("bare", Severity::Low)]));
}

#[test]
fn what_is_left_over_or_shared_weighs_what_it_could_do() {
    let text = "user:root@pam:0:0::::::\ntoken:root@pam!ci:0:0::\nuser:old@pve:0:0::::::\n\
        user:look@pve:0:0::::::\nuser:help@pve:1:0::::::\ntoken:help@pve!ci:0:1::\ntoken:help@pve!vm:0:0::\n\n\
        acl:1:/vms:old@pve,help@pve:PVEVMUser:\nacl:1:/:look@pve:PVEAuditor:\nacl:1:/vms:help@pve!vm:NoAccess:\n\
        acl:1:/vms:help@pve!ci:PVEAuditor:\n";
    let files = [("/etc/pve/user.cfg", text)];
    let of = |check: &str| failing(check, &files);
    let dormant = [("old@pve", Severity::Low), ("look@pve", Severity::Info)];
    assert_eq!(of("access/dormant-account-with-rights"), severities(&dormant));
    assert_eq!(of("access/token-left-over"), severities(&[("root@pam!ci", Severity::Low)]));
    let endless = [("help@pve!ci", Severity::Info), ("help@pve!vm", Severity::Low)];
    assert_eq!(of("access/token-without-expiry"), severities(&endless));
    let ignored = [("help@pve!vm", Severity::Medium)];
    assert_eq!(of("access/acl-of-token-without-separation"), severities(&ignored));
}

#[test]
fn a_denial_with_a_hole_weighs_more_than_one_with_an_exception_that_was_meant() {
    let text = "user:root@pam:1:0::::::\nuser:eve@pve:1:0::::::\nuser:tom@pve:1:0::::::\n\
        group:ops:tom@pve::\n\nacl:1:/vms:eve@pve,tom@pve:NoAccess:\nacl:1:/vms/100:eve@pve,@ops:PVEVMUser:\n";
    let found = failing("access/no-access-without-effect", &[("/etc/pve/user.cfg", text)]);
    let wanted = [("/vms eve@pve", Severity::Info), ("/vms tom@pve", Severity::Low)];
    assert_eq!(found, severities(&wanted));
}

/// A node whose firewall lets everybody in.
const OPEN_NODE: [(&str, &str); 2] = [
    ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
    ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -p tcp\n"),
];

fn open_ports(more: &[(&str, &str)]) -> BTreeMap<String, Severity> {
    let host_fw = ("/etc/pve/nodes/pve1/host.fw", "[OPTIONS]\n");
    let files: Vec<(&str, &str)> =
        OPEN_NODE.into_iter().chain([host_fw]).chain(more.iter().copied()).collect();
    failing("firewall/management-port-open-to-anywhere", &files)
}

#[test]
fn an_open_port_weighs_less_while_nothing_waits_there() {
    let table =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let ssh = format!("{table}   0: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 1 1 0\n");
    let tables = [
        ("/proc/net/tcp", ssh.as_str()),
        ("/proc/net/tcp6", table),
        ("/proc/net/udp", table),
        ("/proc/net/udp6", table),
    ];
    let mut wanted = vec![
        ("tcp/22", Severity::High),
        ("tcp/3128", Severity::Medium),
        ("tcp/5900-5999", Severity::Medium),
        ("tcp/8006", Severity::High),
    ];
    assert_eq!(open_ports(&[]), severities(&wanted), "in a tree nothing runs");
    // Consoles wait only while somebody uses them.
    wanted[1].1 = Severity::Low;
    wanted[3].1 = Severity::Low;
    assert_eq!(open_ports(&tables), severities(&wanted));
}

#[test]
fn an_open_port_weighs_less_at_an_address_that_the_internet_does_not_route() {
    let of = |text: &str| open_ports(&[("/etc/default/pveproxy", text)]).get("tcp/8006").copied();
    assert_eq!(of("LISTEN_IP=10.10.10.1\n"), Some(Severity::Medium));
    assert_eq!(of("LISTEN_IP=203.0.113.1\n"), Some(Severity::High));
    assert_eq!(of("LISTEN_IP=0.0.0.0\n"), Some(Severity::High));
    assert_eq!(of("LISTEN_IP=127.0.0.1\n"), None);
}
