//! The real sshd, and what it answered in the Debian releases that are not at hand.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the test writes files for another program and starts it, says when it was skipped, and may fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pve_audit::formats::sshd::{
    CommandLine, Effective, Included, Read, Specification, Version, evaluate_with,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The port a connection is asked about when none is named: without one `-T` fails on every `Match LocalPort`.
const SOME_PORT: &str = "lport=1";

/// Where stored answers have the folder of the files.
const FOLDER: &str = "/sshd-oracle";

/// One question: a main file, files it may include by `{dir}/name`, options, a connection.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q> {
    pub(crate) text: &'q str,
    pub(crate) files: &'q [(&'q str, &'q str)],
    pub(crate) options: &'q [&'q str],
    pub(crate) connection: &'q str,
}

impl<'q> Question<'q> {
    pub(crate) fn new(text: &'q str) -> Self {
        Self { text, files: &[], options: &[], connection: SOME_PORT }
    }

    /// A short name for it in the stored answers.
    fn key(&self) -> String {
        let Self { text, files, options, connection } = self;
        let digest = Sha256::digest(format!("{text:?} {files:?} {options:?} {connection}"));
        digest.iter().take(6).fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
    }
}

/// The lines of `sshd -T`, or what it complains about.
type Answer = Result<Vec<String>, String>;

/// A sshd.
pub(crate) struct Oracle {
    pub(crate) version: Version,
    place: Place,
}

enum Place {
    Real {
        /// The tree it lives in, `/` for the installed one.
        root: PathBuf,
        /// A folder inside the tree for files.
        folder: TempDir,
        /// What it answered, to be stored.
        answers: Mutex<BTreeMap<String, Answer>>,
        /// The release in words, for the name of the file.
        release: String,
    },
    Stored {
        /// The lines of an empty file.
        usual: Vec<String>,
        /// How to make the answer from them (see [`steps`]); `None` where the file is refused.
        answers: BTreeMap<String, Option<Vec<String>>>,
    },
}

impl Oracle {
    /// Every real sshd there is.
    pub(crate) fn real() -> Vec<Self> {
        let extra = std::env::var("SSHD_ORACLE_ROOTS").unwrap_or_default();
        let roots = std::iter::once("/").chain(extra.split(':').filter(|root| !root.is_empty()));
        let all: Vec<Self> = roots.filter_map(|root| Self::at(Path::new(root))).collect();
        if all.is_empty() {
            assert!(std::env::var_os("CI").is_none(), "no supported sshd is installed");
            eprintln!("no supported sshd is installed");
        }
        all
    }

