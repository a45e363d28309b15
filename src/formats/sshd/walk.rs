//! From files to one list of directives: Include is followed, Match blocks are numbered.
//!
//! Which lines are read does not depend on any value, so files are walked once and the list is then evaluated for
//! the global settings and for the Match blocks that apply.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::address::list_is_valid;
use super::keywords::{Keyword, Kind, find};
use super::numbers::port;
use super::read::{Reading, read};
use super::specification::Specification;
use super::tokens::{Args, Line, delimited, logical_lines, split_keyword, strip_end};
use super::{Attribute, Criterion, IgnoredLine, Included, MatchBlock, Problem, Read, Source, Version};
use crate::formats::shown;

/// How deep files may include files (`SERVCONF_MAX_DEPTH`); one more is fatal.
const DEEPEST: usize = 16;
/// Most lines that are followed over all files, repeated inclusion counted; sshd itself has no limit.
const MOST_LINES: usize = 100_000;
/// Most files that are read, repeated inclusion counted; sshd itself has no limit.
const MOST_FILES: usize = 4_096;
/// Most bytes of included files that are followed, repeated inclusion counted; sshd itself has no limit.
const MOST_BYTES: usize = 16 << 20;
/// Where relative Include patterns are looked up (`SSHDIR`).
const INCLUDE_BASE: &str = "/etc/ssh/";
/// The release string of 10.0 that `Match version` compares with, up to Debian's revision.
pub(super) const RELEASE: &str = "OpenSSH_10.0p2 Debian";
/// The attributes of a Match line that take an argument.
const ATTRIBUTES: [(&str, Attribute); 8] = [
    ("user", Attribute::User),
    ("group", Attribute::Group),
    ("host", Attribute::Host),
    ("address", Attribute::Address),
    ("localaddress", Attribute::LocalAddress),
    ("localport", Attribute::LocalPort),
    ("rdomain", Attribute::RDomain),
    ("version", Attribute::Version),
];

/// One line that sets something.
pub(super) struct Directive {
    pub(super) keyword: &'static Keyword,
    pub(super) reading: Reading,
    pub(super) source: Source,
    /// The Match block it stands in.
    pub(super) block: Option<usize>,
    /// Whether blanks stand before it, which means nothing to sshd.
    pub(super) indented: bool,
}

/// Everything the files say, in the order sshd reads it.
pub(super) struct Walked {
    pub(super) directives: Vec<Directive>,
    pub(super) blocks: Vec<MatchBlock>,
    /// Whether each block applies before there is a connection: when sshd starts.
    pub(super) at_start: Vec<bool>,
    pub(super) problems: Vec<Problem>,
    pub(super) ignored: Vec<IgnoredLine>,
    pub(super) complete: bool,
}

/// Reads the main file and everything it includes.
pub(super) fn walk(
    path: &str,
    text: &str,
    version: Version,
    connection: &Specification,
    include: &mut dyn FnMut(&str) -> Vec<Included>,
) -> Walked {
    let nothing = Walked {
        directives: Vec::new(),
        blocks: Vec::new(),
        at_start: Vec::new(),
        problems: Vec::new(),
        ignored: Vec::new(),
        complete: true,
    };
    let mut walker = Walker {
        version,
        connection,
        include,
        seen: BTreeMap::new(),
        walked: nothing,
        lines: MOST_LINES,
        files: MOST_FILES,
        bytes: MOST_BYTES,
        stopped: false,
        indented: false,
    };
    walker.file(&Arc::from(path), text, 0, None);
    walker.walked
}

struct Walker<'i> {
    version: Version,
    connection: &'i Specification,
    include: &'i mut dyn FnMut(&str) -> Vec<Included>,
    /// What each pattern expanded to: sshd keeps it, too.
    seen: BTreeMap<String, Arc<[Included]>>,
    walked: Walked,
    lines: usize,
    files: usize,
    bytes: usize,
    stopped: bool,
    /// Whether blanks stand before the line at hand.
    indented: bool,
}

