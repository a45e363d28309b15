//! The access review: one table of who may do what where, for a person to sign.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use super::ask::Asked;
use super::collect::{Access, Holds, Identity};
use super::issue::Issue;
use super::json::{list, value};
use super::rights::{Reach, Right};
use super::words::except;
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{AclEntry, AclSubject};
use crate::host::access::USER_CFG;
use crate::show::harmless_text;

/// The columns: heading and width. What is wider than its column stands whole, and the row goes on in the next line.
const COLUMNS: [(&str, usize); 8] = [
    ("IDENTITY", 28),
    ("ROOT", 4),
    ("STATUS", 8),
    ("2ND FACTOR", 14),
    ("ROLE", 18),
    ("OBJECT", 23),
    ("SOURCE", 12),
    ("OK", 3),
];

/// Reach of a right that holds on its path and below.
const WHOLE: &str = "path";

/// Reach of a right that holds on its very path and not below.
const ALONE: &str = "path-alone";

/// Reach of a right that holds below its path and not on it.
const BELOW: &str = "below-path";

/// Reach of a row about one path, whatever holds below.
const HERE: &str = "this-path";

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    identity: String,
    kind: &'static str,
    status: &'static str,
    second_factor: Option<&'static str>,
    administrator: bool,
    /// `null` for root@pam, for a token that has every right of its owner, and for whoever has no right.
    role: Option<String>,
    /// Where; `null` as `role`.
    path: Option<String>,
    /// [`WHOLE`], [`ALONE`], [`BELOW`] or [`HERE`].
    reach: Option<&'static str>,
    /// Where below it does not hold.
    except: Vec<String>,
    /// `direct`, `group`, `pool`, `owner` (every right of the owner), `root` or `none`.
    source: &'static str,
    /// The group, pool or owner.
    through: Option<String>,
    /// Who must have the same for it to count, for a token.
    limited_by: Option<String>,
    /// Line in user.cfg.
    line: Option<u32>,
}

/// What the review is about.
#[derive(Serialize)]
struct Head {
    report: &'static str,
    pve: u8,
    host: Option<String>,
    cluster: Option<String>,
    time: String,
    user_cfg: Changed,
    tool: &'static str,
}

#[derive(Serialize)]
struct Changed {
    path: &'static str,
    /// `null` where it cannot be told.
    modified: Option<String>,
}

/// Writes the review.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(
    access: &Access<'_>,
    asked: &Asked,
    issues: &[Issue],
    as_json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = head(access);
    let rows = access.everybody().filter(|one| asked.wants(&one.id)).flat_map(|one| rows(access, asked, one));
    if as_json {
        out.write_all(b"{\n\"review\": ")?;
        value(out, &head)?;
        out.write_all(b",\n\"rows\": ")?;
        list(out, rows)?;
        out.write_all(b",\n\"issues\": ")?;
        list(out, issues)?;
        return out.write_all(b"\n}\n");
    }
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    for (name, text) in [
        ("Access review", "Proxmox VE ".to_owned() + &head.pve.to_string()),
        ("host", or(&head.host, "unknown")),
        ("cluster", or(&head.cluster, "none")),
        ("time", head.time.clone()),
        ("user.cfg", format!("changed last {}", or(&head.user_cfg.modified, "at an unknown time"))),
        ("made by", head.tool.to_owned()),
    ] {
        line(out, &format!("{name:<15}{text}"))?;
    }
    if asked.is_narrow() {
        line(out, &format!("{:<15}only part of it, as asked for", "scope"))?;
    }
    line(out, "")?;
    table_row(out, &COLUMNS.map(|(heading, _)| heading.to_owned()))?;
    table_row(out, &COLUMNS.map(|(_, width)| "-".repeat(width)))?;
    for row in rows {
        table_row(out, &row.cells())?;
        for more in row.more() {
            line(out, &format!("{:1$}{more}", "", start_of(ROLE_COLUMN)))?;
        }
    }
    line(out, "")?;
    for text in [
        "ROOT * = has full power or root on a node, or can take it. A disabled or expired identity keeps its roles.",
        "SOURCE: direct = an ACL entry of its own; group, pool = through that one; owner = every right of the owner.",
    ] {
        line(out, text)?;
    }
    if !issues.is_empty() {
        line(out, "\nNot known or not understood:")?;
        for issue in issues {
            line(out, &format!("  {}", issue.words()))?;
        }
    }
    line(out, "")?;
    for what in ["Reviewed by", "Function", "Date", "Signature"] {
        line(out, &format!("{what:<15}{}\n", "_".repeat(50)))?;
    }
    Ok(())
}

