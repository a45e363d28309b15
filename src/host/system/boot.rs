//! The kernel command line: of the running kernel, or what the boot loader of a tree is told.

use crate::files::Kind;
use crate::formats::kernel_cmdline::{self, Argument, same_name};
use crate::formats::numbered;
use crate::host::{Doubt, Gather, Stop};

/// The command line of the running kernel.
pub const PROC_CMDLINE: &str = "/proc/cmdline";

/// The command line of systemd-boot, used by proxmox-boot-tool on UEFI hosts.
const KERNEL_CMDLINE: &str = "/etc/kernel/cmdline";

/// Settings of grub-mkconfig, and the folder of its drop-ins.
const GRUB: &str = "/etc/default/grub";
const GRUB_FOLDER: &str = "/etc/default/grub.d";

/// The shell variables that grub-mkconfig puts on the command line, in this order.
const GRUB_VARIABLES: [&str; 2] = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"];

/// The kernel command line.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// The arguments with their file, in order; in a tree first those of systemd-boot, then those of GRUB.
    pub arguments: Vec<(String, Argument)>,
    /// Whether it is that of the running kernel; else it is only what is configured for the next boot, and which
    /// of the two boot loaders is used is not told.
    pub running: bool,
}

impl CommandLine {
    /// Every argument called `name` with its file; `-` and `_` are equal.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Argument)> {
        let named = |(_, argument): &&(String, Argument)| same_name(&argument.name, name);
        self.arguments.iter().filter(named).map(|(path, argument)| (path.as_str(), argument))
    }

    /// The arguments called `name` that are in force, for the kernel keeps the last value of most parameters: one,
    /// or in a tree one of each boot loader.
    pub fn in_force<'a>(&'a self, name: &'a str) -> Vec<(&'a str, &'a Argument)> {
        let (first, second): (Vec<_>, Vec<_>) = self.all(name).partition(|(path, _)| !path.starts_with(GRUB));
        first.into_iter().last().into_iter().chain(second.into_iter().last()).collect()
    }
}

pub(super) fn read(gather: &mut Gather<'_>) -> Result<CommandLine, Stop> {
    if let Some(text) = gather.optional(PROC_CMDLINE)? {
        if text.trim().is_empty() {
            gather.doubt(Doubt::about(PROC_CMDLINE, "is empty: its content may have been lost"));
        }
        return Ok(CommandLine { arguments: arguments(gather, PROC_CMDLINE, &text), running: true });
    }
    let mut line = CommandLine::default();
    if let Some(text) = gather.part(KERNEL_CMDLINE) {
        line.arguments = arguments(gather, KERNEL_CMDLINE, &text);
    }
    line.arguments.extend(grub(gather));
    Ok(line)
}

fn arguments(gather: &mut Gather<'_>, path: &str, text: &str) -> Vec<(String, Argument)> {
    let parsed = gather.parsed(path, kernel_cmdline::parse(text));
    parsed.arguments.into_iter().map(|argument| (path.to_owned(), argument)).collect()
}

/// The arguments in the variables of grub-mkconfig, the last assignment of each counting. The files are shell, so
/// this is an observation, never a complete reading.
fn grub(gather: &mut Gather<'_>) -> Vec<(String, Argument)> {
    let mut paths = vec![GRUB.to_owned()];
    for entry in gather.folder(GRUB_FOLDER) {
        if entry.kind != Kind::Folder && super::has_end(&entry.name, "cfg") {
            paths.push(format!("{GRUB_FOLDER}/{}", entry.name));
        }
    }
    let mut variables: [Vec<(String, Argument)>; 2] = Default::default();
    for path in paths {
        let Some(text) = gather.part(&path) else { continue };
        for (number, line) in numbered(&text) {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            for (name, arguments) in GRUB_VARIABLES.iter().zip(&mut variables) {
                if *name == key {
                    assign(arguments, &path, number, shell_word(value));
                }
            }
        }
    }
    variables.into_iter().flatten().collect()
}

