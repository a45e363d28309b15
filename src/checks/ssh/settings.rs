//! Single settings that are more than one word, and who may change them.

use std::collections::BTreeMap;

use super::evidence;
use super::keys::open_to_others;
use super::login::{LISTS, bound_to_hosts, is_let_in, of_connections, root_groups, seen, situations};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::sshd::{Attribute, Connection, Effective, MAIN_FILE, Situation, Source, is_everywhere};
use crate::host::Stop;
use crate::host::sshd::Sshd;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Folders in which whoever may write puts a configuration of his own.
const FOLDERS: [&str; 2] = ["/etc/ssh", "/etc/ssh/sshd_config.d"];

/// `MaxStartups` as CIS wants it: where refusing begins, and where all are refused.
const STARTUPS: (i64, i64) = (10, 60);

fn setting(keyword: &str) -> Subject {
    Subject::new(SubjectKind::Setting, keyword)
}

/// The configuration in force, with what leaves these settings open noted.
fn in_force<'h>(look: &Look<'h>, keywords: &[&str]) -> Result<(&'h Sshd, &'h Effective), Stop> {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    sshd.doubts_about(keywords).for_each(|doubt| look.doubt(doubt));
    Ok((sshd, config))
}

/// `ssh/root-login-from-everywhere`
pub(crate) fn root_login_from_everywhere(look: &Look<'_>) -> Judged {
    let (sshd, config) =
        in_force(look, &["permitrootlogin", "allowusers", "denyusers", "allowgroups", "denygroups"])?;
    let groups = root_groups(look, config)?;
    let connection = Connection { user: Some("root"), groups, ..Connection::default() };
    let situations = situations(sshd, config, &connection)?;
    let open = |situation: &Situation<'_>| {
        // A port, an address of this node or a group binds no client.
        let bound = situation.criteria().any(|criterion| {
            matches!(criterion.attribute, Attribute::Address | Attribute::Host)
                && !is_everywhere(&criterion.argument)
        });
        !bound
            && bound_to_hosts(situation, &connection).is_empty()
            && situation.value("permitrootlogin") != "no"
            && is_let_in(situation, &connection, config)
    };
    let takes_passwords = |situation: &Situation<'_>| situation.value("permitrootlogin") == "yes";
    let found = situations.each().find(|one| open(one) && takes_passwords(one));
    let judgement = if let Some(situation) = found.or_else(|| situations.each().find(open)) {
        // With a key it takes the key as well.
        let severity = if takes_passwords(&situation) { Severity::Medium } else { Severity::Low };
        Judgement::fail(format!(
            "root may log in from everywhere (PermitRootLogin is {}){}",
            situation.value("permitrootlogin"),
            of_connections(&situation)
        ))
        .severity(severity)
        .with_all(seen(sshd, &situation, &["permitrootlogin"]))
    } else {
        let base = situations.each().next();
        let found: Vec<Evidence> =
            base.iter().flat_map(|base| seen(sshd, base, &["permitrootlogin"])).collect();
        Judgement::pass("root may log in from named addresses only, or not at all").with_all(found)
    };
    look.one(Subject::node(), judgement)
}

/// `ssh/no-list-of-users`
pub(crate) fn no_list_of_users(look: &Look<'_>) -> Judged {
    let (sshd, config) = in_force(look, &LISTS)?;
    let listed = LISTS.iter().find_map(|keyword| Some((*keyword, config.value_of(keyword)?)));
    let judgement =
        match listed {
            Some((keyword, value)) => Judgement::pass(format!("{keyword} tells who may log in"))
                .with(evidence(sshd, keyword, &value.source, &value.text)),
            None => Judgement::fail(
                "every account with a shell may log in: no AllowUsers, AllowGroups, DenyUsers or DenyGroups",
            )
            .with(Evidence::of(&sshd.path).key("allowusers").observed("not set")),
        };
    look.one(setting("allowusers"), judgement)
}

/// `ssh/too-many-unauthenticated-connections`
pub(crate) fn too_many_unauthenticated_connections(look: &Look<'_>) -> Judged {
    let (sshd, config) = in_force(look, &["maxstartups"])?;
    let value =
        config.value_of("maxstartups").ok_or_else(|| Stop::unknown(&sshd.path, "has no MaxStartups"))?;
    let numbers: Vec<i64> = value.text.split(':').filter_map(|number| number.parse().ok()).collect();
    let [begin, _, full] = *numbers.as_slice() else {
        return Err(Stop::unknown(&sshd.path, "has a MaxStartups that is not understood"));
    };
    let judgement = Judgement::fail_if(
        begin > STARTUPS.0 || full > STARTUPS.1,
        format!(
            "sshd refuses connections nobody has logged in on only from {begin} of them on, all from {full} on"
        ),
        format!("sshd refuses all new connections from {full} on that nobody has logged in on"),
    );
    look.one(
        setting("maxstartups"),
        judgement.with(evidence(sshd, "maxstartups", &value.source, &value.text).expected("10:30:60")),
    )
}

