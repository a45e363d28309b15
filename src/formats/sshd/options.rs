//! The settings while lines are put together: what wins, what adds up.

use std::collections::{BTreeMap, BTreeSet};

use super::keywords::{Keyword, Kind};
use super::read::{Assignment, Merge, Reading, When};
use super::{Overridden, Source, Value, Version};
use crate::formats::shown;

/// Most ports (`MAX_PORTS`).
const MOST_PORTS: usize = 256;
/// Most subsystems before 10.0 (`MAX_SUBSYSTEMS`).
const MOST_SUBSYSTEMS: usize = 256;
/// Whether `PerSourcePenalties` are on; a part of the setting that is printed with it.
pub(super) const PENALTIES_ON: &str = "persourcepenalties enabled";

/// The settings as far as lines have set them.
pub(super) struct Options {
    pub(super) version: Version,
    pub(super) set: BTreeMap<&'static str, Vec<Value>>,
    /// `ListenAddress` lines: host and, if given, port.
    pub(super) listen: Vec<(Vec<String>, Source)>,
    /// The names of the subsystems.
    subsystems: BTreeSet<String>,
    /// The parts of `PerSourcePenalties`, by name.
    pub(super) penalties: BTreeMap<String, Value>,
    /// Ports were given as options: no `Port` line counts.
    pub(super) ports_fixed: bool,
    /// Lines that came after another value of their setting.
    pub(super) overridden: Vec<Overridden>,
}

impl Options {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            set: BTreeMap::new(),
            listen: Vec::new(),
            subsystems: BTreeSet::new(),
            penalties: BTreeMap::new(),
            ports_fixed: false,
            overridden: Vec::new(),
        }
    }

    pub(super) fn is_set(&self, setting: &str) -> bool {
        self.set.get(setting).is_some_and(|values| !values.is_empty())
    }

    pub(super) fn replace(&mut self, setting: &'static str, values: &[String], source: &Source) {
        self.set.insert(setting, located(values, source));
    }

    pub(super) fn text(&self, setting: &str) -> Option<&Value> {
        self.set.get(setting).and_then(|values| values.first())
    }

    /// What stops sshd about a line, given what is set so far.
    fn fault(&self, keyword: &Keyword, reading: &Reading, active: bool) -> Option<String> {
        let fault = reading.fault.as_ref()?;
        let unset = !self.is_set(keyword.setting);
        let repeated = reading.assignments.iter().any(|assignment| {
            assignment.merge == Merge::Subsystem
                && self.version == Version::V10_0
                && assignment.values.first().is_some_and(|name| self.subsystems.contains(name))
        });
        let stops = match fault.when {
            When::Always => true,
            When::Active => active && !repeated,
            When::Unset => unset,
            When::ActiveUnset => active && unset,
        };
        stops.then(|| fault.what.clone())
    }

    /// Takes a line in; what stops sshd about it.
    pub(super) fn apply(
        &mut self,
        keyword: &Keyword,
        reading: &Reading,
        source: &Source,
        active: bool,
    ) -> Option<String> {
        if self.ports_fixed && matches!(keyword.kind, Kind::Port) {
            return None;
        }
        let mut fault = self.fault(keyword, reading, active);
        for assignment in &reading.assignments {
            let refused = self.assign(assignment, source, active);
            fault = fault.or(refused);
        }
        fault
    }

    fn assign(&mut self, assignment: &Assignment, source: &Source, active: bool) -> Option<String> {
        let Assignment { setting, merge, values } = assignment;
        if *merge == Merge::Methods
            && let Some(fault) = self.methods_fault(values, active)
        {
            return Some(fault);
        }
        if !active {
            return None;
        }
        match merge {
            Merge::First | Merge::Methods if self.is_set(setting) => self.note_late(setting, values, source),
            Merge::Unless(other) if self.is_set(other) => {}
            Merge::First | Merge::Methods | Merge::Last | Merge::Unless(_) => {
                if !values.is_empty() {
                    self.replace(setting, values, source);
                }
            }
            Merge::Append => self.set.entry(setting).or_default().extend(located(values, source)),
            Merge::Port => {
                let ports = self.set.entry(setting).or_default();
                if ports.len() >= MOST_PORTS {
                    return Some(format!("more than {MOST_PORTS} ports, sshd refuses the line"));
                }
                ports.extend(located(values, source));
            }
            Merge::Listen => self.listen.push((values.clone(), source.clone())),
            Merge::Subsystem => return self.subsystem(setting, values, source),
            Merge::Penalties => self.penalize(values, source),
        }
        None
    }

    /// Notes a line that comes too late and would have set something else.
    fn note_late(&mut self, setting: &'static str, values: &[String], source: &Source) {
        let Some(set) = self.set.get(setting).filter(|_| !setting.contains(' ')) else { return };
        let same = set.iter().map(|value| &value.text).eq(values);
        if let Some(first) = set.first().filter(|_| !same) {
            let by = first.source.clone();
            let values = values.to_vec();
            self.overridden.push(Overridden { keyword: setting, values, source: source.clone(), by });
        }
    }

    /// `any` may not meet anything else, and before 10.0 that includes what earlier lines set.
    fn methods_fault(&self, lists: &[String], active: bool) -> Option<String> {
        let set = self.is_set("authenticationmethods");
        let late = active && lists.iter().skip(1).any(|list| list == "any");
        let stops = match self.version {
            Version::V8_4 => !set && late,
            Version::V9_2 => late || (set && lists.iter().any(|list| list == "any")),
            Version::V10_0 => false,
        };
        stops.then(|| "`any` must stand alone in `authenticationmethods`, sshd refuses the line".to_owned())
    }

    fn subsystem(&mut self, setting: &'static str, values: &[String], source: &Source) -> Option<String> {
        let [name, line] = values else { return None };
        let old = self.version != Version::V10_0;
        if old && self.subsystems.len() >= MOST_SUBSYSTEMS {
            return Some(format!("more than {MOST_SUBSYSTEMS} subsystems, sshd refuses the line"));
        }
        if !self.subsystems.insert(name.clone()) {
            return old
                .then(|| format!("the subsystem {} is defined twice, sshd refuses the line", shown(name)));
        }
        let value = Value { text: format!("{name} {line}"), source: source.clone() };
        self.set.entry(setting).or_default().push(value);
        None
    }

    fn penalize(&mut self, parts: &[String], source: &Source) {
        for text in parts {
            let value = || Value { text: text.clone(), source: source.clone() };
            match text.split_once(':') {
                None if !self.is_set(PENALTIES_ON) => {
                    self.set.insert(PENALTIES_ON, vec![value()]);
                }
                Some((name, _)) if !self.penalties.contains_key(name) => {
                    self.penalties.insert(name.to_owned(), value());
                    let on = Value { text: "yes".to_owned(), source: source.clone() };
                    self.set.insert(PENALTIES_ON, vec![on]);
                }
                _ => {}
            }
        }
    }

    /// Turns every spelling of `none` into unset.
    pub(super) fn clear(&mut self, settings: &[&'static str]) {
        for setting in settings {
            if self.text(setting).is_some_and(|value| value.text.eq_ignore_ascii_case("none")) {
                self.set.insert(
                    setting,
                    self.text(setting).map(|value| renamed(value, "none")).into_iter().collect(),
                );
            }
        }
    }
}

fn located(values: &[String], source: &Source) -> Vec<Value> {
    values.iter().map(|text| Value { text: text.clone(), source: source.clone() }).collect()
}

/// `text` in the place of `value`.
pub(super) fn renamed(value: &Value, text: impl Into<String>) -> Value {
    Value { text: text.into(), source: value.source.clone() }
}
