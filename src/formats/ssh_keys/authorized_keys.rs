//! `authorized_keys`: who may log in with which key, and what he may do then.

use std::collections::BTreeSet;

use super::PublicKey;
use crate::formats::sshd::is_everywhere;
use crate::formats::{Issue, Parsed, numbered};

/// Options without a value; those after the first two may have `no-` before them.
const FLAGS: [&str; 9] = [
    "restrict",
    "cert-authority",
    "port-forwarding",
    "agent-forwarding",
    "x11-forwarding",
    "touch-required",
    "verify-required",
    "pty",
    "user-rc",
];

/// Options with a value.
const VALUES: [&str; 8] =
    ["command", "principals", "from", "expiry-time", "environment", "permitopen", "permitlisten", "tunnel"];

/// Everything the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorizedKeys {
    /// The keys in file order; the same one may stand there twice.
    pub keys: Vec<AuthorizedKey>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKey {
    /// The key.
    pub key: PublicKey,
    /// What stands behind the key: who wrote it down meant this to be the owner.
    pub comment: String,
    /// `from=`: the only clients who may use it; `None` for everybody.
    pub from: Option<String>,
    /// The options that are set, by their names in lower case.
    pub options: BTreeSet<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl AuthorizedKey {
    /// Whether the key opens less than a whole session from everywhere: it is for some clients only, or for one
    /// command. Who may come from everywhere is bound to nothing.
    pub fn is_bound(&self) -> bool {
        self.from.as_deref().is_some_and(|from| !is_everywhere(from)) || self.options.contains("command")
    }

    /// Whether whoever has a certificate of this key may log in.
    pub fn signs(&self) -> bool {
        self.options.contains("cert-authority")
    }
}

/// Reads the file. A line sshd finds no key in, or whose options it refuses, lets nobody in and is an issue.
pub fn parse(text: &str) -> Parsed<AuthorizedKeys> {
    let mut parsed = Parsed::<AuthorizedKeys>::default();
    for (number, line) in numbered(text) {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(number, line) {
            Ok(key) => parsed.value.keys.push(key),
            // Not quoted: a command may hold a secret.
            Err(what) => parsed.issues.push(Issue::new(number, what)),
        }
    }
    parsed
}

fn entry(line: u32, text: &str) -> Result<AuthorizedKey, &'static str> {
    let mut found = AuthorizedKey {
        key: PublicKey { kind: super::Kind::Rsa, bits: 0, fingerprint: String::new() },
        comment: String::new(),
        from: None,
        options: BTreeSet::new(),
        line,
    };
    let (key, comment) = if let Some(known) = key(text) {
        known
    } else {
        let end = end_of_options(text).ok_or("has a quote that is not closed, sshd ignores the line")?;
        let (options, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let known = key(rest.trim_start_matches([' ', '\t']));
        let known = known.ok_or("holds no key that sshd understands, it ignores the line")?;
        take_options(&mut found, options)?;
        known
    };
    found.key = key;
    comment.clone_into(&mut found.comment);
    Ok(found)
}

/// The key at the start of `text`, and what follows it.
fn key(text: &str) -> Option<(PublicKey, &str)> {
    let (name, rest) = text.split_once([' ', '\t'])?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let (blob, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    PublicKey::read(name, blob).map(|key| (key, comment.trim()))
}

/// Where the options end: at the first blank outside of quotes; `None` where a quote is not closed
/// (`sshkey_advance_past_options`).
fn end_of_options(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\t' if !quoted => return Some(at),
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    (!quoted).then_some(text.len())
}

/// Reads `from="…",no-pty,…` (`sshauthopt_parse`).
fn take_options(found: &mut AuthorizedKey, text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let name = name.to_ascii_lowercase();
        let plain = name.strip_prefix("no-").unwrap_or(&name);
        rest = match after.strip_prefix('=') {
            Some(after) if VALUES.contains(&name.as_str()) => {
                let (value, after) =
                    quoted(after).ok_or("has an option that sshd refuses, it ignores the line")?;
                if name == "from" {
                    if found.from.is_some() {
                        return Err("has `from` twice, sshd ignores the line");
                    }
                    found.from = Some(value);
                }
                after
            }
            None if FLAGS.contains(&plain) => after,
            _ => return Err("has an option that sshd does not know, it ignores the line"),
        };
        found.options.insert(name);
        rest = match rest.strip_prefix(',') {
            Some("") => return Err("has an option that sshd refuses, it ignores the line"),
            Some(next) => next,
            None if rest.is_empty() => rest,
            None => return Err("has an option that sshd refuses, it ignores the line"),
        };
    }
    Ok(())
}

/// A value in quotes, `\"` standing for one, and what follows it (`opt_dequote`).
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices().peekable();
    let inner = text.strip_prefix('"')?;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return inner.get(at + 1..).map(|rest| (value, rest)),
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                value.push('"');
            }
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::made_up;
    use super::*;

    fn one(text: &str) -> AuthorizedKey {
        let parsed = parse(text);
        assert_eq!(parsed.issues, [], "{text}");
        parsed.value.keys.into_iter().next().unwrap()
    }

    #[test]
    fn options_stand_before_the_key_and_the_comment_behind() {
        let key = made_up("ssh-ed25519", 256, 3);
        let plain = one(&format!("{key} root@pve1 of old\n"));
        assert_eq!(plain.comment, "root@pve1 of old");
        assert!(!plain.is_bound());
        let bound = one(&format!("from=\"10.0.0.0/8,!10.0.0.1\",no-pty,Restrict {key}\n"));
        assert_eq!(bound.from.as_deref(), Some("10.0.0.0/8,!10.0.0.1"));
        assert_eq!(bound.options, BTreeSet::from(["from", "no-pty", "restrict"].map(str::to_owned)));
        let command = one(&format!("command=\"/bin/x \\\"a b\\\", c\",pty {key}\tx\n"));
        assert!(command.is_bound() && command.options.contains("pty"));
        assert!(one(&format!("cert-authority {key}\n")).signs());
    }

    #[test]
    fn who_may_come_from_everywhere_is_not_bound() {
        let key = made_up("ssh-ed25519", 256, 3);
        let bound = |options: &str| one(&format!("{options} {key}\n")).is_bound();
        assert!(bound("from=\"10.0.0.0/8\""));
        for everywhere in ["*", "0.0.0.0/0,::/0", "0.0.0.0/0", "::/0", "10.0.0.1,*"] {
            assert!(!bound(&format!("from=\"{everywhere}\"")), "{everywhere}");
            assert!(bound(&format!("from=\"{everywhere}\",command=\"/bin/true\"")), "{everywhere}");
        }
    }

    #[test]
    fn what_sshd_ignores_is_an_issue_and_lets_nobody_in() {
        let key = made_up("ssh-ed25519", 256, 3);
        for line in [
            "ssh-ed25519 AAAA",
            &format!("command=\"x {key}"),
            &format!("form=\"10.0.0.1\" {key}"),
            &format!("from=10.0.0.1 {key}"),
            &format!("restrict, {key}"),
            &format!("from=\"a\",from=\"b\" {key}"),
            "hello",
        ] {
            let parsed = parse(&format!("# c\n\n{line}\n"));
            assert_eq!(parsed.value.keys, [], "{line}");
            assert_eq!(parsed.issues.first().map(|issue| issue.line), Some(3), "{line}");
        }
    }

    #[test]
    fn no_issue_quotes_a_line() {
        let parsed = parse("command=\"x --password hunter2\" ssh-ed25519 broken\nhunter2\n");
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_text_makes_it_panic(text in "[a-z\"\\\\=, \tAB#\n-]{0,60}") {
            parse(&text);
        }
    }
}
