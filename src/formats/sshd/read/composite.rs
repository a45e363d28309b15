//! The lines with several values: lists, destinations, composite numbers, and the rest of a line taken verbatim.

use std::collections::BTreeSet;

use super::{Fault, LineReader, METHODS, Merge, Outcome, When, part};
use crate::formats::shown;
use crate::formats::sshd::Version;
use crate::formats::sshd::address::{host_and_port, list_is_valid, without_brackets};
use crate::formats::sshd::numbers::{Port, colon_numbers, count, port, quality, seconds};
use crate::formats::sshd::tokens::assembled;

/// The parts of `PerSourcePenalties` that are times.
const PENALTY_TIMES: [&str; 7] =
    ["crash", "authfail", "noauth", "grace-exceeded", "refuseconnection", "max", "min"];
/// The parts of `PerSourcePenalties` that are counts.
const PENALTY_COUNTS: [&str; 2] = ["max-sources4", "max-sources6"];
/// The parts of `PerSourcePenalties` that are overflow modes.
const PENALTY_MODES: [&str; 2] = ["overflow", "overflow6"];

impl LineReader<'_, '_> {
    pub(super) fn users(&mut self) -> Outcome {
        let words = self.words()?;
        for word in &words {
            if word.split_once('@').is_some_and(|(_, hosts)| !list_is_valid(hosts, self.version)) {
                return Err(self.bad(word));
            }
        }
        self.set(Merge::Append, words);
        Ok(())
    }

    pub(super) fn accept_env(&mut self) -> Outcome {
        let words = self.words()?;
        if let Some(word) = words.iter().find(|word| word.contains('=')) {
            return Err(self.bad(word));
        }
        self.set(Merge::Append, words);
        Ok(())
    }

