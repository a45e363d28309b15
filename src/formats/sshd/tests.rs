//! What sshd makes of whole files.

use proptest::prelude::*;

use super::*;

/// The main file in these tests.
const MAIN: &str = "/etc/ssh/sshd_config";

/// Reads `text` with the files `files` (whole paths) to include.
fn read_with(text: &str, version: Version, files: &[(&str, Read)]) -> Effective {
    evaluate(MAIN, text, version, &mut |pattern| {
        let (front, back) = pattern.split_once('*').unwrap_or((pattern, ""));
        let hits = files.iter().filter(|(path, _)| path.starts_with(front) && path.ends_with(back));
        hits.map(|(path, read)| Included { path: (*path).to_owned(), read: read.clone() }).collect()
    })
}

fn read(text: &str, version: Version) -> Effective {
    read_with(text, version, &[])
}

/// `text` read as every release.
fn each(text: &str) -> [Effective; 3] {
    Version::ALL.map(|version| read(text, version))
}

fn text(contents: &str) -> Read {
    Read::Text(contents.to_owned())
}

/// The values of `keyword`, with blanks between.
fn values(effective: &Effective, keyword: &str) -> String {
    let texts: Vec<&str> = effective.values_of(keyword).iter().map(|value| value.text.as_str()).collect();
    texts.join(" ")
}

fn line_of(value: Option<&Value>) -> Option<(String, u32)> {
    match &value?.source {
        Source::File { path, line } => Some((path.to_string(), *line)),
        _ => None,
    }
}

#[test]
fn releases_are_known_by_package_debian_and_proxmox_version() {
    assert_eq!(Version::from_package("1:8.4p1-5+deb11u3"), Some(Version::V8_4));
    assert_eq!(Version::from_package("1:9.2p1-2+deb12u7"), Some(Version::V9_2));
    assert_eq!(Version::from_package("1:10.0p1-7+deb13u1"), Some(Version::V10_0));
    assert_eq!(Version::from_package("1:9.9p1-3"), None);
    assert_eq!(Version::from_package("rubbish"), None);
    assert_eq!(Version::from_debian(12), Some(Version::V9_2));
    assert_eq!(Version::from_pve(9), Some(Version::V10_0));
    assert_eq!(Version::from_pve(u32::MAX), None);
}

#[test]
fn an_empty_file_leaves_the_compiled_defaults() {
    for effective in each("") {
        assert!(effective.valid() && effective.complete);
        assert_eq!(values(&effective, "PermitRootLogin"), "without-password");
        assert_eq!(values(&effective, "UsePAM"), "no");
        assert_eq!(values(&effective, "listenaddress"), "[::]:22 0.0.0.0:22");
        assert_eq!(values(&effective, "kbdinteractiveauthentication"), "yes");
        assert_eq!(effective.value_of("port").unwrap().source, Source::Default);
        assert!(!effective.settings().contains_key("allowusers"));
    }
}

#[test]
fn the_first_line_wins_and_says_where_it_stands() {
    let effective = read("# x\nPermitRootLogin no\nPermitRootLogin yes\n", Version::V9_2);
    assert_eq!(values(&effective, "permitrootlogin"), "no");
    assert_eq!(line_of(effective.value_of("permitrootlogin")), Some((MAIN.to_owned(), 2)));
}

#[test]
fn a_drop_in_included_first_beats_the_main_file() {
    let files = [("/etc/ssh/sshd_config.d/10-a.conf", text("\nPermitRootLogin yes\n"))];
    let main = "Include sshd_config.d/*.conf\nPermitRootLogin no\n";
    let effective = read_with(main, Version::V10_0, &files);
    let place = line_of(effective.value_of("permitrootlogin"));
    assert_eq!(values(&effective, "permitrootlogin"), "yes");
    assert_eq!(place, Some(("/etc/ssh/sshd_config.d/10-a.conf".to_owned(), 2)));
}

#[test]
fn user_lists_add_up_and_max_startups_takes_the_last() {
    let effective = read("AllowUsers a\nMaxStartups 5:10:20\nAllowUsers b\nMaxStartups 7\n", Version::V9_2);
    assert_eq!(values(&effective, "allowusers"), "a b");
    // The percentage of the line before stays.
    assert_eq!(values(&effective, "maxstartups"), "7:10:7");
}

