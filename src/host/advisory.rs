//! What advisories need and nothing else does.

use super::{Fact, Host};

/// The parameter of the KVM module that lets guests run guests; at most one of the modules is loaded.
const NESTED: [&str; 2] =
    ["/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested"];

impl Host {
    /// How often the code of a Perl module contains `words`; `None` where there is no such module.
    pub fn count_in_code(&self, path: &str, words: &str) -> Fact<Option<usize>> {
        Fact::gather(&self.files, |gather| Ok(gather.optional(path)?.map(|text| count_in_code(&text, words))))
    }

    /// Whether guests can run guests, with the parameter that says so; `None` where KVM is not loaded, or in a tree.
    pub fn nested_virtualisation(&self) -> Fact<Option<(&'static str, bool)>> {
        Fact::gather(&self.files, |gather| {
            for path in NESTED {
                let Some(text) = gather.optional(path)? else { continue };
                // `Y` and `N` for switches, a number in old kernels.
                return Ok(Some((path, !matches!(text.trim(), "N" | "0"))));
            }
            Ok(None)
        })
    }
}

/// How often the code of a Perl module contains `words`. Comments and documentation run nowhere, nor does what stands
/// behind `__END__`. Whatever stands behind a `#` counts as a comment, even inside of a string.
fn count_in_code(text: &str, words: &str) -> usize {
    let mut documentation = false;
    let mut count = 0;
    for line in text.lines() {
        if matches!(line.trim_end(), "__END__" | "__DATA__") && !documentation {
            break;
        }
        let command =
            line.strip_prefix('=').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        if let Some(command) = command {
            documentation = command.split(|c: char| !c.is_ascii_alphanumeric()).next() != Some("cut");
        } else if !documentation {
            let code = line.split_once('#').map_or(line, |(code, _)| code);
            count += code.matches(words).count();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::count_in_code;

    #[test]
    fn only_code_counts() {
        assert_eq!(count_in_code("a(); a();\n  a(); # a();\n#a();\n", "a();"), 3);
        assert_eq!(count_in_code("a();\n=head1 A\n\na();\n\n=cut\na();\n", "a();"), 2, "documentation");
        assert_eq!(count_in_code("a();\n__END__\na();\n=cut\na();\n", "a();"), 1, "behind the end");
        assert_eq!(count_in_code("=pod\n__END__\n=cut\na();\n", "a();"), 1, "an end that is documentation");
    }
}
