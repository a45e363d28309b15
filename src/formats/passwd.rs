//! `/etc/passwd`: the local accounts.
//!
//! Follows glibc `nss/nss_files/files-pwd.c`; the meaning of the password field follows Linux-PAM
//! `modules/pam_unix/passverify.c`. A lookup by name or id finds the first entry that fits.

use super::crypt_hash::PasswordField;
use super::nss_files::{entries, id, is_compat};
use super::{Issue, Parsed};

/// Everything passwd says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passwd {
    /// Accounts in file order; names and ids may repeat.
    pub entries: Vec<PasswdEntry>,
    /// Lines of the NIS compatibility syntax (`+…`, `-…`). They have an effect only where nsswitch.conf names
    /// the service `compat`.
    pub compat_lines: Vec<u32>,
}

/// One account. The free text about the person is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswdEntry {
    /// Login name.
    pub name: String,
    /// Where the password is.
    pub password: PasswdPassword,
    /// User id; 0 is root whatever the name.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell; empty is `/bin/sh`.
    pub shell: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// What the password field of passwd means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PasswdPassword {
    /// `x` (or `##name`): the password is in /etc/shadow.
    Shadowed,
    /// The field itself counts, readable by everybody.
    Here(PasswordField),
}

impl Passwd {
    /// The entry a lookup by name finds.
    pub fn by_name(&self, name: &str) -> Option<&PasswdEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entry a lookup by user id finds.
    pub fn by_uid(&self, uid: u32) -> Option<&PasswdEntry> {
        self.entries.iter().find(|entry| entry.uid == uid)
    }
}

/// Reads passwd.
pub fn parse(text: &str) -> Parsed<Passwd> {
    let mut parsed = Parsed::<Passwd>::default();
    for (number, line) in entries(text) {
        if is_compat(line) {
            parsed.value.compat_lines.push(number);
        } else if let Some(entry) = entry(number, line) {
            parsed.value.entries.push(entry);
        } else {
            // Not quoted: a password hash may stand in it.
            parsed.issues.push(Issue::new(number, "account without a valid user and group id is ignored"));
        }
    }
    parsed
}

fn entry(line: u32, text: &str) -> Option<PasswdEntry> {
    let mut fields = text.splitn(7, ':');
    let name = fields.next()?.to_owned();
    let password = PasswdPassword::classify(fields.next()?, &name);
    let uid = id(fields.next()?)?;
    let gid = id(fields.next()?)?;
    let home = fields.nth(1).unwrap_or("").to_owned();
    let shell = fields.next().unwrap_or("").to_owned();
    Some(PasswdEntry { name, password, uid, gid, home, shell, line })
}

impl PasswdPassword {
    fn classify(field: &str, name: &str) -> Self {
        if field == "x" || field.strip_prefix("##") == Some(name) {
            Self::Shadowed
        } else {
            Self::Here(PasswordField::classify(field))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::crypt_hash::HashScheme;
    use proptest::prelude::*;

    fn one(line: &str) -> PasswdEntry {
        let parsed = parse(line);
        assert_eq!(parsed.issues, []);
        parsed.value.entries.into_iter().next().unwrap()
    }

    #[test]
    fn an_account_is_read() {
        let root = one("root:x:0:0:secret person:/root:/bin/bash\n");
        assert_eq!((root.name.as_str(), root.uid, root.gid), ("root", 0, 0));
        assert_eq!(root.password, PasswdPassword::Shadowed);
        assert_eq!((root.home.as_str(), root.shell.as_str(), root.line), ("/root", "/bin/bash", 1));
        assert!(!format!("{root:?}").contains("person"));
    }

    #[test]
    fn missing_fields_after_the_ids_are_empty_and_the_shell_keeps_colons() {
        let short = one("a:x:1:2");
        assert_eq!((short.home.as_str(), short.shell.as_str()), ("", ""));
        assert_eq!(one("a:x:1:2::/h:/bin/sh:x").shell, "/bin/sh:x");
    }

    #[test]
    fn an_id_may_be_written_in_odd_ways() {
        assert_eq!(one("toor:x:+0: 0::/:").uid, 0);
        assert_eq!(one("a:x:99999999999:0::/:").uid, u32::MAX);
    }

    #[test]
    fn a_password_in_passwd_itself_is_classified_and_not_kept() {
        let hash = one("a:$1$CANARY$CANARY:5:5::/:");
        let PasswdPassword::Here(PasswordField::Hash { scheme, .. }) = hash.password else {
            panic!("no hash: {:?}", hash.password);
        };
        assert_eq!(scheme, HashScheme::Md5Crypt);
        assert!(!format!("{hash:?}").contains("CANARY"));
        assert_eq!(one("a::5:5::/:").password, PasswdPassword::Here(PasswordField::Empty));
        assert_eq!(one("a:*:5:5::/:").password, PasswdPassword::Here(PasswordField::NoLogin));
        assert_eq!(one("a:##a:5:5::/:").password, PasswdPassword::Shadowed);
    }

    #[test]
    fn lines_without_valid_ids_are_dropped_and_never_quoted() {
        let parsed = parse("a:CANARY\nb:CANARY:x:0::/:\nc:CANARY:0:\n\nd\n");
        assert!(parsed.value.entries.is_empty());
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn nis_lines_are_noted_and_comments_skipped() {
        let parsed = parse("# x\n+::::::\n-@evil\n  root:x:0:0::/:\n");
        assert_eq!(parsed.value.compat_lines, [2, 3]);
        assert_eq!(parsed.value.entries.len(), 1);
        assert!(parsed.issues.is_empty());
    }

    #[test]
    fn a_lookup_finds_the_first_entry() {
        let passwd = parse("root:x:0:0::/a:\ntoor:x:0:0::/b:\nroot:x:5:0::/c:\n").value;
        assert_eq!(passwd.by_name("root").map(|entry| entry.uid), Some(0));
        assert_eq!(passwd.by_uid(0).map(|entry| entry.home.as_str()), Some("/a"));
        assert_eq!(passwd.by_uid(7), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_line_is_an_entry_a_compat_line_or_an_issue(
            lines in prop::collection::vec("[a+:0-9x -]{0,12}", 0..20),
        ) {
            let parsed = parse(&lines.join("\n"));
            let counted = parsed.value.entries.len() + parsed.value.compat_lines.len() + parsed.issues.len();
            prop_assert_eq!(counted, lines.iter().filter(|line| !line.trim().is_empty()).count());
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            prop_assert!(parse(&text).value.entries.len() <= text.len());
        }
    }
}
