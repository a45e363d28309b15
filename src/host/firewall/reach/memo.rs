//! Sets of sources that earlier walks have made: guests share sets and security groups, so most of what a walk asks for
//! was asked for before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::walk::Among;
use crate::formats::firewall::address::Family;
use crate::host::firewall::cover::{AddressSet, Identity};

/// Most sets that are remembered, and most intervals in all of them together; behind them the memory starts anew.
const MOST_KNOWN: usize = 20_000;
const MOST_KNOWN_PIECES: usize = 400_000;

/// Sets with no more intervals than this are looked for by what is in them.
const SMALL: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Intersect,
    Subtract,
}

/// An operation, its two sets, which have to stay where they are, and what it gives.
type Known = BTreeMap<(Operation, Identity, Identity), (AddressSet, AddressSet, AddressSet)>;

/// Sets that earlier walks have made.
#[derive(Debug)]
pub(super) struct Memo {
    pub(super) everything: AddressSet,
    anybody: Rc<AddressSet>,
    v4: AddressSet,
    v6: AddressSet,
    known: RefCell<Known>,
    small: RefCell<BTreeSet<AddressSet>>,
    /// Intervals in all remembered sets.
    pieces: std::cell::Cell<usize>,
}

impl Default for Memo {
    fn default() -> Self {
        let everything = AddressSet::everything();
        Self {
            anybody: Rc::new(everything.clone()),
            everything,
            v4: AddressSet::family(Family::V4),
            v6: AddressSet::family(Family::V6),
            known: RefCell::default(),
            small: RefCell::default(),
            pieces: std::cell::Cell::default(),
        }
    }
}

impl Memo {
    /// The same set at the same place as before, if it is a small one.
    pub(super) fn shared(&self, set: AddressSet) -> AddressSet {
        if set.pieces() > SMALL {
            return set;
        }
        let mut small = self.small.borrow_mut();
        if let Some(known) = small.get(&set) {
            return known.clone();
        }
        if small.len() >= MOST_KNOWN {
            small.clear();
        }
        small.insert(set.clone());
        set
    }

    /// Every address, as one end of a step.
    pub(super) fn everybody(&self) -> Among {
        Among { sure: Rc::clone(&self.anybody), maybe: None }
    }

    /// Every address of these families, the same place in memory each time.
    pub(super) fn whole(&self, families: &[Family]) -> &AddressSet {
        match families {
            [Family::V4] => &self.v4,
            [Family::V6] => &self.v6,
            _ => &self.everything,
        }
    }

    pub(super) fn intersect(&self, left: &AddressSet, right: &AddressSet) -> AddressSet {
        if left.is_everything() {
            return right.clone();
        }
        if right.is_everything() {
            return left.clone();
        }
        self.made(Operation::Intersect, left, right)
    }

    pub(super) fn subtract(&self, left: &AddressSet, right: &AddressSet) -> AddressSet {
        if right.is_everything() {
            return AddressSet::empty();
        }
        self.made(Operation::Subtract, left, right)
    }

    fn made(&self, operation: Operation, left: &AddressSet, right: &AddressSet) -> AddressSet {
        let key = (operation, left.identity(), right.identity());
        if let Some((_, _, made)) = self.known.borrow().get(&key) {
            return made.clone();
        }
        let made = self.shared(match operation {
            Operation::Intersect => left.intersect(right),
            Operation::Subtract => left.subtract(right),
        });
        let mut known = self.known.borrow_mut();
        let pieces = self.pieces.get() + made.pieces();
        if known.len() >= MOST_KNOWN || pieces > MOST_KNOWN_PIECES {
            known.clear();
            self.pieces.set(0);
        } else {
            self.pieces.set(pieces);
        }
        known.insert(key, (left.clone(), right.clone(), made.clone()));
        made
    }
}