/// An assignment replaces the former one, unless its value uses a variable and may thus contain it.
fn assign(arguments: &mut Vec<(String, Argument)>, path: &str, line: u32, value: &str) {
    if !value.contains('$') {
        arguments.clear();
    }
    let found = kernel_cmdline::parse(value).value.arguments;
    arguments.extend(found.into_iter().map(|argument| (path.to_owned(), Argument { line, ..argument })));
}

/// The first word of a shell text, without its quotes.
fn shell_word(text: &str) -> &str {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.split(quote).next());
    quoted('"').or_else(|| quoted('\'')).unwrap_or_else(|| text.split_whitespace().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};
    use crate::host::Fact;

    fn line(files: &[(&str, &str)]) -> Fact<CommandLine> {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Node::file(*text));
        }
        Fact::gather(&Files::memory(tree), read)
    }

    fn in_force(files: &[(&str, &str)], name: &str) -> Vec<String> {
        let value = line(files).value.unwrap();
        let shown = |(path, argument): (&str, &Argument)| {
            format!("{path}:{} {}", argument.line, argument.value.as_deref().unwrap_or_default())
        };
        value.in_force(name).into_iter().map(shown).collect()
    }

    #[test]
    fn the_running_kernel_counts_and_not_what_is_configured() {
        let fact = line(&[("/proc/cmdline", "quiet\n"), ("/etc/kernel/cmdline", "mitigations=off\n")]);
        let value = fact.value.unwrap();
        assert!(value.running);
        assert_eq!(value.arguments.len(), 1);
    }

    #[test]
    fn the_last_of_several_arguments_is_in_force_and_dashes_equal_underscores() {
        let files = [("/proc/cmdline", "init-on-alloc=0 init_on_alloc=1\n")];
        assert_eq!(in_force(&files, "init_on_alloc"), ["/proc/cmdline:1 1"]);
        assert_eq!(line(&files).value.unwrap().all("init-on-alloc").count(), 2);
    }

    #[test]
    fn an_empty_command_line_is_a_doubt() {
        assert_eq!(line(&[("/proc/cmdline", "")]).doubts.len(), 1);
        assert_eq!(line(&[("/proc/cmdline", "quiet\n")]).doubts, []);
    }

    #[test]
    fn drop_ins_of_grub_replace_a_variable_unless_they_use_it() {
        let files = [
            (
                "/etc/default/grub",
                "#GRUB_CMDLINE_LINUX=\"x=0\"\nGRUB_CMDLINE_LINUX=\"a=1\"\nGRUB_CMDLINE_LINUX_DEFAULT='q=1' # shown\n",
            ),
            ("/etc/default/grub.d/a.cfg", "GRUB_CMDLINE_LINUX=\"b=2\"\n"),
            ("/etc/default/grub.d/b.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT c=3\"\n"),
            ("/etc/default/grub.d/c.txt", "GRUB_CMDLINE_LINUX=\"d=4\"\n"),
        ];
        assert_eq!(in_force(&files, "q"), ["/etc/default/grub:3 1"]);
        assert_eq!(in_force(&files, "b"), ["/etc/default/grub.d/a.cfg:1 2"]);
        assert_eq!(in_force(&files, "c"), ["/etc/default/grub.d/b.cfg:1 3"]);
        for replaced in ["x", "a", "d"] {
            assert_eq!(in_force(&files, replaced), [""; 0], "{replaced}");
        }
    }

    #[test]
    fn a_tree_keeps_systemd_boot_and_grub_apart() {
        let files = [
            ("/etc/kernel/cmdline", "mitigations=off\n"),
            ("/etc/default/grub", "GRUB_CMDLINE_LINUX=mitigations=auto\n"),
        ];
        assert_eq!(
            in_force(&files, "mitigations"),
            ["/etc/kernel/cmdline:1 off", "/etc/default/grub:1 auto"]
        );
    }
}
