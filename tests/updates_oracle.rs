//! The pending updates against the real apt.
//!
//! Every tree is made in the test and laid out twice over: as the root our own code looks at, and for `apt list
//! --upgradable` by its options. The comparison holds for apt 2.2, 2.6 and 3.0; without an apt of one of these series
//! the tests are skipped with a message, except where the variable `CI` is set.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may write files and ask the real program")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod oracle {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use pve_audit::files::Files;
    use pve_audit::host::Host;
    use tempfile::TempDir;

    /// Package, architecture, installed version, candidate.
    type Row = (String, String, String, String);

    /// One tree.
    #[derive(Clone, Default)]
    struct Case {
        name: &'static str,
        sources: &'static str,
        preferences: &'static str,
        conf: &'static str,
        status: String,
        architectures: &'static str,
        lists: Vec<(&'static str, Vec<u8>)>,
        /// Whether apt itself refuses to answer.
        refused: bool,
    }

    fn apt() -> Option<String> {
        let output = Command::new("apt-get").arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let known = [("apt 2.2.", "2.2.4"), ("apt 2.6.", "2.6.1"), ("apt 3.0.", "3.0.3")];
        let found = known.into_iter().find(|(start, _)| text.starts_with(start));
        if found.is_none() {
            assert!(std::env::var_os("CI").is_none(), "apt 2.2, 2.6 or 3.0 is missing");
            eprintln!("skipped: apt 2.2, 2.6 or 3.0 is missing");
        }
        found.map(|(_, version)| version.to_owned())
    }

    impl Case {
        fn lay_out(&self, dir: &TempDir, version: &str) {
            let write = |path: &str, bytes: &[u8]| {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            };
            let apt = package("apt", version, "amd64", "");
            for folder in [
                "etc/apt/sources.list.d",
                "etc/apt/preferences.d",
                "var/lib/apt/lists/partial",
                "var/cache/apt/archives/partial",
            ] {
                fs::create_dir_all(dir.path().join(folder)).unwrap();
            }
            write("etc/apt/sources.list", self.sources.as_bytes());
            write("etc/apt/apt.conf.d/50test", self.conf.as_bytes());
            write("etc/apt/preferences.d/test", self.preferences.as_bytes());
            write("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
            write("var/lib/dpkg/status", (apt + &self.status).as_bytes());
            if !self.architectures.is_empty() {
                write("var/lib/dpkg/arch", self.architectures.as_bytes());
            }
            for (name, bytes) in &self.lists {
                write(&format!("var/lib/apt/lists/{name}"), bytes);
            }
        }

        /// What apt says; `None` where it refuses.
        fn asked(&self, dir: &TempDir) -> Option<BTreeSet<Row>> {
            let root = dir.path().display();
            let foreign: Vec<_> = self.architectures.lines().map(|name| format!("\"{name}\";")).collect();
            let all = if foreign.is_empty() { "\"amd64\";".to_owned() } else { foreign.concat() };
            let conf = format!(
                "APT::Architecture \"amd64\"; APT::Architectures {{ {all} }}; Acquire::Languages \"none\";\n\
                 Dir::Etc \"{root}/etc/apt\"; Dir::State \"{root}/var/lib/apt\"; Dir::Cache \"{root}/var/cache/apt\";\n\
                 Dir::State::status \"{root}/var/lib/dpkg/status\"; Dir::Log \"{root}/log\";\n"
            );
            let path: PathBuf = dir.path().join("base.conf");
            fs::write(&path, conf).unwrap();
            let output = Command::new("apt")
                .args(["list", "--upgradable"])
                .env("APT_CONFIG", &path)
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap();
            if !output.status.success() {
                eprintln!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
                return None;
            }
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.lines().filter_map(row).collect())
        }

        fn told(dir: &TempDir) -> Option<BTreeSet<Row>> {
            let host = Host::new(Files::below(dir.path()).unwrap(), None, None);
            let fact = host.updates();
            let updates = fact.value.as_ref().ok()?;
            let row = |update: &pve_audit::host::updates::Update| {
                (
                    update.package.clone(),
                    update.architecture.clone(),
                    update.installed.clone(),
                    update.candidate.clone(),
                )
            };
            Some(updates.upgradable.iter().map(row).collect())
        }
    }

    /// `name/suite,suite version architecture [upgradable from: version]`
    fn row(line: &str) -> Option<Row> {
        let (name, rest) = line.split_once('/')?;
        let (rest, from) = rest.split_once(" [upgradable from: ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let [_, version, architecture] = words.as_slice() else { return None };
        let from = from.trim_end_matches(']');
        Some((name.to_owned(), (*architecture).to_owned(), from.to_owned(), (*version).to_owned()))
    }

    /// A stanza of dpkg's.
    fn package(name: &str, version: &str, architecture: &str, more: &str) -> String {
        state(name, version, architecture, "install ok installed", more)
    }

    fn state(name: &str, version: &str, architecture: &str, state: &str, more: &str) -> String {
        format!(
            "Package: {name}\nStatus: {state}\nPriority: optional\nSection: misc\nMaintainer: x <x@example.com>\nArchitecture: {architecture}\nVersion: {version}\n{more}Description: x\n\n"
        )
    }

    /// A stanza of a list.
    fn offer(name: &str, version: &str, architecture: &str, more: &str) -> String {
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: x <x@example.com>\n{more}Filename: pool/{name}_{version}.deb\nSize: 100\nSHA256: {}\nDescription: x\n\n",
            "0".repeat(64)
        )
    }

    fn release(suite: &str, codename: &str, label: &str, more: &str) -> Vec<u8> {
        format!("Origin: Debian\nLabel: {label}\nSuite: {suite}\nVersion: 12.5\nCodename: {codename}\nDate: Fri, 20 Nov 2026 00:12:42 UTC\nArchitectures: amd64 i386\nComponents: main\n{more}").into_bytes()
    }

    const MAIN_RELEASE: &str = "d.example_debian_dists_bookworm_Release";
    const MAIN: &str = "d.example_debian_dists_bookworm_main_binary-amd64_Packages";
    const MAIN_I386: &str = "d.example_debian_dists_bookworm_main_binary-i386_Packages";
    const SECURITY_RELEASE: &str = "s.example_security_dists_bookworm-security_Release";
    const SECURITY: &str = "s.example_security_dists_bookworm-security_main_binary-amd64_Packages";
    const BACKPORTS_RELEASE: &str = "d.example_debian_dists_bookworm-backports_Release";
    const BACKPORTS: &str = "d.example_debian_dists_bookworm-backports_main_binary-amd64_Packages";
    const SOURCES: &str = "deb [trusted=yes] http://d.example/debian bookworm main\ndeb [trusted=yes] http://s.example/security bookworm-security main\ndeb [trusted=yes] http://d.example/debian bookworm-backports main\n";
    const BACKPORTS_FLAGS: &str = "NotAutomatic: yes\nButAutomaticUpgrades: yes\n";

    /// Three archives with several versions of a few packages.
    fn base() -> Case {
        let main = offer("openssl", "3.0.1-1", "amd64", "Depends: libc6 (>= 2.34)\n")
            + &offer("libfoo", "1.0-1", "amd64", "Source: foo (1.0-1)\n")
            + &offer("bar", "2.0-1", "all", "")
            + &offer("baz", "5.0", "amd64", "")
            + &offer("new", "1", "amd64", "");
        let security =
            offer("openssl", "3.0.1-1+deb12u2", "amd64", "") + &offer("bar", "2.0-1+deb12u1", "all", "");
        let backports = offer("openssl", "3.2-1~bpo12+1", "amd64", "")
            + &offer("libfoo", "2.0-1~bpo12+1", "amd64", "Source: foo (2.0-1~bpo12+1)\n")
            + &offer("baz", "6.0~bpo12", "amd64", "");
        Case {
            name: "base",
            sources: SOURCES,
            status: package("openssl", "3.0.1-1", "amd64", "Depends: libc6 (>= 2.34)\n")
                + &package("libfoo", "0.9-1", "amd64", "Source: foo\n")
                + &package("bar", "2.0-1", "all", "")
                + &package("baz", "6.0~bpo11", "amd64", "")
                + &package("local", "1", "amd64", ""),
            lists: vec![
                (MAIN_RELEASE, release("stable", "bookworm", "Debian", "")),
                (MAIN, main.into_bytes()),
                (SECURITY_RELEASE, release("stable-security", "bookworm-security", "Debian-Security", "")),
                (SECURITY, security.into_bytes()),
                (
                    BACKPORTS_RELEASE,
                    release("stable-backports", "bookworm-backports", "Debian Backports", BACKPORTS_FLAGS),
                ),
                (BACKPORTS, backports.into_bytes()),
            ],
            ..Case::default()
        }
    }

    fn pinned(name: &'static str, preferences: &'static str) -> Case {
        Case { name, preferences, ..base() }
    }

    fn configured(name: &'static str, conf: &'static str) -> Case {
        Case { name, conf, ..base() }
    }

    fn without(name: &'static str, gone: &[&str]) -> Case {
        let mut case = base();
        case.lists.retain(|(name, _)| !gone.contains(name));
        Case { name, ..case }
    }

    fn installed(name: &'static str, status: String) -> Case {
        Case { name, status, ..base() }
    }

    /// The base with the content of one list changed.
    fn offering(name: &'static str, list: &'static str, text: impl Into<Vec<u8>>) -> Case {
        let mut case = base();
        let place = case.lists.iter_mut().find(|(name, _)| *name == list).unwrap();
        place.1 = text.into();
        Case { name, ..case }
    }

    fn pins() -> Vec<Case> {
        let pin = |name, text| pinned(name, text);
        vec![
            pin("backports win", "Package: *\nPin: release n=bookworm-backports\nPin-Priority: 600\n"),
            pin(
                "backports of one package",
                "Package: openssl\nPin: release a=stable-backports\nPin-Priority: 990\n",
            ),
            pin(
                "security is never installed",
                "Package: *\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin("security below installed", "Package: *\nPin: release l=Debian-Security\nPin-Priority: 50\n"),
            pin("security as installed", "Package: *\nPin: release l=Debian-Security\nPin-Priority: 100\n"),
            pin("never", "Package: *\nPin: release l=Debian-Security\nPin-Priority: never\n"),
            pin(
                "a later never takes away",
                "Package: *\nPin: release l=Debian-Security\nPin-Priority: 900\n\nPackage: *\nPin: release o=Debian\nPin-Priority: never\n",
            ),
            pin(
                "the first general record wins",
                "Package: *\nPin: release o=Debian\nPin-Priority: 300\n\nPackage: *\nPin: release l=Debian-Security\nPin-Priority: 50\n",
            ),
            pin(
                "a named record before a general one",
                "Package: *\nPin: release o=Debian\nPin-Priority: -5\n\nPackage: openssl bar\nPin: release l=Debian-Security\nPin-Priority: 500\n",
            ),
            pin(
                "a named record does not bring back what never took away",
                "Package: *\nPin: release l=Debian-Security\nPin-Priority: never\n\nPackage: openssl\nPin: release l=Debian-Security\nPin-Priority: 900\n",
            ),
            pin("a glob", "Package: open*\nPin: release l=Debian-Security\nPin-Priority: -1\n"),
            pin(
                "a regular expression",
                "Package: /^(open|b).*$/\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin(
                "a colon in a regular expression",
                "Package: /open[[:lower:]]*/\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin(
                "a source package",
                "Package: src:foo\nPin: release n=bookworm-backports\nPin-Priority: 900\n",
            ),
            pin(
                "a glob of source packages",
                "Package: src:fo?\nPin: release n=bookworm-backports\nPin-Priority: 900\n",
            ),
            pin("a version", "Package: openssl\nPin: version 3.2*\nPin-Priority: 900\n"),
            pin("a version by glob", "Package: openssl\nPin: version 3.?-1~bpo*\nPin-Priority: 900\n"),
            pin("an exact version", "Package: openssl\nPin: version 3.0.1-1\nPin-Priority: 900\n"),
            pin("an older version above 1000", "Package: baz\nPin: version 5.0\nPin-Priority: 1001\n"),
            pin("an older version below 1000", "Package: baz\nPin: version 5.0\nPin-Priority: 999\n"),
            pin("a host", "Package: *\nPin: origin \"s.example\"\nPin-Priority: 10\n"),
            pin("no host", "Package: *\nPin: origin \"\"\nPin-Priority: 900\n"),
            pin("a component and an origin", "Package: *\nPin: release o=Debian, c=main\nPin-Priority: 50\n"),
            pin("a release by its number", "Package: *\nPin: release v=12*\nPin-Priority: 50\n"),
            pin("a release by its exact number", "Package: *\nPin: release 12.5\nPin-Priority: 50\n"),
            pin("a release by half its number", "Package: *\nPin: release 12\nPin-Priority: 50\n"),
            pin("an architecture", "Package: *\nPin: release b=amd64\nPin-Priority: 50\n"),
            pin("what is installed", "Package: *\nPin: release a=now\nPin-Priority: 700\n"),
            pin("what is installed, by name", "Package: openssl\nPin: release a=now\nPin-Priority: 700\n"),
            pin("the installed version", "Package: openssl\nPin: version 3.0.1-1\nPin-Priority: -1\n"),
            pin(
                "another architecture",
                "Package: openssl:i386\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin(
                "any architecture",
                "Package: openssl:any\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin(
                "the native architecture",
                "Package: openssl:native\nPin: release l=Debian-Security\nPin-Priority: -1\n",
            ),
            pin("case does not count", "Package: *\nPin: release L=debian-SECURITY\nPin-Priority: -1\n"),
            pin("a pin without data", "Package: *\nPin: release\nPin-Priority: -1\n"),
            pin(
                "a field apt does not know",
                "Package: *\nPin: release suite=stable-security\nPin-Priority: 990\n",
            ),
            pin("a letter apt does not know", "Package: *\nPin: release s=stable\nPin-Priority: 50\n"),
            pin(
                "a letter apt does not know beside one it knows",
                "Package: *\nPin: release s=x, l=Debian-Security\nPin-Priority: 50\n",
            ),
            pin("everything", "Package: *\nPin: release *\nPin-Priority: 50\n"),
            Case { refused: true, ..pin("a broken record", "Package: openssl\nPin: release a=stable\n") },
        ]
    }

    fn settings() -> Vec<Case> {
        vec![
            configured("default release by codename", "APT::Default-Release \"bookworm\";"),
            configured("default release by suite", "APT::Default-Release \"stable\";"),
            configured("default release by expression", "APT::Default-Release \"/^bookworm(|-security)$/\";"),
            configured("default release by fields", "APT::Default-Release \"n=bookworm-backports\";"),
            configured("default release by number", "APT::Default-Release \"12*\";"),
            configured("default release by exact number", "APT::Default-Release \"12.5\";"),
            Case {
                refused: true,
                ..configured("default release that is none", "APT::Default-Release \"sid\";")
            },
            Case {
                preferences: "Package: *\nPin: release l=Debian-Security\nPin-Priority: 995\n",
                ..configured("a pin beside the default release", "APT::Default-Release \"bookworm\";")
            },
            Case {
                preferences: "Package: openssl\nPin: release l=Debian-Security\nPin-Priority: 600\n",
                ..configured(
                    "a named pin wins over the default release",
                    "APT::Default-Release \"/bookworm/\";",
                )
            },
            Case { refused: true, sources: "deb http://d.example/debian\n", ..configured("no sources", "") },
        ]
    }

    fn packages() -> Vec<Case> {
        let old = |status: &str| state("openssl", "3.0.0-1", "amd64", status, "");
        vec![
            installed("held", old("hold ok installed")),
            installed("half installed", old("install reinstreq half-installed")),
            installed("unpacked", old("install ok unpacked")),
            installed("half configured", old("install ok half-configured")),
            installed("waiting for triggers", old("install ok triggers-awaited\nTriggers-Awaited: x")),
            installed("to be removed", old("deinstall ok installed")),
            installed("configuration left", old("deinstall ok config-files")),
            installed("newer than everything", package("openssl", "9", "amd64", "")),
            installed("an epoch", package("openssl", "1:0.1", "amd64", "")),
            installed("a zero epoch", package("openssl", "0:3.0.1-1+deb12u2", "amd64", "")),
            installed("same number, other dependencies", package("baz", "5.0", "amd64", "Depends: x\n")),
            installed("same number, other size", package("baz", "5.0", "amd64", "Installed-Size: 7\n")),
            installed("same number, other architecture kind", package("bar", "2.0-1", "amd64", "")),
            installed("same number, multi-arch", package("baz", "5.0", "amd64", "Multi-Arch: foreign\n")),
            installed(
                "dpkg writes dependencies its own way",
                package("openssl", "3.0.1-1", "amd64", "Depends: libc6   (>= 2.34)\n"),
            ),
            installed("from all to a real architecture", package("openssl", "3.0.0", "all", "")),
            installed("from a real architecture to all", package("bar", "1.0", "amd64", "")),
            installed("another architecture", package("openssl", "3.0.0", "i386", "")),
            Case {
                architectures: "amd64\ni386\n",
                lists: base()
                    .lists
                    .into_iter()
                    .chain([(
                        MAIN_I386,
                        offer("openssl", "3.0.1-1", "i386", "Multi-Arch: same\n").into_bytes(),
                    )])
                    .collect(),
                ..installed(
                    "two architectures",
                    package("openssl", "3.0.0", "i386", "Multi-Arch: same\n")
                        + &package("openssl", "3.0.0", "amd64", "Multi-Arch: same\n"),
                )
            },
        ]
    }

    fn listings() -> Vec<Case> {
        let twice = offer("baz", "7", "amd64", "") + &offer("baz", "8", "amd64", "");
        let same = offer("baz", "5.0", "amd64", "") + &offer("baz", "5.0", "amd64", "Depends: y\n");
        vec![
            without("no security list", &[SECURITY]),
            without("no Release files", &[MAIN_RELEASE, SECURITY_RELEASE, BACKPORTS_RELEASE]),
            without("nothing of security", &[SECURITY, SECURITY_RELEASE]),
            offering("a package twice in one list", MAIN, twice),
            offering("one number, two builds", MAIN, same),
            offering("an empty list", SECURITY, String::new()),
            offering(
                "empty lines",
                SECURITY,
                format!("{}\n\n\n", offer("openssl", "3.0.1-1+deb12u2", "amd64", "")),
            ),
            offering(
                "no empty line at the end",
                SECURITY,
                offer("openssl", "3.0.1-1+deb12u2", "amd64", "").trim_end().to_owned() + "\n",
            ),
            offering(
                "fields in another order",
                SECURITY,
                "Version: 3.0.1-1+deb12u3\nArchitecture: amd64\nPackage: openssl\nFilename: x\nSize: 1\n\n"
                    .to_owned(),
            ),
            offering(
                "fields in another case",
                SECURITY,
                "package: openssl\nversion: 3.0.1-1+deb12u3\narchitecture: amd64\nfilename: x\nsize: 1\n\n"
                    .to_owned(),
            ),
            offering(
                "a description with empty lines",
                SECURITY,
                offer(
                    "openssl",
                    "3.0.1-1+deb12u3",
                    "amd64",
                    "Description: x\n .\n  Package: baz\n\tVersion: 99\n",
                ),
            ),
            Case {
                sources: "deb [trusted=yes] http://d.example/debian bookworm main\n",
                ..Case { name: "lists of sources that are gone do not count", ..base() }
            },
            Case {
                name: "a source for another architecture",
                sources: "deb [trusted=yes] http://d.example/debian bookworm main\ndeb [trusted=yes arch=i386] http://s.example/security bookworm-security main\n",
                ..base()
            },
            Case {
                name: "a source that asks for other targets",
                sources: "deb [trusted=yes] http://d.example/debian bookworm main\ndeb [trusted=yes target=Sources] http://s.example/security bookworm-security main\n",
                ..base()
            },
            Case {
                name: "a source that does not ask for packages",
                sources: "deb [trusted=yes] http://d.example/debian bookworm main\ndeb [trusted=yes target-=Packages] http://s.example/security bookworm-security main\n",
                ..base()
            },
            offering(
                "a stanza that lost its end",
                SECURITY,
                offer("x", "1", "amd64", "").trim_end().to_owned()
                    + "\n"
                    + &offer("openssl", "3.0.1-1+deb12u3", "amd64", ""),
            ),
            Case {
                name: "the same source twice",
                sources: "deb [trusted=yes] http://d.example/debian bookworm main\ndeb [trusted=yes] http://d.example/debian bookworm main\n",
                ..base()
            },
            Case {
                name: "an exact path",
                sources: "deb [trusted=yes] http://d.example/flat ./\n",
                lists: vec![
                    ("d.example_flat_._Release", release("x", "y", "z", "")),
                    ("d.example_flat_._Packages", offer("openssl", "4", "amd64", "").into_bytes()),
                ],
                ..base()
            },
            Case {
                name: "the pin of a component where there is no Release file",
                preferences: "Package: *\nPin: release a=main\nPin-Priority: 50\n",
                ..without("", &[MAIN_RELEASE, SECURITY_RELEASE, BACKPORTS_RELEASE])
            },
        ]
    }

    /// The base with every list packed by a program; `None` where that is not installed.
    fn packed(name: &'static str, ending: &str, program: &[&str]) -> Option<Case> {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut case = base();
        for (name, bytes) in &mut case.lists {
            if !name.ends_with("Packages") {
                continue;
            }
            let (command, args) = program.split_first().unwrap();
            let mut child =
                Command::new(command).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(bytes).unwrap();
            drop(stdin);
            *bytes = child.wait_with_output().unwrap().stdout;
            *name = Box::leak(format!("{name}{ending}").into_boxed_str());
        }
        Some(Case { name, ..case })
    }

    fn packings() -> Vec<Case> {
        [
            packed("gzip", ".gz", &["gzip", "-6nc"]),
            packed("xz", ".xz", &["xz", "-6c"]),
            packed("zstd", ".zst", &["zstd", "-19", "-c"]),
            packed("lz4", ".lz4", &["lz4", "-1", "-c"]),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn check(cases: &[Case]) {
        let Some(version) = apt() else { return };
        let mut problems = Vec::new();
        for case in cases {
            let dir = tempfile::tempdir().unwrap();
            case.lay_out(&dir, &version);
            let (asked, told) = (case.asked(&dir), Case::told(&dir));
            assert_eq!(asked.is_none(), case.refused, "{}: apt", case.name);
            if asked != told {
                problems.push(format!("{}:\n  apt {asked:?}\n  we  {told:?}", case.name));
            }
        }
        assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
    }

    #[test]
    fn pins_decide_as_they_do_for_apt() {
        check(&pins());
    }

    #[test]
    fn settings_decide_as_they_do_for_apt() {
        check(&settings());
    }

    #[test]
    fn installed_packages_are_seen_as_apt_sees_them() {
        check(&packages());
    }

    #[test]
    fn lists_are_read_as_apt_reads_them() {
        check(&listings());
    }

    #[test]
    fn packed_lists_are_read_as_apt_reads_them() {
        check(&packings());
    }

    /// apt cannot work with these at all; we say what we could read, and that it is not all.
    #[test]
    fn what_makes_apt_give_up_is_never_taken_for_whole() {
        let Some(version) = apt() else { return };
        for case in [
            offering("empty lines first", SECURITY, format!("\n\n{}", offer("openssl", "4", "amd64", ""))),
            offering("no name", SECURITY, "Version: 1\nArchitecture: amd64\n\n".to_owned()),
            offering("no list at all", SECURITY, "\u{1f}\u{8b} x\n\n".to_owned()),
        ] {
            let dir = tempfile::tempdir().unwrap();
            case.lay_out(&dir, &version);
            assert_eq!(case.asked(&dir), None, "{}", case.name);
            let host = Host::new(Files::below(dir.path()).unwrap(), None, None);
            let fact = host.updates();
            let doubt = fact.doubts.iter().any(|doubt| doubt.path.ends_with(SECURITY));
            assert!(doubt, "{}: {:?}", case.name, fact.doubts);
        }
    }

    #[test]
    fn there_are_enough_trees() {
        let count = pins().len() + settings().len() + packages().len() + listings().len();
        assert!(count >= 80, "{count}");
    }
}
