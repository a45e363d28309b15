//! The b-tree of a table: its rows in the order of their row ids.

use std::borrow::Cow;

use super::{Damage, HEADER, Pages, u16_at, u32_at, varint};

/// A page of rows.
const LEAF: u8 = 0x0d;

/// A page of pages.
const INTERIOR: u8 = 0x05;

/// Takes the row id and the record of a row.
pub(super) type OnRow<'r> = dyn FnMut(i64, &[u8]) -> Result<(), Damage> + 'r;

/// What is left to do, innermost last: no recursion, whatever the depth of the tree.
enum Step {
    Page(u32),
    /// Every row so far has this id or a smaller one, every further row a larger one.
    Key(i64),
}

/// What is known of the walk so far.
struct Walk<'w, 'b> {
    pages: &'w Pages<'b>,
    used: Vec<bool>,
    steps: Vec<Step>,
    last: Option<i64>,
}

/// Hands the row id and the record of every row below the root page to `row`.
pub(super) fn scan(pages: &Pages<'_>, root: u32, row: &mut OnRow<'_>) -> Result<(), Damage> {
    let most = pages.changed.len().saturating_add(pages.main.len() / pages.size);
    // A count of pages that are not there is found out when one of them is asked for.
    let known = usize::try_from(pages.count).unwrap_or(usize::MAX).min(most.saturating_mul(2));
    let mut walk =
        Walk { pages, used: vec![false; known.saturating_add(1)], steps: vec![Step::Page(root)], last: None };
    walk.use_page(root)?;
    while let Some(step) = walk.steps.pop() {
        match step {
            Step::Key(key) => walk.pass(key)?,
            Step::Page(number) => walk.page(number, row)?,
        }
    }
    Ok(())
}

impl<'b> Walk<'_, 'b> {
    /// Every page belongs to one place: a second use is a cycle or a crossed link.
    fn use_page(&mut self, number: u32) -> Result<(), Damage> {
        let slot = usize::try_from(number).ok().and_then(|number| self.used.get_mut(number));
        match slot {
            Some(used) if !*used && number > 0 => {
                *used = true;
                Ok(())
            }
            Some(_) if number > 0 => Err(Damage::new(format!("page {number} is used twice"))),
            // Out of range: says so.
            _ => self
                .pages
                .page(number)
                .map(drop)
                .and(Err(Damage::new("it refers to a page that is not there"))),
        }
    }

    fn pass(&mut self, key: i64) -> Result<(), Damage> {
        if self.last.is_some_and(|last| last > key) {
            return Err(Damage::new("its rows are out of order"));
        }
        self.last = Some(key);
        Ok(())
    }

    fn page(&mut self, number: u32, row: &mut OnRow<'_>) -> Result<(), Damage> {
        let page = self.pages.page(number)?;
        let page = page.get(..self.pages.usable).unwrap_or(page);
        let start = if number == 1 { HEADER } else { 0 };
        let broken = || Damage::new(format!("page {number} is no page of a table"));
        let kind = page.get(start).copied().ok_or_else(broken)?;
        let cells = usize::from(u16_at(page, start + 3).ok_or_else(broken)?);
        let pointers = match kind {
            LEAF => start + 8,
            INTERIOR => start + 12,
            _ => return Err(broken()),
        };
        let first_free = pointers.saturating_add(cells.saturating_mul(2));
        let offsets = page.get(pointers..first_free).ok_or_else(broken)?;
        let cell = |pointer: &[u8]| {
            let offset = usize::from(u16_at(pointer, 0)?);
            if offset < first_free { None } else { page.get(offset..) }
        };
        let cells = offsets.chunks_exact(2).map(|pointer| cell(pointer).ok_or_else(broken));
        if kind == LEAF {
            for cell in cells {
                let (rowid, payload) = self.row(cell?)?;
                if self.last.is_some_and(|last| last >= rowid) {
                    return Err(Damage::new("its rows are out of order"));
                }
                self.last = Some(rowid);
                row(rowid, &payload)?;
            }
            return Ok(());
        }
        let mut steps = Vec::new();
        for cell in cells {
            let cell = cell?;
            let child = u32_at(cell, 0).ok_or_else(broken)?;
            let (key, _) = cell.get(4..).and_then(varint).ok_or_else(broken)?;
            self.use_page(child)?;
            steps.extend([Step::Page(child), Step::Key(key)]);
        }
        let last = u32_at(page, start + 8).ok_or_else(broken)?;
        self.use_page(last)?;
        steps.push(Step::Page(last));
        self.steps.extend(steps.into_iter().rev());
        Ok(())
    }

    /// A row of a leaf: the id and the record, which goes on on pages of its own if it is large.
    fn row(&mut self, cell: &'b [u8]) -> Result<(i64, Cow<'b, [u8]>), Damage> {
        let broken = || Damage::new("a row does not fit on its page");
        let (size, first) = varint(cell).ok_or_else(broken)?;
        let (rowid, second) = cell.get(first..).and_then(varint).ok_or_else(broken)?;
        let size = usize::try_from(size).map_err(|_| broken())?;
        let rest = cell.get(first + second..).ok_or_else(broken)?;
        let here = local(size, self.pages.usable);
        let local = rest.get(..here).ok_or_else(broken)?;
        if here == size {
            return Ok((rowid, Cow::Borrowed(local)));
        }
        let next = u32_at(rest, here).ok_or_else(broken)?;
        Ok((rowid, Cow::Owned(self.overflow(local, next, size)?)))
    }

    /// Each overflow page begins with the number of the next one, 0 on the last.
    fn overflow(&mut self, local: &[u8], first: u32, size: usize) -> Result<Vec<u8>, Damage> {
        let mut payload = local.to_vec();
        let mut next = first;
        while payload.len() < size {
            self.use_page(next)?;
            let page = self.pages.page(next)?;
            let page = page.get(..self.pages.usable).unwrap_or(page);
            next = u32_at(page, 0).unwrap_or(0);
            let content = page.get(4..).unwrap_or_default();
            payload.extend_from_slice(content.get(..size - payload.len()).unwrap_or(content));
        }
        if next == 0 { Ok(payload) } else { Err(Damage::new("a row has more pages than it needs")) }
    }
}

/// How much of a record of `size` bytes stands on the page of the row.
fn local(size: usize, usable: usize) -> usize {
    let most = usable.saturating_sub(35);
    if size <= most {
        return size;
    }
    let least = (usable.saturating_sub(12) * 32 / 255).saturating_sub(23);
    let some = least + (size - least) % usable.saturating_sub(4).max(1);
    if some <= most { some } else { least }
}
