use serde_json::{Value, json};

use crate::files::{Files, Node, Tree, TroubleKind};
use crate::formats::release::Release;
use crate::host::Host;
use crate::show::{Name, Shown, show};

/// Bob administers; Betty and Jim develop on a pool each; Nancy manages what both develop.
const USER_CFG: &str = "\
user:betty@pve:1:0::::external web servers::
user:bob@pve:1:0::::administrator::
user:jim@pve:1:0::::internal web servers::
user:nancy@pve:1:1893456000::::web applications::
user:root@pam:1:0:::root@example.com::
token:root@pam!ci:0:0::
group:managers:nancy@pve:Managers:
pool:ExtWebSer::100::
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

fn host(files: &[(&str, &str)]) -> Host {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file(USER_CFG));
    tree.insert("/etc/pve/priv/tfa.cfg", Node::file(TFA_CFG));
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    Host::new(Files::memory(tree), None, Some(Release::Pve9))
}

fn shown(files: &[(&str, &str)]) -> Shown {
    show(&host(files), Name::Access).unwrap_or_else(|why| panic!("{why}"))
}

fn user<'v>(json: &'v Value, id: &str) -> &'v Value {
    let mut users = json["users"].as_array().unwrap().iter();
    users.find(|user| user["id"] == id).unwrap()
}

#[test]
fn a_user_is_shown_with_everything_about_him() {
    let json = shown(&[]).json;
    assert_eq!(
        user(&json, "nancy@pve"),
        &json!({
            "id": "nancy@pve",
            "realm": "pve",
            "enabled": true,
            "expires": "2030-01-01T00:00:00Z",
            "comment": "web applications",
            "groups": ["managers"],
            "second_factor": { "state": "recovery-only", "kinds": [], "recovery_codes_left": 1 },
            "administrator": [],
            "tokens": [],
            "line": 4,
        })
    );
    assert_eq!(user(&json, "bob@pve")["second_factor"], json!({ "state": "asked", "kinds": ["TOTP"] }));
    assert_eq!(user(&json, "jim@pve")["second_factor"], json!({ "state": "none", "kinds": [] }));
}

#[test]
fn only_bob_and_root_administer_and_the_reason_is_told() {
    let json = shown(&[]).json;
    let rules = |id: &str| user(&json, id)["administrator"].clone();
    assert_eq!(
        rules("bob@pve"),
        json!([{
            "rule": "every-privilege",
            "why": "has every privilege on / as Administrator by an ACL of his own",
            "acl": [{ "path": "/", "subject": "bob@pve", "role": "Administrator", "propagate": true, "dangling": false, "line": 12 }],
        }])
    );
    assert_eq!(rules("root@pam")[0]["rule"], "root");
    for id in ["betty@pve", "jim@pve", "nancy@pve"] {
        assert_eq!(rules(id), json!([]), "{id}");
    }
}

#[test]
fn everybody_has_his_effective_privileges_on_pools_and_their_guests() {
    let json = shown(&[]).json;
    let effective = &json["effective"];
    let developer = json!(["Pool.Audit", "VM.Audit", "VM.Console"]);
    let manager = json!(["Pool.Audit", "VM.Audit", "VM.PowerMgmt"]);
    assert_eq!(effective["betty@pve"], json!({ "/pool/ExtWebSer": developer, "/vms/100": developer }));
    assert_eq!(
        effective["jim@pve"],
        json!({ "/pool/IntWebSer": developer, "/storage/nfs": developer, "/vms/102": developer, "/vms/201": developer })
    );
    assert_eq!(effective["nancy@pve"].as_object().unwrap().len(), 6);
    assert_eq!(effective["nancy@pve"]["/vms/100"], manager);
    assert_eq!(effective["bob@pve"]["/vms/201"].as_array().unwrap().len(), 47);
    assert_eq!(effective["bob@pve"].as_object().unwrap().len(), 7);
    assert!(effective.get("root@pam").is_none());
}

#[test]
fn the_acl_the_roles_and_the_groups_are_listed() {
    let json = shown(&[]).json;
    assert_eq!(json["release"], 9);
    assert_eq!(json["acl"].as_array().unwrap().len(), 5);
    assert_eq!(
        json["acl"][2],
        json!({ "path": "/pool/ExtWebSer", "subject": "@managers", "role": "WebAppManager", "propagate": true,
                "dangling": false, "line": 14 })
    );
    let role = &json["roles"]["WebDev"];
    assert_eq!(role["line"], 11);
    assert_eq!(role["privileges"], json!(["Pool.Audit", "VM.Audit", "VM.Console"]));
    assert_eq!(json["roles"]["Administrator"]["line"], Value::Null);
    assert_eq!(json["groups"]["managers"]["members"], json!(["nancy@pve"]));
    assert_eq!(json["issues"], json!([]));
}

