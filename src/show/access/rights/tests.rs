//! The words agree with what is computed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Except, Ledger, Member, Reach, Right};
use crate::formats::release::Release;
use crate::formats::user_cfg::roles::NO_ACCESS;
use crate::formats::user_cfg::{self, UserCfg};
use crate::host::access::effective::Effective;

const PATHS: [&str; 13] = [
    "/",
    "/vms",
    "/vms/100",
    "/vms/101",
    "/vms/102",
    "/storage",
    "/storage/sa",
    "/storage/sb",
    "/pool",
    "/pool/p",
    "/pool/p/q",
    "/access",
    "/access/groups",
];

const IDS: [&str; 4] = ["a@pve", "b@pve", "c@pve", "a@pve!ci"];

fn config() -> impl Strategy<Value = String> {
    let subject = prop::sample::select(vec!["a@pve", "b@pve", "c@pve", "a@pve!ci", "@g", "@h"]);
    let role = prop::sample::select(vec!["NoAccess", "PVEAuditor", "PVEVMUser", "Administrator"]);
    let entry = (any::<bool>(), prop::sample::select(PATHS.to_vec()), subject, role);
    let acl = prop::collection::vec(entry, 0..14);
    let members = prop::sample::subsequence(vec!["a@pve", "b@pve", "c@pve"], 0..=3);
    (acl, members.clone(), members).prop_map(|(acl, g, h)| {
        let mut text = "user:a@pve:1:0::::::\nuser:b@pve:1:0::::::\ntoken:a@pve!ci:0:1::\n".to_owned();
        text.extend(["group:g:", &g.join(","), ":\ngroup:h:", &h.join(","), ":\n"]);
        text += "pool:p::100,101:sa:\npool:p/q::102:sa,sb:\n";
        for (propagate, path, subject, role) in acl {
            let propagate = if propagate { "1" } else { "0" };
            text.extend(["acl:", propagate, ":", path, ":", subject, ":", role, ":\n"]);
        }
        text
    })
}

fn levels<'h>(ledger: &Ledger<'h>, id: &str) -> super::Levels<'h> {
    if id.contains('!') { ledger.of_token(id) } else { ledger.of_user(id) }
}

fn is_below(path: &str, top: &str) -> bool {
    path != top && (top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether a reader of the right would say that it holds on a path.
fn says(cfg: &UserCfg, right: &Right<'_>, path: &str) -> bool {
    if right.members.values().flatten().any(|member: &Member<'_>| member.path() == path) {
        return true;
    }
    let top = right.entry.path.as_str();
    let covers = match right.reach {
        Reach::Whole => path == top || is_below(path, top),
        Reach::Alone => path == top,
        Reach::Below => is_below(path, top),
    };
    let in_pool = |name: &str| {
        let pool = &cfg.pools[name];
        pool.vms.iter().any(|vmid| path == format!("/vms/{vmid}"))
            || pool.storages.iter().any(|id| path == format!("/storage/{id}"))
    };
    covers
        && !right.except.iter().any(|except| match except {
            Except::Path(other) => path == *other || is_below(path, other),
            Except::Alone(other) => path == *other,
            Except::Below(other) => is_below(path, other),
            Except::MembersOf(pool) => in_pool(pool),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn roles_on_a_path_and_rights_in_words_agree_with_the_effective_roles(text in config()) {
        let cfg = user_cfg::parse(&text, Release::Pve9).value;
        let (effective, ledger) = (Effective::new(&cfg), Ledger::of(&cfg));
        let more = ["/vms/200", "/pool/p/q/r", "/access/groups/g", "/nodes"];
        for id in IDS {
            let levels = levels(&ledger, id);
            let rights = ledger.rights(&levels);
            for path in PATHS.into_iter().chain(more) {
                let mut computed: BTreeSet<&str> = effective.roles(id, path).into_keys().collect();
                computed.remove(NO_ACCESS);
                let granted = ledger.on(&levels, path);
                let granted: BTreeSet<&str> = granted.iter().map(|(entry, _)| entry.role.as_str()).collect();
                prop_assert_eq!(&granted, &computed, "{} on {}\n{}", id, path, text);
                let said = rights.iter().filter(|right| says(&cfg, right, path));
                let said: BTreeSet<&str> = said.map(|right| right.entry.role.as_str()).collect();
                prop_assert_eq!(&said, &computed, "{} on {}\n{}\n{:?}", id, path, text, rights);
            }
        }
    }
}

#[test]
fn what_takes_a_role_away_is_told_of_every_level_it_comes_from() {
    let text = "user:a@pve:1:0::::::\npool:p::100:sa:\nacl:1:/:a@pve:PVEVMUser:\nacl:1:/pool:a@pve:PVEVMUser:\n\
                acl:1:/storage/sa:a@pve:PVEVMUser:\nacl:0:/pool/p:a@pve:NoAccess:\n";
    let cfg = user_cfg::parse(text, Release::Pve9).value;
    let ledger = Ledger::of(&cfg);
    let rights = ledger.rights(&ledger.of_user("a@pve"));
    let of =
        |path: &str| rights.iter().find(|right| right.entry.path == path).map(|right| right.except.clone());
    assert_eq!(of("/"), Some(vec![Except::Alone("/pool/p"), Except::MembersOf("p")]));
    assert_eq!(of("/pool"), Some(vec![Except::Alone("/pool/p")]));
    assert_eq!(of("/storage/sa"), None);
}
