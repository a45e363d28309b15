//! The options sshd is started with: `SSHD_OPTS` in `/etc/default/ssh`, put behind `sshd -D` by `ssh.service`.

/// Options with an argument (the `getopt` string in sshd.c).
const WITH_ARGUMENT: &str = "CEbcfghkopu";
/// Options without one; `G` is new in 10.0 and `V` in 9.2, all three only make sshd print and exit.
const WITHOUT_ARGUMENT: &str = "46DGQRTVdeiqrt";
/// Options that make sshd do something else than serve.
const NOT_SERVING: &str = "CGRTVt";
/// The levels one, two and more `-d` give.
const DEBUG_LEVELS: [&str; 3] = ["DEBUG", "DEBUG2", "DEBUG3"];

/// What may stand in front of a command of `ExecStart=` (systemd.service(5)).
const EXEC_PREFIXES: [char; 6] = ['@', '-', ':', '+', '!', '|'];

/// The words of `text`, split at blanks, quotes respected and removed.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (c, quote) {
            (_, Some(open)) if open == c => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, None) if c.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The options sshd is started with.
///
/// Its debug form does not show them: one may set an environment variable.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CommandLine {
    /// The file read instead of `/etc/ssh/sshd_config` (`-f`, the last one).
    pub config: Option<String>,
    /// What bears on settings, in order.
    pub(super) flags: Vec<Flag>,
    /// What keeps sshd from serving.
    pub(super) doubts: Vec<String>,
}

impl std::fmt::Debug for CommandLine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut form = out.debug_struct("CommandLine");
        form.field("config", &self.config).field("flags", &self.flags.len());
        form.field("doubts", &self.doubts).finish()
    }
}

/// An option that bears on a setting.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Flag {
    /// `-o`, and `-h` and `-c`, which are `HostKey` and `HostCertificate`: a line.
    Option(String),
    /// `-p`: a port, and no `Port` line counts any more.
    Port(String),
    /// `-4`, `-6`.
    Family(&'static str),
    /// `-g`.
    GraceTime(String),
    /// `-q`, `-d`.
    LogLevel(&'static str),
}

impl CommandLine {
    /// The value of `SSHD_OPTS`, split the way systemd splits an unbraced variable: at blanks, quotes respected.
    pub fn from_sshd_opts(value: &str) -> Self {
        Self::from_words(&words(value))
    }

    /// A command of `ExecStart=`, with the value of `SSHD_OPTS`; `None` where the command is not sshd or has parts
    /// that cannot be followed (escapes, specifiers, other variables).
    pub fn from_exec_start(command: &str, sshd_opts: &str) -> Option<Self> {
        if command.contains(['\\', '%', ';']) {
            return None;
        }
        let mut all = Vec::new();
        for word in words(command.trim_start_matches(EXEC_PREFIXES)) {
            if word == "$SSHD_OPTS" {
                all.extend(words(sshd_opts));
                continue;
            }
            let word = word.replace("${SSHD_OPTS}", sshd_opts);
            if word.contains('$') {
                return None;
            }
            all.push(word);
        }
        let (program, options) = all.split_first()?;
        program.ends_with("/sshd").then(|| Self::from_words(options))
    }

    /// The words behind the program's name.
    pub fn from_words(words: &[String]) -> Self {
        let mut line = Self::default();
        let mut debug = 0_usize;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                line.doubts.push("an argument that is no option keeps sshd from starting".to_owned());
                continue;
            };
            if letters == "-" {
                continue;
            }
            let mut rest = letters.chars();
            while let Some(letter) = rest.next() {
                if WITH_ARGUMENT.contains(letter) {
                    let glued = rest.as_str();
                    let argument =
                        if glued.is_empty() { words.next().cloned() } else { Some(glued.to_owned()) };
                    line.with_argument(letter, argument);
                    break;
                }
                if letter == 'd' {
                    debug += 1;
                }
                line.without_argument(letter, debug);
            }
        }
        line
    }

    fn with_argument(&mut self, letter: char, argument: Option<String>) {
        let Some(argument) = argument else {
            self.doubts.push(format!("the option `-{letter}` has no argument, sshd does not start"));
            return;
        };
        match letter {
            'f' => self.config = Some(argument),
            'o' => self.flags.push(Flag::Option(argument)),
            'h' => self.flags.push(Flag::Option(format!("HostKey \"{argument}\""))),
            'c' => self.flags.push(Flag::Option(format!("HostCertificate \"{argument}\""))),
            'p' => self.flags.push(Flag::Port(argument)),
            'g' => self.flags.push(Flag::GraceTime(argument)),
            _ => self.not_serving(letter),
        }
    }

    fn without_argument(&mut self, letter: char, debug: usize) {
        match letter {
            '4' => self.flags.push(Flag::Family("inet")),
            '6' => self.flags.push(Flag::Family("inet6")),
            'q' => self.flags.push(Flag::LogLevel("SILENT")),
            'd' => {
                let level = DEBUG_LEVELS.get(debug.saturating_sub(1)).or(DEBUG_LEVELS.last());
                self.flags.extend(level.map(|level| Flag::LogLevel(level)));
            }
            _ if WITHOUT_ARGUMENT.contains(letter) => self.not_serving(letter),
            _ => self.doubts.push(format!("`-{letter}` is no option of sshd, which does not start")),
        }
    }

    fn not_serving(&mut self, letter: char) {
        if NOT_SERVING.contains(letter) {
            self.doubts.push(format!("with the option `-{letter}` sshd does not serve"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_glued_or_apart_and_bundled() {
        let line = CommandLine::from_sshd_opts("-4p2222 -o 'PermitRootLogin no' -oUsePAM=yes -f /x -eq");
        assert_eq!(line.config.as_deref(), Some("/x"));
        assert!(
            line.flags
                == [
                    Flag::Family("inet"),
                    Flag::Port("2222".to_owned()),
                    Flag::Option("PermitRootLogin no".to_owned()),
                    Flag::Option("UsePAM=yes".to_owned()),
                    Flag::LogLevel("SILENT"),
                ]
        );
        assert!(line.doubts.is_empty());
    }

    #[test]
    fn a_command_of_the_unit_is_followed() {
        let shipped = CommandLine::from_exec_start("/usr/sbin/sshd -D $SSHD_OPTS", "-oUsePAM=no").unwrap();
        assert!(shipped.flags == [Flag::Option("UsePAM=no".to_owned())]);
        let own =
            CommandLine::from_exec_start("-/usr/sbin/sshd -D -f /etc/ssh/own -p${SSHD_OPTS}", "23").unwrap();
        assert!(own.flags == [Flag::Port("23".to_owned())]);
        assert_eq!(own.config.as_deref(), Some("/etc/ssh/own"));
        for other in
            ["/bin/sh -c sshd", "/usr/sbin/sshd $OTHER", "/usr/sbin/sshd -o %i", "/usr/sbin/sshd a\\x20b", ""]
        {
            assert_eq!(CommandLine::from_exec_start(other, ""), None, "{other}");
        }
    }

    #[test]
    fn a_test_run_or_an_unknown_option_does_not_serve() {
        assert_eq!(CommandLine::from_sshd_opts("-t").doubts.len(), 1);
        assert_eq!(CommandLine::from_sshd_opts("-z x").doubts.len(), 2);
        assert_eq!(CommandLine::from_sshd_opts("-p").doubts.len(), 1);
        assert_eq!(CommandLine::from_sshd_opts(""), CommandLine::default());
    }
}