#[test]
fn a_token_tells_whether_it_has_a_secret_and_never_the_secret() {
    let json = shown(&[("/etc/pve/priv/token.cfg", "root@pam!ci CANARY-1\n")]);
    let token = &user(&json.json, "root@pam")["tokens"][0];
    assert_eq!(token["id"], "root@pam!ci");
    assert_eq!(token["has_secret"], true);
    assert_eq!(token["privilege_separation"], false);
    assert_eq!(token["expires"], Value::Null);
    assert_eq!(token["administrator"][0]["rule"], "root");
    for printed in [json.print(true), json.print(false)] {
        assert!(!printed.contains("CANARY") && !printed.contains("JBSWY3DP"));
    }
    assert_eq!(user(&shown(&[]).json, "root@pam")["tokens"][0]["has_secret"], false);
}

#[test]
fn realms_are_shown_with_their_effective_settings_and_without_their_secrets() {
    let shown = shown(&[("/etc/pve/domains.cfg", DOMAINS_CFG)]);
    let realms = &shown.json["realms"];
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
    for printed in [shown.print(true), shown.print(false)] {
        assert!(!printed.contains("CANARY"), "{printed}");
    }
    let text = shown.print(false);
    assert!(
        text.contains("  corp: ldap, a and b by ldaps, tlsv1_2, certificate not verified, default\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "  sso: openid, https://sso.example.com/realms/x, creates users, groups by claim roles\n"
        )
    );
    assert!(text.contains("  pve: pve, demands yubico\n"));
}

#[test]
fn what_a_login_asks_for_depends_on_the_realm() {
    let users = "user:root@pam:1:0::::::\nuser:a@sso:1:0::::::\nuser:b@corp:1:0::::::\nuser:c@gone:1:0::::::\nuser:bob@pve:1:0::::::\n";
    let shown = shown(&[("/etc/pve/domains.cfg", DOMAINS_CFG), ("/etc/pve/user.cfg", users)]);
    let (json, text) = (&shown.json, shown.print(false));
    for words in [
        "a@sso: enabled, never expires, second factor: left to the OpenID Connect provider\n",
        "c@gone: enabled, never expires, no such realm, login refused\n",
        "bob@pve: enabled, never expires, second factor: demanded but none, login refused\n",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let state = |id: &str| user(json, id)["second_factor"]["state"].clone();
    assert_eq!(
        ["a@sso", "b@corp", "c@gone", "bob@pve"].map(state),
        ["provider", "none", "no-realm", "refused"]
    );
}

#[test]
fn realms_that_could_not_be_read_are_null() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file(USER_CFG));
    tree.insert("/etc/pve/priv/tfa.cfg", Node::file(TFA_CFG));
    tree.insert("/etc/pve/domains.cfg", Node::file("").failing(TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let json = show(&host, Name::Access).unwrap_or_else(|why| panic!("{why}")).json;
    assert_eq!((&json["realms"], &user(&json, "bob@pve")["second_factor"]), (&Value::Null, &Value::Null));
    assert_eq!(json["issues"][0]["path"], "/etc/pve/domains.cfg");
}

#[test]
fn what_could_not_be_read_is_null_and_an_issue() {
    let json = shown(&[("/etc/pve/priv/tfa.cfg", "{\"users\":")]).json;
    assert_eq!(user(&json, "bob@pve")["second_factor"], Value::Null);
    assert_eq!(json["issues"][0]["path"], "/etc/pve/priv/tfa.cfg");
    let denied = Host::new(Files::memory(Tree::default()), None, Some(Release::Pve9));
    assert!(show(&denied, Name::Access).is_err());
}

#[test]
fn too_many_pairs_leave_the_effective_privileges_out() {
    let more = |number: u32| {
        let path = 1000 + number;
        format!("user:u{number}@pve:1:0::::::\nacl:1:/vms/{path}:u{number}@pve:PVEVMUser:\n")
    };
    let cfg = (0..110).map(more).fold(USER_CFG.to_owned(), |cfg, lines| cfg + &lines);
    let json = shown(&[("/etc/pve/user.cfg", &cfg)]).json;
    assert_eq!(json["effective"], Value::Null);
    assert_eq!(json["issues"][0]["path"], "/etc/pve/user.cfg");
    assert_eq!(user(&json, "u1@pve")["administrator"], json!([]));
}

#[test]
fn people_read_who_administers_and_by_which_line() {
    let text = shown(&[]).print(false);
    assert!(text.contains("  bob@pve: enabled, never expires, second factor: asked (TOTP)\n"), "{text}");
    assert!(text.contains(
        "    administrator: has every privilege on / as Administrator by an ACL of his own (user.cfg line 12)\n"
    ));
    assert!(text.contains("  /pool/ExtWebSer  @managers  WebAppManager  line 14\n"));
    assert!(
        text.contains("    token root@pam!ci: has every right of its owner, never expires, has no secret\n")
    );
}
