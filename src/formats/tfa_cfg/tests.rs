use super::*;
use base64ct::{Base64, Encoding};
use proptest::prelude::*;

const URI: &str =
    "otpauth://totp/Proxmox:root%40pam?secret=JBSWY3DPEHPK3PXP&digits=6&algorithm=SHA1&period=30&issuer=P";

/// A file with one user with this JSON.
fn user(json: &str) -> Parsed<TfaCfg> {
    parse(&format!("{{\"users\":{{\"a@pve\":{json}}}}}"))
}

fn facts(json: &str) -> TfaUser {
    let parsed = user(json);
    assert_eq!(parsed.issues, []);
    parsed.value.users["a@pve"].clone()
}

/// Whether a user with these keys is read.
fn reads(json: &str) -> bool {
    let parsed = user(json);
    assert_eq!(parsed.value.readable, parsed.issues.is_empty());
    assert_eq!(parsed.value.readable, !parsed.value.users.is_empty());
    parsed.value.readable
}

fn totp(entry: &str) -> String {
    format!(r#"{{"totp":[{{"id":"i","created":1,"entry":{entry}}}]}}"#)
}

fn totp_uri(query: &str) -> bool {
    reads(&totp(&format!("\"otpauth://totp/x?{query}\"")))
}

/// A line of the old format.
fn old_line(kind: &str, json: &str) -> String {
    format!("a@pve:{kind}:{}\n", Base64::encode_string(json.as_bytes()))
}

#[test]
fn an_empty_file_is_readable_and_has_no_users() {
    for text in ["", "\n# nothing\n", "{}", "{\"users\":{}}"] {
        let parsed = parse(text);
        assert!(parsed.value.readable && !parsed.value.old_format && parsed.value.users.is_empty(), "{text}");
        assert_eq!(parsed.issues, []);
    }
}

#[test]
fn every_kind_of_factor_is_read() {
    let user = facts(&format!(
        r#"{{
        "totp":[{{"id":"t1","description":"phone","created":10,"entry":"{URI}"}},
                {{"id":"t2","created":11,"enable":false,"entry":{{"totp":"{URI}","last-count":5}}}}],
        "u2f":[{{"id":"u","created":12,"entry":{{"key":{{"keyHandle":"aGFuZGxl","version":"U2F_V2"}},"public-key":"a2V5cw=="}}}}],
        "webauthn":[{{"id":"w","created":13,"entry":{{"cred_id":"aWQ","cred":{{"type_":"ES256"}},"counter":0}}}}],
        "yubico":[{{"id":"y","created":14,"entry":"cccccccccccc"}}],
        "recovery":{{"secret":"00","entries":["aa",null,"bb"],"created":15}},
        "totp-locked":true,"tfa-locked-until":99}}"#
    ));
    let shown: Vec<_> = user.factors.iter().map(|f| (f.kind, f.id.as_str(), f.created, f.enabled)).collect();
    assert_eq!(
        shown,
        [
            (TfaKind::Totp, "t1", 10, true),
            (TfaKind::Totp, "t2", 11, false),
            (TfaKind::U2f, "u", 12, true),
            (TfaKind::Webauthn, "w", 13, true),
            (TfaKind::Yubico, "y", 14, true),
        ]
    );
    assert_eq!(user.recovery, Some(Recovery { codes: 3, codes_left: 2, created: 15 }));
    assert!(user.totp_locked);
    assert_eq!(user.tfa_locked_until, Some(99));
    assert!(user.has(TfaKind::Totp));
}

