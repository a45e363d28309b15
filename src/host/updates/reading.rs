//! Going through a package list without holding it.

use std::io::{ErrorKind, Read};

use memchr::memmem::Finder;

use super::unpack::{Packing, read_some, unpacked};
use crate::files::{Files, Trouble};
use crate::formats::package_list::{Cutter, STANZA_LIMIT, Stanza, leading_name};

/// Largest list file. Debian's largest has 60 MB.
const FILE_LIMIT: u64 = 512 << 20;

/// Largest list once it is unpacked.
const TEXT_LIMIT: u64 = 512 << 20;

/// How many bytes are looked at together.
const WINDOW: usize = 256 << 10;

/// What there was in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Content {
    /// Its size, unpacked.
    pub(super) bytes: u64,
    /// How many stanzas.
    pub(super) stanzas: u64,
    /// Why it was not read to its end, or not understood: one sentence.
    pub(super) damage: Option<String>,
}

/// Goes through a list and hands over the stanzas of wanted packages.
pub(super) fn read(
    files: &Files,
    path: &str,
    packing: Packing,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(&Stanza<'_>),
) -> Result<Content, Trouble> {
    files.stream(path, FILE_LIMIT, |file| match unpacked(file, packing) {
        Ok(mut text) => Window::default().run(&mut *text, wanted, each),
        Err(error) => Content { damage: Some(format!("cannot be unpacked: {error}")), ..Content::default() },
    })
}

struct Window {
    bytes: Vec<u8>,
    filled: usize,
    content: Content,
    cutter: Cutter,
    /// Finds a name that does not begin the stanza.
    again: Finder<'static>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            filled: 0,
            content: Content::default(),
            cutter: Cutter::default(),
            again: Finder::new(b"\nPackage:"),
        }
    }
}

impl Window {
    fn run(
        mut self,
        text: &mut dyn Read,
        wanted: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(&Stanza<'_>),
    ) -> Content {
        loop {
            match self.fill(text) {
                Ok(at_end) => {
                    self.cut(at_end, wanted, each);
                    if at_end {
                        break;
                    }
                }
                Err(what) => {
                    self.damage(&what);
                    break;
                }
            }
        }
        if self.content.bytes > 0 && self.content.stanzas == 0 {
            self.damage("is no package list");
        }
        self.content
    }

    /// The first damage is the one that is told.
    fn damage(&mut self, what: &str) {
        self.content.damage.get_or_insert_with(|| what.to_owned());
    }

    /// Reads more; whether the text ended, or why it cannot be read further.
    fn fill(&mut self, text: &mut dyn Read) -> Result<bool, String> {
        if self.filled >= STANZA_LIMIT {
            return Err(format!("has a stanza of more than {STANZA_LIMIT} bytes"));
        }
        if self.bytes.len() < self.filled.saturating_add(WINDOW / 2) {
            self.bytes.resize(self.filled.saturating_add(WINDOW), 0);
        }
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        let got = read_some(text, room).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => format!("was cut short: {error}"),
            _ => format!("cannot be unpacked: {error}"),
        })?;
        let new = room.get(..got).unwrap_or_default();
        let has_returns = memchr::memchr(b'\r', new).is_some();
        let begins_empty = self.content.bytes == 0 && new.starts_with(b"\n\n");
        let last = new.last().copied();
        self.filled = self.filled.saturating_add(got);
        self.content.bytes = self.content.bytes.saturating_add(got as u64);
        if has_returns {
            self.damage("has carriage returns");
        }
        if begins_empty {
            self.damage("begins with empty lines: apt cannot read it");
        }
        if self.content.bytes > TEXT_LIMIT {
            return Err(format!("has more than {TEXT_LIMIT} bytes"));
        }
        if last.is_none() && self.filled > 0 && self.bytes.get(self.filled.saturating_sub(1)) != Some(&b'\n')
        {
            self.damage("was cut short: its last line has no end");
        }
        Ok(got == 0)
    }

    fn cut(&mut self, at_end: bool, wanted: &dyn Fn(&str) -> bool, each: &mut dyn FnMut(&Stanza<'_>)) {
        let mut taken: usize = 0;
        let (mut damaged, mut joined) = (false, false);
        while let Some((stanza, count)) =
            self.cutter.next(self.bytes.get(taken..self.filled).unwrap_or_default(), at_end)
        {
            taken = taken.saturating_add(count);
            let name = leading_name(stanza).and_then(|name| std::str::from_utf8(name).ok());
            // The end of a stanza may be lost; apt goes by the last name.
            let has_two = name.is_some() && self.again.find(stanza).is_some();
            joined |= has_two;
            if !has_two && name.is_some_and(|name| !name.is_empty() && !wanted(name)) {
                self.content.stanzas = self.content.stanzas.saturating_add(1);
                continue;
            }
            let stanza = Stanza::parse(stanza);
            damaged |= stanza.damaged || stanza.package.is_empty() || stanza.version.is_empty();
            if !stanza.package.is_empty() {
                self.content.stanzas = self.content.stanzas.saturating_add(1);
                if wanted(stanza.package) {
                    each(&stanza);
                }
            }
        }
        self.bytes.copy_within(taken.min(self.filled)..self.filled, 0);
        self.filled = self.filled.saturating_sub(taken);
        if joined {
            self.damage("has two packages in one stanza: apt takes the last");
        }
        if damaged {
            self.damage("has a stanza that is no version of a package");
        }
    }
}