    /// Only names leave the parser: the values may be secrets.
    pub(super) fn set_env(&mut self) -> Outcome {
        let words = self.args.all_assignments();
        let mut names: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for word in &words {
            let Some((name, _)) = word.split_once('=') else {
                return Err(
                    format!("`{}` has a word without `=`, sshd refuses the line", self.keyword.name).into()
                );
            };
            if seen.insert(name) || self.old() {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() && self.version == Version::V10_0 {
            return Err(self.missing());
        }
        self.set(Merge::First, names);
        Ok(())
    }

    pub(super) fn keys_files(&mut self) -> Outcome {
        let words = self.words()?;
        if self.old() {
            self.args.consume();
        }
        let files = words.iter().map(|word| self.expanded(word)).collect();
        self.set(Merge::First, files);
        Ok(())
    }

    pub(super) fn methods(&mut self) -> Outcome {
        let lists = self.args.all();
        if self.old() {
            self.args.consume();
        }
        let fault = self.methods_fault(&lists);
        self.set(Merge::Methods, lists);
        let when = if self.old() { When::Unset } else { When::Always };
        fault.map_or(Ok(()), |what| Err(Fault { when, what }))
    }

    fn methods_fault(&self, lists: &[String]) -> Option<String> {
        if lists.is_empty() {
            return Some(self.missing().what);
        }
        let mut any = false;
        for (index, list) in lists.iter().enumerate() {
            let alone = if list == "any" { index == 0 || self.version != Version::V10_0 } else { !any };
            if !alone {
                return Some(format!(
                    "`any` must stand alone in `{}`, sshd refuses the line",
                    self.keyword.name
                ));
            }
            if list == "any" {
                any = true;
            } else if !list.split(',').all(is_method) {
                return Some(self.bad(list).what);
            }
        }
        None
    }

    pub(super) fn forward(&mut self, bare_port: bool) -> Outcome {
        let mut taken: Vec<String> = Vec::new();
        while let Some(word) = self.args.next() {
            if word.is_empty() && self.version != Version::V10_0 {
                break;
            }
            if word == "any" || word == "none" {
                if !taken.is_empty() {
                    return Err(self.bad(&word));
                }
                taken.push(word);
                // 10.0 goes on behind the word, earlier versions want it alone.
                if self.version == Version::V10_0 {
                    continue;
                }
                break;
            }
            taken.push(self.destination(word, bare_port)?);
        }
        if taken.is_empty() {
            return Err(self.missing());
        }
        self.set(Merge::First, taken);
        Ok(())
    }

    fn destination(&mut self, word: String, bare_port: bool) -> Result<String, Fault> {
        let bare = bare_port && !word.contains(':');
        let behind = if bare { Some(word.as_str()) } else { host_and_port(&word).and_then(|(_, port)| port) };
        let behind = behind.ok_or_else(|| self.bad(&word))?;
        if behind != "*" {
            let behind = behind.to_owned();
            self.port(&behind)?;
        }
        Ok(if bare { format!("*:{word}") } else { word })
    }

    /// A port above 0.
    pub(super) fn port(&mut self, word: &str) -> Result<String, Fault> {
        match port(word) {
            None | Some(Port::Number(0)) => Err(self.bad(word)),
            Some(port) => {
                if let Port::Service(name) = &port {
                    let what = format!(
                        "the service {} of `{}` is looked up in `/etc/services`, which is not read here",
                        shown(name),
                        self.keyword.name
                    );
                    self.doubt(what);
                }
                Ok(port.to_string())
            }
        }
    }

    pub(super) fn log_verbose(&mut self) -> Outcome {
        let words = self.words()?;
        if words.len() > 1 && words.iter().any(|word| word.eq_ignore_ascii_case("none")) {
            return Err(self.bad("none"));
        }
        self.set(Merge::First, words);
        Ok(())
    }

    /// 9.2 takes `none` behind timeouts, as the last word.
    pub(super) fn channel_timeout(&mut self) -> Outcome {
        let words = self.args.all();
        if words.is_empty() && self.version == Version::V10_0 {
            return Err(self.missing());
        }
        let last = words.len().saturating_sub(1);
        for (index, word) in words.iter().enumerate() {
            let fine = if word.eq_ignore_ascii_case("none") {
                index == last && (index == 0 || self.version != Version::V10_0)
            } else {
                word.split_once('=').is_some_and(|(kind, time)| {
                    !kind.is_empty() && seconds(time, self.version).is_some_and(|seconds| seconds >= 0)
                })
            };
            if !fine {
                return Err(self.bad(word));
            }
        }
        self.set(Merge::First, words);
        Ok(())
    }

    pub(super) fn subsystem(&mut self) -> Outcome {
        let name = self.word()?;
        let words = self.args.all();
        let Some(command) = words.first().filter(|word| !word.is_empty()) else {
            let fault = Fault { when: When::Active, what: self.missing().what };
            self.set(Merge::Subsystem, vec![name]);
            return Err(fault);
        };
        let line = if self.version == Version::V10_0 {
            assembled(&words)
        } else {
            words.iter().skip(1).fold(command.clone(), |line, word| format!("{line} {word}"))
        };
        self.set(Merge::Subsystem, vec![name, line]);
        Ok(())
    }

    pub(super) fn max_startups(&mut self) -> Outcome {
        let word = self.word()?;
        let numbers = colon_numbers(&word, 3);
        let (begin, rate, full) = match *numbers.as_slice() {
            [begin] => (begin, None, begin),
            [begin, rate, full] if begin <= full && (1..=100).contains(&rate) => (begin, Some(rate), full),
            _ => return Err(self.bad(&word)),
        };
        if !self.old() && (begin <= 0 || full <= 0) {
            return Err(self.bad(&word));
        }
        self.set(Merge::Last, vec![begin.to_string()]);
        if let Some(rate) = rate {
            self.assign(part::STARTUPS_RATE, Merge::Last, vec![rate.to_string()]);
        }
        self.assign(part::STARTUPS_FULL, Merge::Last, vec![full.to_string()]);
        Ok(())
    }

    pub(super) fn net_block(&mut self) -> Outcome {
        let word = self.word()?;
        let (v4, v6) = match *colon_numbers(&word, 2).as_slice() {
            [v4] => (v4, None),
            [v4, v6] if (0..=128).contains(&v6) => (v4, Some(v6)),
            _ => return Err(self.bad(&word)),
        };
        if !(0..=32).contains(&v4) {
            return Err(self.bad(&word));
        }
        if v6.is_none() {
            let what = format!("`{}` has no IPv6 part, which sshd then leaves undefined", self.keyword.name);
            self.doubt(what);
        }
        self.set(Merge::Last, vec![format!("{v4}:{}", v6.unwrap_or(128))]);
        Ok(())
    }

    pub(super) fn penalties(&mut self) -> Outcome {
        let words = self.args.all();
        if words.is_empty() {
            return Err(self.missing());
        }
        let last = words.len() - 1;
        let mut parts = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let flag = ["yes", "no"].into_iter().find(|flag| word.eq_ignore_ascii_case(flag));
            match flag {
                Some(flag) if index == last => parts.push(flag.to_owned()),
                Some(_) => return Err(self.bad(word)),
                None => parts.push(penalty(word).ok_or_else(|| self.bad(word))?),
            }
        }
        self.set(Merge::Penalties, parts);
        Ok(())
    }

    /// The rest of the line as it stands, without the blanks in front.
    fn verbatim(&mut self) -> Option<String> {
        self.args.consume();
        let raw = self.args.raw?;
        Some(raw.trim_start_matches([' ', '\t', '\r', '\n']).to_owned())
    }

    pub(super) fn force_command(&mut self) -> Outcome {
        let empty = self.args.raw.is_none_or(str::is_empty);
        let command = self.verbatim().filter(|_| !empty).ok_or_else(|| self.missing())?;
        self.first(command);
        Ok(())
    }

    pub(super) fn command(&mut self) -> Outcome {
        let command = self.verbatim().ok_or_else(|| self.missing())?;
        if !command.starts_with('/') && !command.eq_ignore_ascii_case("none") {
            let when = if self.old() { When::ActiveUnset } else { When::Always };
            return Err(Fault { when, what: format!("`{}` needs an absolute path", self.keyword.name) });
        }
        // 9.2 looks at AuthorizedKeysCommand also when it sets AuthorizedPrincipalsCommand.
        let merge =
            if self.version == Version::V9_2 { Merge::Unless("authorizedkeyscommand") } else { Merge::First };
        self.set(merge, vec![command]);
        Ok(())
    }

    pub(super) fn addendum(&mut self) -> Outcome {
        let empty = self.args.raw.is_none_or(str::is_empty);
        let text = self.verbatim().filter(|_| !empty).ok_or_else(|| self.missing())?;
        let none = text.eq_ignore_ascii_case("none");
        if text.contains('\r') && !(none && self.old()) {
            let when = if self.old() { When::ActiveUnset } else { When::Always };
            return Err(Fault { when, what: self.bad(&text).what });
        }
        self.first(if none { "none".to_owned() } else { text });
        Ok(())
    }

    pub(super) fn quality(&mut self) -> Outcome {
        let word = self.word()?;
        let interactive = quality(&word, self.version).ok_or_else(|| self.bad(&word))?;
        let bulk = match self.args.next() {
            None => interactive.clone(),
            Some(word) => quality(&word, self.version).ok_or_else(|| self.bad(&word))?,
        };
        self.set(Merge::Last, vec![interactive, bulk]);
        Ok(())
    }

    pub(super) fn listen(&mut self) -> Outcome {
        let word = self.word()?;
        let bare_v6 = !word.contains('[') && word.matches(':').nth(1).is_some();
        let (host, behind) = if bare_v6 {
            (word.as_str(), None)
        } else {
            let (host, port) = host_and_port(&word).ok_or_else(|| self.bad(&word))?;
            (without_brackets(host), port)
        };
        let mut values = vec![host.to_owned()];
        if let Some(behind) = behind {
            values.push(self.port(behind)?);
        }
        if let Some(next) = self.args.next() {
            let domain = self.args.next();
            let Some(domain) = domain.filter(|_| next == "rdomain") else { return Err(self.bad(&next)) };
            let what =
                format!("whether the routing domain {} exists is known on the host only", shown(&domain));
            self.doubt(what);
        }
        self.set(Merge::Listen, values);
        Ok(())
    }
}

/// A method of `AuthenticationMethods`, a device behind a colon left aside.
fn is_method(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    METHODS.iter().any(|(method, _)| *method == name)
}

/// One part of `PerSourcePenalties` as `-T` prints it.
fn penalty(word: &str) -> Option<String> {
    let (name, value) = word.split_once(':')?;
    if PENALTY_TIMES.contains(&name) {
        return seconds(value, Version::V10_0).map(|seconds| format!("{name}:{seconds}"));
    }
    if PENALTY_COUNTS.contains(&name) {
        return count(value).map(|number| format!("{name}:{number}"));
    }
    let mode = PENALTY_MODES.contains(&name) && ["deny-all", "permissive"].contains(&value);
    mode.then(|| word.to_owned())
}
