//! Assertions about files, mounts and simple settings.

use super::expect::unmet;
use crate::catalogue::{Expect, Missing};
use crate::checks::{Judged, Look};
use crate::files::{Meta, Text};
use crate::formats::mount_options::{self, MountOption};
use crate::formats::numbered;
use crate::host::system::mounts::{FSTAB, MOUNT_TABLE};
use crate::host::{Doubt, Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// What a file must be like.
pub(super) struct Wanted {
    pub(super) mode_at_most: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: &'static [u32],
    pub(super) missing: Missing,
}

/// `kind = "file"`: existence, mode and owner; links are followed.
pub(super) fn file(look: &Look<'_>, path: &str, wanted: &Wanted) -> Judged {
    let subject = Subject::new(SubjectKind::File, path);
    let meta = match look.host.files.stat(path) {
        Ok(meta) => meta,
        Err(trouble) if trouble.is_missing() => return missing(look, subject, path, wanted.missing),
        Err(trouble) => return Err(trouble.into()),
    };
    let mut wrong = Vec::new();
    wrong.extend(wanted.mode_at_most.and_then(|most| wrong_mode(path, &meta, most)));
    if wanted.uid.is_some() || !wanted.gid.is_empty() {
        match owners_are_kept(look) {
            Ok(()) => wrong.extend(wrong_owners(path, &meta, wanted)),
            Err(doubt) => look.doubt(doubt),
        }
    }
    let judgement = if wrong.is_empty() {
        Judgement::pass(format!("{path} is as it should be"))
    } else {
        let keys: Vec<String> = wrong.iter().filter_map(|evidence| evidence.key.clone()).collect();
        Judgement::fail(format!("{path} has the wrong {}", keys.join(" and ")))
    };
    look.one(subject, judgement.with_all(wrong))
}

/// Any bit outside of `most` is too much; the bits for set-user-id, set-group-id and sticky count as well.
fn wrong_mode(path: &str, meta: &Meta, most: u32) -> Option<Evidence> {
    let evidence = || Evidence::of(path).key("mode").observed(format!("{:04o}", meta.mode));
    (meta.mode & !most != 0).then(|| evidence().expected(format!("at most {most:04o}")))
}

fn wrong_owners(path: &str, meta: &Meta, wanted: &Wanted) -> Vec<Evidence> {
    let mut wrong = Vec::new();
    if let Some(uid) = wanted.uid.filter(|uid| meta.uid != *uid) {
        wrong.push(Evidence::of(path).key("owner").observed(meta.uid.to_string()).expected(uid.to_string()));
    }
    if !wanted.gid.is_empty() && !wanted.gid.contains(&meta.gid) {
        let expected = wanted.gid.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
        wrong.push(Evidence::of(path).key("group").observed(meta.gid.to_string()).expected(expected));
    }
    wrong
}

/// A tree that somebody but root has unpacked belongs to him from its root on: its owners tell nothing.
fn owners_are_kept(look: &Look<'_>) -> Result<(), Doubt> {
    match look.host.files.stat("/") {
        _ if look.host.is_live() => Ok(()),
        Ok(meta) if meta.uid == 0 => Ok(()),
        Ok(_) => Err(Doubt::about("/", "does not belong to root: this tree has not kept its owners")),
        Err(trouble) => Err(trouble.into()),
    }
}

fn missing(look: &Look<'_>, subject: Subject, path: &str, means: Missing) -> Judged {
    let summary = format!("{path} is missing");
    match means {
        Missing::NotApplicable => return Err(Stop::not_applicable(summary)),
        Missing::Unknown => return Err(Stop::unknown(path, "is missing")),
        Missing::Pass | Missing::Fail => {}
    }
    // Nothing was seen to be missing where the folder is not there either.
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    look.host.files.stat(if folder.is_empty() { "/" } else { folder })?;
    let judgement = if means == Missing::Fail {
        Judgement::fail(summary).with(Evidence::of(path))
    } else {
        Judgement::pass(summary)
    };
    look.one(subject, judgement)
}

/// `kind = "mount"`: options of a mount on the running host. A tree only tells what is configured: that may fail, but
/// it never passes.
pub(super) fn mount(look: &Look<'_>, path: &str, options: &[&str]) -> Judged {
    let subject = Subject::new(SubjectKind::File, path);
    if let Some(mounts) = look.take(look.host.mounts())? {
        let Some(mount) = mounts.table.at(path) else {
            return Err(Stop::not_applicable(format!("{path} is not a mount of its own")));
        };
        let lacking = lacking(options, |option| mount.has(option));
        let evidence = Evidence::at(mounts.path, mount.line).key(path);
        return look.one(subject, options_judged(path, options, &lacking, "is mounted", evidence));
    }
    let fstab = look.take(look.host.fstab())?;
    // The last line of a mount point is mounted on top of the others.
    if let Some(entry) = fstab.iter().rev().find(|entry| entry.target == path) {
        let lacking = lacking(options, |option| is_given(&entry.options, option));
        if !lacking.is_empty() {
            let evidence = Evidence::at(FSTAB, entry.line).key(path);
            return look.one(subject, options_judged(path, options, &lacking, "will be mounted", evidence));
        }
    }
    Err(Stop::unknown(MOUNT_TABLE, format!("is missing: how {path} is mounted shows only the live host")))
}

fn lacking<'o>(wanted: &[&'o str], given: impl Fn(&str) -> bool) -> Vec<&'o str> {
    wanted.iter().copied().filter(|option| !given(option)).collect()
}

