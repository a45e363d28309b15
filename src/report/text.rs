//! The report for people: what is wrong first, grouped by severity, with the fix.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::{CheckResult, EvidenceInfo, Finding, Mode, Report, SubjectInfo, UnknownResult};
use crate::catalogue::Severity;
use crate::outcome::SubjectKind;

/// Lines are wrapped for a terminal of this many columns.
const WIDTH: usize = 96;

/// How many subjects of one check are shown without `-v`.
const SUBJECTS_SHOWN: usize = 8;

/// How many places of evidence are shown without `-v`.
const PLACES_SHOWN: usize = 3;

/// How the report is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// With colour (never the only carrier of meaning).
    pub colour: bool,
    /// Every subject, every place, every check.
    pub verbose: bool,
}

/// Writes the report as text for a terminal, a mail or a ticket.
pub fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer { report, style, out };
    writer.head()?;
    writer.findings()?;
    writer.unknowns()?;
    if style.verbose {
        writer.every_check()?;
    }
    writer.summary()
}

struct Writer<'r, 'w> {
    report: &'r Report,
    style: Style,
    out: &'w mut dyn Write,
}

impl Writer<'_, '_> {
    fn head(&mut self) -> io::Result<()> {
        let host = &self.report.host;
        let mut parts = vec![format!("pve-audit {}", self.report.tool.version)];
        parts.push(host.name.clone().unwrap_or_else(|| "unnamed host".to_owned()));
        match (&host.pve_version, host.pve_release, host.proxmox) {
            (Some(version), ..) => parts.push(format!("Proxmox VE {version}")),
            (None, Some(release), _) => parts.push(format!("Proxmox VE {release}")),
            (None, None, Some(true)) => parts.push("Proxmox VE of unknown release".to_owned()),
            (None, None, Some(false)) => parts.push("no Proxmox VE node".to_owned()),
            (None, None, None) => {
                parts.push("it could not be told whether this is a Proxmox VE node".to_owned());
            }
        }
        if let Some(os) = &host.os {
            parts.push(
                format!("{} {}", os.id, os.version.as_deref().unwrap_or_default()).trim_end().to_owned(),
            );
        }
        if let Some(kernel) = &host.kernel {
            parts.push(format!("kernel {kernel}"));
        }
        writeln!(self.out, "{}", parts.join(" · "))?;
        let how = match (self.report.run.mode, &self.report.run.root) {
            (Mode::Offline, Some(root)) => format!("the tree {root}"),
            _ => "the running host".to_owned(),
        };
        let over = self.report.run.overlay.as_ref();
        let how = over.map_or_else(|| how.clone(), |over| format!("{how} with {over} laid over it"));
        writeln!(self.out, "audited {how} at {}", self.report.run.started_at)?;
        if let Some(database) = &self.report.run.cluster_database {
            writeln!(
                self.out,
                "the cluster file system is not mounted: the files below /etc/pve are those in {database}"
            )?;
        }
        if self.report.run.euid != 0 {
            writeln!(self.out, "not run as root: what only root may read ends as unknown")?;
        }
        Ok(())
    }

    fn findings(&mut self) -> io::Result<()> {
        let mut severity = None;
        let mut said: BTreeMap<&str, &str> = BTreeMap::new();
        for groups in
            by_fix(&self.report.findings, |check| self.check(check).and_then(|check| check.remediation))
        {
            let Some(first) = groups.first().and_then(|group| group.first()) else { continue };
            if severity != Some(first.severity) {
                severity = Some(first.severity);
                self.severity_heading(first.severity)?;
            }
            for group in &groups {
                self.group(group)?;
            }
            let fix = self.check(first.check).and_then(|check| check.remediation);
            let Some(fix) = fix else { continue };
            let of_these =
                if groups.len() > 1 { format!("Fix of these {}", groups.len()) } else { "Fix".to_owned() };
            match said.get(fix) {
                Some(check) => {
                    self.wrapped(&format!("    {of_these}: "), "    ", &format!("as for {check} above"))?;
                }
                None => self.prose(&format!("{of_these}: "), fix)?,
            }
            said.entry(fix).or_insert(first.check);
        }
        Ok(())
    }

