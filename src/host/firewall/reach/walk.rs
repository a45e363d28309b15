//! A chain of the firewall walked with sets of sources.
//!
//! The first match decides. Where it cannot be told whether a step matches some sources, the walk goes on with them
//! and remembers what the step would have done: they are unknown unless the step that decides later does the same.
//! Whoever attacks chooses the source port and among the addresses of the target, so a chain that looks at those is
//! walked once for each choice that makes a difference, and the most open answer counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::memo::Memo;
use super::{Outcome, Part, Place};
use crate::formats::firewall::Verdict;
use crate::formats::firewall::address::Family;
use crate::host::firewall::cover::AddressSet;

/// How much work is spent on one question, in intervals of addresses that are gone through: many times of what is in
/// use, so that no file keeps the audit busy for long.
const MOST_WORK: usize = 4_000_000;

/// Most choices of source port and destination that are told apart; behind them the chain is unknown.
const MOST_CHOICES: usize = 256;

/// Why a question is not answered that is too much work.
const TOO_MUCH: &str = "there are more rules and addresses than can be followed";

/// Most sets of doubtful sources that are kept apart; further ones are thrown together.
const MOST_PENDING: usize = 32;

/// Ports as ranges, both ends included; none for all.
pub(super) type PortRanges = Option<Rc<[(u16, u16)]>>;

/// The addresses that one end of a step matches.
#[derive(Debug, Clone)]
pub(super) struct Among {
    /// Those it matches.
    pub(super) sure: Rc<AddressSet>,
    /// Those it may match, and why that cannot be told.
    pub(super) maybe: Option<(Rc<AddressSet>, Rc<str>)>,
}

impl Among {
    /// Known addresses.
    pub(super) fn known(set: AddressSet) -> Self {
        Self { sure: Rc::new(set), maybe: None }
    }

    /// Addresses that may be matched, and why that cannot be told.
    pub(super) fn perhaps(set: AddressSet, why: &str) -> Self {
        Self { sure: Rc::default(), maybe: Some((Rc::new(set), Rc::from(why))) }
    }

    /// The same within `whole`.
    pub(super) fn within(&self, whole: &AddressSet) -> Self {
        if whole.is_everything() {
            return self.clone();
        }
        let both = |set: &Rc<AddressSet>| {
            if whole.covers(set) { Rc::clone(set) } else { Rc::new(set.intersect(whole)) }
        };
        let maybe = self.maybe.as_ref().map(|(set, why)| (both(set), Rc::clone(why)));
        Self { sure: both(&self.sure), maybe }
    }

    /// The same with what was sure now doubtful.
    pub(super) fn doubted(&self, why: &Rc<str>) -> Self {
        let set = match &self.maybe {
            Some((maybe, _)) => Rc::new(self.sure.union(maybe)),
            None => Rc::clone(&self.sure),
        };
        Self { sure: Rc::default(), maybe: Some((set, Rc::clone(why))) }
    }
}

/// One step of a chain.
#[derive(Debug, Clone)]
pub(super) struct Step<'a> {
    pub(super) verdict: Verdict,
    pub(super) place: Place<'a>,
    /// Protocol number; none for all.
    pub(super) protocol: Option<u16>,
    pub(super) dport: PortRanges,
    pub(super) sport: PortRanges,
    pub(super) source: Among,
    /// The destinations; none for all.
    pub(super) dest: Option<Among>,
}

impl<'a> Step<'a> {
    /// A step that decides about every packet of these sources.
    pub(super) fn all(verdict: Verdict, place: Place<'a>, source: Among) -> Self {
        Self { verdict, place, protocol: None, dport: None, sport: None, source, dest: None }
    }

    /// The same for these ports of a protocol only.
    pub(super) fn for_ports(self, protocol: u16, ports: &[(u16, u16)]) -> Self {
        Self { protocol: Some(protocol), dport: Some(Rc::from(ports)), ..self }
    }

    fn concerns(&self, protocol: u16, port: u16) -> bool {
        self.protocol.is_none_or(|own| own == protocol) && holds(&self.dport, port)
    }
}

fn holds(ports: &PortRanges, port: u16) -> bool {
    ports.as_ref().is_none_or(|ranges| ranges.iter().any(|(first, last)| (*first..=*last).contains(&port)))
}

/// A chain: its steps in order, the last of which decides about everything that is left.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// The addresses of the target; none among them stands for those that are not known.
    pub(super) addresses: Addresses,
    /// The first call of a security group behind which every packet of a filtered guest is let in.
    pub(super) leak: Option<Place<'a>>,
}

/// The addresses of a target, of each family; none among them stands for those that are not known.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    pub(super) v4: Vec<Option<IpAddr>>,
    pub(super) v6: Vec<Option<IpAddr>>,
}