    /// One sshd of every release: real where there is one, else what was stored of it.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Self::real();
        for (release, version) in RELEASES {
            if all.iter().all(|oracle| oracle.version != version) {
                all.push(Self::stored(release, version));
            }
        }
        all
    }

    fn at(root: &Path) -> Option<Self> {
        if !root.join("usr/sbin/sshd").exists() {
            return None;
        }
        // An unknown option makes every release print its version.
        let output = command(root, "/usr/sbin/sshd").arg("-?").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let release = text.split("OpenSSH_").nth(1)?.split([' ', ',']).next()?.to_owned();
        let version = Version::from_package(&release)?;
        let folder = tempfile::Builder::new().prefix("sshd-oracle").tempdir_in(root.join("tmp")).unwrap();
        // Privilege separation wants this folder, which the service unit makes otherwise.
        if std::fs::create_dir_all(root.join("run/sshd")).is_err() {
            eprintln!("skipped: sshd in {} cannot be asked without root", root.display());
            return None;
        }
        let key = folder.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let release = RELEASES.iter().find(|(_, known)| *known == version)?.0.to_owned();
        let place = Place::Real { root: root.to_owned(), folder, answers: Mutex::default(), release };
        Some(Self { version, place })
    }

    /// The path of the folder, as sshd sees it.
    fn folder(&self) -> String {
        match &self.place {
            Place::Real { root, folder, .. } => {
                Path::new("/").join(folder.path().strip_prefix(root).unwrap()).to_str().unwrap().to_owned()
            }
            Place::Stored { .. } => FOLDER.to_owned(),
        }
    }

    /// Compares both readings; nothing where the answer was never stored.
    pub(crate) fn compare(&self, question: Question<'_>) -> Effective {
        let Question { text, files, options, connection } = question;
        let folder = self.folder();
        let placed = |text: &str| text.replace("{dir}", &folder);
        let inside = |name: &str| format!("{folder}/{name}");
        let included: BTreeMap<String, String> =
            files.iter().map(|(name, text)| (inside(name), placed(text))).collect();
        let text = placed(text);
        let mut words = vec!["-h".to_owned(), inside("key")];
        words.extend(options.iter().map(|word| (*word).to_owned()));

        let told = known_here(Specification::parse(connection).unwrap());
        let command_line = CommandLine::from_words(&words);
        let mut include = |pattern: &str| found(pattern, &included);
        let ours = evaluate_with(&command_line, &told, &inside("config"), &text, self.version, &mut include);
        let said = match &self.place {
            Place::Real { .. } => self.asked(question, &text, &words),
            Place::Stored { usual, answers } => remembered(&question, usual, answers),
        };
        let context =
            format!("{:?} reads\n{text}\nwith {files:?}, {options:?} and {connection}", self.version);
        match said {
            Err(complaint) => {
                // A name that sshd looks up may or may not be known to it: we do not decide that.
                let open = ours.problems.iter().any(|problem| problem.what.contains("looked up"));
                assert!(open || !ours.valid(), "{context}\nsshd refuses it: {complaint}");
            }
            Ok(lines) => {
                let stops: Vec<_> = ours.problems.iter().filter(|problem| problem.stops).collect();
                assert!(stops.is_empty(), "{context}\nsshd takes it, we say {stops:?}");
                let printed: Vec<String> =
                    ours.lines().iter().map(|line| line.replace(&folder, "{dir}")).collect();
                pretty_compare(&printed, &lines, &context);
            }
        }
        ours
    }

    /// What the real sshd says.
    fn asked(&self, question: Question<'_>, text: &str, options: &[String]) -> Answer {
        let Place::Real { root, folder, answers, .. } = &self.place else { return Err(String::new()) };
        let path = folder.path();
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "conf") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let inside = self.folder();
        for (name, text) in question.files {
            std::fs::write(path.join(name), text.replace("{dir}", &inside)).unwrap();
        }
        std::fs::write(path.join("config"), text).unwrap();
        let output = command(root, "/usr/sbin/sshd")
            .args(["-T", "-C", question.connection, "-f", &format!("{inside}/config")])
            .args(options)
            .output()
            .unwrap();
        let answer = if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(text.lines().map(|line| normal(line).replace(&inside, "{dir}")).collect())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        answers.lock().unwrap().insert(question.key(), answer.clone());
        answer
    }

    fn stored(release: &str, version: Version) -> Self {
        let text = std::fs::read_to_string(results(release)).unwrap();
        let (usual, rest) = text.split_once("\n\n").unwrap();
        let usual: Vec<String> = usual.lines().map(str::to_owned).collect();
        let mut answers = BTreeMap::new();
        for entry in rest.split("\n\n") {
            let mut lines = entry.lines();
            let Some(key) = lines.next() else { continue };
            if let Some(key) = key.strip_suffix(" refused") {
                answers.insert(key.to_owned(), None);
                continue;
            }
            answers.insert(key.to_owned(), Some(lines.map(str::to_owned).collect()));
        }
        Self { version, place: Place::Stored { usual, answers } }
    }

    /// Writes what the real sshd answered where `SSHD_RESULTS=write` asks for it, as what differs from an empty file.
    pub(crate) fn store(&self) {
        let Place::Real { answers, release, .. } = &self.place else { return };
        if std::env::var("SSHD_RESULTS").as_deref() != Ok("write") {
            return;
        }
        let answers = answers.lock().unwrap();
        let usual = answers.get(&Question::new("").key()).unwrap().clone().unwrap();
        let mut text = usual.join("\n") + "\n";
        for (key, answer) in answers.iter() {
            let _ = match answer {
                Err(_) => write!(text, "\n{key} refused\n"),
                Ok(lines) => write!(text, "\n{key}\n{}", steps(&usual, lines)),
            };
        }
        std::fs::write(results(release), text).unwrap();
    }
}