    fn severity_heading(&mut self, severity: Severity) -> io::Result<()> {
        let count = self.report.findings.iter().filter(|finding| finding.severity == severity).count();
        let heading = format!("{} ({count})", severity_word(severity).to_uppercase());
        let painted = self.paint(severity_colour(severity), &heading);
        writeln!(self.out, "\n{painted}")
    }

    /// All findings of one check at one severity.
    fn group(&mut self, group: &[Finding]) -> io::Result<()> {
        let Some(first) = group.first() else { return Ok(()) };
        let title = self.paint("1", first.title);
        writeln!(self.out, "\n  {title}")?;
        writeln!(self.out, "  {}", first.check)?;
        let alike = alike(group);
        let shown = if self.style.verbose { alike.len() } else { SUBJECTS_SHOWN };
        for findings in alike.iter().take(shown) {
            self.alike(findings)?;
        }
        let hidden: usize = alike.iter().skip(shown).map(Vec::len).sum();
        if hidden > 0 {
            writeln!(self.out, "    - and {hidden} more (-v shows them all)")?;
        }
        Ok(())
    }

    /// Findings that say the same of several subjects.
    fn alike(&mut self, findings: &[&Finding]) -> io::Result<()> {
        let Some(first) = findings.first() else { return Ok(()) };
        let subjects = findings.iter().map(|finding| subject_words(&finding.subject));
        let subjects: Vec<String> = subjects.filter(|words| !words.is_empty()).collect();
        let shown = if self.style.verbose { subjects.len() } else { SUBJECTS_SHOWN };
        let more = match subjects.len().saturating_sub(shown) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let subjects = subjects.into_iter().take(shown).collect::<Vec<_>>().join(", ");
        let lead = if subjects.is_empty() { String::new() } else { format!("{subjects}{more}: ") };
        self.wrapped("    - ", "      ", &format!("{lead}{}", first.message))?;
        let mut seen = BTreeSet::new();
        let places = findings.iter().flat_map(|finding| &finding.evidence).map(evidence_words);
        let places: Vec<String> = places.filter(|place| seen.insert(place.clone())).collect();
        let unkept: usize = findings
            .iter()
            .map(|finding| finding.evidence_total.saturating_sub(finding.evidence.len()))
            .sum();
        self.places(&places, unkept)
    }

    /// Places of evidence, and how many more there are beside those that were `unkept`.
    fn places(&mut self, places: &[String], unkept: usize) -> io::Result<()> {
        let shown = if self.style.verbose { places.len() } else { places.len().min(PLACES_SHOWN) };
        for place in places.iter().take(shown) {
            self.wrapped("      ", "        ", place)?;
        }
        let hidden = places.len() - shown + unkept;
        if hidden > 0 {
            let places = if hidden == 1 { "place" } else { "places" };
            writeln!(self.out, "      … {hidden} more {places}")?;
        }
        Ok(())
    }