impl Addresses {
    /// One address and no other.
    pub(super) fn only(address: IpAddr) -> Self {
        let own = |family| if Family::of(address) == family { vec![Some(address)] } else { Vec::new() };
        Self { v4: own(Family::V4), v6: own(Family::V6) }
    }

    /// Of a network card: those its configuration gives; without one of a family that is not known.
    pub(super) fn of_guest(given: &[IpAddr]) -> Self {
        let of = |family| {
            let own = given.iter().filter(|address| Family::of(**address) == family).copied().map(Some);
            let own: Vec<Option<IpAddr>> = own.collect();
            if own.is_empty() { vec![None] } else { own }
        };
        Self { v4: of(Family::V4), v6: of(Family::V6) }
    }
}

/// Who the packet is from and to, beside its sources.
#[derive(Debug, Clone, Copy)]
struct Choice {
    sport: u16,
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl<'a> Chain<'a> {
    /// What happens to packets of every source to this port.
    pub(super) fn walk(&self, protocol: u16, port: u16, memo: &Memo) -> Vec<Part<'a>> {
        self.walk_to(&self.addresses, protocol, port, memo)
    }

    /// The same to a target with other addresses.
    pub(super) fn walk_to(
        &self,
        addresses: &Addresses,
        protocol: u16,
        port: u16,
        memo: &Memo,
    ) -> Vec<Part<'a>> {
        let steps: Vec<&Step<'a>> = self.steps.iter().filter(|step| step.concerns(protocol, port)).collect();
        let mut work = 0;
        let (choices, cut) = choices(&steps, addresses);
        let mut answers = Vec::new();
        for choice in &choices {
            let rest = memo.everything.clone();
            let mut walk = Walk { rest, pending: Vec::new(), parts: Vec::new(), work, memo };
            walk.run(&steps, *choice);
            // Only a chain that is cut short or too much work leaves sources undecided.
            walk.give_up();
            work = walk.work;
            answers.push(walk.parts);
        }
        if cut {
            answers.push(vec![Part::unknown(AddressSet::everything(), TOO_MUCH)]);
        }
        merge(answers)
    }

    /// The ports of a protocol in runs: all steps treat those of one run alike. Runs of the same number are concerned
    /// by the same steps.
    pub(super) fn runs(&self, protocol: u16, (first, last): (u16, u16)) -> Vec<((u16, u16), usize)> {
        // Where each step begins and ends to be concerned, in ascending order.
        let mut turns: Vec<(u32, usize, bool)> = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let ports = step.dport.as_ref().filter(|_| step.protocol.is_none_or(|own| own == protocol));
            for (from, to) in ports.into_iter().flat_map(|ports| ports.iter()) {
                if from <= to {
                    turns.push((u32::from(*from), index, true));
                    turns.push((u32::from(*to) + 1, index, false));
                }
            }
        }
        turns.sort_unstable();
        let mut concerned = Concerned::new(self.steps.len());
        let mut alike: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
        let mut runs: Vec<((u16, u16), usize)> = Vec::new();
        let mut turns = turns.into_iter().peekable();
        let mut start = u32::from(first);
        while start <= u32::from(last) {
            while let Some((_, index, begins)) = turns.next_if(|(port, ..)| *port <= start) {
                concerned.turn(index, begins);
            }
            let next = turns.peek().map_or(u32::MAX, |(port, ..)| *port);
            let end = next.saturating_sub(1).min(u32::from(last));
            let fresh = alike.len();
            let number = match alike.get(&concerned.bits) {
                Some(number) => *number,
                None => *alike.entry(concerned.bits.clone()).or_insert(fresh),
            };
            let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
            runs.push(((port(start), port(end)), number));
            start = end + 1;
        }
        runs
    }

    /// The steps behind the built-in one of this name that deny what that one has let in.
    pub(super) fn denied_behind(&self, implicit: &str) -> Vec<Place<'a>> {
        let mut steps = self.steps.iter().skip_while(|step| step.place.implicit != Some(implicit));
        let Some(opening) = steps.next() else { return Vec::new() };
        let same_ports = |step: &Step<'a>| match (&step.dport, &opening.dport) {
            (Some(own), Some(open)) => {
                own.iter().any(|(first, last)| open.iter().any(|(from, to)| first <= to && from <= last))
            }
            _ => true,
        };
        let denied = steps.filter(|step| {
            step.verdict != Verdict::Accept
                && step.place.implicit.is_none()
                && (step.protocol.is_none() || step.protocol == opening.protocol)
                && same_ports(step)
                && step.source.sure.meets(&opening.source.sure)
        });
        let mut places: Vec<Place<'a>> = denied.map(|step| step.place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether some packet may be denied.
    pub(super) fn denies(&self) -> bool {
        self.steps.iter().any(|step| step.verdict != Verdict::Accept)
    }
}

