//! What `CREATE TABLE` tells of a table: its columns in their order, and which one is the row id.

use super::Damage;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) root: u32,
    /// The names of the columns in lower case, in their order.
    pub columns: Vec<String>,
    pub(super) row_id: Option<usize>,
}

impl Table {
    /// Where the column of this name stands.
    ///
    /// # Errors
    /// When there is none.
    pub fn column(&self, name: &str) -> Result<usize, Damage> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| Damage::new(format!("its table has no column `{name}`")))
    }
}

/// Words that begin a constraint of the table where a column could stand.
const CONSTRAINTS: [&str; 5] = ["constraint", "primary", "unique", "check", "foreign"];

/// Reads the statement that made a table.
pub(super) fn table(root: u32, sql: &[u8]) -> Result<Table, Damage> {
    let not_understood = || Damage::new("the definition of its table is not understood");
    let words = words(std::str::from_utf8(sql).map_err(|_| not_understood())?);
    let open = words.iter().position(|word| word == "(").ok_or_else(not_understood)?;
    let mut depth = 0_usize;
    let mut columns: Vec<Vec<&str>> = vec![Vec::new()];
    let mut behind = words.get(open..).unwrap_or_default().iter();
    for word in behind.by_ref() {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => {
                columns.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if let Some(column) = columns.last_mut().filter(|_| depth == 1) {
            column.push(word);
        }
    }
    // Such a table is another kind of tree; a computed column may not be stored.
    if depth > 0 || behind.any(|word| word == "without") {
        return Err(not_understood());
    }
    // The opening parenthesis itself is the first word of the first one.
    if let Some(first) = columns.first_mut().filter(|first| !first.is_empty()) {
        first.remove(0);
    }
    let mut table = Table { root, columns: Vec::new(), row_id: None };
    for column in columns {
        let Some((name, about)) = column.split_first() else { return Err(not_understood()) };
        if CONSTRAINTS.contains(name) {
            // A key of the table may be the row id as well.
            if *name == "primary" || about.contains(&"primary") {
                return Err(not_understood());
            }
            continue;
        }
        if about.contains(&"as") || about.contains(&"generated") {
            return Err(not_understood());
        }
        if about.first() == Some(&"integer") && about.windows(2).any(|pair| pair == ["primary", "key"]) {
            table.row_id = Some(table.columns.len());
        }
        table.columns.push((*name).to_owned());
    }
    Ok(table)
}

/// The words of a statement in lower case; quotes around names are taken off, texts in single quotes are one word.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '"' | '`' | '\'' => Some(first),
            '[' => Some(']'),
            _ => None,
        };
        let inside = rest.strip_prefix(first).unwrap_or_default();
        let (word, behind) = if let Some(closing) = closing {
            inside.split_once(closing).unwrap_or((inside, ""))
        } else {
            let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8());
            rest.split_at_checked(end).unwrap_or((rest, ""))
        };
        words.push(word.to_ascii_lowercase());
        rest = behind.trim_start();
    }
    words
}