#[test]
fn no_with_a_capital_switches_user_environments_on() {
    for effective in each("PermitUserEnvironment No\n") {
        assert_eq!(values(&effective, "permituserenvironment"), "No");
    }
    for effective in each("PasswordAuthentication No\n") {
        assert_eq!(values(&effective, "passwordauthentication"), "no");
    }
}

#[test]
fn a_trailing_comment_is_none_in_the_middle_of_a_word() {
    let [old, middle, new] = each("MaxAuthTries 3#x\n");
    assert_eq!(values(&old, "maxauthtries"), "3");
    assert!(!middle.valid() && !new.valid());
}

#[test]
fn challenge_response_switches_keyboard_interactive_on_in_8_4() {
    let text = "KbdInteractiveAuthentication no\n";
    let [old, middle, _] = each(text);
    assert_eq!((values(&old, "kbdinteractiveauthentication"), old.valid()), ("yes".to_owned(), true));
    assert_eq!(values(&middle, "kbdinteractiveauthentication"), "no");
    let both = read("ChallengeResponseAuthentication no\n", Version::V8_4);
    assert_eq!(values(&both, "kbdinteractiveauthentication"), "no");
    let alias = read("ChallengeResponseAuthentication no\n", Version::V9_2);
    assert_eq!(values(&alias, "challengeresponseauthentication"), "no");
    assert_eq!(values(&alias, "kbdinteractiveauthentication"), "no");
}

#[test]
fn match_all_overrides_the_global_value() {
    for effective in each("PermitRootLogin no\nMatch all\nPermitRootLogin yes\n") {
        assert_eq!(values(&effective, "permitrootlogin"), "yes");
        assert!(effective.blocks[0].applies);
    }
}

#[test]
fn a_match_block_of_a_user_is_kept_as_data() {
    for effective in each("PermitRootLogin no\nMatch User root Address 10.0.0.0/8\nPermitRootLogin yes\n") {
        assert_eq!(values(&effective, "permitrootlogin"), "no");
        let (block, setting) = effective.set_in_match("permitrootlogin").next().unwrap();
        assert_eq!(block.text, "User root Address 10.0.0.0/8");
        assert_eq!(block.criteria[1].attribute, Attribute::Address);
        assert!(!block.applies);
        assert_eq!(setting.values, ["yes"]);
        assert_eq!(setting.source, Source::File { path: MAIN.into(), line: 3 });
    }
}

#[test]
fn an_alias_in_a_match_block_is_found_by_any_name() {
    let effective = read("Match User x\nPubkeyAcceptedKeyTypes +ssh-rsa\n", Version::V9_2);
    let (_, setting) = effective.set_in_match("PubkeyAcceptedAlgorithms").next().unwrap();
    assert_eq!(setting.keyword, "pubkeyacceptedalgorithms");
    assert_eq!(setting.values.last().map(String::as_str), Some("ssh-rsa"));
    assert_eq!(effective.set_in_match("nonsense").count(), 0);
}

#[test]
fn a_global_keyword_in_a_match_block_stops_sshd_unless_the_block_always_applies() {
    for effective in each("Match User x\nUsePAM yes\n") {
        assert!(!effective.valid());
        assert_eq!(effective.problems[0].source, Source::File { path: MAIN.into(), line: 2 });
    }
    for effective in each("Match all\nUsePAM yes\n") {
        assert!(effective.valid());
        assert_eq!(values(&effective, "usepam"), "yes");
    }
}

#[test]
fn a_match_block_ends_with_the_included_file() {
    let files = [("/etc/ssh/a", text("Match User x\nPermitRootLogin yes\n"))];
    for version in Version::ALL {
        let effective = read_with("Include a\nUsePAM yes\n", version, &files);
        assert!(effective.valid());
        assert_eq!(values(&effective, "usepam"), "yes");
    }
}

