//! `modules.dep` and `modules.builtin` below `/lib/modules/<release>`: the modules a kernel has.
//!
//! Follows kmod `tools/depmod.c` (`output_deps`) and linux `scripts/Makefile.modbuiltin`: one module file per line,
//! in `modules.dep` followed by a colon and the files it depends on.

use std::collections::BTreeSet;

use super::{Issue, Parsed, numbered};

/// Reads a list: the names of the modules, with `_` for `-`.
pub fn parse(text: &str) -> Parsed<BTreeSet<String>> {
    let mut parsed = Parsed::<BTreeSet<String>>::default();
    for (line, content) in numbered(text) {
        let path = content.split_once(':').map_or(content, |(path, _)| path);
        match name(path) {
            Some(name) => {
                parsed.value.insert(name);
            }
            None => parsed.issues.push(Issue::new(line, "not a module file, one module is not known")),
        }
    }
    parsed
}

/// The module in a file such as `kernel/net/sctp/sctp.ko.zst`.
fn name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (stem, end) = file.split_once(".ko")?;
    let known = end.is_empty() || matches!(end, ".zst" | ".xz" | ".gz");
    (known && !stem.is_empty()).then(|| stem.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_the_files_whatever_the_compression() {
        let parsed = parse(
            "kernel/net/dccp/dccp.ko: \nkernel/a/b-c.ko.zst: kernel/x.ko.zst kernel/y.ko\nkernel/d.ko.xz\n",
        );
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.into_iter().collect::<Vec<_>>(), ["b_c", "d", "dccp"]);
    }

    #[test]
    fn a_line_that_names_no_module_is_an_issue() {
        let parsed = parse("kernel/net/sctp/sctp.ko.zst:\nkernel/net\n\n/.ko\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(parsed.value.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            parse(&text);
        }
    }
}