impl Walker<'_> {
    fn problem(&mut self, source: &Source, what: String, stops: bool) {
        self.walked.problems.push(Problem { source: source.clone(), what, stops, setting: None });
    }

    fn file(&mut self, path: &Arc<str>, text: &str, depth: usize, outer: Option<usize>) {
        let mut block = outer;
        let raw: Vec<&str> = text.split('\n').collect();
        for (line, content) in logical_lines(text, self.version) {
            let source = Source::File { path: Arc::clone(path), line };
            if self.stopped {
                return;
            }
            if self.lines == 0 {
                return self.give_up(&source);
            }
            self.lines -= 1;
            let at = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
            self.indented = raw.get(at).is_some_and(|raw| raw.starts_with([' ', '\t']));
            if content.contains('\u{fffd}') {
                self.problem(
                    &source,
                    "the line is not valid UTF-8 and was read approximately".to_owned(),
                    false,
                );
            }
            self.line(strip_end(&content), &source, depth, outer, &mut block);
        }
    }

    fn give_up(&mut self, source: &Source) {
        self.stopped = true;
        self.walked.complete = false;
        let what = format!(
            "more than {MOST_LINES} lines, {MOST_FILES} files or {MOST_BYTES} bytes are included: the rest was not read"
        );
        self.problem(source, what, false);
    }

    fn line(
        &mut self,
        text: &str,
        source: &Source,
        depth: usize,
        outer: Option<usize>,
        block: &mut Option<usize>,
    ) {
        let (word, rest) = match split_keyword(text, self.version) {
            Line::Blank => return,
            Line::Dropped => {
                let what = "a quote is not closed, sshd drops the line without a message".to_owned();
                return self.problem(source, what, false);
            }
            Line::Bare(word) => {
                return self.problem(
                    source,
                    format!("{} has no value, sshd refuses the line", shown(&word)),
                    true,
                );
            }
            Line::Directive { keyword, rest } => (keyword, rest),
        };
        let Some(mut args) = Args::new(rest, self.version) else {
            return self.problem(source, "a quote is not closed, sshd refuses the line".to_owned(), true);
        };
        let Some(keyword) = find(&word, self.version) else {
            let what = format!("{} is no keyword of this version, sshd refuses the file", shown(&word));
            return self.problem(source, what, true);
        };
        match keyword.kind {
            Kind::Include => self.include(&mut args, source, depth, *block),
            Kind::Match => *block = Some(self.begin_block(&mut args, source, outer)),
            kind => {
                if matches!(kind, Kind::Ignored) {
                    let ignored = IgnoredLine { keyword: keyword.name, source: source.clone() };
                    self.walked.ignored.push(ignored);
                }
                let reading = read(keyword, &mut args, self.version);
                self.walked.directives.push(Directive {
                    keyword,
                    reading,
                    source: source.clone(),
                    block: *block,
                    indented: self.indented,
                });
            }
        }
    }

    fn include(&mut self, args: &mut Args<'_>, source: &Source, depth: usize, block: Option<usize>) {
        let patterns = args.all();
        if patterns.is_empty() || patterns.iter().any(String::is_empty) {
            self.problem(source, "`include` has no value, sshd refuses the line".to_owned(), true);
        }
        if args.left_over().is_some() {
            self.problem(source, "`include` has an empty value, sshd refuses the line".to_owned(), true);
        }
        for pattern in patterns.iter().filter(|pattern| !pattern.is_empty()) {
            // A tilde is neither put below the base nor expanded: sshd looks it up in its working directory `/`.
            let pattern = match pattern.chars().next() {
                Some('/') => pattern.clone(),
                Some('~') => format!("/{pattern}"),
                _ => format!("{INCLUDE_BASE}{pattern}"),
            };
            self.include_pattern(pattern, source, depth, block);
        }
    }

    fn include_pattern(&mut self, pattern: String, source: &Source, depth: usize, block: Option<usize>) {
        let files = if let Some(files) = self.seen.get(&pattern) {
            Arc::clone(files)
        } else {
            let files: Arc<[Included]> = (self.include)(&pattern).into();
            self.seen.insert(pattern, Arc::clone(&files));
            files
        };
        for file in files.iter() {
            if self.stopped {
                return;
            }
            let bytes = if let Read::Text(text) = &file.read { text.len() } else { 0 };
            let (Some(files), Some(bytes)) = (self.files.checked_sub(1), self.bytes.checked_sub(bytes))
            else {
                return self.give_up(source);
            };
            (self.files, self.bytes) = (files, bytes);
            match &file.read {
                Read::Text(_) if depth >= DEEPEST => {
                    self.stopped = true;
                    let what = format!("files are included more than {DEEPEST} deep, sshd refuses that");
                    return self.problem(source, what, true);
                }
                Read::Text(text) => self.file(&Arc::from(file.path.as_str()), text, depth + 1, block),
                Read::Missing => {
                    let what = format!("{} is included and cannot be opened, sshd stops", shown(&file.path));
                    self.problem(source, what, true);
                }
                Read::Unread(trouble) => {
                    self.walked.complete = false;
                    let what = format!("{} is included and was not read: {trouble}", shown(&file.path));
                    self.problem(source, what, false);
                }
            }
        }
    }

    fn begin_block(&mut self, args: &mut Args<'_>, source: &Source, within: Option<usize>) -> usize {
        let text = args.raw.unwrap_or_default().to_owned();
        let read = if self.version == Version::V10_0 {
            criteria_10_0(args)
        } else {
            criteria_before_10_0(args, self.version)
        };
        let (criteria, fault) = match read {
            Ok(criteria) => (criteria, None),
            Err(what) => (Vec::new(), Some(what)),
        };
        let revision = |criterion: &Criterion| {
            criterion.attribute == Attribute::Version
                && criterion.argument.to_ascii_lowercase().contains("debian")
        };
        if criteria.iter().any(revision) {
            let what = "`match version` names Debian's revision, which is not known here".to_owned();
            self.problem(source, what, false);
        }
        let outer = within.and_then(|index| self.walked.blocks.get(index)).is_none_or(|block| block.applies);
        let outer_at_start = within.and_then(|index| self.walked.at_start.get(index)).is_none_or(|met| *met);
        let met = |connection: &Specification| {
            fault.is_none() && criteria.iter().all(|criterion| connection.meets(criterion, self.version))
        };
        let applies = outer && met(self.connection);
        let at_start = outer_at_start && met(&Specification::default());
        self.walked.at_start.push(at_start);
        if let Some(what) = fault {
            self.problem(source, what, true);
        }
        let block =
            MatchBlock { text, criteria, source: source.clone(), within, applies, settings: Vec::new() };
        self.walked.blocks.push(block);
        self.walked.blocks.len() - 1
    }
}

