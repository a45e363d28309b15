//! What one line says, independent of every other line (`process_server_config_line_depth` in servconf.c).

mod composite;

use super::Version;
use super::address::list_is_valid;
use super::algorithms::{refused, refused_gss};
use super::keywords::{Choices, DIGESTS, Keyword, Kind};
use super::numbers::{bytes, count, mask, seconds};
use super::tokens::Args;
use crate::formats::shown;

/// The home directory of the user sshd runs as: what `~` stands for (Debian's `/etc/passwd`).
const ROOT_HOME: &str = "/root";
/// What a relative path is put behind: the daemon's working directory `/`, and the separator.
const WORKING_DIRECTORY: &str = "//";
/// Smallest `RekeyLimit` in bytes, apart from 0 for the default.
const LEAST_REKEY: i64 = 16;
/// Methods `AuthenticationMethods` may name, each with the setting that enables it.
pub(super) const METHODS: [(&str, Option<&str>); 7] = [
    ("none", None),
    ("publickey", Some("pubkeyauthentication")),
    ("gssapi-keyex", Some("gssapiauthentication")),
    ("gssapi-with-mic", Some("gssapiauthentication")),
    ("password", Some("passwordauthentication")),
    ("keyboard-interactive", Some("kbdinteractiveauthentication")),
    ("hostbased", Some("hostbasedauthentication")),
];
/// Parts of settings that sshd keeps apart; they are put together when printed.
pub(super) mod part {
    /// `RekeyLimit`: the time.
    pub(in crate::formats::sshd) const REKEY_TIME: &str = "rekeylimit time";
    /// `MaxStartups`: the percentage.
    pub(in crate::formats::sshd) const STARTUPS_RATE: &str = "maxstartups rate";
    /// `MaxStartups`: the hard limit.
    pub(in crate::formats::sshd) const STARTUPS_FULL: &str = "maxstartups full";
    /// `PermitUserEnvironment`: the pattern list.
    pub(in crate::formats::sshd) const ENVIRONMENT_NAMES: &str = "permituserenvironment names";
}

/// How a value meets what earlier lines set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merge {
    /// The first line that sets it wins.
    First,
    /// Lines add up.
    Append,
    /// The last line wins.
    Last,
    /// Set whenever another setting is still unset.
    Unless(&'static str),
    /// `AuthenticationMethods`: the first wins, with a check of its own against what is set.
    Methods,
    /// `Port`: lines add up to a limit.
    Port,
    /// `ListenAddress`: kept for when ports and address family are known.
    Listen,
    /// `Subsystem`: adds up; the name must be new.
    Subsystem,
    /// `PerSourcePenalties`: each part by itself, any new part switching penalties on.
    Penalties,
}

/// A value a line gives to a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The setting, or a [`part`] of one.
    pub(super) setting: &'static str,
    /// How it meets earlier lines.
    pub(super) merge: Merge,
    /// The values, as `sshd -T` prints them.
    pub(super) values: Vec<String>,
}

/// When a mistake on a line stops sshd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Wherever the line stands.
    Always,
    /// Outside Match blocks, and in those that apply.
    Active,
    /// As long as the setting is not set yet.
    Unset,
    /// Both.
    ActiveUnset,
}

/// A mistake on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// When it stops sshd.
    pub(super) when: When,
    /// What is wrong.
    pub(super) what: String,
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self { when: When::Always, what }
    }
}

/// Everything a line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reading {
    /// The values it sets.
    pub(super) assignments: Vec<Assignment>,
    /// What stops sshd.
    pub(super) fault: Option<Fault>,
    /// What cannot be known from the file alone.
    pub(super) doubts: Vec<String>,
}

/// Reads the arguments of `keyword`.
pub(super) fn read(keyword: &Keyword, args: &mut Args<'_>, version: Version) -> Reading {
    let mut line = LineReader { keyword, args, version, reading: Reading::default() };
    if let Err(fault) = line.values() {
        line.reading.fault = Some(fault);
    } else if let Some(word) = line.args.left_over().filter(|_| line.reading.fault.is_none()) {
        let what = if matches!(keyword.kind, Kind::SetEnv) {
            String::new()
        } else {
            format!(" at {}", shown(&word))
        };
        line.reading.fault =
            Some(format!("`{}` takes no more arguments{what}, sshd refuses the line", keyword.name).into());
    }
    line.reading
}

/// One line while it is read.
struct LineReader<'k, 'a> {
    keyword: &'k Keyword,
    args: &'k mut Args<'a>,
    version: Version,
    reading: Reading,
}

type Outcome = Result<(), Fault>;

impl LineReader<'_, '_> {
    fn old(&self) -> bool {
        self.version == Version::V8_4
    }

    fn set(&mut self, merge: Merge, values: Vec<String>) {
        self.assign(self.keyword.setting, merge, values);
    }

    fn first(&mut self, value: impl Into<String>) {
        self.set(Merge::First, vec![value.into()]);
    }