#[test]
fn a_block_brought_in_by_a_block_needs_that_one_too() {
    let files = [("/etc/ssh/a", text("Match all\nPermitRootLogin yes\n"))];
    let effective = read_with("Match User x\nInclude a\nPermitTTY no\n", Version::V9_2, &files);
    assert_eq!(values(&effective, "permitrootlogin"), "without-password");
    let [outer, inner] = effective.blocks.as_slice() else { panic!("two blocks") };
    assert_eq!((outer.within, inner.within, inner.applies), (None, Some(0), false));
    assert_eq!(outer.settings[0].keyword, "permittty");
    assert!(inner.settings[0].order < outer.settings[0].order);
}

#[test]
fn set_env_in_a_match_block_has_no_effect_in_8_4() {
    let [old, middle, _] = each("SetEnv A=1\nMatch all\nSetEnv B=2\n");
    assert_eq!(values(&old, "setenv"), "A");
    assert_eq!(values(&middle, "setenv"), "B");
}

#[test]
fn any_authentication_method_after_a_list_stops_9_2_only() {
    let [old, middle, new] =
        each("AuthenticationMethods publickey\nMatch User x\nAuthenticationMethods any\n");
    assert!(old.valid() && !middle.valid() && new.valid());
}

#[test]
fn any_authentication_method_after_a_list_in_a_match_block_ends_connections_of_9_2_only() {
    let about_methods = |effective: &Effective| {
        let mut open =
            effective.problems.iter().filter(|problem| problem.setting == Some("authenticationmethods"));
        open.any(|problem| !problem.stops)
    };
    let found = |text: &str| each(text).map(|effective| (effective.valid(), about_methods(&effective)));
    let late = "Match User x\nAuthenticationMethods publickey\nAuthenticationMethods any\n";
    assert_eq!(found(late), [(true, false), (true, true), (true, false)]);
    let apart = "Match User x\nAuthenticationMethods publickey\nMatch User y\nAuthenticationMethods any\n";
    assert_eq!(found(apart), [(true, false); 3]);
    let first = "Match User x\nAuthenticationMethods any\nAuthenticationMethods publickey\n";
    assert_eq!(found(first), [(true, false); 3]);
}

#[test]
fn a_principals_command_is_lost_behind_a_keys_command_in_9_2_only() {
    let text = "AuthorizedKeysCommand /a\nAuthorizedKeysCommandUser u\n\
                AuthorizedPrincipalsCommand /b\nAuthorizedPrincipalsCommandUser u\n";
    let found = each(text).map(|effective| values(&effective, "authorizedprincipalscommand"));
    assert_eq!(found, ["/b", "none", "/b"]);
}

#[test]
fn a_command_without_its_user_stops_sshd() {
    for effective in each("AuthorizedKeysCommand /bin/x\n") {
        assert!(!effective.valid());
    }
}

#[test]
fn required_methods_must_be_enabled() {
    for effective in each("AuthenticationMethods password\nPasswordAuthentication no\n") {
        assert!(!effective.valid());
    }
    for effective in each("AuthenticationMethods password publickey\nPasswordAuthentication no\n") {
        assert!(effective.valid());
    }
}

#[test]
fn a_subsystem_twice_stops_sshd_before_10_0() {
    let valid = each("Subsystem sftp /a\nSubsystem sftp /b\n").map(|effective| effective.valid());
    assert_eq!(valid, [false, false, true]);
}

#[test]
fn keywords_come_and_go_with_releases() {
    let valid = |text| each(text).map(|effective| effective.valid());
    assert_eq!(valid("PubkeyAcceptedAlgorithms +ssh-rsa\n"), [false, true, true]);
    assert_eq!(valid("RequiredRSASize 2048\n"), [false, true, true]);
    assert_eq!(valid("PerSourcePenalties no\n"), [false, false, true]);
    assert_eq!(valid("Bogus x\n"), [false, false, false]);
}

#[test]
fn deprecated_lines_are_named_and_harmless() {
    for effective in each("Protocol 2\nUsePrivilegeSeparation sandbox\n") {
        assert!(effective.valid() && effective.problems.is_empty());
        assert_eq!(effective.ignored.len(), 2);
        assert_eq!(effective.ignored[1].keyword, "useprivilegeseparation");
    }
}