/// The source ports and destinations that the steps tell apart, and whether there are too many.
fn choices(steps: &[&Step<'_>], addresses: &Addresses) -> (Vec<Choice>, bool) {
    /// A source port that ordinary clients use.
    const ORDINARY: u16 = 50_000;
    let mut turns = BTreeSet::new();
    for (first, last) in steps.iter().filter_map(|step| step.sport.as_ref()).flat_map(|ports| ports.iter()) {
        // One port below, one of and one above the range.
        turns.extend([1, *first, last.saturating_add(1)].into_iter().filter(|port| *port > 0));
    }
    let sports: Vec<u16> = std::iter::once(ORDINARY).chain(turns).collect();
    let told_apart = steps.iter().any(|step| step.dest.is_some());
    let of =
        |list: &[Option<IpAddr>]| if told_apart && !list.is_empty() { list.to_vec() } else { vec![None] };
    let (v4, v6) = (of(&addresses.v4), of(&addresses.v6));
    let longest = v4.len().max(v6.len());
    let at = |list: &[Option<IpAddr>], index: usize| list.get(index).or(list.first()).copied().flatten();
    let dests = (0..longest).map(|index| (at(&v4, index), at(&v6, index)));
    let all = dests.flat_map(|(v4, v6)| sports.iter().map(move |sport| Choice { sport: *sport, v4, v6 }));
    let mut all: Vec<Choice> = all.collect();
    let cut = all.len() > MOST_CHOICES;
    all.truncate(MOST_CHOICES);
    (all, cut)
}

/// Which steps are concerned, while ports are gone through.
struct Concerned {
    /// One bit for each step.
    bits: Vec<u64>,
    /// How many of its port ranges hold the port: they may overlap.
    counts: Vec<u32>,
}

impl Concerned {
    fn new(steps: usize) -> Self {
        let words = steps.div_ceil(64);
        Self { bits: vec![0; words], counts: vec![0; steps] }
    }

    fn turn(&mut self, index: usize, begins: bool) {
        let Some(count) = self.counts.get_mut(index) else { return };
        *count = if begins { count.saturating_add(1) } else { count.saturating_sub(1) };
        let Some(word) = self.bits.get_mut(index / 64) else { return };
        let bit = 1_u64 << (index % 64);
        *word = if *count > 0 { *word | bit } else { *word & !bit };
    }
}

/// The runs of several chains together.
pub(super) fn runs_of(
    chains: &[&Chain<'_>],
    protocol: u16,
    (first, last): (u16, u16),
) -> Vec<((u16, u16), usize)> {
    let runs: Vec<Vec<((u16, u16), usize)>> =
        chains.iter().map(|chain| chain.runs(protocol, (first, last))).collect();
    let starts: BTreeSet<u16> = runs.iter().flatten().map(|((start, _), _)| *start).collect();
    let ends = starts.iter().skip(1).map(|next| next.saturating_sub(1)).chain([last]);
    let number = |runs: &[((u16, u16), usize)], port: u16| {
        let at = runs.partition_point(|((start, _), _)| *start <= port);
        at.checked_sub(1).and_then(|at| runs.get(at)).map_or(0, |(_, number)| *number)
    };
    let mut alike: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let of_all = starts.iter().zip(ends).map(|(start, end)| {
        let fresh = alike.len();
        let key = runs.iter().map(|runs| number(runs, *start)).collect();
        ((*start, end), *alike.entry(key).or_insert(fresh))
    });
    of_all.collect()
}

/// Sources that an earlier step may have decided about.
struct Pending<'a> {
    set: AddressSet,
    verdict: Verdict,
    place: Place<'a>,
    why: Rc<str>,
}

struct Walk<'a, 'm> {
    memo: &'m Memo,
    /// Sources that nothing has decided about.
    rest: AddressSet,
    pending: Vec<Pending<'a>>,
    parts: Vec<Part<'a>>,
    work: usize,
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self, steps: &[&Step<'a>], choice: Choice) {
        for step in steps {
            if self.rest.is_empty() || self.work > MOST_WORK {
                return;
            }
            self.work += 1;
            if !holds(&step.sport, choice.sport) {
                continue;
            }
            match &step.dest {
                None => self.step(step, &step.source),
                Some(dest) => {
                    for (family, address) in [(Family::V4, choice.v4), (Family::V6, choice.v6)] {
                        let whole = AddressSet::family(family);
                        match arrives(dest, address, &whole) {
                            Arrives::Yes => self.step(step, &step.source.within(&whole)),
                            Arrives::Perhaps(why) => {
                                self.step(step, &step.source.within(&whole).doubted(&why));
                            }
                            Arrives::No => {}
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self, step: &Step<'a>, source: &Among) {
        self.work += source.sure.pieces() + self.rest.pieces();
        let decided = self.memo.intersect(&source.sure, &self.rest);
        if !decided.is_empty() {
            self.rest = self.memo.subtract(&self.rest, &source.sure);
            self.decide(decided, step.verdict, step.place);
        }
        if let Some((maybe, why)) = &source.maybe {
            self.work += maybe.pieces() + self.rest.pieces();
            let set = self.memo.intersect(maybe, &self.rest);
            if !set.is_empty() {
                self.doubt(Pending { set, verdict: step.verdict, place: step.place, why: Rc::clone(why) });
            }
        }
    }

    fn doubt(&mut self, new: Pending<'a>) {
        let full = self.pending.len() >= MOST_PENDING;
        let same = |old: &&mut Pending<'a>| {
            old.verdict == new.verdict && (full || (old.place == new.place && old.why == new.why))
        };
        match self.pending.iter_mut().find(same) {
            Some(old) => {
                self.work += old.set.pieces();
                old.set = old.set.union(&new.set);
            }
            None => self.pending.push(new),
        }
    }

    /// Records the verdict, except where an earlier step may have said something else.
    fn decide(&mut self, mut set: AddressSet, verdict: Verdict, place: Place<'a>) {
        for doubt in self.pending.iter().filter(|doubt| doubt.verdict != verdict) {
            self.work += doubt.set.pieces() + set.pieces();
            let both = self.memo.intersect(&set, &doubt.set);
            if !both.is_empty() {
                set = self.memo.subtract(&set, &both);
                let outcome = Outcome::Unknown { why: Rc::clone(&doubt.why), perhaps: Some(doubt.verdict) };
                push(&mut self.parts, Part { sources: both, outcome, place: doubt.place });
            }
        }
        push(&mut self.parts, Part { sources: set, outcome: Outcome::from(verdict), place });
    }

    /// What is left cannot be followed.
    fn give_up(&mut self) {
        let sources = std::mem::take(&mut self.rest);
        push(&mut self.parts, Part::unknown(sources, TOO_MUCH));
    }
}

/// Whether a packet to this address is one to the destination of a step.
enum Arrives {
    Yes,
    No,
    Perhaps(Rc<str>),
}

fn arrives(dest: &Among, address: Option<IpAddr>, whole: &AddressSet) -> Arrives {
    let perhaps =
        |set: &AddressSet| address.map_or_else(|| set.meets(whole), |address| set.contains(address));
    let sure = match address {
        Some(address) => dest.sure.contains(address),
        None => dest.sure.covers(whole),
    };
    if sure {
        return Arrives::Yes;
    }
    match &dest.maybe {
        Some((set, why)) if perhaps(set) => Arrives::Perhaps(Rc::clone(why)),
        _ if address.is_none() && perhaps(&dest.sure) => {
            Arrives::Perhaps(Rc::from("it hangs on the address of the target, which is not known"))
        }
        _ => Arrives::No,
    }
}

/// Adds a part, to the last one if that says the same.
fn push<'a>(parts: &mut Vec<Part<'a>>, part: Part<'a>) {
    if part.sources.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(last) if last.place == part.place && last.outcome == part.outcome => {
            last.sources = last.sources.union(&part.sources);
        }
        _ => parts.push(part),
    }
}

/// The same with parts that say the same in one.
pub(super) fn joined(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let mut all: Vec<Part<'_>> = Vec::new();
    for part in parts {
        match all.iter_mut().find(|old| old.place == part.place && old.outcome == part.outcome) {
            Some(old) => old.sources = old.sources.union(&part.sources),
            None => all.push(part),
        }
    }
    all
}

/// Of several answers the most open one for each source.
pub(super) fn merge(answers: Vec<Vec<Part<'_>>>) -> Vec<Part<'_>> {
    if answers.len() < 2 {
        return answers.into_iter().flatten().collect();
    }
    let mut all: Vec<Part<'_>> = answers.into_iter().flatten().collect();
    all.sort_by_key(|part| part.outcome.closedness());
    let (mut seen, mut merged) = (AddressSet::empty(), Vec::new());
    for part in all {
        let fresh = part.sources.subtract(&seen);
        if fresh.is_empty() {
            continue;
        }
        seen = seen.union(&fresh);
        let part = Part { sources: fresh, ..part };
        let same = |old: &&mut Part<'_>| old.place == part.place && old.outcome == part.outcome;
        match merged.iter_mut().find(same) {
            Some(old) => old.sources = old.sources.union(&part.sources),
            None => merged.push(part),
        }
    }
    merged
}
