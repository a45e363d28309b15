//! `/proc/swaps`: the swap space in use.
//!
//! Follows linux `mm/swapfile.c` (`swap_show`): a header line, then file name (octal escapes), type, size,
//! used, priority.

use super::escapes::octal;
use super::{Issue, Parsed, numbered};

/// What kind of thing is swapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A block device.
    Partition,
    /// A file in a file system.
    File,
}

/// One swap space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Device or file.
    pub path: String,
    /// Device or file.
    pub kind: Kind,
    /// Size in KiB.
    pub size_kib: u64,
    /// Used in KiB.
    pub used_kib: u64,
    /// Priority, negative when the kernel chose it.
    pub priority: i32,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Reads the text of `/proc/swaps`.
pub fn parse(text: &str) -> Parsed<Vec<Swap>> {
    let mut parsed = Parsed::<Vec<Swap>>::default();
    for (line, content) in numbered(text) {
        if line == 1 && content.starts_with("Filename") {
            continue;
        }
        match swap(content, line) {
            Some(swap) => parsed.value.push(swap),
            None => parsed.issues.push(Issue::new(line, "not a line of swaps, one swap space is not known")),
        }
    }
    parsed
}

fn swap(content: &str, line: u32) -> Option<Swap> {
    let mut fields = content.split([' ', '\t']).filter(|field| !field.is_empty());
    let path = octal(fields.next()?);
    let kind = match fields.next()? {
        "partition" => Kind::Partition,
        "file" => Kind::File,
        _ => return None,
    };
    let size_kib = fields.next()?.parse().ok()?;
    let used_kib = fields.next()?.parse().ok()?;
    let priority = fields.next()?.parse().ok()?;
    Some(Swap { path, kind, size_kib, used_kib, priority, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_and_a_file_are_read() {
        let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
                    /dev/dm-0                               partition\t8388604\t\t1024\t\t-2\n\
                    /swap\\040file                          file\t\t524284\t\t0\t\t5\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value[0].path, "/dev/dm-0");
        assert_eq!((parsed.value[0].size_kib, parsed.value[0].used_kib), (8_388_604, 1024));
        assert_eq!(parsed.value[0].priority, -2);
        assert_eq!((parsed.value[1].path.as_str(), parsed.value[1].kind), ("/swap file", Kind::File));
    }

    #[test]
    fn a_header_alone_means_no_swap() {
        assert_eq!(parse("Filename\tType\tSize\tUsed\tPriority\n"), Parsed::default());
    }

    #[test]
    fn a_broken_line_is_an_issue() {
        let parsed = parse("Filename\n/dev/dm-0 partition\n/dev/x magic 1 2 3\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2, 3]);
    }
}