#[test]
fn a_disabled_factor_does_not_count() {
    let user = facts(&format!(r#"{{"totp":[{{"id":"t","created":1,"enable":false,"entry":"{URI}"}}]}}"#));
    assert!(!user.has(TfaKind::Totp));
}

#[test]
fn an_unknown_key_of_a_user_or_factor_makes_the_whole_file_unreadable() {
    assert!(reads("{}"));
    assert!(!reads(r#"{"sms":[]}"#));
    assert!(!reads(r#"{"totp_locked":true}"#));
    assert!(!reads(&format!(r#"{{"totp":[{{"id":"i","created":1,"note":1,"entry":"{URI}"}}]}}"#)));
    assert!(!reads(&totp(&format!(r#"{{"totp":"{URI}","count":1}}"#))));
}

#[test]
fn an_unknown_key_elsewhere_does_no_harm() {
    assert!(parse(r#"{"users":{},"more":1}"#).value.readable);
    assert!(reads(r#"{"recovery":{"secret":"","entries":[],"created":1,"more":1}}"#));
    assert!(reads(
        r#"{"webauthn":[{"id":"w","created":1,"entry":{"cred_id":"x","cred":{},"counter":1,"backup_state":true,"more":1}}]}"#
    ));
}

#[test]
fn repeated_keys_of_a_user_or_factor_make_the_file_unreadable() {
    assert!(!reads(r#"{"totp":[],"totp":[]}"#));
    assert!(!reads(&format!(r#"{{"totp":[{{"id":"i","id":"i","created":1,"entry":"{URI}"}}]}}"#)));
    assert!(!reads(&totp(&format!(r#"{{"totp":"{URI}","totp":"{URI}"}}"#))));
}

#[test]
fn missing_keys_and_wrong_types_make_the_file_unreadable() {
    for json in [
        r#"{"totp":null}"#,
        r#"{"totp":[{"id":"i","created":1}]}"#,
        r#"{"yubico":[{"id":"i","entry":"x"}]}"#,
        r#"{"yubico":[{"created":1,"entry":"x"}]}"#,
        r#"{"yubico":[{"id":"i","created":"1","entry":"x"}]}"#,
        r#"{"yubico":[{"id":"i","created":1,"entry":5}]}"#,
        r#"{"yubico":[{"id":"i","created":1,"enable":1,"entry":"x"}]}"#,
        r#"{"recovery":{"secret":"x","entries":[1],"created":1}}"#,
        r#"{"recovery":[]}"#,
        r#"{"totp-locked":1}"#,
        r#"{"tfa-locked-until":"soon"}"#,
        r#"{"webauthn":[{"id":"w","created":1,"entry":{"cred_id":"x","cred":{},"counter":-1}}]}"#,
        r#"{"u2f":[{"id":"u","created":1,"entry":{"key":{"keyHandle":"*","version":""},"public-key":""}}]}"#,
        "[1]",
    ] {
        assert!(!reads(json), "{json}");
    }
    assert!(reads(r#"{"tfa-locked-until":null,"recovery":null}"#));
}

#[test]
fn a_totp_uri_is_checked_as_upstream_does() {
    for good in
        ["secret=JBSW", "secret=jbsw%3D%3D", "secret=JBSW&digits=8&algorithm=sha512&issuer=%ff&period=60"]
    {
        assert!(totp_uri(good), "{good}");
    }
    for bad in [
        "digits=6",
        "secret=",
        "secret=J",
        "secret=1890",
        "secret=JBSW&digits=300",
        "secret=JBSW&digits=x",
        "secret=JBSW&algorithm=md5",
        "secret=JBSW&period=-1",
        "secret=JBSW&image=x",
        "secret=JBSW&issuer",
        "secret=JBSW&",
        "secret=JBSW&secret=",
    ] {
        assert!(!totp_uri(bad), "{bad}");
    }
    assert!(!reads(&totp("\"otpauth://hotp/x?secret=JBSW\"")));
    assert!(!reads(&totp("\"otpauth://totp/x\"")));
}

#[test]
fn what_proxmox_backup_server_leaves_behind_must_have_the_right_form() {
    assert!(
        parse(r#"{"webauthn":{"rp":"r","id":"i","origin":"https://o","allow-subdomains":true}}"#)
            .value
            .readable
    );
    assert!(parse(r#"{"u2f":{"appid":"a","more":1}}"#).value.readable);
    assert!(!parse(r#"{"webauthn":{"rp":"r"}}"#).value.readable);
    assert!(!parse(r#"{"webauthn":{"rp":"r","id":"i","more":1}}"#).value.readable);
}

#[test]
fn an_unreadable_file_names_a_line_and_quotes_nothing() {
    let parsed = parse("{\n \"users\": {\n  \"a@pve\": { \"CANARY\": \"CANARY\" }\n }\n}\n");
    assert!(!parsed.value.readable);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [3]);
    let old = parse("# old\na@pve:oath:CANARY!\n");
    assert_eq!(old.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2]);
    assert!(!format!("{parsed:?}{old:?}").contains("CANARY"));
}

#[test]
fn no_secret_is_kept() {
    let parsed = user(
        r#"{"totp":[{"id":"i","description":"CANARY","created":1,"entry":"otpauth://totp/CANARY?secret=CANARY"}],
            "yubico":[{"id":"i","created":1,"entry":"CANARY"}],
            "recovery":{"secret":"CANARY","entries":["CANARY"],"created":1}}"#,
    );
    assert!(parsed.value.readable);
    assert!(!format!("{parsed:?}").contains("CANARY"));
}

#[test]
fn users_with_an_impossible_id_are_dropped() {
    let parsed = parse(r#"{"users":{"nobody":{},"a@pve":{}}}"#);
    assert!(parsed.value.readable);
    assert_eq!(parsed.value.users.keys().collect::<Vec<_>>(), ["a@pve"]);
    assert_eq!(parsed.issues.len(), 1);
}

#[test]
fn the_last_of_two_equal_user_ids_wins() {
    let parsed = parse(r#"{"users":{"a@pve":{"totp-locked":true},"a@pve":{}}}"#);
    assert!(!parsed.value.users["a@pve"].totp_locked);
}

#[test]
fn the_old_format_is_read() {
    let oath = old_line(
        "oath",
        r#"{"keys":"JBSWY3DPEHPK3PXP, v2-0x00ff;v2-JBSW","config":{"step":"30","digits":6}}"#,
    );
    let parsed = parse(&format!("# old\n\n {oath}"));
    assert!(parsed.value.readable && parsed.value.old_format);
    let user = &parsed.value.users["a@pve"];
    assert_eq!(user.factors.len(), 3);
    let factor = TfaFactor { kind: TfaKind::Totp, id: "v1-entry".to_owned(), created: 0, enabled: true };
    assert_eq!(user.factors[0], factor);

    let yubico = parse(&old_line("yubico", r#"{"keys":"cccccccccccc cccccccccccd","more":1}"#));
    assert_eq!(yubico.value.users["a@pve"].factors.len(), 2);
    assert!(yubico.value.users["a@pve"].has(TfaKind::Yubico));

    let u2f = parse(&old_line("u2f", r#"{"keyHandle":"aGFuZGxl","publicKey":"a2V5"}"#));
    assert!(u2f.value.users["a@pve"].has(TfaKind::U2f));
}

#[test]
fn an_unfinished_old_registration_is_a_user_without_factors() {
    let parsed = parse(&old_line("u2f", r#"{"challenge":"x","more":1}"#));
    assert!(parsed.value.users["a@pve"].factors.is_empty());
}

#[test]
fn one_bad_old_line_makes_the_whole_file_unreadable() {
    let good = old_line("yubico", r#"{"keys":"cccccccccccc"}"#);
    for bad in [
        old_line("sms", "{}"),
        old_line("yubico", "{}"),
        old_line("yubico", "[]"),
        old_line("oath", r#"{"keys":"JBSWY3DPEHPK3PXP"}"#),
        old_line("oath", r#"{"keys":"short","config":{}}"#),
        old_line("oath", r#"{"keys":"","config":{"step":0}}"#),
        old_line("oath", r#"{"keys":"","config":{"digits":256}}"#),
        old_line("oath", r#"{"keys":"","config":{"more":1}}"#),
        old_line("u2f", r#"{"keyHandle":"aGFuZGxl","publicKey":"a2V5","more":1}"#),
        "a@pve:oath\n".to_owned(),
        "a@pve:oath:***\n".to_owned(),
    ] {
        let parsed = parse(&format!("{good}{bad}"));
        assert!(!parsed.value.readable && parsed.value.users.is_empty(), "{bad}");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_or_reported(text in "[{}\\[\\]\":,a-e@# =\n]{0,80}") {
        let parsed = parse(&text);
        prop_assert!(parsed.value.readable || parsed.issues.len() == 1);
    }

    #[test]
    fn a_changed_byte_never_leaks_or_panics(at in 0_usize..160, by in "[a-z\"{}:,\\\\]") {
        let mut text = format!(r#"{{"users":{{"a@pve":{{"totp":[{{"id":"i","created":1,"entry":"{URI}"}}]}}}}}}"#);
        let end = text.len();
        text.replace_range(at.min(end)..(at + 1).min(end), &by);
        let shown = format!("{:?}", parse(&text));
        prop_assert!(!shown.contains("JBSWY3DPEHPK"));
    }
}