/// Flags have opposites and groups that imply them; other options are just there.
fn is_given(options: &[MountOption], name: &str) -> bool {
    mount_options::flag(options, name).unwrap_or(false)
}

fn options_judged(path: &str, wanted: &[&str], lacking: &[&str], how: &str, evidence: Evidence) -> Judgement {
    if lacking.is_empty() {
        return Judgement::pass(format!("{path} {how} with {}", wanted.join(", "))).with(evidence);
    }
    let summary = format!("{path} {how} without {}", lacking.join(", "));
    Judgement::fail(summary).with(evidence.expected(wanted.join(",")))
}

/// Keys in a file of `key separator value` lines.
pub(super) struct Keys {
    /// The key and its default.
    pub(super) first: (&'static str, &'static str),
    /// Further ones.
    pub(super) also: &'static [(&'static str, &'static str)],
    pub(super) separator: char,
    pub(super) package: &'static str,
}

/// `kind = "option"`: the last line with the key counts; without one, or without the file, the default. Without its
/// package there is nothing to judge.
pub(super) fn option(look: &Look<'_>, path: &str, keys: &Keys, expect: &Expect) -> Judged {
    if !keys.package.is_empty() {
        let packages = look.take(look.host.packages())?;
        if packages.present(keys.package).is_none() {
            return Err(Stop::not_applicable(format!("{} is not installed", keys.package)));
        }
    }
    let fact: Fact<Text> = Fact::gather(&look.host.files, |gather| {
        if path.starts_with("/etc/pve/") {
            gather.take(look.host.cluster_files())?;
        }
        let text = gather.optional(path)?.unwrap_or_default();
        if text.trim().is_empty() {
            look.host.defaults_hold(gather, path);
        }
        if let Some((line, _)) = numbered(&text).find(|(_, line)| is_garbled(line, keys.separator)) {
            gather.doubt(Doubt::at(path, line, "is no line of a key and its value"));
        }
        Ok(text)
    });
    let doubt = fact.doubts.first().cloned();
    let text = look.own(fact)?;
    let all = std::iter::once(&keys.first).chain(keys.also);
    look.each(
        all,
        |(name, _)| Subject::new(SubjectKind::Setting, *name),
        |look, (name, default)| {
            let (line, value) = match last_value(&text, name, keys.separator) {
                Some((line, value)) => (Some(line), value),
                None => (None, *default),
            };
            let how = if line.is_some() { "is" } else { "is not set, the default is" };
            let shown = if value.is_empty() { "empty" } else { value };
            let evidence = Evidence { line, ..Evidence::of(path).key(*name).observed(shown) };
            let summary = format!("{name} {how} {shown}");
            match (unmet(look, expect, value), line, &doubt) {
                // The line that sets it may be in what was not read.
                (Some(_), None, Some(doubt)) => Err(Stop::Unknown(doubt.clone())),
                (Some(wanted), ..) => Ok(Judgement::fail(summary).with(evidence.expected(wanted))),
                (None, ..) => Ok(Judgement::pass(summary).with(evidence)),
            }
        },
    )
}

/// Whether a line is neither empty, nor a comment or the header of a section, nor a key with a value: it may be what a
/// damaged line has left.
fn is_garbled(line: &str, separator: char) -> bool {
    let text = line.trim();
    if text.is_empty() || text.starts_with(['#', ';', '[']) {
        return false;
    }
    split(text, separator).is_none() || text.chars().any(|c| c.is_control() && c != '\t')
}

fn last_value<'t>(text: &'t str, key: &str, separator: char) -> Option<(u32, &'t str)> {
    let value = |(number, line): (u32, &'t str)| {
        let (name, value) = split(line.trim(), separator)?;
        (name == key).then(|| (number, unquoted(value)))
    };
    numbered(text).filter_map(value).last()
}

/// Key and value of a line. A blank as the separator stands for any blanks and tabs.
fn split(line: &str, separator: char) -> Option<(&str, &str)> {
    let (name, value) = match separator {
        ' ' => line.split_once([' ', '\t'])?,
        separator => line.split_once(separator)?,
    };
    Some((name.trim(), value.trim()))
}

/// The text inside a pair of quotes.
fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}
