//! What advisories need and nothing else does.

use std::cell::OnceCell;

use super::{Fact, Host};
use crate::files::{Files, Text, Trouble};

/// The parameter of the KVM module that lets guests run guests; at most one of the modules is loaded.
const NESTED: [&str; 2] =
    ["/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested"];

/// Where a site keeps advisories that are newer than the program.
pub const SITE_ADVISORIES: &str = "/etc/pve-audit/advisories.d";

/// How their files end.
const ADVISORY_END: &str = ".toml";

/// An advisory of the site.
#[derive(Debug, Clone)]
pub struct SiteAdvisory {
    /// The name of its file without the end: what its check is called.
    pub name: String,
    /// The file.
    pub path: String,
    /// What stands there, or why that is not heeded.
    pub text: Result<Text, String>,
}

#[derive(Default)]
pub(super) struct Facts {
    site: OnceCell<Fact<Vec<SiteAdvisory>>>,
}

impl Host {
    /// The advisories of the site, by name. Without the folder there are none. A file that others than root can change
    /// is not heeded: it could hide what is open.
    pub fn site_advisories(&self) -> &Fact<Vec<SiteAdvisory>> {
        self.advisory.site.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let mut found = Vec::new();
                let entries = gather.folder(SITE_ADVISORIES);
                let folder =
                    if entries.is_empty() { Ok(()) } else { of_root_alone(&self.files, SITE_ADVISORIES) };
                for entry in entries {
                    let Some(name) = entry.name.strip_suffix(ADVISORY_END) else { continue };
                    let path = format!("{SITE_ADVISORIES}/{}", entry.name);
                    let text = folder.clone().and_then(|()| site_text(&self.files, &path));
                    found.push(SiteAdvisory { name: name.to_owned(), path, text });
                }
                found.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(found)
            })
        })
    }

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

/// Permission bits that let others write.
const OTHERS_WRITE: u32 = 0o022;

fn of_root_alone(files: &Files, path: &str) -> Result<(), String> {
    let meta = files.stat(path).map_err(|trouble: Trouble| trouble.kind.to_string())?;
    if meta.uid != 0 || meta.mode & OTHERS_WRITE != 0 {
        return Err(format!("{path} can be changed by others than root and is not heeded"));
    }
    Ok(())
}

fn site_text(files: &Files, path: &str) -> Result<Text, String> {
    of_root_alone(files, path)?;
    files.text(path).map_err(|trouble| trouble.kind.to_string())
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
