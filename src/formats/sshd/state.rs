//! Putting the lines together: what wins, what adds up, what a Match block that always applies overrides
//! (`parse_server_config`, `copy_set_server_options` and the checks in sshd.c).

use std::collections::BTreeSet;

use super::algorithms::{Unusable, selected};
use super::command_line::{CommandLine, Flag};
use super::keywords::{Kind, find};
use super::numbers::{Port, port, seconds};
use super::options::Options;
use super::print::{listen_addresses, printed, written};
use super::read::{METHODS, part, read};
use super::tokens::{Args, Line, split_keyword, strip_end};
use super::walk::{Directive, Walked};
use super::{BlockSetting, Effective, Problem, Source, Value, Version, defaults};
use crate::formats::shown;

/// Settings in which any spelling of `none` means unset once the file is read.
const CLEARED: [&str; 4] =
    ["forcecommand", "chrootdirectory", "authorizedprincipalsfile", "persourcepenaltyexemptlist"];
/// The ones of these that are cleared again after Match blocks.
const CLEARED_AGAIN: [&str; 2] = ["forcecommand", "chrootdirectory"];

/// Collects problems, one for a place and a text.
pub(super) struct Problems {
    all: Vec<Problem>,
    known: BTreeSet<(Source, String)>,
}

impl Problems {
    pub(super) fn add(&mut self, source: &Source, what: String, stops: bool) {
        self.push(Problem { source: source.clone(), what, stops, setting: None });
    }

    /// Adds what leaves only the value of `setting` open.
    pub(super) fn leave_open(&mut self, source: &Source, what: String, setting: &'static str) {
        self.push(Problem { source: source.clone(), what, stops: false, setting: Some(setting) });
    }

    fn push(&mut self, problem: Problem) {
        if self.known.insert((problem.source.clone(), problem.what.clone())) {
            self.all.push(problem);
        }
    }

    fn add_fault(&mut self, source: &Source, fault: Option<String>) {
        if let Some(what) = fault {
            self.add(source, what, true);
        }
    }
}

/// Evaluates what the files say.
pub(super) fn evaluate(walked: Walked, command_line: &CommandLine, version: Version) -> Effective {
    let Walked { directives, mut blocks, at_start, problems, ignored, complete } = walked;
    let mut problems = Problems { all: problems, known: BTreeSet::new() };
    let mut options = Options::new(version);
    take_command_line(&mut options, command_line, &mut problems);
    let applies: Vec<bool> = blocks.iter().map(|block| block.applies).collect();
    let in_force = |directive: &Directive, met: &[bool]| {
        directive.block.is_none_or(|index| met.get(index) == Some(&true))
    };

    for directive in &directives {
        let active = in_force(directive, &at_start);
        for doubt in &directive.reading.doubts {
            problems.leave_open(&directive.source, doubt.clone(), directive.keyword.setting);
        }
        if !active && !directive.keyword.in_match {
            let what = format!(
                "`{}` is not allowed in a Match block, sshd refuses the file",
                directive.keyword.name
            );
            problems.add(&directive.source, what, true);
            continue;
        }
        let fault = options.apply(directive.keyword, &directive.reading, &directive.source, active);
        problems.add_fault(&directive.source, fault);
    }
    let listening = listen_addresses(&options, &mut problems);
    options.clear(&CLEARED);
    if options.set.get("channeltimeout").is_some_and(|values| is_only(values, "none")) {
        options.set.remove("channeltimeout");
    }
    keyboard_interactive_8_4(&mut options);
    check_algorithms(&options, &mut problems);
    check_commands(&options, &mut problems);
    check_methods(&options, &mut problems);

    let mut matched = Options::new(version);
    for directive in
        directives.iter().filter(|directive| directive.block.is_some() || directive.keyword.in_match)
    {
        let active = directive.block.is_some() && in_force(directive, &applies);
        if active || directive.keyword.in_match {
            let fault = matched.apply(directive.keyword, &directive.reading, &directive.source, active);
            problems.add_fault(&directive.source, fault);
        }
    }
    let overridden = std::mem::take(&mut options.overridden);
    override_with(&mut options, matched);
    options.clear(&CLEARED_AGAIN);
    check_algorithms(&options, &mut problems);

    fill_blocks(&mut blocks, &directives, version, &mut problems);
    let values = printed(&options, listening);
    let mut problems = problems.all;
    problems.sort_by(|one, other| one.source.cmp(&other.source));
    Effective { version, values, blocks, problems, ignored, overridden, complete }
}