#[test]
fn an_unread_include_leaves_everything_open() {
    let files = [("/etc/ssh/a", Read::Unread("permission denied".to_owned()))];
    let effective = read_with("Include a\nPermitRootLogin yes\n", Version::V9_2, &files);
    assert!(effective.valid() && !effective.complete);
    assert!(effective.problems[0].what.contains("permission denied"));
}

#[test]
fn a_dangling_include_stops_sshd() {
    let effective = read_with("Include a\n", Version::V9_2, &[("/etc/ssh/a", Read::Missing)]);
    assert!(!effective.valid() && effective.complete);
}

#[test]
fn a_tilde_in_an_include_is_not_expanded() {
    let mut asked = Vec::new();
    evaluate(MAIN, "Include ~/x /a b/*.conf\n", Version::V9_2, &mut |pattern| {
        asked.push(pattern.to_owned());
        Vec::new()
    });
    assert_eq!(asked, ["/~/x", "/a", "/etc/ssh/b/*.conf"]);
}

#[test]
fn a_pattern_is_expanded_once() {
    let mut asked = 0;
    let effective = evaluate(MAIN, "Include a\nInclude a\n", Version::V9_2, &mut |_| {
        asked += 1;
        vec![Included { path: "/etc/ssh/a".to_owned(), read: text("AllowUsers x\n") }]
    });
    assert_eq!((asked, values(&effective, "allowusers").as_str()), (1, "x x"));
}

#[test]
fn sixteen_includes_deep_is_fine_and_seventeen_is_not() {
    let chain = |depth: usize| {
        evaluate(MAIN, "Include 1\n", Version::V9_2, &mut |pattern| {
            let level: usize = pattern.rsplit('/').next().unwrap().parse().unwrap();
            let next =
                if level < depth { format!("Include {}\n", level + 1) } else { "UsePAM yes\n".to_owned() };
            vec![Included { path: pattern.to_owned(), read: Read::Text(next) }]
        })
    };
    assert_eq!((chain(16).valid(), values(&chain(16), "usepam").as_str()), (true, "yes"));
    assert!(!chain(17).valid());
}

#[test]
fn files_that_include_each_other_many_times_end_the_reading() {
    // Each level includes the next ten times: ten to the sixteenth files without a limit.
    let effective = evaluate(MAIN, "Include 1\n", Version::V9_2, &mut |pattern| {
        let level: usize = pattern.rsplit('/').next().unwrap().parse().unwrap();
        let text = if level < 16 { format!("Include {}\n", level + 1).repeat(10) } else { String::new() };
        vec![Included { path: pattern.to_owned(), read: Read::Text(text) }]
    });
    assert!(!effective.complete);
}

#[test]
fn the_command_line_beats_the_file_where_the_first_wins() {
    let options = CommandLine::from_sshd_opts("-o PermitRootLogin=no -o AllowUsers=x -p 2222");
    let main = "Port 22\nPermitRootLogin yes\nAllowUsers y\n";
    let effective =
        evaluate_with(&options, &Specification::default(), MAIN, main, Version::V9_2, &mut |_| Vec::new());
    assert_eq!(values(&effective, "permitrootlogin"), "no");
    assert_eq!(effective.value_of("permitrootlogin").unwrap().source, Source::CommandLine);
    assert_eq!(values(&effective, "allowusers"), "x y");
    assert_eq!(values(&effective, "listenaddress"), "[::]:2222 0.0.0.0:2222");
}

#[test]
fn the_value_of_an_environment_variable_never_leaves_the_parser() {
    let secret = "hunter2";
    for line in
        ["SetEnv A=hunter2", "SetEnv A=1 hunter2", "Match User x\nSetEnv B=hunter2", "SetEnv \"A=hunter2"]
    {
        for effective in each(&format!("{line}\n")) {
            assert!(!format!("{effective:?}").contains(secret), "{line}");
        }
    }
    for option in ["-oSetEnv=A=hunter2", "-o 'SetEnv \"A=hunter2'", "-o 'Bogus hunter2'"] {
        let options = CommandLine::from_sshd_opts(option);
        let effective =
            evaluate_with(&options, &Specification::default(), MAIN, "", Version::V9_2, &mut |_| Vec::new());
        assert!(!format!("{options:?}{effective:?}").contains(secret), "{option}");
    }
}