/// One criterion with its argument checked.
fn criterion(name: &str, argument: Option<String>, version: Version) -> Result<Criterion, String> {
    let refused = |what: &str| Err(format!("{what} in `match`, sshd refuses the line"));
    let Some(argument) =
        argument.filter(|text| !text.is_empty() && (version == Version::V8_4 || !text.starts_with('#')))
    else {
        return refused(&format!("{} has no value", shown(name)));
    };
    let known = ATTRIBUTES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let attribute = match known {
        Some((_, Attribute::Version)) if version != Version::V10_0 => None,
        Some((_, attribute)) => Some(*attribute),
        None => None,
    };
    match attribute {
        None => refused(&format!("{} is no attribute", shown(name))),
        Some(Attribute::Address | Attribute::LocalAddress) if !list_is_valid(&argument, version) => {
            refused(&format!("{} is no address list", shown(&argument)))
        }
        Some(Attribute::LocalPort) if port(&argument).is_none() => {
            refused(&format!("{} is no port", shown(&argument)))
        }
        Some(attribute) => Ok(Criterion { attribute, argument }),
    }
}

/// The criteria of a Match line in 8.4 and 9.2, where they come apart as keywords do.
fn criteria_before_10_0(args: &mut Args<'_>, version: Version) -> Result<Vec<Criterion>, String> {
    let mut rest = args.raw;
    let mut criteria = Vec::new();
    let comment = |word: &str| version == Version::V9_2 && word.starts_with('#');
    while let Some(name) = delimited(&mut rest, true).filter(|name| !name.is_empty()) {
        if comment(&name) {
            rest = None;
            break;
        }
        if name.eq_ignore_ascii_case("all") {
            let next = delimited(&mut rest, true).filter(|next| !next.is_empty());
            if !criteria.is_empty() || next.as_deref().is_some_and(|next| !comment(next)) {
                return Err("`all` must stand alone in `match`, sshd refuses the line".to_owned());
            }
            if next.is_some() {
                rest = None;
            }
            criteria.push(Criterion { attribute: Attribute::All, argument: String::new() });
            break;
        }
        criteria.push(criterion(&name, delimited(&mut rest, true), version)?);
    }
    if criteria.is_empty() {
        return Err("`match` has no criteria, sshd refuses the line".to_owned());
    }
    let left = if version == Version::V8_4 { delimited(&mut rest, true) } else { rest.map(str::to_owned) };
    if left.is_some_and(|left| !left.is_empty()) {
        return Err("`match` takes no more arguments, sshd refuses the line".to_owned());
    }
    Ok(criteria)
}

/// The criteria of a Match line in 10.0, where they are arguments like any other, `user=name` included.
fn criteria_10_0(args: &mut Args<'_>) -> Result<Vec<Criterion>, String> {
    let mut criteria = Vec::new();
    while let Some(word) = args.next() {
        if word.starts_with('#') {
            args.consume();
            break;
        }
        if word.eq_ignore_ascii_case("all") {
            let next = args.next();
            let comment = next.as_deref().is_some_and(|next| next.starts_with('#'));
            if !criteria.is_empty() || next.is_some_and(|next| !next.is_empty() && !comment) {
                return Err("`all` must stand alone in `match`, sshd refuses the line".to_owned());
            }
            if comment {
                args.consume();
            }
            criteria.push(Criterion { attribute: Attribute::All, argument: String::new() });
            break;
        }
        if word.eq_ignore_ascii_case("invalid-user") {
            criteria.push(Criterion { attribute: Attribute::InvalidUser, argument: String::new() });
            continue;
        }
        let joined = word
            .split_once('=')
            .filter(|(name, _)| ATTRIBUTES.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        let criterion = match joined {
            Some((name, argument)) => criterion(name, Some(argument.to_owned()), Version::V10_0),
            None => criterion(&word, args.next(), Version::V10_0),
        };
        criteria.push(criterion?);
    }
    if criteria.is_empty() {
        return Err("`match` has no criteria, sshd refuses the line".to_owned());
    }
    if args.left_over().is_some() {
        return Err("`match` takes no more arguments, sshd refuses the line".to_owned());
    }
    Ok(criteria)
}