/// `ssh/dead-sessions-stay`
pub(crate) fn dead_sessions_stay(look: &Look<'_>) -> Judged {
    let most = look.number("seconds");
    let (sshd, config) = in_force(look, &["clientaliveinterval", "clientalivecountmax"])?;
    let situations = situations(sshd, config, &Connection::default())?;
    let number =
        |situation: &Situation<'_>, keyword: &str| situation.value(keyword).parse::<i64>().unwrap_or(0);
    let stays = |situation: &Situation<'_>| {
        let (interval, count) =
            (number(situation, "clientaliveinterval"), number(situation, "clientalivecountmax"));
        interval == 0 || count == 0 || interval.saturating_mul(count) > most
    };
    let keywords = ["clientaliveinterval", "clientalivecountmax"];
    let judgement = if let Some(situation) = situations.each().find(stays) {
        Judgement::fail(format!(
            "a session whose client is gone does not end within {most} seconds (every {} seconds, {} times){}",
            situation.value("clientaliveinterval"),
            situation.value("clientalivecountmax"),
            of_connections(&situation)
        ))
        .with_all(seen(sshd, &situation, &keywords))
    } else {
        let base = situations.each().next();
        let found: Vec<Evidence> = base.iter().flat_map(|base| seen(sshd, base, &keywords)).collect();
        Judgement::pass(format!("a session whose client is gone ends within {most} seconds")).with_all(found)
    };
    look.one(setting("clientaliveinterval"), judgement)
}

/// `ssh/options-beside-the-configuration`
pub(crate) fn options_beside_the_configuration(look: &Look<'_>) -> Judged {
    let (sshd, config) = in_force(look, &[])?;
    let given = config.values.iter().filter_map(|(keyword, values)| {
        values.iter().find(|value| value.source == Source::CommandLine).map(|value| (*keyword, value))
    });
    // A port is one of the addresses, too.
    let mut found: Vec<Evidence> = given
        .filter(|(keyword, _)| *keyword != "listenaddress")
        .map(|(keyword, value)| {
            let text = if crate::formats::sshd::may_hold_secret(keyword) { "a command" } else { &value.text };
            evidence(sshd, keyword, &value.source, text)
        })
        .collect();
    if sshd.path != MAIN_FILE {
        found.push(Evidence::of(&sshd.options_path).key("-f").observed(&sshd.path).expected(MAIN_FILE));
    }
    let names: Vec<&str> = found.iter().filter_map(|one| one.key.as_deref()).collect();
    let judgement = if found.is_empty() {
        Judgement::pass("sshd is started without options that set anything")
            .with(Evidence::of(&sshd.options_path))
    } else {
        Judgement::fail(format!("sshd is started with options that win over its files: {}", names.join(", ")))
    };
    look.one(Subject::node(), judgement.with_all(found))
}

/// `ssh/configuration-writable`
pub(crate) fn configuration_writable(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    // Where sshd refuses the file, or a part was not read, more files may be included.
    if let Err(Stop::Unknown(doubt)) = sshd.in_force() {
        look.doubt(doubt);
    }
    let paths = sshd.files.iter().map(String::as_str).chain(FOLDERS);
    let present = paths.filter_map(|path| match look.host.files.stat(path) {
        Err(trouble) if trouble.is_missing() => None,
        answer => Some((path, answer)),
    });
    look.each(
        present,
        |(path, _)| Subject::new(SubjectKind::File, *path),
        |_, (path, answer)| {
            let meta = answer.as_ref().map_err(|trouble| Stop::from(trouble.clone()))?;
            let found =
                Evidence::of(*path).key("mode").observed(format!("{:04o}, uid {}", meta.mode, meta.uid));
            Ok(match open_to_others(meta) {
                Some(how) => Judgement::fail(how),
                None => Judgement::pass("only root may write it"),
            }
            .with(found))
        },
    )
}

/// `ssh/setting-swallowed-by-match`
pub(crate) fn setting_swallowed_by_match(look: &Look<'_>) -> Judged {
    let (sshd, config) = in_force(look, &[])?;
    let blocks = config.blocks.iter().filter(|block| !block.applies);
    // Of one file and one Match line.
    let mut swallowed: BTreeMap<&Source, Vec<Evidence>> = BTreeMap::new();
    for block in blocks {
        let (path, _) = sshd.place(&block.source);
        let own = block.settings.iter().filter(|line| sshd.place(&line.source).0 == path);
        let mut indented = false;
        let found = swallowed.entry(&block.source).or_default();
        for line in own {
            indented |= line.indented;
            if indented && !line.indented {
                let condition = format!("only on connections of `Match {}`", block.text.trim());
                found.push(evidence(sshd, line.keyword, &line.source, &condition));
            }
        }
    }
    if swallowed.is_empty() {
        return Err(Stop::not_applicable("no Match block is for some connections only"));
    }
    let name = |(source, _): &(&Source, Vec<Evidence>)| {
        let (path, line) = sshd.place(source);
        Subject::new(SubjectKind::Setting, format!("{path}:{}", line.unwrap_or_default()))
    };
    look.each(swallowed, name, |_, (_, found)| {
        let keys: Vec<&str> = found.iter().filter_map(|one| one.key.as_deref()).collect();
        Ok(if found.is_empty() {
            Judgement::pass("every line of the block looks like one")
        } else {
            Judgement::fail(format!(
                "{} looks like a setting for everybody and counts for the Match block above only",
                keys.join(", ")
            ))
        }
        .with_all(found.iter().take(super::MOST_EVIDENCE).cloned()))
    })
}
