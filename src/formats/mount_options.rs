//! A comma list of mount options, as `fstab` and `mountinfo` hold them.
//!
//! Follows util-linux `libmount/src/optstr.c` (`ul_optstr_next`): a comma inside double quotes or after a
//! backslash does not separate. Values of options that carry a password are dropped at once.

use super::escapes::octal;

/// Options whose value is a secret: mount.cifs(8), mount.ceph(8), mount.davfs, gocryptfs.
pub const SECRET_OPTIONS: [&str; 7] =
    ["password", "password2", "pass", "pass2", "passwd", "secret", "passphrase"];

/// Options whose value may be `name%password` (mount.cifs(8)).
pub const USER_OPTIONS: [&str; 3] = ["user", "username", "usr"];

/// One mount option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountOption {
    /// Name, as written.
    pub name: String,
    /// Text after `=`, without surrounding double quotes; `None` without `=` and for a secret.
    pub value: Option<String>,
    /// The value was a password or key and has been dropped.
    pub secret: bool,
}

/// Reads a comma list. Empty entries are left out, as libmount does.
pub fn parse(text: &str) -> Vec<MountOption> {
    let mut options = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted && previous != '\\' => {
                options.extend(text.get(start..at).and_then(option));
                start = at + 1;
            }
            _ => {}
        }
        previous = character;
    }
    options.extend(text.get(start..).and_then(option));
    options
}

fn option(text: &str) -> Option<MountOption> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let name = octal(name);
    if name.is_empty() {
        return None;
    }
    let hidden = value.is_some_and(|value| is_secret(&name, value));
    let value = value.filter(|_| !hidden).map(|value| octal(unquoted(value)));
    Some(MountOption { name, value, secret: hidden })
}

fn is_secret(name: &str, value: &str) -> bool {
    let named = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    named(&SECRET_OPTIONS) || (named(&USER_OPTIONS) && value.contains('%'))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

/// Whether `name` is in force: the last of `name`, `no<name>` and the group `defaults` decides.
///
/// `None` when neither is written. mount(8): `defaults` = rw, suid, dev, exec, auto, nouser, async.
pub fn flag(options: &[MountOption], name: &str) -> Option<bool> {
    let opposite = name.strip_prefix("no").map_or_else(|| format!("no{name}"), str::to_owned);
    options.iter().rev().find_map(|option| match option.name.as_str() {
        written if written == name => Some(true),
        written if written == opposite => Some(false),
        "defaults" if matches!(name, "nosuid" | "nodev" | "noexec") => Some(false),
        // mount(8): user, users, owner and group imply these unless a later option overrides them.
        "user" | "users" if matches!(name, "nosuid" | "nodev" | "noexec") => Some(true),
        "owner" | "group" if matches!(name, "nosuid" | "nodev") => Some(true),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text).into_iter().map(|option| option.name).collect()
    }

    #[test]
    fn options_are_split_at_commas_outside_quotes() {
        assert_eq!(names("rw,noatime,,context=\"a,b\",x"), ["rw", "noatime", "context", "x"]);
        assert_eq!(parse("context=\"a,b\"")[0].value.as_deref(), Some("a,b"));
        assert_eq!(names(r"lowerdir=/a\,b,ro"), ["lowerdir", "ro"]);
    }

    #[test]
    fn passwords_never_leave() {
        let options = parse("username=joe%hunter2,password=hunter2,PASS=hunter2,secret=hunter2,user=joe");
        assert!(!format!("{options:?}").contains("hunter2"));
        assert_eq!(options.iter().filter(|option| option.secret).count(), 4);
        assert_eq!(options[4].value.as_deref(), Some("joe"));
    }

    #[test]
    fn the_last_spelling_of_a_flag_decides() {
        assert_eq!(flag(&parse("nosuid,suid"), "nosuid"), Some(false));
        assert_eq!(flag(&parse("suid,nosuid"), "nosuid"), Some(true));
        assert_eq!(flag(&parse("nosuid,defaults"), "nosuid"), Some(false));
        assert_eq!(flag(&parse("rw"), "nosuid"), None);
        assert_eq!(flag(&parse("rw,relatime"), "rw"), Some(true));
    }

    #[test]
    fn user_implies_the_safe_flags_until_a_later_option_takes_them_back() {
        assert_eq!(flag(&parse("user"), "noexec"), Some(true));
        assert_eq!(flag(&parse("user,exec"), "noexec"), Some(false));
        assert_eq!(flag(&parse("owner"), "noexec"), None);
        assert_eq!(flag(&parse("group"), "nodev"), Some(true));
    }
}