    fn unknowns(&mut self) -> io::Result<()> {
        if self.report.unknowns.is_empty() {
            return Ok(());
        }
        let heading = self.paint("36", &format!("UNKNOWN ({})", self.report.unknowns.len()));
        writeln!(self.out, "\n{heading}\n")?;
        for (cause, checks) in by_cause(&self.report.unknowns, self.report.run.mode) {
            self.wrapped("  ", "  ", &format!("{cause}:"))?;
            for (check, subjects) in checks {
                let shown = subjects.iter().take(SUBJECTS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
                let more = if subjects.len() > SUBJECTS_SHOWN { ", …" } else { "" };
                let subjects = if shown.is_empty() { String::new() } else { format!(" ({shown}{more})") };
                self.wrapped("    - ", "      ", &format!("{check}{subjects}"))?;
            }
        }
        Ok(())
    }

    fn every_check(&mut self) -> io::Result<()> {
        writeln!(self.out, "\nEVERY CHECK\n")?;
        for check in &self.report.checks {
            let reason = check.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let verdict = format!("  {:<14} ", check.verdict.name());
            self.wrapped(&verdict, "                 ", &format!("{}{reason}", check.id))?;
        }
        Ok(())
    }

    fn summary(&mut self) -> io::Result<()> {
        let heading = self.paint("1", "SUMMARY");
        writeln!(self.out, "\n{heading}\n")?;
        writeln!(self.out, "  area         checks   pass   fail  unknown  n/a   worst finding")?;
        for (area, row) in &self.report.summary.areas {
            let name = format!("{area:?}").to_lowercase();
            let c = row.checks;
            let f = row.findings;
            let worst = [
                (f.critical, Severity::Critical),
                (f.high, Severity::High),
                (f.medium, Severity::Medium),
                (f.low, Severity::Low),
                (f.info, Severity::Info),
            ];
            let worst =
                worst.iter().find(|(count, _)| *count > 0).map_or("-", |(_, word)| severity_word(*word));
            writeln!(
                self.out,
                "  {name:<12} {:>6} {:>6} {:>6} {:>8} {:>4}   {worst}",
                c.total, c.pass, c.fail, c.unknown, c.not_applicable
            )?;
        }
        self.totals()
    }

    fn totals(&mut self) -> io::Result<()> {
        let f = self.report.summary.findings;
        let c = self.report.summary.checks;
        writeln!(
            self.out,
            "\n  {} findings: {} critical, {} high, {} medium, {} low, {} info",
            f.total, f.critical, f.high, f.medium, f.low, f.info
        )?;
        let score = self
            .report
            .summary
            .score
            .value
            .map(|value| format!(" · score {value} of 100"))
            .unwrap_or_default();
        writeln!(
            self.out,
            "  {} checks: {} failed, {} passed, {} unknown, {} not applicable{score}",
            c.total, c.fail, c.pass, c.unknown, c.not_applicable
        )?;
        let unread = self.report.inputs.iter().filter(|input| !matches!(input.status, "ok" | "missing"));
        let unread: Vec<&str> = unread.map(|input| input.path.as_str()).collect();
        if !unread.is_empty() {
            let shown = unread.iter().take(SUBJECTS_SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = if unread.len() > SUBJECTS_SHOWN { ", …" } else { "" };
            self.wrapped("  ", "  ", &format!("{} inputs could not be read: {shown}{more}", unread.len()))?;
        }
        if let Some(first) = self.report.findings.first() {
            writeln!(self.out, "  more on a check: pve-audit explain {}", first.check)?;
        }
        Ok(())
    }

    fn check(&self, id: &str) -> Option<&CheckResult> {
        self.report.checks.iter().find(|check| check.id == id)
    }

    /// Prose of the catalogue: paragraphs are wrapped anew, indented lines (commands, file lines) are kept.
    fn prose(&mut self, lead: &str, text: &str) -> io::Result<()> {
        let mut first = format!("    {lead}");
        for block in blocks(text) {
            match block {
                Block::Paragraph(words) => self.wrapped(&first, "    ", &words)?,
                Block::Verbatim(line) => writeln!(self.out, "    {line}")?,
            }
            "    ".clone_into(&mut first);
        }
        Ok(())
    }

    fn wrapped(&mut self, first: &str, next: &str, text: &str) -> io::Result<()> {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split_whitespace() {
            let wide = line.chars().count() + 1 + word.chars().count() > WIDTH;
            if wide && !empty {
                writeln!(self.out, "{line}")?;
                next.clone_into(&mut line);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        writeln!(self.out, "{line}")
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Findings by check and severity, those of checks with the same fix together, so that it is said once.
fn by_fix<'r>(findings: &'r [Finding], fix: impl Fn(&str) -> Option<&'r str>) -> Vec<Vec<&'r [Finding]>> {
    let mut places: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    let mut all: Vec<Vec<&[Finding]>> = Vec::new();
    let same = |a: &Finding, b: &Finding| a.check == b.check && a.severity == b.severity;
    for group in findings.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let fix = fix(first.check).unwrap_or(first.check);
        let place = *places.entry((first.severity, fix)).or_insert(all.len());
        match all.get_mut(place) {
            Some(groups) => groups.push(group),
            None => all.push(vec![group]),
        }
    }
    all
}

/// Findings of one check by what they say, in the order of the first of each.
fn alike(group: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alike: Vec<Vec<&Finding>> = Vec::new();
    for finding in group {
        let place = *places.entry(finding.message.as_str()).or_insert(alike.len());
        match alike.get_mut(place) {
            Some(same) => same.push(finding),
            None => alike.push(vec![finding]),
        }
    }
    alike
}

/// What ends the first part of a message of the engine; the cause follows.
const INCOMPLETE: &str = "but the reading is incomplete: ";

/// What every message says that asks for the running host.
const LIVE_HOST: &str = "the live host";

type SubjectsByCheck<'r> = BTreeMap<&'r str, Vec<String>>;

/// One missing file makes many checks unknown: the cause is said once, with what it stands in the way of.
fn by_cause(unknowns: &[UnknownResult], mode: Mode) -> BTreeMap<&str, SubjectsByCheck<'_>> {
    let mut causes: BTreeMap<&str, SubjectsByCheck<'_>> = BTreeMap::new();
    for unknown in unknowns {
        let cause =
            unknown.message.split_once(INCOMPLETE).map_or(unknown.message.as_str(), |(_, cause)| cause);
        let is_live_only = matches!(mode, Mode::Offline) && cause.contains(LIVE_HOST);
        let cause = if is_live_only { "only the running host can tell (this is a tree)" } else { cause };
        let subjects = causes.entry(cause).or_default().entry(unknown.check).or_default();
        subjects.extend(unknown.subject.as_ref().map(subject_words).filter(|words| !words.is_empty()));
    }
    causes
}

enum Block {
    Paragraph(String),
    Verbatim(String),
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for line in text.lines() {
        let verbatim = line.starts_with("  ") || line.starts_with('\t');
        match (blocks.last_mut(), verbatim) {
            (_, true) => blocks.push(Block::Verbatim(line.to_owned())),
            (Some(Block::Paragraph(words)), false) if !line.trim().is_empty() && !words.is_empty() => {
                words.push(' ');
                words.push_str(line.trim());
            }
            (_, false) if line.trim().is_empty() => blocks.push(Block::Paragraph(String::new())),
            (_, false) => {
                if let Some(Block::Paragraph(words)) = blocks.last()
                    && words.is_empty()
                {
                    blocks.pop();
                }
                blocks.push(Block::Paragraph(line.trim().to_owned()));
            }
        }
    }
    blocks.retain(|block| !matches!(block, Block::Paragraph(words) if words.is_empty()));
    blocks
}

/// The name of a severity.
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}

fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "1;97;41",
        Severity::High => "1;31",
        Severity::Medium => "1;33",
        Severity::Low => "34",
        Severity::Info => "2",
    }
}

/// `guest 101 (web) on pve1`; empty where the subject is the whole node or cluster.
fn subject_words(subject: &SubjectInfo) -> String {
    match subject.kind {
        SubjectKind::Cluster => return String::new(),
        // One of several nodes has its name, the audited one has none.
        SubjectKind::Node if subject.node.is_none() => return String::new(),
        SubjectKind::Node => return format!("node {}", subject.id),
        _ => {}
    }
    let kind = match subject.kind {
        SubjectKind::FirewallRule => "rule",
        SubjectKind::Repository => "source",
        SubjectKind::Acl => "ACL",
        other => other.name(),
    };
    let name = subject.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let node = subject.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
    format!("{kind} {}{name}{node}", subject.id)
}

/// `path:line key: saw X, want Y`.
fn evidence_words(place: &EvidenceInfo) -> String {
    let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
    let key = place.key.as_deref().map(|key| format!(" {key}")).unwrap_or_default();
    let seen = match (&place.observed, &place.expected) {
        (Some(observed), Some(expected)) => format!(": saw {observed}, want {expected}"),
        (Some(observed), None) => format!(": {observed}"),
        (None, Some(expected)) => format!(": want {expected}"),
        (None, None) => String::new(),
    };
    format!("{}{line}{key}{seen}", place.path)
}