/// Options of the command line come before every file.
fn take_command_line(options: &mut Options, command_line: &CommandLine, problems: &mut Problems) {
    let source = Source::CommandLine;
    let version = options.version;
    for what in &command_line.doubts {
        problems.add(&source, what.clone(), true);
    }
    for flag in &command_line.flags {
        let fault = match flag {
            Flag::Option(line) => take_option(options, line, problems),
            Flag::Port(text) => {
                options.ports_fixed = true;
                match port(text) {
                    Some(port) if port != Port::Number(0) => {
                        let value = Value { text: port.to_string(), source: source.clone() };
                        options.set.entry("port").or_default().push(value);
                        None
                    }
                    _ => Some(format!("{} is no port, sshd does not start", shown(text))),
                }
            }
            Flag::Family(family) => {
                options.replace("addressfamily", &[(*family).to_owned()], &source);
                None
            }
            Flag::GraceTime(text) => match seconds(text, version) {
                Some(seconds) => {
                    options.replace("logingracetime", &[seconds.to_string()], &source);
                    None
                }
                None => Some(format!("{} is no time, sshd does not start", shown(text))),
            },
            Flag::LogLevel(level) => {
                options.replace("loglevel", &[(*level).to_owned()], &source);
                None
            }
        };
        problems.add_fault(&source, fault);
    }
}

/// One `-o`: a line of the file, without Include and Match.
fn take_option(options: &mut Options, line: &str, problems: &mut Problems) -> Option<String> {
    let version = options.version;
    // The line may set an environment variable, so it is not quoted.
    let refused = |what: &str| Some(format!("an option `-o` {what}, sshd does not start"));
    let (word, rest) = match split_keyword(strip_end(line), version) {
        Line::Blank | Line::Dropped => return None,
        Line::Bare(_) => return refused("has no value"),
        Line::Directive { keyword, rest } => (keyword, rest),
    };
    let (Some(mut args), Some(keyword)) = (Args::new(rest, version), find(&word, version)) else {
        return refused("is no setting");
    };
    if matches!(keyword.kind, Kind::Include | Kind::Match) {
        return refused("is not possible on the command line");
    }
    let reading = read(keyword, &mut args, version);
    for doubt in &reading.doubts {
        problems.leave_open(&Source::CommandLine, doubt.clone(), keyword.setting);
    }
    options.apply(keyword, &reading, &Source::CommandLine, true)
}

/// 8.4 does challenge-response through keyboard-interactive, so either keyword switches it on.
fn keyboard_interactive_8_4(options: &mut Options) {
    if options.version != Version::V8_4 {
        return;
    }
    let challenge = options.text("challengeresponseauthentication").cloned();
    let challenge = challenge.unwrap_or_else(|| Value { text: "yes".to_owned(), source: Source::Default });
    if challenge.text == "yes" {
        options.set.insert("kbdinteractiveauthentication", vec![challenge]);
    }
}

fn unusable(setting: &str, reason: Unusable) -> String {
    match reason {
        Unusable::Negation => format!("`{setting}` has an entry after `!`, which sshd does not support here"),
        Unusable::Empty => format!("`{setting}` selects no algorithm, sshd refuses that"),
    }
}

fn check_algorithms(options: &Options, problems: &mut Problems) {
    for setting in options.set.keys() {
        if let Some((family, value)) = written(options, setting)
            && let Err(reason) = selected(&value.text, family, options.version)
        {
            problems.add(&value.source, unusable(setting, reason), true);
        }
    }
}

/// A command needs the user it runs as.
fn check_commands(options: &Options, problems: &mut Problems) {
    let pairs = [
        ("authorizedkeyscommand", "authorizedkeyscommanduser"),
        ("authorizedprincipalscommand", "authorizedprincipalscommanduser"),
    ];
    for (command, user) in pairs {
        let Some(value) = options.text(command).filter(|value| !value.text.eq_ignore_ascii_case("none"))
        else {
            continue;
        };
        if !options.is_set(user) {
            problems.add(
                &value.source,
                format!("`{command}` is set without `{user}`, sshd does not start"),
                true,
            );
        }
    }
}

