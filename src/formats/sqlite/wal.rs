//! The write-ahead log: pages that are newer than those of the main file.
//!
//! Follows `sqlite:src/wal.c` (`walIndexRecover`, `walDecodeFrame`): a frame counts if its salts are those of the
//! header and the running checksum agrees, and only up to the last frame that ends a transaction. SQLite is silent
//! about anything behind it. [`Log`] is not: what is left of an older use of the log has older salts, anything else
//! may be a change that was lost.

use std::collections::BTreeMap;

use super::{Damage, u32_at};

/// The first bytes; with the last bit set, checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// The only version there is; SQLite refuses others.
const VERSION: u32 = 3_007_000;

const HEADER: usize = 32;

const FRAME_HEADER: usize = 24;

/// How many uses ago a frame left behind may have been written. Each use adds one to the first salt.
const OLDEST_USE: u32 = 1 << 20;

/// How a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// There is none.
    Absent,
    /// Every transaction in it counts.
    Whole,
    /// Its header is damaged: SQLite ignores all of it.
    Ignored,
    /// Something is behind the last transaction that counts: a transaction without its end, a frame that is cut off
    /// or damaged. SQLite ignores it.
    Torn,
}

/// What a log has.
#[derive(Debug, Default)]
pub(super) struct Frames<'b> {
    /// The newest of each page.
    pub(super) pages: BTreeMap<u32, &'b [u8]>,
    /// How many pages the database has; `None` without a transaction.
    pub(super) size: Option<u32>,
}

/// Reads the log of a database with pages of `page_size` bytes.
pub(super) fn read(bytes: &[u8], page_size: usize) -> Result<(Frames<'_>, Log), Damage> {
    let mut frames = Frames::default();
    if bytes.is_empty() {
        return Ok((frames, Log::Absent));
    }
    let Some(mut chain) = header(bytes, page_size)? else { return Ok((frames, Log::Ignored)) };
    let mut open: Vec<(u32, &[u8])> = Vec::new();
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while let Some((head, page, behind)) = split(rest, page_size) {
        if !chain.goes_on(head, page) {
            break;
        }
        let (number, commit) = (u32_at(head, 0).unwrap_or(0), u32_at(head, 4).unwrap_or(0));
        if number == 0 {
            break;
        }
        open.push((number, page));
        if commit > 0 {
            frames.pages.extend(open.drain(..));
            frames.size = Some(commit);
        }
        rest = behind;
    }
    let left = rest.is_empty() || chain.is_older(rest);
    Ok((frames, if open.is_empty() && left { Log::Whole } else { Log::Torn }))
}

fn split(bytes: &[u8], page_size: usize) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEADER)?;
    let (page, rest) = rest.split_at_checked(page_size)?;
    Some((head, page, rest))
}

/// The running checksum; `None` where SQLite ignores the log.
fn header(bytes: &[u8], page_size: usize) -> Result<Option<Chain>, Damage> {
    let word = |at| u32_at(bytes, at).unwrap_or(0);
    let Some(summed) = bytes.get(..HEADER - 8).filter(|_| bytes.len() >= HEADER) else { return Ok(None) };
    if word(0) & !1 != MAGIC {
        return Ok(None);
    }
    let mut chain = Chain { big_endian: word(0) & 1 == 1, sums: (0, 0), salts: (word(16), word(20)) };
    chain.add(summed);
    if chain.sums != (word(24), word(28)) {
        return Ok(None);
    }
    if word(4) != VERSION {
        return Err(Damage::new(format!("its log has the unknown version {}", word(4))));
    }
    if usize::try_from(word(8)).ok() != Some(page_size) {
        return Err(Damage::new("its log has another page size"));
    }
    Ok(Some(chain))
}

struct Chain {
    big_endian: bool,
    sums: (u32, u32),
    salts: (u32, u32),
}

impl Chain {
    fn add(&mut self, bytes: &[u8]) {
        let (mut one, mut two) = self.sums;
        for words in bytes.chunks_exact(8) {
            let (first, second) = words.split_at(4);
            one = one.wrapping_add(self.word(first)).wrapping_add(two);
            two = two.wrapping_add(self.word(second)).wrapping_add(one);
        }
        self.sums = (one, two);
    }

    fn word(&self, bytes: &[u8]) -> u32 {
        let bytes = bytes.try_into().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Whether this is the next frame.
    fn goes_on(&mut self, head: &[u8], page: &[u8]) -> bool {
        let word = |at| u32_at(head, at).unwrap_or(0);
        if (word(8), word(12)) != self.salts {
            return false;
        }
        self.add(head.get(..8).unwrap_or_default());
        self.add(page);
        self.sums == (word(16), word(20))
    }

    /// Whether the next frame is left from an older use of the log.
    fn is_older(&self, rest: &[u8]) -> bool {
        let (Some(one), Some(two)) = (u32_at(rest, 8), u32_at(rest, 12)) else { return false };
        let ago = self.salts.0.wrapping_sub(one);
        (1..=OLDEST_USE).contains(&ago) && two != self.salts.1
    }
}
