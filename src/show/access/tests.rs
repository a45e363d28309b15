use serde_json::{Value, json};

use super::Question;
use crate::files::{Files, Node, Tree, TroubleKind};
use crate::formats::release::Release;
use crate::host::Host;
use crate::show::{Name, Refusal, write};

mod hostile;
mod report;
mod size;

/// Bob administers; Betty and Jim develop on a pool each; Nancy manages what both develop.
const USER_CFG: &str = "\
user:betty@pve:1:0::::external web servers::
user:bob@pve:1:0::::administrator::
user:jim@pve:1:0::::internal web servers::
user:nancy@pve:1:1893456000::::web applications::
user:root@pam:1:0:::root@example.com::
token:root@pam!ci:0:0::
group:managers:nancy@pve:Managers:
pool:ExtWebSer::100,101:shared:
pool:IntWebSer::102,201:nfs:
role:WebAppManager:Pool.Audit,VM.Audit,VM.PowerMgmt:
role:WebDev:Pool.Audit,VM.Audit,VM.Console:
acl:1:/:bob@pve:Administrator:
acl:1:/pool/ExtWebSer:betty@pve:WebDev:
acl:1:/pool/ExtWebSer:@managers:WebAppManager:
acl:1:/pool/IntWebSer:@managers:WebAppManager:
acl:1:/pool/IntWebSer:jim@pve:WebDev:
";

const TFA_CFG: &str = r#"{"users":{
"bob@pve":{"totp":[{"id":"a","created":1700000000,"entry":"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}]},
"nancy@pve":{"recovery":{"secret":"00","entries":["11",null],"created":1700000000}}}}"#;

const DOMAINS_CFG: &str = "\
pve: pve
\ttfa type=yubico,id=1,key=CANARY-1

ldap: corp
\tserver1 a
\tserver2 b
\tbase_dn ou=x
\tuser_attr uid
\tbind_dn cn=pve
\tpassword CANARY-2
\tmode ldaps
\tdefault 1

openid: sso
\tissuer-url https://u:CANARY-3@sso.example.com/realms/x
\tclient-id pve
\tclient-key CANARY-4
\tautocreate 1
\tgroups-claim roles
";

fn host_of(files: &[(&str, &str)], release: Release) -> Host {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file(USER_CFG));
    tree.insert("/etc/pve/priv/tfa.cfg", Node::file(TFA_CFG));
    tree.insert("/etc/pve/nodes", Node::folder());
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    Host::new(Files::memory(tree), None, Some(release))
}

fn host(files: &[(&str, &str)]) -> Host {
    host_of(files, Release::Pve9)
}

/// The lines of the four users and more.
fn with(more: &str) -> Host {
    host(&[("/etc/pve/user.cfg", &format!("{USER_CFG}{more}"))])
}