/// The column further remarks of a row start in.
const ROLE_COLUMN: usize = 4;

fn head(access: &Access<'_>) -> Head {
    Head {
        report: "access-review",
        pve: access.cfg.release.major(),
        host: access.host.node_name(),
        cluster: access.host.cluster().and_then(|cluster| cluster.name),
        time: access.now.to_string(),
        user_cfg: Changed { path: USER_CFG, modified: access.changed.map(|time| time.to_string()) },
        tool: concat!("pve-audit ", env!("CARGO_PKG_VERSION")),
    }
}

/// The rows of one identity: at least one, unless only some roles or paths were asked for.
fn rows<'h>(access: &Access<'h>, asked: &Asked, identity: &Identity<'h>) -> Vec<Row> {
    let row = || Row {
        identity: identity.id.clone(),
        kind: identity.kind(),
        status: identity.status(access.now),
        second_factor: access.factor_word(identity),
        administrator: access.is_administrator(&identity.id),
        role: None,
        path: None,
        reach: None,
        except: Vec::new(),
        source: "none",
        through: None,
        limited_by: None,
        line: None,
    };
    let holds = access.holds(identity);
    let whole = match &holds {
        Holds::Everything => Some(Row { source: "root", ..row() }),
        Holds::AllOf(owner) => Some(Row { source: "owner", through: Some((*owner).to_owned()), ..row() }),
        Holds::Rights(..) => None,
    };
    if !asked.paths.is_empty() {
        let on = |path: &String| match &whole {
            Some(whole) => has_any(access, asked, identity, path)
                .then(|| Row { path: Some(path.clone()), reach: Some(HERE), ..whole.clone() })
                .into_iter()
                .collect(),
            None => on_path(access, asked, identity, path, row),
        };
        return asked.paths.iter().flat_map(on).collect();
    }
    let (rights, owner) = match holds {
        Holds::Rights(rights, owner) => (rights, owner),
        Holds::AllOf(owner) if !asked.privileges.is_empty() => {
            let owner = access.identities.get(owner);
            let has_some = owner.is_some_and(|owner| !rows(access, asked, owner).is_empty());
            return whole.filter(|_| has_some).into_iter().collect();
        }
        _ => return whole.into_iter().collect(),
    };
    let limited_by = owner.map(str::to_owned);
    let mut rows = Vec::new();
    for right in rights.iter() {
        let role = access.cfg.role_privileges(&right.entry.role).unwrap_or_default();
        if asked.wants_one_of(&role) && access.is_in_effect(identity, right) {
            let limited = || Row { limited_by: limited_by.clone(), ..row() };
            rows.extend(rows_of(right, limited));
        }
    }
    if rows.is_empty() && asked.privileges.is_empty() {
        rows.push(row());
    }
    rows
}

/// Whether somebody has one of the privileges asked for on a path.
fn has_any<'h>(access: &Access<'h>, asked: &Asked, identity: &Identity<'h>, path: &str) -> bool {
    let held: BTreeSet<&'static str> = access.privileges(identity, path).into_keys().collect();
    !held.is_empty() && asked.wants_one_of(&held)
}

