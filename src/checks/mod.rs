//! Judgement: one function per check that needs code, one function per assertion kind.
//!
//! A check is a function of a [`Look`]: it asks the host for facts (every fact that cannot be had ends the check
//! through `?`), and says for each subject whether it saw the bad thing. It opens no file and keeps no state.

pub(crate) mod access;
pub(crate) mod advisories;
pub(crate) mod apt;
mod assert;
pub(crate) mod authentication;
pub(crate) mod backup;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod compliance;
pub(crate) mod container;
pub(crate) mod encryption;
pub(crate) mod firewall;
pub(crate) mod guest;
mod host_path;
pub(crate) mod kernel;
pub(crate) mod lifecycle;
pub(crate) mod monitoring;
pub(crate) mod network;
pub(crate) mod ssh;
pub(crate) mod storage;
pub(crate) mod updates;
pub(crate) mod vm;

use std::borrow::Cow;
use std::cell::RefCell;

use jiff::Timestamp;

use crate::catalogue::{Check, Evaluate, Parameter, Value};
use crate::host::{Doubt, Fact, Host, Stop};
use crate::outcome::{Judgement, Subject};

/// The judgements of a check, or why there are none.
pub type Judged = Result<Tally, Stop>;

/// A subject with its judgement and the doubts that judgement rests on.
#[derive(Debug)]
pub struct Counted {
    /// What was judged.
    pub subject: Subject,
    /// The judgement, or why there is none.
    pub judgement: Result<Judgement, Stop>,
    /// What a pass on this subject would rest on and was not understood; the first few.
    pub doubts: Vec<Doubt>,
}

/// The judgements of a check on all its subjects.
#[derive(Debug, Default)]
pub struct Tally {
    /// One entry per subject, in the order they were examined.
    pub counted: Vec<Counted>,
}

/// How many doubts are kept per subject: the first names the trouble, the rest is in the list of inputs.
const DOUBTS_KEPT: usize = 5;

/// Doubts in the order in which the facts were taken; borrowed from the facts, so that taking a fact costs the
/// same however much is doubtful about it.
type Doubts<'h> = Vec<Cow<'h, [Doubt]>>;

/// A parameter set by the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A switch.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A word or a sentence.
    Text(String),
    /// A list of words.
    List(Vec<String>),
}

/// What a check sees: the host, its parameters, the clock. Notes every doubt of the facts it takes.
pub struct Look<'h> {
    /// The audited host.
    pub host: &'h Host,
    /// The clock of the run.
    pub now: Timestamp,
    check: &'static Check,
    settings: &'h [(String, Setting)],
    /// Doubts about what the check took outside [`Look::each`].
    common: RefCell<Doubts<'h>>,
    /// Doubts about what it took for the subject at hand.
    own_doubts: RefCell<Option<Doubts<'h>>>,
}

impl<'h> Look<'h> {
    /// A look of `check` on `host`, with the parameters the site has set for it.
    pub fn new(
        host: &'h Host,
        now: Timestamp,
        check: &'static Check,
        settings: &'h [(String, Setting)],
    ) -> Self {
        Self { host, now, check, settings, common: RefCell::default(), own_doubts: RefCell::default() }
    }

    /// Judges the check.
    pub fn judge(&self) -> Judged {
        match self.check.evaluate {
            Evaluate::Code(judge) => judge(self),
            Evaluate::Assert(assertion) => assert::judge(self, assertion),
        }
    }

    /// The value of a fact; its doubts now weigh on every pass of this look (inside [`Look::each`]: of this
    /// subject).
    pub fn take<T>(&self, fact: &'h Fact<T>) -> Result<&'h T, Stop> {
        if !fact.doubts.is_empty() {
            self.note(Cow::Borrowed(fact.doubts.as_slice()));
        }
        fact.value.as_ref().map_err(Clone::clone)
    }

    /// As [`Look::take`], for a fact that is made on demand and not kept by the host.
    pub fn own<T>(&self, fact: Fact<T>) -> Result<T, Stop> {
        if !fact.doubts.is_empty() {
            self.note(Cow::Owned(fact.doubts));
        }
        fact.value
    }

    /// Notes a doubt of the check's own.
    pub fn doubt(&self, doubt: Doubt) {
        self.note(Cow::Owned(vec![doubt]));
    }

    fn note(&self, doubts: Cow<'h, [Doubt]>) {
        match self.own_doubts.borrow_mut().as_mut() {
            Some(own) => own.push(doubts),
            None => self.common.borrow_mut().push(doubts),
        }
    }

    /// The first doubts about what was taken outside [`Look::each`].
    pub fn doubts(&self) -> Vec<Doubt> {
        first_few(&self.common.borrow())
    }

    /// Judges every subject by itself: one subject's trouble leaves the others judged.
    pub fn each<T>(
        &self,
        subjects: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> Subject,
        judge: impl Fn(&Self, &T) -> Result<Judgement, Stop>,
    ) -> Judged {
        let mut tally = Tally::default();
        for item in subjects {
            *self.own_doubts.borrow_mut() = Some(Doubts::new());
            let judgement = judge(self, &item);
            let own = self.own_doubts.borrow_mut().take().unwrap_or_default();
            tally.counted.push(Counted { subject: name(&item), judgement, doubts: first_few(&own) });
        }
        Ok(tally)
    }

    /// The judgement on the one subject there is.
    pub fn one(&self, subject: Subject, judgement: Judgement) -> Judged {
        Ok(Tally { counted: vec![Counted { subject, judgement: Ok(judgement), doubts: Vec::new() }] })
    }

    fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.check.parameters.iter().find(|parameter| parameter.name == name)
    }

    fn setting(&self, name: &str) -> Option<&'h Setting> {
        self.settings.iter().find(|(key, _)| key == name).map(|(_, setting)| setting)
    }

    /// A parameter that is a switch; false where the check has no such parameter.
    pub fn flag(&self, name: &str) -> bool {
        match (self.setting(name), self.parameter(name).map(|parameter| parameter.default)) {
            (Some(Setting::Flag(flag)), _) => *flag,
            (_, Some(Value::Flag(flag))) => flag,
            _ => false,
        }
    }

    /// A parameter that is a number; zero where the check has no such parameter.
    pub fn number(&self, name: &str) -> i64 {
        match (self.setting(name), self.parameter(name).map(|parameter| parameter.default)) {
            (Some(Setting::Number(number)), _) => *number,
            (_, Some(Value::Number(number))) => number,
            _ => 0,
        }
    }

    /// A parameter that is a list of words; empty where the check has no such parameter.
    pub fn list(&self, name: &str) -> Vec<String> {
        match (self.setting(name), self.parameter(name).map(|parameter| parameter.default)) {
            (Some(Setting::List(list)), _) => list.clone(),
            (_, Some(Value::List(list))) => list.iter().map(|word| (*word).to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}

fn first_few(doubts: &Doubts<'_>) -> Vec<Doubt> {
    doubts.iter().flat_map(|part| part.iter()).take(DOUBTS_KEPT).cloned().collect()
}
