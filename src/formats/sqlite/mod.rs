//! SQLite databases: the rows of one table, of the main file and the write-ahead log.
//!
//! Follows <https://www.sqlite.org/fileformat2.html>, and `sqlite:src/wal.c` (`walIndexRecover`) for what counts of a
//! log that ends early. Only what a full scan of a table needs is read: the free list, indices and pointer maps are
//! not looked at, and nothing is ever written.
//!
//! The memory is bounded by the size of the files: no page is used twice. What can be told of damage: pages have no
//! checksum, so bytes changed inside a value look like another value; whatever breaks the structure (a page that is
//! missing, used twice, or no table page, keys out of order, sizes that do not add up) is a [`Damage`], and no row
//! counts then. The frames of the log do have checksums: a changed one ends the log there, as it does for SQLite, and
//! [`Database::log`] tells.

mod btree;
mod record;
mod schema;
mod wal;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use record::Value;
pub use schema::Table;
pub use wal::Log;

/// The first bytes of every database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Size of the header on the first page.
const HEADER: usize = 100;

/// Smallest and largest page.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 512..=65536;

/// Fewest bytes of a page that are not reserved for extensions.
const LEAST_USABLE: usize = 480;

/// Newest read version: 2 is for write-ahead logs. SQLite does not open newer ones.
const NEWEST_READ_VERSION: u8 = 2;

/// Text is UTF-8 (2 and 3 are UTF-16); 0 in a database without a table.
const UTF_8: u32 = 1;

/// What begins a rollback journal that is still to be played back; a finished one begins with zeros or is empty.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Why no row of a database counts: one sentence without a full stop, starting in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

impl Damage {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a rollback journal with these first bytes makes the database wait for a rollback: the main file is then
/// in the middle of a change.
pub fn is_hot_journal(bytes: &[u8]) -> bool {
    bytes.starts_with(&JOURNAL_MAGIC)
}

/// A database: the pages of the main file, and over them the committed ones of its log.
#[derive(Debug)]
pub struct Database<'b> {
    pages: Pages<'b>,
    /// How the log ended.
    pub log: Log,
}

impl<'b> Database<'b> {
    /// Opens the database of the main file and the write-ahead log (empty for none).
    ///
    /// # Errors
    /// When SQLite would not open it, or it was cut off.
    pub fn open(main: &'b [u8], log: &'b [u8]) -> Result<Self, Damage> {
        if main.is_empty() {
            return Err(Damage::new("it is empty"));
        }
        let size = page_size(main)?;
        let (frames, log) = wal::read(log, size)?;
        let mut pages = Pages { size, usable: size, count: 0, main, changed: frames.pages };
        if frames.size.is_none() && !main.len().is_multiple_of(size) {
            return Err(Damage::new("it was cut off in the middle of a page"));
        }
        let in_files = frames.size.unwrap_or_else(|| number(main.len() / size));
        pages.count = in_files.max(1);
        let first = pages.page(1)?;
        pages.usable = check_header(first, size)?;
        // The size in the header counts only if the program that wrote last knew of it.
        let stated = u32_at(first, 28).unwrap_or(0);
        if stated > 0 && first.get(24..28) == first.get(92..96) {
            if stated > in_files {
                return Err(Damage::new(format!(
                    "it was cut off: {in_files} of its {stated} pages are there"
                )));
            }
            pages.count = stated;
        }
        Ok(Self { pages, log })
    }