/// The rows about one path.
fn on_path<'h>(
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
    path: &str,
    row: impl Fn() -> Row,
) -> Vec<Row> {
    let held = access.privileges(identity, path);
    let owner = identity.token.map(|(owner, _)| owner).filter(|owner| *owner != ROOT);
    let brings = |entry: &AclEntry| {
        let role = access.cfg.role_privileges(&entry.role).unwrap_or_default();
        asked.wants_one_of(&role) && held.keys().any(|name| role.contains(name))
    };
    let grants = access.grants(identity, path).into_iter().filter(|(entry, _)| brings(entry));
    grants
        .map(|(entry, pool)| {
            let row = Row { limited_by: owner.map(str::to_owned), reach: Some(HERE), ..row() };
            row.from(entry, pool, path.to_owned())
        })
        .collect()
}

/// A right and what it reaches through pools.
fn rows_of(right: &Right<'_>, row: impl Fn() -> Row) -> Vec<Row> {
    let entry = right.entry;
    let reach = match right.reach {
        Reach::Whole => WHOLE,
        Reach::Alone => ALONE,
        Reach::Below => BELOW,
    };
    let except = right.except.iter().map(except).collect();
    let mut rows = vec![Row { reach: Some(reach), except, ..row() }.from(entry, None, entry.path.clone())];
    for (pool, members) in &right.members {
        for member in members {
            let here = Row { reach: Some(HERE), ..row() };
            rows.push(here.from(entry, Some(pool), member.path()));
        }
    }
    rows
}

impl Row {
    fn from(self, entry: &AclEntry, pool: Option<&str>, path: String) -> Self {
        let (source, through) = match (pool, &entry.subject) {
            (Some(pool), _) => ("pool", Some(pool.to_owned())),
            (None, AclSubject::Group(group)) => ("group", Some(group.clone())),
            (None, _) => ("direct", None),
        };
        Self {
            role: Some(entry.role.clone()),
            path: Some(path),
            source,
            through,
            line: Some(entry.line),
            ..self
        }
    }

    fn cells(&self) -> [String; 8] {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (role, object) = match self.source {
            "root" => ("everything".to_owned(), self.path.clone().unwrap_or_else(|| "everywhere".to_owned())),
            "owner" => (format!("as {}", or_dash(&self.through)), or_dash(&self.path)),
            _ => (or_dash(&self.role), or_dash(&self.path)),
        };
        let object = match self.reach {
            Some(ALONE) => format!("{object} alone"),
            Some(BELOW) => format!("below {object}"),
            _ => object,
        };
        [
            self.identity.clone(),
            if self.administrator { "*" } else { "" }.to_owned(),
            self.status.to_owned(),
            self.second_factor.unwrap_or("unknown").to_owned(),
            role,
            object,
            match (&self.through, self.source) {
                (_, "none") => "-".to_owned(),
                (Some(name), source) if source != "owner" => format!("{source} {name}"),
                (_, source) => source.to_owned(),
            },
            "[ ]".to_owned(),
        ]
    }

    /// What does not fit into the columns.
    fn more(&self) -> Vec<String> {
        let mut more: Vec<String> = self.except.iter().map(|path| format!("except {path}")).collect();
        more.extend(self.limited_by.as_ref().map(|owner| format!("only as far as {owner} may")));
        more
    }
}

/// Where a column starts.
fn start_of(column: usize) -> usize {
    COLUMNS.iter().take(column).map(|(_, width)| width + 1).sum()
}

/// Writes cells below their headings; what is too wide for its column goes on in the next line.
fn table_row(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    let mut text = String::new();
    let mut width = 0;
    for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        let cell = harmless_text(cell);
        let start = start_of(column);
        if width > start || (width == start && column > 0) {
            text.push('\n');
            width = 0;
        }
        text.extend(std::iter::repeat_n(' ', start - width));
        text.push_str(&cell);
        width = start + cell.chars().count();
    }
    writeln!(out, "{text}")
}

fn line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    for line in text.split('\n') {
        writeln!(out, "{}", harmless_text(line))?;
    }
    Ok(())
}
