//! `/proc/modules`: the kernel modules that are loaded.
//!
//! Follows linux `kernel/module/procfs.c` (`m_show`): name, size, references, users, state, address, taints.
//! Names have `_` where a file name may have `-`.

use super::{Issue, Parsed, numbered};

/// One loaded module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Name, with `_`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Modules that use this one.
    pub used_by: Vec<String>,
    /// Can never be unloaded (`[permanent]`).
    pub permanent: bool,
    /// Taint letters: `O` out of tree, `E` unsigned, `P` proprietary, `F` forced, …; empty for none.
    pub taints: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Reads the text of `/proc/modules`.
pub fn parse(text: &str) -> Parsed<Vec<Module>> {
    let mut parsed = Parsed::<Vec<Module>>::default();
    for (line, content) in numbered(text) {
        match module(content, line) {
            Some(module) => parsed.value.push(module),
            None => parsed.issues.push(Issue::new(line, "not a line of modules, one module is not known")),
        }
    }
    parsed
}

fn module(content: &str, line: u32) -> Option<Module> {
    let mut fields = content.split(' ');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let size = fields.next()?.parse().ok()?;
    let references = fields.next()?;
    if references != "-" && references.parse::<i64>().is_err() {
        return None;
    }
    let users = fields.next()?.split(',').filter(|user| !user.is_empty() && *user != "-");
    let (special, used_by): (Vec<&str>, Vec<&str>) = users.partition(|user| user.starts_with('['));
    let rest = fields.nth(2).unwrap_or_default();
    let taints = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or_default();
    // `+` and `-` mark a module that is being loaded or unloaded.
    let taints = taints.chars().filter(char::is_ascii_alphabetic).collect();
    Some(Module {
        name,
        size,
        used_by: used_by.into_iter().map(str::to_owned).collect(),
        permanent: special.contains(&"[permanent]"),
        taints,
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_users_and_taints_are_read() {
        let text = "zfs 6602752 6 - Live 0x0000000000000000 (PO)\n\
                    spl 155648 1 zfs, Live 0x0000000000000000 (O)\n\
                    kvm 1409024 2 kvm_intel,vfio, Live 0x0\n\
                    tls 1 - [permanent], Live 0x0\nx 2 0 - Loading 0x0 (OE+)\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        let modules = parsed.value;
        assert_eq!((modules[0].name.as_str(), modules[0].taints.as_str()), ("zfs", "PO"));
        assert_eq!(modules[0].used_by, [""; 0]);
        assert_eq!(modules[1].used_by, ["zfs"]);
        assert_eq!(modules[2].used_by, ["kvm_intel", "vfio"]);
        assert_eq!((modules[2].size, modules[2].taints.as_str()), (1_409_024, ""));
        assert!(modules[3].permanent && !modules[2].permanent);
        assert_eq!(modules[4].taints, "OE");
    }

    #[test]
    fn a_broken_line_is_an_issue() {
        let parsed = parse("zfs\nspl x 1 - Live 0x0\n\nok 1 0 - Live 0x0\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(parsed.value[0].name, "ok");
    }
}
