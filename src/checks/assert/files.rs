//! Assertions about files, mounts and simple settings.

use super::expect::unmet;
use crate::catalogue::{Expect, Missing};
use crate::checks::{Judged, Look};
use crate::formats::mount_options::MountOption;
use crate::formats::numbered;
use crate::host::{Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// What a file must be like.
pub(super) struct Wanted {
    pub(super) mode_at_most: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: &'static [u32],
    pub(super) missing: Missing,
}

/// `kind = "file"`: existence, mode and owner.
pub(super) fn file(look: &Look<'_>, path: &str, wanted: &Wanted) -> Judged {
    let subject = Subject::new(SubjectKind::File, path);
    let meta = match look.host.files.stat(path) {
        Ok(meta) => meta,
        Err(trouble) if trouble.is_missing() => return missing(look, subject, path, wanted.missing),
        Err(trouble) => return Err(trouble.into()),
    };
    let mut judgement = Judgement::pass(format!("{path} is as it should be"));
    let mut wrong = Vec::new();
    if let Some(mode) = wanted.mode_at_most.filter(|mode| meta.mode & !mode != 0) {
        wrong.push(
            Evidence::of(path)
                .key("mode")
                .observed(format!("{:04o}", meta.mode))
                .expected(format!("at most {mode:04o}")),
        );
    }
    if let Some(uid) = wanted.uid.filter(|uid| meta.uid != *uid) {
        wrong.push(Evidence::of(path).key("owner").observed(meta.uid.to_string()).expected(uid.to_string()));
    }
    if !wanted.gid.is_empty() && !wanted.gid.contains(&meta.gid) {
        let expected = wanted.gid.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
        wrong.push(Evidence::of(path).key("group").observed(meta.gid.to_string()).expected(expected));
    }
    if !wrong.is_empty() {
        let keys: Vec<String> = wrong.iter().filter_map(|evidence| evidence.key.clone()).collect();
        judgement = Judgement::fail(format!("{path} has the wrong {}", keys.join(" and ")));
    }
    look.one(subject, judgement.with_all(wrong))
}

fn missing(look: &Look<'_>, subject: Subject, path: &str, means: Missing) -> Judged {
    let summary = format!("{path} is missing");
    match means {
        Missing::Pass => look.one(subject, Judgement::pass(summary)),
        Missing::Fail => look.one(subject, Judgement::fail(summary).with(Evidence::of(path))),
        Missing::NotApplicable => Err(Stop::not_applicable(summary)),
    }
}

/// `kind = "mount"`: options of a mount; of the running host, else as `/etc/fstab` configures them.
pub(super) fn mount(look: &Look<'_>, path: &str, options: &[&str]) -> Judged {
    let subject = Subject::new(SubjectKind::File, path);
    if let Some(table) = look.take(look.host.mounts())? {
        let Some(mount) = table.at(path) else {
            return Err(Stop::not_applicable(format!("{path} is not a mount of its own")));
        };
        let given: Vec<&MountOption> = mount.options.iter().chain(&mount.super_options).collect();
        return look.one(subject, options_judged(path, &given, options, "/proc/1/mountinfo", mount.line));
    }
    let fstab = look.take(look.host.fstab())?;
    let Some(entry) = fstab.iter().rev().find(|entry| entry.target == path) else {
        return Err(Stop::unknown(
            "/proc/1/mountinfo",
            format!("is missing: how {path} is mounted shows only the live host"),
        ));
    };
    let given: Vec<&MountOption> = entry.options.iter().collect();
    look.one(subject, options_judged(path, &given, options, "/etc/fstab", entry.line))
}

fn options_judged(path: &str, given: &[&MountOption], wanted: &[&str], source: &str, line: u32) -> Judgement {
    let lacking: Vec<&str> =
        wanted.iter().copied().filter(|wanted| !given.iter().any(|option| option.name == *wanted)).collect();
    let evidence = Evidence::at(source, line).key(path);
    if lacking.is_empty() {
        return Judgement::pass(format!("{path} is mounted with {}", wanted.join(", "))).with(evidence);
    }
    let summary = format!("{path} is mounted without {}", lacking.join(", "));
    Judgement::fail(summary).with(evidence.expected(wanted.join(",")))
}

/// A key in a file of `key separator value` lines.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) separator: char,
    pub(super) default: &'static str,
}

/// `kind = "option"`: the last line with the key counts; without one, or without the file, the default.
pub(super) fn option(look: &Look<'_>, path: &str, key: &Key, expect: &Expect) -> Judged {
    let fact: Fact<Option<(u32, String)>> = Fact::gather(&look.host.files, |gather| {
        if path.starts_with("/etc/pve/") {
            gather.take(look.host.cluster_files())?;
        }
        Ok(gather.optional(path)?.and_then(|text| last_value(&text, key)))
    });
    let found = look.own(fact)?;
    let (line, value) = match found {
        Some((line, value)) => (Some(line), value),
        None => (None, key.default.to_owned()),
    };
    let how = if line.is_some() { "is" } else { "is not set, the default is" };
    let shown = if value.is_empty() { "empty" } else { &value };
    let evidence = Evidence { line, ..Evidence::of(path).key(key.name).observed(shown) };
    let judgement = match unmet(look, expect, &value) {
        Some(wanted) => {
            Judgement::fail(format!("{} {how} {shown}", key.name)).with(evidence.expected(wanted))
        }
        None => Judgement::pass(format!("{} {how} {shown}", key.name)).with(evidence),
    };
    look.one(Subject::new(SubjectKind::Setting, key.name), judgement)
}

fn last_value(text: &str, key: &Key) -> Option<(u32, String)> {
    let value = |(number, line): (u32, &str)| {
        let (name, value) = line.trim().split_once(key.separator)?;
        (name.trim() == key.name).then(|| (number, value.trim().trim_matches('"').to_owned()))
    };
    numbered(text).filter(|(_, line)| !line.trim_start().starts_with('#')).filter_map(value).last()
}
