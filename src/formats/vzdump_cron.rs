//! The old cluster-wide backup schedule: `/etc/pve/vzdump.cron`, linked from `/etc/cron.d/vzdump`.
//!
//! Follows `parse_vzdump_cron_config` of pve-guest-common's `PVE::VZDump::Common`. Up to Proxmox VE 7.0 all backup
//! jobs stood here; later releases still read the file and cron still runs it. Lines upstream cannot read are kept
//! as [`CronFile::opaque`]: cron may run them all the same.

use std::collections::BTreeSet;

use super::perl::{boolean_word, is_digits, is_space, split_list};
use super::property_string::Kind;
use super::release::Release;
use super::section_config::{Property, check};
use super::shell::words;
use super::vzdump::{Gathered, OPTIONS, Options};
use super::{Issue, Parsed, numbered};

/// The old backup schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CronFile {
    /// The jobs upstream reads.
    pub jobs: Vec<CronJob>,
    /// Lines that are neither a job, a comment nor a variable.
    pub opaque: Vec<u32>,
}

/// A backup job in the old schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronJob {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Whether it runs: the command is not `#vzdump`.
    pub enabled: bool,
    /// The hour.
    pub hour: u32,
    /// The minute.
    pub minute: u32,
    /// The days of the week, from 1 for Monday to 7 for Sunday.
    pub days: BTreeSet<u8>,
    /// What it backs up, where to, and how.
    pub options: Options,
}

/// Reads the old backup schedule as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<CronFile> {
    let mut found = Parsed::<CronFile>::default();
    for (number, line) in numbered(text) {
        let is_path =
            line.strip_prefix("PATH").is_some_and(|rest| rest.trim_start_matches(is_space).starts_with('='));
        if line.starts_with('#') || line.chars().all(is_space) || is_path {
            continue;
        }
        if let Some(job) = job(number, line, release, &mut found.issues) {
            found.value.jobs.push(job);
        } else {
            let what = "the line is no backup job upstream can read, cron may run it";
            found.value.opaque.push(number);
            found.issues.push(Issue::new(number, what));
        }
    }
    found
}

/// `minute hour * * days root [path/][#]vzdump arguments`
fn job(number: u32, line: &str, release: Release, issues: &mut Vec<Issue>) -> Option<CronJob> {
    if line.starts_with(is_space) {
        return None;
    }
    let mut rest = line;
    let mut next = || {
        let (word, tail) = rest.split_once(is_space)?;
        rest = tail.trim_start_matches(is_space);
        Some(word)
    };
    let (minute, hour, day, month, days, user) = (next()?, next()?, next()?, next()?, next()?, next()?);
    if !is_digits(minute) || !is_digits(hour) || (day, month, user) != ("*", "*", "root") {
        return None;
    }
    let (command, arguments) = rest.split_once(is_space).unwrap_or((rest, ""));
    let bare = command.strip_suffix("vzdump")?;
    let folder = bare.strip_suffix('#').unwrap_or(bare);
    let is_folder = folder.len() > 2 && folder.starts_with('/') && folder.ends_with('/');
    if !folder.is_empty() && !is_folder {
        return None;
    }
    let options = arguments_of(number, arguments, release, issues)?;
    Some(CronJob {
        line: number,
        enabled: !bare.ends_with('#'),
        hour: hour.parse().ok()?,
        minute: minute.parse().ok()?,
        days: days_of(days)?,
        options,
    })
}

/// The names of the days, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn day(word: &str) -> Option<u8> {
    (1..).zip(DAYS).find(|(_, name)| word.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

/// A list of days, ranges of names or numbers, where 0 and 7 are Sunday; `*` is every day.
fn days_of(text: &str) -> Option<BTreeSet<u8>> {
    if text == "*" {
        return Some((1..=7).collect());
    }
    let mut days = BTreeSet::new();
    for item in split_list(text) {
        match item.split_once('-') {
            Some((from, to)) => days.extend(day(from)?..=day(to)?),
            None => {
                days.insert(match item {
                    "0" | "7" => 7,
                    "1" | "2" | "3" | "4" | "5" | "6" => item.parse().ok()?,
                    _ => day(item)?,
                });
            }
        }
    }
    Some(days)
}

/// The options on the command line, or `None` if upstream cannot parse it.
fn arguments_of(number: u32, text: &str, release: Release, issues: &mut Vec<Issue>) -> Option<Options> {
    let mut gathered = Gathered::default();
    let mut guests = Vec::new();
    let words = words(text);
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            guests.push(word);
            continue;
        };
        let (name, given) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let property = find(name, release)?;
        let value = match (property.key.kind, given) {
            (_, Some(value)) => value,
            // The value of a boolean may be left out; the next word is its value unless it is an option.
            (Kind::Boolean, None) => words.next_if(|next| !next.starts_with('-')).unwrap_or("1"),
            (_, None) => words.next()?,
        };
        add(&mut gathered, issues, (property, value, number), release)?;
    }
    if !guests.is_empty() {
        add(&mut gathered, issues, (find("vmid", release)?, &guests.join(","), number), release)?;
    }
    Some(gathered.finish())
}

