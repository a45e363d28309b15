//! `/etc/fstab`.
//!
//! Follows util-linux `libmount/src/tab_parse.c` (`mnt_parse_table_line`) and fstab(5): fields separated by
//! blanks and tabs, octal escapes, `#` comments only at the start of a line, options default to `defaults`.

use super::escapes::{octal, without_credential};
use super::mount_options::{self, MountOption};
use super::{Issue, Parsed, numbered};

/// One line of fstab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// First field: device, `UUID=…`, `LABEL=…`, server path; a user and password in a URL is removed.
    pub source: String,
    /// The source held a user and password.
    pub source_credential: bool,
    /// Mount point; `none` or `swap` for swap space.
    pub target: String,
    /// File system type.
    pub fs_type: String,
    /// Mount options; `defaults` when the field is missing.
    pub options: Vec<MountOption>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Entry {
    /// Whether the line describes swap space.
    pub fn is_swap(&self) -> bool {
        self.fs_type == "swap"
    }

    /// The last option called `name`.
    pub fn option(&self, name: &str) -> Option<&MountOption> {
        self.options.iter().rev().find(|option| option.name == name)
    }
}

/// Fields of a line: source, target, type, options, dump frequency, fsck pass.
const FIELDS: usize = 6;

/// Reads the text of `/etc/fstab`.
pub fn parse(text: &str) -> Parsed<Vec<Entry>> {
    let mut parsed = Parsed::default();
    for (line, content) in numbered(text) {
        let content = content.trim_matches([' ', '\t', '\r']);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        entry(content, line, &mut parsed);
    }
    parsed
}

fn entry(content: &str, line: u32, parsed: &mut Parsed<Vec<Entry>>) {
    let mut fields = content.split([' ', '\t']).filter(|field| !field.is_empty());
    let (Some(source), Some(target), Some(fs_type)) = (fields.next(), fields.next(), fields.next()) else {
        parsed.issues.push(Issue::new(line, "fewer than three fields; mount ignores the line"));
        return;
    };
    let options = fields.next().unwrap_or("defaults");
    for number in fields.by_ref().take(FIELDS - 4) {
        if number.starts_with('#') {
            break;
        }
        if number.parse::<i32>().is_err() {
            parsed
                .issues
                .push(Issue::new(line, "dump frequency or fsck pass is no number; mount ignores the line"));
            return;
        }
    }
    let (source, source_credential) = without_credential(&octal(source));
    parsed.value.push(Entry {
        source,
        source_credential,
        target: octal(target),
        fs_type: octal(fs_type),
        options: mount_options::parse(options),
        line,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_debian_fstab_is_read() {
        let text = "# <file system> <mount point> <type> <options> <dump> <pass>\n\
                    /dev/pve/root / ext4 errors=remount-ro 0 1\n\
                    UUID=AB12-34CD\t/boot/efi\tvfat\tdefaults\t0\t1\n\
                    /dev/pve/swap none swap sw 0 0\nproc /proc proc defaults 0 0\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.len(), 4);
        assert_eq!(parsed.value[0].option("errors").unwrap().value.as_deref(), Some("remount-ro"));
        assert_eq!(parsed.value[1].target, "/boot/efi");
        assert!(parsed.value[2].is_swap());
        assert_eq!(parsed.value[2].line, 4);
    }

    #[test]
    fn missing_options_are_defaults_and_blanks_are_escaped() {
        let parsed = parse("/dev/sdb1 /mnt/my\\040disk ext4\n");
        assert_eq!(parsed.value[0].target, "/mnt/my disk");
        assert_eq!(parsed.value[0].options[0].name, "defaults");
    }

    #[test]
    fn broken_lines_are_issues_and_the_rest_is_read() {
        let parsed = parse("/dev/sdb1 /mnt\n/dev/sdc1 /srv ext4 rw yes\n/dev/sdd1 /x ext4 rw 0 2\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(parsed.value.len(), 1);
    }

    #[test]
    fn passwords_of_network_mounts_never_leave() {
        let text = "//nas/x /mnt cifs username=a,password=s3cret 0 0\nhttps://u:s3cret@h/d /d davfs rw 0 0\n\
                    //nas/y password=s3cret\n";
        let parsed = parse(text);
        assert!(!format!("{parsed:?}").contains("s3cret"));
        assert!(parsed.value[0].option("password").unwrap().secret);
        assert!(parsed.value[1].source_credential);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "[ -~\t\n\\\\äé\"]{0,120}") {
            let parsed = parse(&text);
            prop_assert!(parsed.value.len() + parsed.issues.len() <= numbered(&text).count());
        }
    }
}