/// At least one of the required combinations must consist of enabled methods.
fn check_methods(options: &Options, problems: &mut Problems) {
    let Some(lists) = options.set.get("authenticationmethods").filter(|lists| !is_only(lists, "any")) else {
        return;
    };
    let enabled = |name: &str| {
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        METHODS.iter().find(|(method, _)| *method == name).is_some_and(|(_, switch)| {
            switch.is_none_or(|switch| {
                let default = || default_of(switch, options.version);
                options.text(switch).map_or_else(default, |value| value.text.as_str()) == "yes"
            })
        })
    };
    let first = lists.first().map(|list| &list.source);
    let satisfiable = lists.iter().any(|list| list.text.split(',').all(enabled));
    if let Some(source) = first.filter(|_| !satisfiable) {
        let what =
            "no combination in `authenticationmethods` consists of enabled methods, sshd does not start";
        problems.add(source, what.to_owned(), true);
    }
}

fn default_of(setting: &str, version: Version) -> &'static str {
    defaults::all(version)
        .find(|(name, _)| *name == setting)
        .and_then(|(_, values)| values.first().copied())
        .unwrap_or_default()
}

fn is_only(values: &[Value], text: &str) -> bool {
    matches!(values, [value] if value.text.eq_ignore_ascii_case(text))
}

/// What Match blocks set replaces what stands outside, as far as upstream copies it.
fn override_with(options: &mut Options, matched: Options) {
    let version = options.version;
    for (setting, values) in matched.set {
        let parts = [part::REKEY_TIME, part::ENVIRONMENT_NAMES];
        let copied =
            parts.contains(&setting) || find(setting, version).is_some_and(|keyword| keyword.in_match);
        // 8.4 accepts SetEnv in a Match block and forgets it.
        let forgotten = version == Version::V8_4 && setting == "setenv";
        if copied && !forgotten && !values.is_empty() {
            options.set.insert(setting, values);
        }
    }
}

/// In 9.2 `any` after a list in the same block, or in one around it, ends every connection the block is for; at the
/// start sshd does not look there.
fn late_any(directive: &Directive, blocks: &[super::MatchBlock], version: Version) -> Option<String> {
    const METHODS: &str = "authenticationmethods";
    let any = || {
        directive
            .reading
            .assignments
            .iter()
            .flat_map(|assignment| &assignment.values)
            .any(|list| list == "any")
    };
    if version != Version::V9_2 || directive.keyword.setting != METHODS || !any() {
        return None;
    }
    let own = directive.block.and_then(|index| blocks.get(index));
    let mut around = std::iter::successors(own, |block| block.within.and_then(|outer| blocks.get(outer)));
    let set = around.any(|block| block.settings.iter().any(|line| line.keyword == METHODS));
    set.then(|| format!("`any` comes after a list in `{METHODS}`, sshd ends connections of this block"))
}

/// Gives each Match block the settings that stand in it.
fn fill_blocks(
    blocks: &mut [super::MatchBlock],
    directives: &[Directive],
    version: Version,
    problems: &mut Problems,
) {
    for (directive, order) in directives.iter().zip(0_u32..) {
        if let Some(what) = late_any(directive, blocks, version) {
            problems.leave_open(&directive.source, what, directive.keyword.setting);
        }
        let Some(block) = directive.block.and_then(|index| blocks.get_mut(index)) else { continue };
        if directive.reading.assignments.is_empty() {
            continue;
        }
        let mut values: Vec<String> = Vec::new();
        for assignment in &directive.reading.assignments {
            values.extend(assignment.values.iter().cloned());
        }
        match (directive.keyword.kind, values.first()) {
            (Kind::Algorithms(family), Some(list)) => match selected(list, family, version) {
                Ok(names) => values = names,
                Err(reason) => {
                    let what = format!(
                        "{} for connections of this block",
                        unusable(directive.keyword.setting, reason)
                    );
                    problems.leave_open(&directive.source, what, directive.keyword.setting);
                }
            },
            (Kind::UserEnvironment, _) => values.truncate(1),
            (Kind::Subsystem, _) => values = vec![values.join(" ")],
            _ => {}
        }
        block.settings.push(BlockSetting {
            keyword: directive.keyword.setting,
            values,
            source: directive.source.clone(),
            order,
            indented: directive.indented,
        });
    }
}