fn answer(host: &Host, question: &Question, as_json: bool) -> Result<String, Refusal> {
    let mut out = Vec::new();
    write(host, Name::Access, "2026-11-21T12:00:00Z".parse().unwrap(), question, as_json, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// A question as it is typed.
fn question(typed: &str) -> Question {
    let mut question = Question::default();
    let mut words = typed.split_whitespace().map(str::to_owned);
    while let Some(option) = words.next() {
        match option.as_str() {
            "--id" => question.ids.extend(words.next()),
            "--path" => question.paths.extend(words.next()),
            "--privilege" => question.privileges.extend(words.next()),
            "--report" => question.report = true,
            other => panic!("{other}"),
        }
    }
    question
}

fn text(host: &Host, typed: &str) -> String {
    answer(host, &question(typed), false).unwrap()
}

fn json_of(host: &Host, typed: &str) -> Value {
    serde_json::from_str(&answer(host, &question(typed), true).unwrap()).unwrap()
}

fn refused(host: &Host, typed: &str) -> String {
    match answer(host, &question(typed), true) {
        Err(Refusal::Question(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The lines about somebody.
fn about(text: &str, id: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("  {id}: "))).map(str::trim);
    let first = lines.next().map(str::to_owned);
    let all = text.lines().skip_while(|line| !line.starts_with(&format!("  {id}: "))).skip(1);
    first
        .into_iter()
        .chain(all.take_while(|line| line.starts_with("    ")).map(|line| line.trim().to_owned()))
        .collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_four_users_read_what_each_can_see_and_do() {
    let text = text(&host(&[]), "");
    assert_eq!(
        about(&text, "betty@pve"),
        [
            "betty@pve: active, no second factor, realm pve",
            "WebDev on /pool/ExtWebSer and its members /vms/100, /vms/101, /storage/shared (line 13)",
        ]
    );
    assert_eq!(
        about(&text, "jim@pve"),
        [
            "jim@pve: active, no second factor, realm pve",
            "WebDev on /pool/IntWebSer and its members /vms/102, /vms/201, /storage/nfs (line 16)",
        ]
    );
    assert_eq!(
        about(&text, "nancy@pve"),
        [
            "nancy@pve: active, expires 2030-01-01T00:00:00Z, second factor recovery codes only (1 left), realm pve, in managers",
            "WebAppManager on /pool/ExtWebSer and its members /vms/100, /vms/101, /storage/shared (through the group managers, line 14)",
            "WebAppManager on /pool/IntWebSer and its members /vms/102, /vms/201, /storage/nfs (through the group managers, line 15)",
        ]
    );
    assert_eq!(
        about(&text, "bob@pve"),
        [
            "bob@pve: active, second factor TOTP, realm pve",
            "Administrator on / (line 12)",
            "can become root by every privilege on / (Administrator on /) → full power",
        ]
    );
    assert_eq!(about(&text, "root@pam")[1..], ["everything everywhere: it is root@pam"]);
    assert_eq!(
        about(&text, "root@pam!ci")[..2],
        ["root@pam!ci: token, active, never expires, has no secret", "every right of root@pam"]
    );
    assert!(
        text.starts_with(
            "users: 5 active; tokens: 1 active\ncan become root: bob@pve, root@pam, root@pam!ci\n"
        ),
        "{text}"
    );
}

#[test]
fn bob_is_the_only_administrator_beside_root() {
    let json = json_of(&host(&[]), "");
    let identities = json["identities"].as_object().unwrap();
    let of = |wanted: bool| -> Vec<&str> {
        let all = identities.iter().filter(|(_, one)| one["administrator"] == wanted);
        all.map(|(id, _)| id.as_str()).collect()
    };
    assert_eq!(of(true), ["bob@pve", "root@pam", "root@pam!ci"]);
    assert_eq!(of(false), ["betty@pve", "jim@pve", "nancy@pve"]);
    assert_eq!(identities["betty@pve"]["root_paths"], json!([]));
    let way = identities["bob@pve"]["root_paths"][0].as_str().unwrap();
    assert!(way.starts_with("user bob@pve → every privilege on / (Administrator on /)"), "{way}");
}

#[test]
fn json_has_the_privileges_of_everybody_by_path() {
    let json = json_of(&host(&[]), "");
    assert_eq!(json["pve"], 9);
    let betty = &json["identities"]["betty@pve"];
    let on_pool = json!({ "Pool.Audit": true, "VM.Audit": true, "VM.Console": true });
    let on_member = json!({ "Pool.Audit": false, "VM.Audit": false, "VM.Console": false });
    assert_eq!(
        betty,
        &json!({
            "kind": "user",
            "status": "active",
            "second_factor": "none",
            "administrator": false,
            "root_paths": [],
            "privileges": {
                "/pool/ExtWebSer": on_pool, "/storage/shared": on_member, "/vms/100": on_member, "/vms/101": on_member,
            },
        })
    );
    assert_eq!(json["identities"]["bob@pve"]["second_factor"], "totp");
    assert_eq!(json["identities"]["nancy@pve"]["second_factor"], "recovery");
    assert_eq!(json["identities"]["root@pam!ci"]["second_factor"], "not-applicable");
    assert_eq!(json["identities"]["root@pam!ci"]["kind"], "token");
    for id in ["root@pam", "bob@pve"] {
        let held = json["identities"][id]["privileges"].as_object().unwrap();
        assert!(held.values().all(|on| on.as_object().unwrap().len() == 47), "{id}");
        let always = "/ /access /access/groups /access/realm /mapping /nodes /pool /pool/ExtWebSer /pool/IntWebSer /sdn \
                      /storage /storage/local /storage/nfs /storage/shared /vms /vms/100 /vms/101 /vms/102 /vms/201";
        assert_eq!(
            held.keys().map(String::as_str).collect::<Vec<_>>(),
            always.split_whitespace().collect::<Vec<_>>()
        );
    }
}

#[test]
fn json_has_users_groups_roles_pools_and_the_acl() {
    let json = json_of(&host(&[("/etc/pve/nodes/n/qemu-server/100.conf", "memory: 512\n")]), "");
    assert_eq!(
        keys(&json),
        ["acl", "groups", "identities", "issues", "missing", "pools", "pve", "realms", "roles", "users"]
    );
    assert_eq!(
        json["users"]["nancy@pve"],
        json!({
            "realm": "pve", "enabled": true, "expires": "2030-01-01T00:00:00Z", "comment": "web applications",
            "groups": ["managers"], "tokens": {}, "line": 4,
            "second_factor": { "state": "recovery-only", "kinds": [], "recovery_codes_left": 1 },
        })
    );
    let token = &json["users"]["root@pam"]["tokens"]["root@pam!ci"];
    assert_eq!((&token["privilege_separation"], &token["has_secret"]), (&json!(false), &json!(false)));
    assert_eq!(json["groups"]["managers"]["members"], json!(["nancy@pve"]));
    assert_eq!(
        json["pools"]["IntWebSer"],
        json!({ "guests": [102, 201], "storages": ["nfs"], "comment": null, "line": 9 })
    );
    assert_eq!(
        json["acl"][2],
        json!({ "path": "/pool/ExtWebSer", "subject": "@managers", "role": "WebAppManager", "propagate": true,
                "dangling": false, "line": 14 })
    );
    let role = &json["roles"]["WebDev"];
    assert_eq!((&role["line"], &role["built_in"]), (&json!(11), &json!(false)));
    assert_eq!(role["privileges"], json!(["Pool.Audit", "VM.Audit", "VM.Console"]));
    assert_eq!(json["roles"]["Administrator"]["line"], Value::Null);
    assert_eq!(json["missing"], json!({}));
    assert_eq!(json["issues"], json!([]));
}

#[test]
fn a_terraform_role_and_a_user_administrator_can_become_root_and_the_way_is_told() {
    let more = "user:tf@pve:1:0::::::\nuser:helpdesk@pve:1:0::::::\ntoken:tf@pve!ci:0:0::\n\
                role:Terraform:Sys.Modify,VM.Allocate:\nacl:1:/:tf@pve:Terraform:\n\
                acl:1:/access:helpdesk@pve:PVEUserAdmin:\n";
    let host = with(more);
    let text = text(&host, "");
    let tf = about(&text, "tf@pve");
    assert_eq!(tf[1], "Terraform on / (line 21)");
    assert!(tf[2].starts_with("can become root by Sys.Modify on /access (Terraform on /) → "), "{tf:?}");
    let token = about(&text, "tf@pve!ci");
    assert_eq!(token[1], "every right of tf@pve");
    assert!(
        token[2].starts_with("can become root by every right of tf@pve → Sys.Modify on /access"),
        "{token:?}"
    );
    let helpdesk = about(&text, "helpdesk@pve");
    assert_eq!(helpdesk[1], "PVEUserAdmin on /access (line 22)");
    assert!(
        helpdesk[2]
            .starts_with("can become root by User.Modify on /access/groups (PVEUserAdmin on /access) → "),
        "{helpdesk:?}"
    );
    let json = json_of(&host, "--id tf@pve --id helpdesk@pve --id tf@pve!ci");
    for (id, start) in [
        ("tf@pve", "user tf@pve → Sys.Modify on /access (Terraform on /) → "),
        ("tf@pve!ci", "token tf@pve!ci → has every right of tf@pve → Sys.Modify on /access"),
        ("helpdesk@pve", "user helpdesk@pve → User.Modify on /access/groups (PVEUserAdmin on /access) → "),
    ] {
        let one = &json["identities"][id];
        assert_eq!(one["administrator"], true, "{id}");
        assert!(one["root_paths"][0].as_str().unwrap().starts_with(start), "{one}");
    }
}

#[test]
fn who_has_a_privilege_on_a_path_is_told_with_the_line_it_comes_from() {
    let host = host(&[]);
    let asked = "--privilege VM.Console --path /vms/100";
    assert_eq!(
        keys(&json_of(&host, asked)["identities"]),
        ["betty@pve", "bob@pve", "root@pam", "root@pam!ci"]
    );
    let text = text(&host, asked);
    assert_eq!(
        about(&text, "betty@pve")[1..],
        ["VM.Console on /vms/100: WebDev (through the pool ExtWebSer, on /pool/ExtWebSer, line 13)"]
    );
    assert_eq!(about(&text, "bob@pve")[1..], ["VM.Console on /vms/100: Administrator (on /, line 12)"]);
    assert_eq!(about(&text, "root@pam")[1..], ["VM.Console on /vms/100: it is root@pam"]);
    assert!(!text.contains("nancy") && !text.contains("jim"), "{text}");
    let json =
        json_of(&host, "--privilege VM.PowerMgmt --privilege VM.Console --path /vms/201/ --path //vms/100");
    assert_eq!(
        json["identities"]["nancy@pve"]["privileges"],
        json!({ "/vms/100": { "VM.PowerMgmt": false }, "/vms/201": { "VM.PowerMgmt": false } })
    );
    assert_eq!(json["identities"]["jim@pve"]["privileges"], json!({ "/vms/201": { "VM.Console": false } }));
}

#[test]
fn whoever_can_give_himself_what_is_asked_for_is_named_too() {
    let host = with("user:helpdesk@pve:1:0::::::\nacl:1:/access:helpdesk@pve:PVEUserAdmin:\n");
    let text = text(&host, "--privilege VM.Console --path /vms/100");
    assert!(text.ends_with("can become root, and so do it too\n  helpdesk@pve\n"), "{text}");
}

#[test]
fn what_one_user_can_see_is_told_with_his_roles() {
    let text = text(&host(&[]), "--id betty@pve");
    assert_eq!(
        text,
        "users and tokens\n  betty@pve: active, no second factor, realm pve\n    \
         WebDev on /pool/ExtWebSer and its members /vms/100, /vms/101, /storage/shared (line 13)\n\
         roles\n  WebDev: Pool.Audit, VM.Audit, VM.Console\n"
    );
    let json = json_of(&host(&[]), "--id betty@pve --path /vms/102");
    assert_eq!(keys(&json["identities"]), ["betty@pve"]);
    assert_eq!(keys(&json["users"]), ["betty@pve"]);
    assert_eq!(json["identities"]["betty@pve"]["privileges"], json!({}));
}

#[test]
fn a_privilege_without_a_path_lists_the_roles_that_bring_it() {
    let text = text(&host(&[]), "--privilege VM.PowerMgmt");
    assert_eq!(about(&text, "nancy@pve").len(), 3);
    assert_eq!(about(&text, "bob@pve")[1..], ["Administrator on / (line 12)"]);
    assert_eq!(about(&text, "root@pam!ci")[1..], ["every right of root@pam"]);
    assert!(!text.contains("betty@pve"), "{text}");
}

#[test]
fn a_question_about_what_is_not_there_is_refused_in_one_sentence() {
    let host = host(&[]);
    for (typed, why) in [
        ("--id ghost@pve", "there is no user `ghost@pve`, and no access list gives that name anything"),
        ("--id betty@pve!x1", "there is no token `betty@pve!x1`"),
        ("--id betty", "`betty` is neither a user (name@realm) nor a token (name@realm!token)"),
        (
            "--path /vms/a:b",
            "`/vms/a:b` is no path of access control: letters, digits, `.`, `-`, `_` and `/` make one",
        ),
        ("--privilege vm.console", "Proxmox VE 9 has no privilege `vm.console`; did you mean `VM.Console`?"),
        ("--privilege VM.Monitor", "Proxmox VE 9 has no privilege `VM.Monitor`: another release has it"),
        ("--privilege Root", "Proxmox VE 9 has no privilege `Root`"),
    ] {
        assert_eq!(refused(&host, typed), why);
    }
    let older = host_of(&[], Release::Pve8);
    assert_eq!(
        keys(&json_of(&older, "--privilege VM.Monitor --path /")["identities"]),
        ["bob@pve", "root@pam", "root@pam!ci"]
    );
}

#[test]
fn a_name_that_holds_rights_and_is_no_user_is_shown_as_such() {
    let host =
        with("group:ghosts:late@pve:\nacl:1:/vms:ghost@pve:PVEVMAdmin:\nacl:0:/nodes:@ghosts:PVEAuditor:\n");
    let json = json_of(&host, "");
    assert_eq!(json["identities"].get("ghost@pve"), None);
    assert_eq!(keys(&json["missing"]), ["ghost@pve", "late@pve"]);
    assert_eq!(json["missing"]["ghost@pve"]["status"], "missing");
    assert_eq!(json["missing"]["late@pve"]["privileges"]["/nodes"]["Sys.Audit"], false);
    let text = text(&host, "--id ghost@pve");
    assert_eq!(
        about(&text, "ghost@pve"),
        ["ghost@pve: does not exist: whoever creates it has this", "PVEVMAdmin on /vms (line 18)"]
    );
    assert_eq!(keys(&json_of(&host, "--id ghost@pve --path /vms/1")["missing"]), ["ghost@pve"]);
}

#[test]
fn what_a_deeper_level_takes_away_is_said_and_no_access_is_no_right() {
    let more = "group:auditors:bob@pve:\nacl:1:/vms:@auditors:PVEAuditor:\nacl:1:/vms/7:bob@pve:NoAccess:\n\
                acl:0:/nodes:bob@pve:PVEAuditor:\nacl:1:/nodes:@auditors:PVESysAdmin:\n";
    let text = text(&with(more), "--id bob@pve");
    let bob = about(&text, "bob@pve");
    assert_eq!(
        bob[1..5],
        [
            "Administrator on / except /nodes, /vms (line 12), and through the pool ExtWebSer on /vms/100, /vms/101, and through the pool IntWebSer on /vms/102, /vms/201",
            "PVEAuditor on /nodes alone (line 20)",
            "PVESysAdmin on everything below /nodes (through the group auditors, line 21)",
            "PVEAuditor on /vms except /vms/7 (through the group auditors, line 18)",
        ]
    );
}

#[test]
fn a_token_of_its_own_rights_has_only_what_its_owner_has_too() {
    let more = "token:betty@pve!ci:0:1::\ntoken:betty@pve!off:1:1::\nacl:1:/vms:betty@pve!ci:PVEAuditor:\nacl:1:/storage:betty@pve!ci:PVEDatastoreUser:\n";
    let host = with(more);
    let text = text(&host, "");
    assert_eq!(
        about(&text, "betty@pve!ci"),
        [
            "betty@pve!ci: token, active, never expires, separated from betty@pve, has no secret",
            "PVEDatastoreUser on /storage (line 20) without effect: its owner has none of it",
            "PVEAuditor on /vms (line 19)",
            "all of it only as far as betty@pve may",
        ]
    );
    assert_eq!(
        about(&text, "betty@pve!off"),
        [
            "betty@pve!off: token, expired since 1970-01-01T00:00:01Z, separated from betty@pve, has no secret",
            "no rights"
        ]
    );
    let json = json_of(&host, "--id betty@pve!ci");
    assert_eq!(
        json["identities"]["betty@pve!ci"]["privileges"],
        json!({ "/vms/100": { "Pool.Audit": false, "VM.Audit": false }, "/vms/101": { "Pool.Audit": false, "VM.Audit": false } })
    );
}

#[test]
fn the_same_role_in_the_same_way_stands_in_one_line() {
    let acl = (0..20)
        .map(|vmid| format!("acl:1:/vms/{}:jim@pve:PVEVMUser:\n", 300 + vmid))
        .collect::<Vec<_>>()
        .concat();
    let host = with(&acl);
    let all = text(&host, "");
    assert_eq!(
        about(&all, "jim@pve")[2],
        "PVEVMUser on /vms/300, /vms/301, /vms/302, /vms/303, /vms/304, /vms/305, /vms/306, /vms/307 and 12 more \
         (lines 17, 18, 19, 20, 21, 22, 23, 24 and 12 more)"
    );
    assert!(text(&host, "--id jim@pve").contains("/vms/318, /vms/319 (lines 17, "));
}

#[test]
fn a_token_tells_whether_it_has_a_secret_and_never_the_secret() {
    let host = host(&[("/etc/pve/priv/token.cfg", "root@pam!ci CANARY-1\n")]);
    let json = json_of(&host, "");
    assert_eq!(json["users"]["root@pam"]["tokens"]["root@pam!ci"]["has_secret"], true);
    for typed in ["", "--report"] {
        for as_json in [true, false] {
            let printed = answer(&host, &question(typed), as_json).unwrap();
            assert!(!printed.contains("CANARY") && !printed.contains("JBSWY3DP"));
        }
    }
}

#[test]
fn realms_are_shown_with_their_effective_settings_and_without_their_secrets() {
    let host = host(&[("/etc/pve/domains.cfg", DOMAINS_CFG)]);
    let json = json_of(&host, "");
    let realms = &json["realms"];
    assert_eq!(
        realms["pam"],
        json!({ "type": "pam", "default": false, "second_factor": null, "line": null })
    );
    assert_eq!(realms["pve"]["second_factor"], json!({ "kind": "yubico", "has_api_key": true }));
    let corp = &realms["corp"]["directory"];
    assert_eq!(
        (&corp["mode"], &corp["verify"], &corp["tls_version"]),
        (&json!("ldaps"), &json!(false), &json!("tlsv1_2"))
    );
    assert_eq!((&corp["anonymous"], &corp["has_password_in_file"]), (&json!(false), &json!(true)));
    let sso = &realms["sso"]["openid"];
    assert_eq!(sso["issuer_url"], "https://sso.example.com/realms/x");
    assert_eq!((&sso["has_client_key"], &sso["creates_users"]), (&json!(true), &json!(true)));
    let text = text(&host, "");
    assert!(!text.contains("CANARY") && !json.to_string().contains("CANARY"), "{text}");
    for words in [
        "  corp: ldap, a and b by ldaps, tlsv1_2, certificate not verified, default\n",
        "  sso: openid, https://sso.example.com/realms/x, creates users, groups by claim roles\n",
        "  pve: pve, demands yubico\n",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_a_login_asks_for_depends_on_the_realm() {
    let users = "user:root@pam:1:0::::::\nuser:a@sso:1:0::::::\nuser:b@corp:0:0::::::\nuser:c@gone:1:0::::::\nuser:bob@pve:1:0::::::\n";
    let host = host(&[("/etc/pve/domains.cfg", DOMAINS_CFG), ("/etc/pve/user.cfg", users)]);
    let text = text(&host, "");
    for words in [
        "a@sso: active, second factor left to the OpenID Connect provider, realm sso\n",
        "b@corp: disabled, no second factor, realm corp\n",
        "c@gone: active, no such realm, login refused, realm gone\n",
        "bob@pve: active, second factor demanded but none, login refused, realm pve\n",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let json = json_of(&host, "");
    let word = |id: &str| json["identities"][id]["second_factor"].clone();
    assert_eq!(
        ["a@sso", "b@corp", "c@gone", "bob@pve"].map(word),
        ["provider", "none", "no-realm", "refused"]
    );
}

#[test]
fn the_strongest_usable_factor_is_named() {
    let tfa = r#"{"users":{"bob@pve":{
        "totp":[{"id":"a","created":1,"entry":"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"}],
        "webauthn":[{"id":"b","created":1,"entry":{"cred_id":"aWQ","cred":{"type_":"ES256"},"counter":0}}]}}}"#;
    let usable = [("/etc/pve/priv/tfa.cfg", tfa), ("/etc/pve/datacenter.cfg", "webauthn: rp=a,id=b\n")];
    let word =
        |files: &[(&str, &str)]| json_of(&host(files), "")["identities"]["bob@pve"]["second_factor"].clone();
    assert_eq!(word(&usable), "webauthn");
    assert_eq!(word(&[usable[0], ("/etc/pve/datacenter.cfg", "keyboard: de\n")]), "totp");
}

#[test]
fn realms_that_could_not_be_read_are_null() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file(USER_CFG));
    tree.insert("/etc/pve/priv/tfa.cfg", Node::file(TFA_CFG));
    tree.insert("/etc/pve/domains.cfg", Node::file("").failing(TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let json = json_of(&host, "");
    assert_eq!(
        (&json["realms"], &json["identities"]["bob@pve"]["second_factor"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(json["issues"][0]["path"], "/etc/pve/domains.cfg");
}

#[test]
fn what_could_not_be_read_is_null_and_an_issue_with_a_code() {
    let json = json_of(&host(&[("/etc/pve/priv/tfa.cfg", "{\"users\":")]), "");
    assert_eq!(json["identities"]["bob@pve"]["second_factor"], Value::Null);
    assert_eq!(json["issues"][0]["path"], "/etc/pve/priv/tfa.cfg");
    assert!(json["issues"][0]["code"].is_string() && json["issues"][0]["message"].is_string());
    let json = json_of(&with("nonsense\n"), "");
    assert_eq!(
        (&json["issues"][0]["path"], &json["issues"][0]["line"]),
        (&json!("/etc/pve/user.cfg"), &json!(17))
    );
    let denied = Host::new(Files::memory(Tree::default()), None, Some(Release::Pve9));
    assert!(matches!(answer(&denied, &Question::default(), true), Err(Refusal::Unknown(_))));
}

#[test]
fn guests_that_cannot_be_listed_are_an_issue() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file(USER_CFG));
    tree.insert("/etc/pve/priv/tfa.cfg", Node::file(TFA_CFG));
    tree.insert("/etc/pve/nodes", Node::folder().failing(TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let json = json_of(&host, "");
    assert!(
        json["issues"].as_array().unwrap().iter().any(|issue| issue["path"] == "/etc/pve/nodes"),
        "{}",
        json["issues"]
    );
}

#[test]
fn a_flag_that_upstream_decides_by_chance_is_said_to_be_ambiguous() {
    let more =
        "group:other:nancy@pve,jim@pve:\nacl:1:/vms:@managers:PVEVMUser:\nacl:0:/vms:@other:PVEVMUser:\n";
    let host = with(more);
    let json = json_of(&host, "");
    let issues = json["issues"].as_array().unwrap();
    let found: Vec<_> = issues.iter().filter(|issue| issue["code"] == "ambiguous-propagate").collect();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["path"], &found[0]["line"]), (&json!("/etc/pve/user.cfg"), &json!(19)));
    assert!(
        found[0]["message"].as_str().unwrap().starts_with("two groups of nancy@pve get PVEVMUser on /vms, ")
    );
    let nancy = &json["identities"]["nancy@pve"];
    assert_eq!(keys(&nancy["ambiguous"]), ["/vms"]);
    assert_eq!(nancy["privileges"]["/vms"]["VM.Console"], true);
    assert_eq!(json["identities"]["jim@pve"].get("ambiguous"), None);
    assert!(text(&host, "").contains("two groups of nancy@pve get PVEVMUser on /vms"));
}

#[test]
fn dropped_and_suspicious_lines_are_issues_with_their_codes() {
    let json = json_of(&with("acl:1:/vms:ghost@pve:PVEAuditor:\nacl:1:/vms:betty@pve:NoSuchRole:\n"), "");
    let codes: Vec<(u64, &str)> = json["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| (issue["line"].as_u64().unwrap(), issue["code"].as_str().unwrap()))
        .collect();
    assert_eq!(codes, [(17, "dangling-subject"), (18, "unknown-role")]);
}