/// The releases with stored answers: the name of the file.
const RELEASES: [(&str, Version); 3] =
    [("8.4", Version::V8_4), ("9.2", Version::V9_2), ("10.0", Version::V10_0)];

fn results(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sshd_results").join(release)
}

/// The user's groups in the trees sshd is asked in: those of root are Debian's.
fn known_here(told: Specification) -> Specification {
    let groups = match told.user.as_deref() {
        Some("root") => Some(BTreeSet::from(["root".to_owned()])),
        Some("daemon") => Some(BTreeSet::from(["daemon".to_owned()])),
        _ => None,
    };
    Specification { groups, ..told }
}

/// How to make `lines` from `usual`: `=n` takes the next n lines over, `-n` leaves the next n out, `+line` is new.
fn steps(usual: &[String], lines: &[String]) -> String {
    let (mut text, mut rest, mut same) = (String::new(), usual, 0);
    let taken = |same: &mut usize, text: &mut String| {
        if *same > 0 {
            let _ = writeln!(text, "={same}");
        }
        *same = 0;
    };
    for line in lines {
        if let Some(gone) = rest.iter().position(|one| one == line) {
            if gone > 0 {
                taken(&mut same, &mut text);
                let _ = writeln!(text, "-{gone}");
            }
            same += 1;
            rest = rest.split_at(gone + 1).1;
        } else {
            taken(&mut same, &mut text);
            let _ = writeln!(text, "+{line}");
        }
    }
    taken(&mut same, &mut text);
    text
}

/// What was stored of the answer.
fn remembered(
    question: &Question<'_>,
    usual: &[String],
    answers: &BTreeMap<String, Option<Vec<String>>>,
) -> Answer {
    let key = question.key();
    let Some(stored) = answers.get(&key) else {
        panic!("no answer is stored for {key}: run tests/sshd_results/make.sh");
    };
    let Some(steps) = stored else { return Err("as stored".to_owned()) };
    let (mut lines, mut rest) = (Vec::new(), usual);
    for step in steps {
        let (kind, what) = step.split_at(1);
        if kind == "+" {
            lines.push(what.to_owned());
            continue;
        }
        let (next, after) = rest.split_at(what.parse().unwrap());
        rest = after;
        if kind == "=" {
            lines.extend_from_slice(next);
        }
    }
    Ok(lines)
}

/// `program` in the tree `root`, in the working directory the daemon has.
fn command(root: &Path, program: &str) -> Command {
    let mut command = if root == Path::new("/") {
        Command::new(program)
    } else {
        let mut command = Command::new("chroot");
        command.arg(root).arg(program);
        command
    };
    command.current_dir("/");
    command
}

/// The files a pattern with at most one `*` in its last part finds.
fn found(pattern: &str, files: &BTreeMap<String, String>) -> Vec<Included> {
    let (front, back) = pattern.split_once('*').unwrap_or((pattern, ""));
    let hit = |path: &str| {
        if pattern.contains('*') {
            path.strip_prefix(front).is_some_and(|rest| rest.ends_with(back) && !rest.contains('/'))
        } else {
            path == pattern
        }
    };
    let hits = files.iter().filter(|(path, _)| hit(path));
    hits.map(|(path, text)| Included { path: path.clone(), read: Read::Text(text.clone()) }).collect()
}

/// One line of `-T`, without the value of an environment variable.
fn normal(line: &str) -> String {
    let line = line.trim_end();
    match line.split_once(' ') {
        Some(("setenv", rest)) => {
            format!("setenv {}", rest.split('=').next().unwrap_or(rest)).trim_end().to_owned()
        }
        Some((name @ ("hostkey" | "hostcertificate"), "(null)")) => format!("{name} none"),
        _ => line.to_owned(),
    }
}

fn pretty_compare(ours: &[String], theirs: &[String], context: &str) {
    let only_ours: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    let only_theirs: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    assert!(
        ours == theirs,
        "{context}\nonly we say {only_ours:#?}\nonly sshd says {only_theirs:#?}\nin the order {theirs:#?}"
    );
}