    /// The table of this name.
    ///
    /// # Errors
    /// When there is none, or the schema is damaged.
    pub fn table(&self, name: &str) -> Result<Table, Damage> {
        let mut found = Vec::new();
        btree::scan(&self.pages, 1, &mut |_, payload| {
            // type, name, tbl_name, rootpage, sql
            let values = record::read(payload)?;
            let [kind, own, _, root, sql] = values.as_slice() else {
                return Err(Damage::new("a row of its schema has no five columns"));
            };
            let is_it = own.bytes().is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()));
            if is_it && kind.bytes() == Some(b"table") {
                found.push((root.integer(), sql.bytes().map(<[u8]>::to_vec)));
            }
            Ok(())
        })?;
        let Some((Some(root), Some(sql))) = found.pop() else {
            return Err(Damage::new(format!("it has no table `{name}`")));
        };
        let root = u32::try_from(root).map_err(|_| Damage::new("the root page of its table is no page"))?;
        schema::table(root, &sql)
    }

    /// Hands every row of the table to `row`, in the order of the row ids, with as many values as the table has
    /// columns. The column that is the row id by another name has it as its value.
    ///
    /// # Errors
    /// The first damage, or the first error of `row`.
    pub fn rows(
        &self,
        table: &Table,
        mut row: impl FnMut(&[Value<'_>]) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        btree::scan(&self.pages, table.root, &mut |rowid, payload| {
            let mut values = record::read(payload)?;
            // A column that was added later is missing in older rows; its default is not known here.
            if values.len() != table.columns.len() {
                return Err(Damage::new(format!("row {rowid} has {} columns", values.len())));
            }
            if let Some(key) = table.row_id.and_then(|at| values.get_mut(at)) {
                *key = Value::Integer(rowid);
            }
            row(&values)
        })
    }
}

/// The pages of a database.
#[derive(Debug)]
struct Pages<'b> {
    size: usize,
    usable: usize,
    count: u32,
    main: &'b [u8],
    changed: BTreeMap<u32, &'b [u8]>,
}

impl<'b> Pages<'b> {
    /// Page `number`, counted from 1, as the last commit left it.
    fn page(&self, number: u32) -> Result<&'b [u8], Damage> {
        if number == 0 || number > self.count {
            return Err(Damage::new(format!("it refers to page {number} of {}", self.count)));
        }
        if let Some(page) = self.changed.get(&number) {
            return Ok(page);
        }
        let start = usize::try_from(number - 1).ok().and_then(|before| before.checked_mul(self.size));
        let page = start.and_then(|start| self.main.get(start..start.checked_add(self.size)?));
        page.ok_or_else(|| Damage::new(format!("it was cut off: page {number} of {} is missing", self.count)))
    }
}

fn page_size(main: &[u8]) -> Result<usize, Damage> {
    if !main.starts_with(MAGIC) {
        return Err(Damage::new("it is no SQLite database: its first bytes are others"));
    }
    if main.len() < HEADER {
        return Err(Damage::new("it was cut off in its header"));
    }
    // 65536 does not fit and is written as 1.
    let size = match u16_at(main, 16) {
        Some(1) => 65536,
        other => usize::from(other.unwrap_or(0)),
    };
    if !size.is_power_of_two() || !PAGE_SIZES.contains(&size) {
        return Err(Damage::new(format!("its header has a page size of {size}")));
    }
    Ok(size)
}

/// The usable size of a page, from the header on the first page.
fn check_header(first: &[u8], size: usize) -> Result<usize, Damage> {
    if page_size(first)? != size {
        return Err(Damage::new("its log has another page size"));
    }
    let byte = |at: usize| first.get(at).copied().unwrap_or(0);
    if byte(19) > NEWEST_READ_VERSION || byte(19) == 0 {
        return Err(Damage::new(format!("its header has the unknown format version {}", byte(19))));
    }
    if (byte(21), byte(22), byte(23)) != (64, 32, 32) {
        return Err(Damage::new("its header has other payload fractions than every database"));
    }
    if u32_at(first, 56) != Some(UTF_8) {
        return Err(Damage::new("its header does not have text as UTF-8"));
    }
    let usable = size.saturating_sub(usize::from(byte(20)));
    if usable < LEAST_USABLE {
        Err(Damage::new("its header reserves too much of each page"))
    } else {
        Ok(usable)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A number of pages; files of more than that are not read.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A number of one to nine bytes, seven bits in each but the ninth: the number and how many bytes it has.
fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            value = (value << 8) | u64::from(*byte);
            return Some((value.cast_signed(), 9));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value.cast_signed(), index + 1));
        }
    }
    None
}
