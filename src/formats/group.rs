//! `/etc/group`: the local groups.
//!
//! Follows glibc `nss/nss_files/files-grp.c`. A lookup by name or id finds the first entry that fits. Who has
//! a group as primary group stands in passwd, not here.

use super::crypt_hash::PasswordField;
use super::nss_files::{entries, id, is_compat, is_space};
use super::{Issue, Parsed};

/// Everything group says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    /// Groups in file order; names and ids may repeat.
    pub entries: Vec<GroupEntry>,
    /// Lines of the NIS compatibility syntax (`+…`, `-…`). They have an effect only where nsswitch.conf names
    /// the service `compat`.
    pub compat_lines: Vec<u32>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Group name.
    pub name: String,
    /// What the password field holds; `x` (see gshadow) reads as [`PasswordField::NoLogin`].
    pub password: PasswordField,
    /// Group id.
    pub gid: u32,
    /// Names of the members, in file order. They need not exist.
    pub members: Vec<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Groups {
    /// The entry a lookup by name finds.
    pub fn by_name(&self, name: &str) -> Option<&GroupEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entry a lookup by group id finds.
    pub fn by_gid(&self, gid: u32) -> Option<&GroupEntry> {
        self.entries.iter().find(|entry| entry.gid == gid)
    }
}

/// Reads group.
pub fn parse(text: &str) -> Parsed<Groups> {
    let mut parsed = Parsed::<Groups>::default();
    for (number, line) in entries(text) {
        if is_compat(line) {
            parsed.value.compat_lines.push(number);
        } else if let Some(entry) = entry(number, line) {
            parsed.value.entries.push(entry);
        } else {
            // Not quoted: a password hash may stand in it.
            parsed.issues.push(Issue::new(number, "group without a valid group id is ignored"));
        }
    }
    parsed
}

fn entry(line: u32, text: &str) -> Option<GroupEntry> {
    let mut fields = text.splitn(4, ':');
    let name = fields.next()?.to_owned();
    let password = PasswordField::classify(fields.next()?);
    let gid = id(fields.next()?)?;
    let members = members(fields.next().unwrap_or(""));
    Some(GroupEntry { name, password, gid, members, line })
}

/// White space goes in front of a name but stays behind it; a further colon is part of a name.
fn members(field: &str) -> Vec<String> {
    let names = field.split(',').map(|name| name.trim_start_matches(is_space));
    names.filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_group_is_read_with_its_members() {
        let parsed = parse("sudo:x:27:alice,, bob ,\nkvm:x:993:\nbare:x:5\n");
        assert_eq!(parsed.issues, []);
        let sudo = parsed.value.by_name("sudo").unwrap();
        assert_eq!((sudo.gid, sudo.line, sudo.password), (27, 1, PasswordField::NoLogin));
        assert_eq!(sudo.members, ["alice", "bob "]);
        assert_eq!(parsed.value.by_gid(993).map(|group| group.name.as_str()), Some("kvm"));
        assert!(parsed.value.by_gid(5).unwrap().members.is_empty());
    }

    #[test]
    fn a_further_colon_is_part_of_a_member() {
        assert_eq!(parse("a:x:1:b,c:d,e").value.entries[0].members, ["b", "c:d", "e"]);
    }

    #[test]
    fn a_password_in_group_is_classified_and_not_kept() {
        let parsed = parse("a:$6$CANARY$CANARY:1:\nb::2:\nc:CANARY:none:\n");
        assert!(matches!(parsed.value.entries[0].password, PasswordField::Hash { .. }));
        assert_eq!(parsed.value.entries[1].password, PasswordField::Empty);
        assert_eq!(parsed.issues.len(), 1);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn nis_lines_are_noted() {
        let parsed = parse("+:::\nroot:x:0:\n");
        assert_eq!(parsed.value.compat_lines, [1]);
        assert_eq!(parsed.value.entries.len(), 1);
    }

    #[test]
    fn a_lookup_finds_the_first_entry() {
        let groups = parse("a:x:1:b\na:x:2:\nc:x:1:\n").value;
        assert_eq!(groups.by_name("a").map(|group| group.gid), Some(1));
        assert_eq!(groups.by_gid(1).map(|group| group.line), Some(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_line_is_an_entry_a_compat_line_or_an_issue(
            lines in prop::collection::vec("[a+:,0-9x -]{0,12}", 0..20),
        ) {
            let parsed = parse(&lines.join("\n"));
            let counted = parsed.value.entries.len() + parsed.value.compat_lines.len() + parsed.issues.len();
            prop_assert_eq!(counted, lines.iter().filter(|line| !line.trim().is_empty()).count());
        }
    }
}