/// An option by its name or a unique beginning of it, in any case.
fn find(name: &str, release: Release) -> Option<&'static Property> {
    let name = name.to_ascii_lowercase();
    let known = || OPTIONS.iter().filter(|property| property.key.known_to(release));
    if let Some(exact) = known().find(|property| property.key.name == name) {
        return Some(exact);
    }
    let mut beginning = known().filter(|property| !name.is_empty() && property.key.name.starts_with(&name));
    beginning.next().filter(|_| beginning.next().is_none())
}

/// Adds an option. `None` if upstream cannot parse the line because of it.
fn add(
    gathered: &mut Gathered,
    issues: &mut Vec<Issue>,
    (property, text, line): (&'static Property, &str, u32),
    release: Release,
) -> Option<()> {
    let name = property.key.name;
    let text = match property.key.kind {
        Kind::Boolean => {
            if boolean_word(if text.is_empty() { "1" } else { text })? {
                "1"
            } else {
                "0"
            }
        }
        _ => text,
    };
    gathered.forget(property);
    match check(property, Some(text), release) {
        Ok(value) => gathered.add(property, value, line),
        // Property strings are parsed with the line, everything else is only checked when the backup runs.
        Err(_) if matches!(property.key.kind, Kind::Properties(_)) => return None,
        Err(why) => issues.push(Issue::new(line, format!("option `{name}` {why}, the backup fails"))),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Parsed<CronFile> {
        parse(text, Release::Pve9)
    }

    #[test]
    fn the_file_upstream_creates_holds_no_job() {
        let text = "# cluster wide vzdump cron schedule\n# Atomatically generated file - do not edit\n\n\
            PATH=\"/usr/sbin:/usr/bin:/sbin:/bin\"\n\n";
        assert_eq!(read(text), Parsed::default());
    }

    #[test]
    fn a_job_is_read_with_its_days_and_options() {
        let parsed = read(
            "30 2 * * 6,mon-wed root vzdump 100 101 --quiet 1 --mode snapshot --mailto 'a b' --storage nas\n",
        );
        assert_eq!(parsed.issues, []);
        let job = &parsed.value.jobs[0];
        assert!(job.enabled);
        assert_eq!((job.hour, job.minute), (2, 30));
        assert_eq!(job.days, BTreeSet::from([1, 2, 3, 6]));
        assert_eq!(job.options.guests, Some(vec![100, 101]));
        assert_eq!(job.options.storage.as_deref(), Some("nas"));
    }

    #[test]
    fn a_command_behind_a_hash_is_switched_off() {
        assert!(!read("0 1 * * * root #vzdump --all 1\n").value.jobs[0].enabled);
        let job = &read("0 1 * * * root /usr/bin/vzdump --all -mode=stop --stor local\n").value.jobs[0];
        assert!(job.enabled);
        assert_eq!((job.options.all, job.options.mode.as_deref()), (Some(true), Some("stop")));
        assert_eq!(job.options.storage.as_deref(), Some("local"));
    }

    #[test]
    fn lines_upstream_cannot_read_are_opaque() {
        for line in [
            "*/5 1 * * * root vzdump --all 1",
            "0 1 * * * root vzdump --nonsense 1",
            "0 1 * * * root vzdump --all maybe",
            "0 1 * * * root vzdump --prune-backups keep=1",
            "0 1 * * xyz root vzdump --all 1",
            "0 1 1 * * root vzdump --all 1",
            "0 1 * * * backup vzdump --all 1",
            "0 1 * * * root rsync",
            "MAILTO=root",
        ] {
            let parsed = read(line);
            assert_eq!(
                (parsed.value.jobs.len(), parsed.value.opaque.as_slice()),
                (0, [1].as_slice()),
                "{line}"
            );
            assert_eq!(parsed.issues.len(), 1, "{line}");
        }
    }

    #[test]
    fn sunday_is_zero_and_seven_and_every_day_is_a_star() {
        assert_eq!(days_of("0"), days_of("7"));
        assert_eq!(days_of("SUN"), days_of("7"));
        assert_eq!(days_of("*").unwrap().len(), 7);
        assert_eq!(days_of("sun-mon").unwrap().len(), 0);
        assert_eq!(days_of("8"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn parsing_never_panics(rest in ".{0,40}", any in ".{0,40}") {
            let _ = read(&format!("0 1 * * * root vzdump {rest}"));
            let _ = read(&any);
        }
    }
}