#[test]
fn a_star_to_listen_on_is_the_host_itself() {
    for (text, printed) in [
        ("ListenAddress *\n", "127.0.0.1:22 [::1]:22"),
        ("AddressFamily inet\nListenAddress *:2222\n", "127.0.0.1:2222"),
        ("AddressFamily inet6\nListenAddress *\n", "[::1]:22"),
    ] {
        let effective = read(text, Version::V10_0);
        assert!(effective.valid() && effective.problems.is_empty(), "{text}");
        assert_eq!(values(&effective, "listenaddress"), printed);
    }
}

#[test]
fn a_host_name_to_listen_on_stays_open() {
    let effective = read("ListenAddress node1\n", Version::V9_2);
    assert!(effective.valid());
    assert_eq!(effective.problems.len(), 1);
    assert_eq!(values(&effective, "listenaddress"), "node1:22");
}

#[test]
fn penalties_print_every_part_and_a_part_switches_them_on() {
    let effective =
        read("PerSourcePenalties authfail:1m overflow:deny-all\nPerSourcePenalties no\n", Version::V10_0);
    let printed = values(&effective, "persourcepenalties");
    assert!(printed.contains("authfail:60") && printed.contains("overflow6:deny-all"), "{printed}");
    let off = read("PerSourcePenalties no\nPerSourcePenalties yes\n", Version::V10_0);
    assert_eq!(values(&off, "persourcepenalties"), "no");
}

#[test]
fn an_algorithm_list_that_fails_only_in_its_match_block_is_reported_and_does_not_stop_sshd() {
    let effective = read("Match User x\nPubkeyAcceptedAlgorithms !ssh-rsa\n", Version::V9_2);
    assert!(effective.valid());
    assert_eq!(effective.problems.len(), 1);
}

#[test]
fn match_version_is_known_in_10_0_and_compares_with_the_release() {
    let [old, middle, new] = each("Match version OpenSSH_10.*\nPermitRootLogin no\n");
    assert!(!old.valid() && !middle.valid() && new.valid());
    assert_eq!(values(&new, "permitrootlogin"), "no");
}

#[test]
fn a_bad_mask_in_a_match_line_stops_sshd() {
    for effective in each("Match Address 10.0.10.5/24\nPermitRootLogin no\n") {
        assert!(!effective.valid());
        assert!(effective.blocks[0].criteria.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(main in "(?s).{0,200}", other in "(?s).{0,100}") {
        for version in Version::ALL {
            let main = format!("{main}\nInclude x\n");
            let effective = read_with(&main, version, &[("/etc/ssh/x", Read::Text(other.clone()))]);
            prop_assert!(!effective.values_of("port").is_empty());
        }
    }

    #[test]
    fn any_arguments_of_any_keyword_are_read_without_a_panic(
        at in any::<prop::sample::Index>(),
        rest in "[a-z0-9 ,:=+^!*@/.\"'\\\\#~\\[\\]-]{0,40}",
    ) {
        for version in Version::ALL {
            let names: Vec<&str> = defaults::all(version).map(|(name, _)| name).collect();
            let name = *at.get(&names);
            let effective = read(&format!("{name} {rest}\nMatch {rest}\n{name} {rest}\n"), version);
            prop_assert!(effective.blocks.len() == 1 || !effective.valid());
        }
    }

    #[test]
    fn a_setting_without_problems_comes_from_a_line_or_is_the_default(lines in prop::collection::vec(0..4_u8, 0..8)) {
        let texts = ["PermitRootLogin no", "PermitRootLogin yes", "# PermitRootLogin no", "UsePAM yes"];
        let main = lines.iter().map(|at| texts[usize::from(*at)]).collect::<Vec<_>>().join("\n");
        let first = lines.iter().position(|at| *at < 2);
        let effective = read(&main, Version::V10_0);
        let line = line_of(effective.value_of("permitrootlogin")).map(|(_, line)| line);
        prop_assert_eq!(line, first.map(|at| u32::try_from(at).unwrap() + 1));
        let wanted = first.map_or("without-password", |at| if lines[at] == 0 { "no" } else { "yes" });
        prop_assert_eq!(values(&effective, "permitrootlogin"), wanted);
    }
}
