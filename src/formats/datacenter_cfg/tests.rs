use proptest::prelude::*;

use super::*;

fn cfg(text: &str) -> DatacenterCfg {
    parse(text).value
}

#[test]
fn a_file_as_proxmox_writes_it_is_read_whole() {
    let text = "#Lab cluster%3A see wiki\n#second line, 50%25 done\n\nconsole: html5\nemail_from: pve@example.com\n\
                http_proxy: http://proxyuser:proxypw@192.0.2.3:3128\nkeyboard: de\nmax_workers: 4\n\
                migration: type=insecure,network=192.0.2.0/24\nnext-id: lower=1000,upper=2000\n\
                registered-tags: prod;lab\nuser-tag-access: user-allow=list,user-allow-list=a;b\n\
                webauthn: id=pve.example.com,origin=https://pve.example.com:8006,rp=lab\n";
    let parsed = parse(text);
    assert_eq!(parsed.issues, []);
    let found = parsed.value;
    assert_eq!((found.description_lines, found.effective_migration()), (2, Transfer::Insecure));
    assert_eq!(found.migration.as_ref().unwrap().line, 9);
    assert_eq!(found.migration.unwrap().value.network.as_deref(), Some("192.0.2.0/24"));
    let webauthn = found.webauthn.unwrap().value;
    assert_eq!(webauthn.origin.as_deref(), Some("https://pve.example.com:8006"));
    assert!(webauthn.allow_subdomains);
    assert_eq!(found.user_allow.unwrap().value, "list");
    assert_eq!(found.plain["keyboard"].value, "de");
    assert_eq!(found.consent_text_line, None);
}

#[test]
fn the_password_of_the_proxy_never_leaves() {
    let parsed =
        parse("http_proxy: http://u:s3cr/et@x@192.0.2.3:3128\ns3cret line\nhttp_prxy: http://u:s3cret@h\n");
    let proxy = parsed.value.http_proxy.as_ref().unwrap();
    assert_eq!((proxy.value.url.as_str(), proxy.value.credential), ("http://192.0.2.3:3128", true));
    assert!(!format!("{parsed:?}").contains("s3cr"));
    assert_eq!(parsed.issues.len(), 2);
}

#[test]
fn a_proxy_without_credential_has_none_and_other_schemes_are_dropped() {
    assert!(!cfg("http_proxy: http://192.0.2.3:3128\n").http_proxy.unwrap().value.credential);
    let parsed = parse("http_proxy: https://u:p@h\n");
    assert_eq!((parsed.value.http_proxy, parsed.issues.len()), (None, 1));
}

#[test]
fn migration_is_secure_by_default_and_a_bare_word_is_the_type() {
    assert_eq!(cfg("").effective_migration(), Transfer::Secure);
    assert_eq!(cfg("migration: insecure\n").effective_migration(), Transfer::Insecure);
    assert_eq!(cfg("migration: network=192.0.2.0/24,insecure\n").effective_migration(), Transfer::Insecure);
    assert_eq!(cfg("migration: secure\n").effective_migration(), Transfer::Secure);
}

#[test]
fn the_old_key_counts_only_without_the_new_one() {
    assert_eq!(cfg("migration_unsecure: yes\n").effective_migration(), Transfer::Insecure);
    assert_eq!(cfg("migration_unsecure: 1\nmigration: secure\n").effective_migration(), Transfer::Secure);
    assert_eq!(cfg("migration_unsecure: 0\nmigration: insecure\n").effective_migration(), Transfer::Insecure);
    // The new key is dropped as a whole, so the old one counts again.
    assert_eq!(
        cfg("migration_unsecure: 1\nmigration: type=bogus\n").effective_migration(),
        Transfer::Insecure
    );
}

#[test]
fn a_network_without_a_type_drops_the_key() {
    let parsed = parse("migration: network=192.0.2.0/24\n");
    assert_eq!((parsed.value.migration, parsed.issues.len()), (None, 1));
}

#[test]
fn the_last_line_of_a_key_counts_even_if_it_is_wrong() {
    let parsed = parse("migration: insecure\nmigration: nonsense\n");
    assert_eq!(parsed.value.effective_migration(), Transfer::Secure);
    assert_eq!(parsed.issues[0].line, 2);
    assert_eq!(cfg("migration: secure\nmigration: insecure\n").effective_migration(), Transfer::Insecure);
}

#[test]
fn wrong_property_strings_are_dropped_whole() {
    for value in
        ["type=Insecure", "type=", "insecure,secure", "type=secure,typ=x", "secure,network=10.0.0.0", "x y"]
    {
        let parsed = parse(&format!("migration: {value}\n"));
        assert_eq!((parsed.value.migration, parsed.issues.len()), (None, 1), "{value}");
    }
    assert!(cfg("migration: ,secure, ,\n").migration.is_some());
    assert!(cfg("migration: secure,network=10.0.0.0/7\n").migration.is_none());
}

#[test]
fn a_setting_inside_the_description_is_no_setting() {
    let found = cfg("#migration: insecure\n  # migration: insecure\n");
    assert_eq!((found.effective_migration(), found.description_lines), (Transfer::Secure, 1));
}

#[test]
fn unknown_keys_and_lines_are_issues_in_line_order() {
    let parsed = parse("zzz: 1\nno colon\nbad key: 1\nfencing: magic\nconsole:vv\n");
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(parsed.value.plain["console"].value, "vv");
}

#[test]
fn a_banner_is_a_fact_and_an_empty_one_is_none() {
    assert_eq!(cfg("consent-text: QXV0aG9yaXplZA==\n").consent_text_line, Some(1));
    assert_eq!(cfg("consent-text:\n").consent_text_line, None);
}

#[test]
fn the_switches_of_the_other_formats_are_read() {
    let found = cfg("notify: package-updates=never\nha: shutdown_policy=migrate\nu2f: appid=https://x\n\
                     webauthn: rp=a,allow-subdomains=off\nreplication: insecure\n");
    assert_eq!(found.package_updates.unwrap().value, "never");
    assert_eq!(found.shutdown_policy.unwrap().value, "migrate");
    assert_eq!(found.u2f.unwrap().value.appid.as_deref(), Some("https://x"));
    assert!(!found.webauthn.unwrap().value.allow_subdomains);
    assert_eq!(found.replication.unwrap().value.transfer, Transfer::Insecure);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn never_panics_on_any_text(text in "(migration|webauthn|http_proxy|[:=,;# \n\täa-c/@]|type|insecure){0,30}") {
        parse(&text);
    }

    #[test]
    fn insecure_is_found_in_any_order_of_the_sub_keys(first in any::<bool>(), bare in any::<bool>()) {
        let kind = if bare { "insecure" } else { "type=insecure" };
        let network = "network=2001:db8::/64";
        let value = if first { format!("{kind},{network}") } else { format!("{network},{kind}") };
        prop_assert_eq!(cfg(&format!("migration: {value}\n")).effective_migration(), Transfer::Insecure);
    }
}