    fn assign(&mut self, setting: &'static str, merge: Merge, values: Vec<String>) {
        self.reading.assignments.push(Assignment { setting, merge, values });
    }

    fn doubt(&mut self, what: String) {
        self.reading.doubts.push(what);
    }

    fn missing(&self) -> Fault {
        format!("`{}` has no value, sshd refuses the line", self.keyword.name).into()
    }

    fn bad(&self, word: &str) -> Fault {
        format!("{} is no value of `{}`, sshd refuses the line", shown(word), self.keyword.name).into()
    }

    /// The next argument, which must be there and not empty.
    fn word(&mut self) -> Result<String, Fault> {
        self.args.next().filter(|word| !word.is_empty()).ok_or_else(|| self.missing())
    }

    /// All arguments; from 9.2 none of them may be empty, from 10.0 there must be one.
    fn words(&mut self) -> Result<Vec<String>, Fault> {
        let words = self.args.all();
        if words.iter().any(String::is_empty) {
            return Err(self.bad(""));
        }
        if words.is_empty() && self.version == Version::V10_0 {
            return Err(self.missing());
        }
        Ok(words)
    }

    fn values(&mut self) -> Outcome {
        match self.keyword.kind {
            Kind::Choice(choices) => self.choice(choices, true, Merge::First),
            Kind::ExactChoice(choices) => self.choice(choices, false, Merge::First),
            Kind::Digest => self.choice(DIGESTS, true, Merge::Last),
            Kind::Count => self.count(),
            Kind::SourceStartups => self.source_startups(),
            Kind::Seconds => self.time(self.keyword.setting),
            Kind::UnusedTimeout => self.unused_timeout(),
            Kind::File => self.word().map(|word| self.path(&word)).map(|path| self.first(path)),
            Kind::TildeFile => self.word().map(|word| self.expanded(&word)).map(|path| self.first(path)),
            Kind::Word => self.word().map(|word| self.first(word)),
            Kind::Agent => self.path_or("SSH_AUTH_SOCK", |word, name| word == name),
            Kind::KeyProvider => self.path_or("internal", str::eq_ignore_ascii_case),
            Kind::Files => {
                self.word().map(|word| self.path(&word)).map(|path| self.set(Merge::Append, vec![path]))
            }
            Kind::Algorithms(family) => {
                let list = self.word()?;
                self.list(&list, refused(&list, family, self.version))
            }
            Kind::GssKex => {
                let list = self.word()?;
                self.list(&list, refused_gss(&list))
            }
            Kind::PubkeyOptions => self.pubkey_options(),
            Kind::UserEnvironment => self.user_environment(),
            Kind::Rekey => self.rekey(),
            Kind::Users => self.users(),
            Kind::Groups => self.words().map(|words| self.set(Merge::Append, words)),
            Kind::AcceptEnv => self.accept_env(),
            Kind::SetEnv => self.set_env(),
            Kind::KeysFiles => self.keys_files(),
            Kind::Methods => self.methods(),
            Kind::Forward { bare_port } => self.forward(bare_port),
            Kind::LogVerbose => self.log_verbose(),
            Kind::ChannelTimeout => self.channel_timeout(),
            Kind::Subsystem => self.subsystem(),
            Kind::MaxStartups => self.max_startups(),
            Kind::NetBlock => self.net_block(),
            Kind::Penalties => self.penalties(),
            Kind::PenaltyExempt => {
                let list = self.word()?;
                if !list_is_valid(&list, self.version) {
                    return Err(self.bad(&list));
                }
                self.first(list);
                Ok(())
            }
            Kind::ForceCommand => self.force_command(),
            Kind::Command => self.command(),
            Kind::Addendum => self.addendum(),
            Kind::Mask => {
                let word = self.word()?;
                let mask = mask(&word).ok_or_else(|| self.bad(&word))?;
                self.set(Merge::Last, vec![mask]);
                Ok(())
            }
            Kind::Quality => self.quality(),
            Kind::Port => {
                let word = self.word()?;
                let port = self.port(&word)?;
                self.set(Merge::Port, vec![port]);
                Ok(())
            }
            Kind::Listen => self.listen(),
            Kind::RoutingDomain => {
                Err(format!("`{}` is not supported on Linux, sshd refuses the line", self.keyword.name)
                    .into())
            }
            Kind::Include | Kind::Match => Ok(()),
            Kind::Ignored => {
                self.args.consume();
                Ok(())
            }
        }
    }

    fn choice(&mut self, choices: Choices, any_case: bool, merge: Merge) -> Outcome {
        let word = self.word()?;
        let same = |name: &str| if any_case { name.eq_ignore_ascii_case(&word) } else { name == word };
        let (_, printed) = choices.iter().find(|(name, _)| same(name)).ok_or_else(|| self.bad(&word))?;
        self.set(merge, vec![(*printed).to_owned()]);
        Ok(())
    }

