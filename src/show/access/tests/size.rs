//! Clusters with many users and guests.

use proptest::prelude::*;

use super::{host, json_of, text};
use crate::show::access::ask::Asked;
use crate::show::access::collect::collect;
use crate::show::access::paths::Paths;
use crate::show::access::rights::{Ledger, Member};

/// A group of many users who see many guests.
fn many(users: usize, guests: usize) -> String {
    let lines =
        (0..users).map(|number| format!("user:u{number}@pve:1:0::::::\n")).collect::<Vec<_>>().concat();
    let members: Vec<String> = (0..users).map(|number| format!("u{number}@pve")).collect();
    let vms: Vec<String> = (0..guests).map(|number| (100 + number).to_string()).collect();
    format!(
        "user:root@pam:1:0::::::\n{lines}group:all:{}:\npool:p::{}:s0:\nacl:1:/vms:@all:PVEAuditor:\nacl:1:/pool/p:u0@pve:PVEVMUser:\n",
        members.join(","),
        vms.join(","),
    )
}

#[test]
fn whole_kinds_of_paths_are_left_out_for_size_and_an_issue_says_so() {
    let host = host(&[("/etc/pve/user.cfg", &many(50, 200))]);
    let access = collect(&host, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap();
    let mut issues = Vec::new();
    let paths = Paths::up_to(20_000, &access, &Asked::default(), &mut issues);
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].code, "paths-left-out");
    assert_eq!(
        issues[0].message,
        "gives too many privileges to list: paths of guests are left out (200); --path and --id ask for them"
    );
    let held = |id: &str| -> Vec<String> {
        let names: Vec<&str> = paths.names().collect();
        paths.held(&access, &access.identities[id]).map(|(path, _)| names[path].to_owned()).collect()
    };
    assert_eq!(held("u0@pve"), ["/pool/p", "/storage/s0", "/vms"]);
    assert_eq!(held("u1@pve"), ["/vms"]);
    assert!(held("root@pam").contains(&"/storage/s0".to_owned()));
    // Whoever is asked for by id, and paths that are asked for, are there.
    let asked = Asked { ids: Some(["u1@pve".to_owned()].into()), ..Asked::default() };
    let one = Paths::up_to(20_000, &access, &asked, &mut issues);
    assert_eq!(one.held(&access, &access.identities["u1@pve"]).count(), 201);
    let asked = Asked { paths: ["/vms/100".to_owned()].into(), ..Asked::default() };
    let one = Paths::up_to(1, &access, &asked, &mut issues);
    assert_eq!(one.held(&access, &access.identities["u1@pve"]).count(), 1);
    assert_eq!(issues.len(), 1);
}

#[test]
fn nothing_is_left_out_of_a_cluster_of_usual_size() {
    let host = host(&[("/etc/pve/user.cfg", &many(50, 200))]);
    let json = json_of(&host, "");
    assert_eq!(json["identities"]["u49@pve"]["privileges"].as_object().unwrap().len(), 201);
    assert_eq!(json["identities"]["u0@pve"]["privileges"]["/vms/299"]["VM.Console"], false);
    assert!(json["issues"].as_array().unwrap().is_empty(), "{}", json["issues"]);
    let text = text(&host, "");
    assert!(text.contains("PVEVMUser on /pool/p and its members /vms/100, /vms/101, /vms/102, /vms/103, /vms/104, /vms/105, /vms/106, /vms/107 and 193 more (line"), "{text}");
}

#[test]
fn users_in_the_same_groups_share_their_rights() {
    let cfg = crate::formats::user_cfg::parse(&many(3, 3), crate::formats::release::Release::Pve9).value;
    let ledger = Ledger::of(&cfg);
    let (one, two) = (ledger.rights_of_user("u1@pve"), ledger.rights_of_user("u2@pve"));
    assert!(std::rc::Rc::ptr_eq(&one, &two) && one.len() == 1);
    let own = ledger.rights_of_user("u0@pve");
    assert_eq!(
        own[0].members["p"],
        [Member::Guest(100), Member::Guest(101), Member::Guest(102), Member::Storage("s0")]
    );
}

/// Lines of user.cfg in which few names meet often.
fn busy_lines() -> impl Strategy<Value = String> {
    let subject = prop::sample::select(vec!["u0@pve", "u1@pve", "u1@pve!t", "@g0", "@g1", "gone@pve"]);
    let path = prop::sample::select(vec![
        "/",
        "/vms",
        "/vms/100",
        "/vms/101",
        "/pool",
        "/pool/p",
        "/pool/p/q",
        "/pool/p-x",
        "/storage",
        "/storage/s",
        "/nodes/n",
    ]);
    let role = prop::sample::select(vec!["PVEAuditor", "PVEVMUser", "PVEDatastoreUser", "NoAccess"]);
    let acl = (any::<bool>(), path, subject, role).prop_map(|(propagate, path, subject, role)| {
        format!("acl:{}:{path}:{subject}:{role}:\n", u8::from(propagate))
    });
    prop::collection::vec(acl, 0..9).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn answers_by_class_are_those_asked_for_one_by_one(acl in busy_lines()) {
        let cfg = format!(
            "user:root@pam:1:0:\nuser:u0@pve:1:0:\nuser:u1@pve:1:0:\nuser:u2@pve:1:0:\ntoken:u1@pve!t:0:1:\n\
             token:u2@pve!all:0:0:\ngroup:g0:u0@pve,u1@pve:\ngroup:g1:u1@pve,u2@pve:\npool:p::100:s:\n\
             pool:p/q::101:s,t:\npool:p-x::102:s:\n{acl}"
        );
        let host = host(&[("/etc/pve/user.cfg", &cfg)]);
        let access = collect(&host, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap();
        let mut issues = Vec::new();
        let paths = Paths::of(&access, &Asked::default(), &mut issues);
        let names: Vec<&str> = paths.names().collect();
        for identity in access.everybody() {
            let held: Vec<_> = paths.held(&access, identity).collect();
            let mut shown = held.iter().copied().peekable();
            for (index, path) in names.iter().enumerate() {
                let answer = shown.next_if(|(place, _)| *place == index).map(|(_, answer)| &paths.answers()[answer]);
                let expected = access.privileges(identity, path);
                let ambiguous = access.effective.ambiguous(&identity.id, path);
                prop_assert_eq!(answer.map(|answer| answer.privileges.clone()).unwrap_or_default(), expected);
                prop_assert_eq!(answer.map(|answer| answer.ambiguous.clone()).unwrap_or_default(), ambiguous);
            }
        }
    }
}