    fn count(&mut self) -> Outcome {
        let word = self.word()?;
        let number = count(&word).ok_or_else(|| self.bad(&word))?;
        self.first(number.to_string());
        Ok(())
    }

    fn source_startups(&mut self) -> Outcome {
        let word = self.word()?;
        let number =
            if word == "none" { i64::from(i32::MAX) } else { count(&word).ok_or_else(|| self.bad(&word))? };
        let printed = if number == i64::from(i32::MAX) { "none".to_owned() } else { number.to_string() };
        let merge = if self.version == Version::V10_0 { Merge::First } else { Merge::Last };
        self.set(merge, vec![printed]);
        Ok(())
    }

    fn time(&mut self, setting: &'static str) -> Outcome {
        let word = self.word()?;
        let seconds = seconds(&word, self.version).ok_or_else(|| self.bad(&word))?;
        self.assign(setting, Merge::First, vec![seconds.to_string()]);
        Ok(())
    }

    fn unused_timeout(&mut self) -> Outcome {
        if self.args.peek().is_some_and(|word| word.eq_ignore_ascii_case("none")) {
            self.args.next();
            self.set(Merge::Last, vec!["none".to_owned()]);
            return Ok(());
        }
        self.time(self.keyword.setting)?;
        for assignment in &mut self.reading.assignments {
            // Zero seconds is the same as none.
            assignment
                .values
                .iter_mut()
                .filter(|value| *value == "0")
                .for_each(|value| "none".clone_into(value));
        }
        Ok(())
    }

    /// A file name as sshd opens it: `none`, or absolute.
    fn path(&mut self, word: &str) -> String {
        if word.eq_ignore_ascii_case("none") {
            return "none".to_owned();
        }
        let expanded = self.expanded(word);
        if expanded.starts_with(['/', '~']) { expanded } else { format!("{WORKING_DIRECTORY}{expanded}") }
    }

    /// `word` with a leading `~` replaced.
    fn expanded(&mut self, word: &str) -> String {
        let Some(behind) = word.strip_prefix('~') else { return word.to_owned() };
        // 8.4 takes `~name` without a slash for a file in root's home.
        let home_file = behind.is_empty() || behind.starts_with('/') || (self.old() && !behind.contains('/'));
        if !home_file {
            let what = format!(
                "the home directory in {} of `{}` is looked up when sshd starts",
                shown(word),
                self.keyword.name
            );
            self.doubt(what);
            return word.to_owned();
        }
        let file = if self.old() {
            behind.strip_prefix('/').unwrap_or(behind)
        } else {
            behind.trim_start_matches('/')
        };
        format!("{ROOT_HOME}/{file}")
    }

    fn path_or(&mut self, name: &str, same: impl Fn(&str, &str) -> bool) -> Outcome {
        let word = self.word()?;
        let path = if same(&word, name) { word } else { self.path(&word) };
        self.first(path);
        Ok(())
    }

    fn list(&mut self, list: &str, refused: Option<String>) -> Outcome {
        if let Some(name) = refused {
            let what = format!(
                "{} is no algorithm this version takes for `{}`, sshd refuses the line",
                shown(&name),
                self.keyword.name
            );
            return Err(what.into());
        }
        self.first(list);
        Ok(())
    }

    fn pubkey_options(&mut self) -> Outcome {
        let words = self.args.all();
        for word in &words {
            if !["none", "touch-required", "verify-required"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
            {
                return Err(self.bad(word));
            }
        }
        let options = ["touch-required", "verify-required"];
        let chosen =
            options.iter().filter(|option| words.iter().any(|word| word.eq_ignore_ascii_case(option)));
        let mut chosen: Vec<String> = chosen.map(|option| (*option).to_owned()).collect();
        if chosen.is_empty() {
            chosen.push("none".to_owned());
        }
        self.set(Merge::First, chosen);
        Ok(())
    }

    /// Only the exact words `yes` and `no` are flags: anything else is a pattern list, and switches it on.
    fn user_environment(&mut self) -> Outcome {
        let word = self.word()?;
        let flag = if word == "no" { "no" } else { "yes" };
        if word != "yes" && word != "no" {
            self.assign(part::ENVIRONMENT_NAMES, Merge::Unless(self.keyword.setting), vec![word]);
        }
        self.first(flag);
        Ok(())
    }

    fn rekey(&mut self) -> Outcome {
        let word = self.word()?;
        let bytes = if word == "default" { 0 } else { bytes(&word).ok_or_else(|| self.bad(&word))? };
        if bytes != 0 && bytes < LEAST_REKEY {
            return Err(self.bad(&word));
        }
        self.first(bytes.to_string());
        if !self.args.more() {
            return Ok(());
        }
        let none = if self.old() { self.args.rest() } else { self.args.peek() } == Some("none");
        if none {
            self.args.next();
            return Ok(());
        }
        self.time(part::REKEY_TIME)
    }
}
