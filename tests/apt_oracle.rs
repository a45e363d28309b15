//! The apt parsers against the real apt.
//!
//! `apt-get indextargets` lists what apt understood of its sources, `apt-config dump` of its configuration. The
//! comparison holds for apt 2.2, 2.6 and 3.0; without an apt of one of these series the tests are skipped with a
//! message, except where the variable `CI` is set.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may write files and ask the real program")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod oracle {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use proptest::prelude::*;
    use proptest::string::string_regex;
    use proptest::test_runner::TestRunner;
    use pve_audit::formats::apt_conf::{self, Tree};
    use pve_audit::formats::apt_preferences;
    use pve_audit::formats::apt_sources::{
        self, AptVersion, Context, Entry, Kind, SourceType, Uri, conflict, is_source_file,
    };
    use tempfile::TempDir;

    const FORMAT: &str = "$(CREATED_BY)\u{1f}$(REPO_URI)\u{1f}$(RELEASE)\u{1f}$(COMPONENT)\u{1f}$(ARCHITECTURE)\u{1f}$(ALLOW_INSECURE)\u{1f}$(INRELEASE_PATH)\u{1f}$(FILENAME)";
    /// What apt's `--format` leaves where a target has no such property.
    const NONE: &str = "-";

    /// An empty apt world.
    struct World {
        dir: TempDir,
        context: Context<'static>,
    }

    impl World {
        /// `None` without an apt to compare with.
        fn new() -> Option<Self> {
            let output = Command::new("apt-get").arg("--version").output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let series = [
                ("apt 2.2.", AptVersion::V2_2),
                ("apt 2.6.", AptVersion::V2_6),
                ("apt 3.0.", AptVersion::V3_0),
            ];
            let text = text.unwrap_or_default();
            let Some((_, version)) = series.into_iter().find(|(name, _)| text.starts_with(name)) else {
                assert!(std::env::var_os("CI").is_none(), "apt 2.2, 2.6 or 3.0 is missing");
                eprintln!("skipped: apt 2.2, 2.6 or 3.0 is missing");
                return None;
            };
            let context = Context { version, native: "amd64" };
            let world = Self { dir: tempfile::tempdir().unwrap(), context };
            for folder in [
                "etc/sources.list.d",
                "etc/apt.conf.d",
                "etc/preferences.d",
                "state/lists/partial",
                "cache/archives/partial",
            ] {
                std::fs::create_dir_all(world.path(folder)).unwrap();
            }
            let root = world.dir.path().display();
            let conf = format!(
                "APT::Architecture \"amd64\"; APT::Architectures \"amd64\"; Acquire::Languages \"none\";\n\
                 Dir::Etc \"{root}/etc\"; Dir::State \"{root}/state\"; Dir::Cache \"{root}/cache\";\n\
                 Dir::State::status \"{root}/status\"; Dir::Log \"{root}/log\";\n"
            );
            world.write("base.conf", &conf);
            world.write("status", "");
            Some(world)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }

        fn run(&self, conf: &str, program: &str, args: &[&str]) -> Output {
            Command::new(program)
                .args(args)
                .env("APT_CONFIG", self.path(conf))
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap()
        }

        /// What apt makes of its sources; `None` when it cannot read them.
        fn targets(&self) -> Option<BTreeSet<Vec<String>>> {
            let args = ["indextargets", "--no-release-info", "--format", FORMAT];
            let output = self.run("base.conf", "apt-get", &args);
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(said.contains("The list of sources could not be read"), "{said}");
                return None;
            }
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lists = format!("{}/", self.path("state/lists").display());
            Some(text.lines().map(|line| target(line, &lists)).collect())
        }
    }

    fn target(line: &str, lists: &str) -> Vec<String> {
        let mut parts: Vec<String> = line.split('\u{1f}').map(str::to_owned).collect();
        for part in &mut parts {
            if matches!(
                part.as_str(),
                "$(COMPONENT)" | "$(ARCHITECTURE)" | "$(ALLOW_INSECURE)" | "$(INRELEASE_PATH)"
            ) {
                *part = NONE.to_owned();
            }
        }
        parts[1] = hidden(&parts[1], Uri::parse(&parts[1]).credentials);
        parts[7] = parts[7].strip_prefix(lists).unwrap().to_owned();
        parts
    }

    /// A URI with a password cannot be compared: it never leaves our parser.
    fn hidden(uri: &str, credentials: bool) -> String {
        if credentials { "hidden".to_owned() } else { uri.to_owned() }
    }

    /// What we expect apt to make of these entries.
    fn expected(entries: &[Entry]) -> BTreeSet<Vec<String>> {
        let mut targets = BTreeSet::new();
        // all sources of an archive use the URI of the first one
        let mut first: BTreeMap<String, &Entry> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.enabled) {
            let archive = *first.entry(entry.list_file("Release")).or_insert(entry);
            let mut add = |kind: &str, architecture: &str, path: &str| {
                let row = [
                    kind,
                    &hidden(&archive.uri, archive.credentials),
                    if archive.suite == "/" { "" } else { &archive.suite },
                    entry.component.as_deref().unwrap_or(NONE),
                    architecture,
                    if archive.allow_insecure == Some(true) { "true" } else { NONE },
                    archive.inrelease_path.as_deref().unwrap_or(NONE),
                    &archive.list_file(path),
                ];
                targets.insert(row.map(str::to_owned).to_vec());
            };
            match (&entry.component, entry.source_type) {
                (None, SourceType::Deb) => {
                    // an exact path has one index for all architectures that are asked for
                    if !entry.architectures.resolve(&["amd64".to_owned()]).is_empty() {
                        add("Packages", NONE, "Packages");
                    }
                }
                (None, SourceType::DebSrc) => {
                    if !entry.architectures.resolve(&["amd64".to_owned()]).is_empty() {
                        add("Sources", NONE, "Sources");
                    }
                }
                (Some(component), SourceType::DebSrc) => {
                    if !entry.architectures.resolve(&["amd64".to_owned()]).is_empty() {
                        add("Sources", NONE, &format!("{component}/source/Sources"));
                    }
                }
                (Some(component), SourceType::Deb) => {
                    for architecture in entry.architectures.resolve(&["amd64".to_owned()]) {
                        let path = format!("{component}/binary-{architecture}/Packages");
                        add("Packages", &architecture, &path);
                    }
                }
            }
        }
        targets
    }

    /// Compares one file with apt.
    fn check(world: &World, text: &str, kind: Kind) {
        let name = match kind {
            Kind::OneLine => "etc/sources.list.d/x.list",
            Kind::Deb822 => "etc/sources.list.d/x.sources",
        };
        world.write(name, text);
        let parsed = apt_sources::parse(text, kind, &world.context).value;
        let readable =
            parsed.unreadable.is_none() && conflict(&parsed.entries, world.context.version).is_none();
        let ours = readable.then(|| expected(&parsed.entries));
        assert_eq!(ours, world.targets(), "{text:?}\n{parsed:?}");
        std::fs::remove_file(world.path(name)).unwrap();
    }

    const LINES: &[&str] = &[
        "",
        "\n \n\t# x\n",
        "deb http://deb.debian.org/debian bookworm main contrib non-free-firmware\n",
        "deb-src\thttp://h/x \t s\tc # comment\r\n",
        "  deb http://h s c\n\x0bdeb http://h s c",
        "deb\x0bhttp://h s c",
        "deb\rhttp://h s c",
        "deb\x0chttp://h s c",
        "deb http://h s a#b c",
        "deb [x=#y] http://h s a # [",
        "deb [ arch=amd64,i386 ] http://h s c",
        "deb [arch=amd64 arch=i386] http://h s c",
        "deb [arch+=i386 arch-=amd64] http://h s c",
        "deb [arch-=all] http://h s c",
        "deb [arch=all] http://h s c",
        "deb [arch-=amd64,all] http://h s c",
        "deb [arch-=amd64,all] http://h s/",
        "deb [arch=,i386,] http://h s c",
        "deb [arch = amd64] http://h s c",
        "deb [arch=amd64] [trusted=yes] http://h s c",
        "deb [arch=amd64]http://h s c",
        "deb [arch=amd64 http://h s c",
        "deb [] http://h s c",
        "deb [ ] http://h s c",
        "deb [a] http://h s c",
        "deb [a=] http://h s c",
        "deb [=ab] http://h s c",
        "deb [abc] http://h s c",
        "deb [a=\"b c\"] http://h s c",
        "deb [a=\"b]\" c=d] http://h s c",
        "deb [a=[b]] http://h s c",
        "deb [a=b%5d ] http://h s c",
        "deb [allow-insecure=yes inrelease-path=foo] http://h s c",
        "deb [allow-insecure=maybe] http://h s c",
        "deb [allow-insecure=yes] http://h s c\ndeb http://h s d",
        "deb [trusted=yes] http://h s c\ndeb http://h s d",
        "deb http://h s c\ndeb [trusted=no] http://h s d",
        "deb [trusted=maybe] http://h s c\ndeb [trusted=no] https://h s d",
        "deb [trusted=1] http://h s c\ndeb [trusted=enable] http://u:p@h s d",
        "deb [signed-by=/k] http://h s c\ndeb http://h s d",
        "deb http://h s c\ndeb [signed-by=/k] http://h s d\ndeb [signed-by=/k] http://h s e",
        "deb [signed-by=/k,/l] http://h s c\ndeb [signed-by=/k,,/l,] http://h s d",
        "deb [signed-by=k.gpg] http://h s c",
        "deb [signed-by=0123456789abcdef0123456789abcdef01234567!] http://h s c",
        "deb [signed-by=0123456789abcdef0123456789abcdef0123456] http://h s c",
        "deb [valid-until-max=5] http://h s c\ndeb http://h s d",
        "deb http://h s c\ndeb [valid-until-max=5] http://h s d\ndeb [valid-until-max=5x] http://h s e",
        "deb [check-date=no] http://h s c\ndeb [check-date=off] http://h s d",
        "deb http://h $(ARCH)",
        "deb http://h/$(ARCH) s$(ARCH) c$(ARCH)",
        "deb http://h/$(ARCH) s$(ARCH)/",
        "deb http://h /",
        "deb http://h ./",
        "deb http://h a/b/ c",
        "deb http://h a/b c",
        "deb-src http://h ./",
        "deb http://u:p@h/x s c",
        "deb http://u%40:p%3a@h:8080/x s c",
        "deb http://u@h s c",
        "deb http://@h s c",
        "deb http://h:80x/ s c",
        "deb http://h:/ s c",
        "deb http://[::1]:80/x s c",
        "deb http://[::1 s c",
        "deb \"http://h/a b\" \"s t\" \"c d\"e",
        "deb http://h/%41%zz%4 s%2f c",
        "deb \"http://h s c",
        "deb http://h s c \"d",
        "deb http://h s [c d]",
        "deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - x: y]/ s c",
        "deb file:/srv/x s c",
        "deb file:///srv/x s c",
        "deb copy:/srv//x// s c",
        "deb /srv s c",
        "deb : s c",
        "deb h: s c",
        "deb http:// s c",
        "deb mirror+https://h/x s c",
        "deb http://h s",
        "deb http://h",
        "deb ",
        "deb",
        "DEB http://h s c",
        "rpm http://h s c",
        "\u{feff}deb http://h s c",
        "deb http://h/\u{e4} s c",
        "deb http://h/a~b+c_d s~t+u c~d+e_f",
        "deb http://h s c\nnonsense\n",
        "deb http://h s c\0hidden",
    ];

    const STANZAS: &[&str] = &[
        "",
        "\n\n#x\n \n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb deb-src\nURIs: http://a http://b\n http://c\n\thttp://d\nSuites: s t\nComponents: c\n d\n",
        "types: deb\nuris: http://h\nSUITES: s\nComponents: c\n\n\n\nTypes: deb-src\nURIs: http://h\nSuites: s\nComponents: c",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: main # x\n",
        "#c\nTypes: deb\n# c\nURIs: http://a\n# c\n http://b\n#c\nSuites: s\nComponents: c\n#c",
        "Types: deb\nURIs: http://h\nSuites: s\n #no comment\nComponents: c\n",
        "Types: deb\nURIs: http://a\nSuites: s\nComponents: c\n \nTypes: deb\nURIs: http://b\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://a\nSuites: s\nComponents: c\n#\nTypes: deb\nURIs: http://b\nSuites: s\nComponents: c\n",
        "Types: deb\r\nURIs: http://h\r\nSuites: s\r\nComponents: c\r\n\r\nTypes: deb\r\nURIs: http://i\r\nSuites: s\r\nComponents: c\r\n",
        "Types: deb\nURIs: http://h\nSuites: s\nSuites: t\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: no\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: nope\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled:\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: 0\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: 00\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: 4294967296\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled:\n no\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled:\n\tno\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: without\n",
        "Types: deb\nEnabled: no\n",
        "Types:\nEnabled: yes\n",
        "Types: rpm\nEnabled: no\n",
        "Enabled: no\n",
        "Types: deb rpm\nURIs: http://h\nSuites: s\nComponents: c\n",
        "URIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\n",
        "Types: deb\nURIs: http://h\nSuites: ./\n",
        "Types: deb\nURIs: http://h\nSuites: ./\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s ./\nComponents: c\n",
        "Types: deb\nURIs: h\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h/$(ARCH)\nSuites: s$(ARCH)\nComponents: c$(ARCH)\n",
        "Types: deb\nURIs: \"http://h/a\"\nSuites: %41\nComponents: c\n",
        "Types: deb\nURIs: http://u:p@h/\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nArchitectures: i386 arm64,armhf\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nArchitectures:\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nArchitectures-Add: i386\nArchitectures-Remove: amd64 all\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nAllow-Insecure: yes\nInRelease-Path: x\nX-Foo: bar\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nTrusted:\n\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: d\nTrusted: no\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nTrusted: yes\n\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: d\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By: /k /l\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By: k\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By:\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By: ,\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n",
        "\u{feff}Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        "\u{feff}# a: b\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nstray\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\nstray\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\nab\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\na\n",
        "a",
        "ab",
        "stray\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        " stray\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        "Types : deb\nURIs\t: http://h\nSuites:s\nComponents:\tc\n",
        "Types: deb\n\rURIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\r\nTypes: deb\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\rd\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\rd\ne\n",
        "stray\nTypes: deb\nURIs: http://h\nSuites: s\nComponents: c\n\rd\n",
    ];

    #[test]
    fn lines_are_read_as_apt_reads_them() {
        let Some(world) = World::new() else { return };
        for text in LINES {
            check(&world, text, Kind::OneLine);
        }
        let full = format!("#{}\ndeb http://h s c\ndeb http://i s c\n", "x".repeat(4093));
        check(&world, &full, Kind::OneLine);
        check(&world, &full.replacen('x', "", 1), Kind::OneLine);
    }

    #[test]
    fn stanzas_are_read_as_apt_reads_them() {
        let Some(world) = World::new() else { return };
        for text in STANZAS {
            check(&world, text, Kind::Deb822);
        }
    }

    #[test]
    fn the_same_files_count() {
        let Some(world) = World::new() else { return };
        let names = [
            "a.list",
            "b.sources",
            "c.list.save",
            "d.LIST",
            "e.disabled",
            "f",
            "list",
            ".g.list",
            "h.i.list",
            "j-k_l.list",
            "m+n.list",
            "o p.list",
            "q.list~",
            "r.list.",
            "s:t.list",
            "u~v.list",
            "\u{e4}.list",
            "w.sources.bak",
            "1.list",
            "x,y.list",
            "z@.list",
            "A.list",
            "..list",
            "sources",
        ];
        for (at, name) in names.iter().enumerate() {
            let text = if name.contains("sources") {
                format!("Types: deb\nURIs: http://h{at}\nSuites: ./\n")
            } else {
                format!("deb http://h{at} ./\n")
            };
            world.write(&format!("etc/sources.list.d/{name}"), &text);
        }
        let read: BTreeSet<String> =
            world.targets().unwrap().into_iter().map(|target| target[1].clone()).collect();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(is_source_file(name).is_some(), read.contains(&format!("http://h{at}/")), "{name}");
        }
    }

    #[test]
    fn the_same_sources_are_trusted() {
        let Some(world) = World::new() else { return };
        world.write(
            "state/lists/h_dists_s_Release",
            "Origin: x\nSuite: s\nDate: Fri, 20 Nov 2026 00:12:42 UTC\n",
        );
        world.write("state/lists/h_dists_s_c_binary-amd64_Packages", "");
        for (signed, value) in [false, true].into_iter().flat_map(|signed| {
            ["yes", "no", "1", "maybe", "TRUE", "enabled", "2"].into_iter().map(move |value| (signed, value))
        }) {
            if signed {
                world.write("state/lists/h_dists_s_Release.gpg", "");
            }
            for option in [format!("[trusted={value}] "), String::new()] {
                let text = format!("deb {option}http://h s c\n");
                world.write("etc/sources.list", &text);
                let entry = apt_sources::parse(&text, Kind::OneLine, &world.context).value.entries.remove(0);
                let args = ["indextargets", "--format", "$(TRUSTED)"];
                let output = world.run("base.conf", "apt-get", &args);
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let expected = if entry.trusted.unwrap_or(signed) { "yes\n" } else { "no\n" };
                assert_eq!(said, expected, "{text} {output:?}");
            }
        }
    }

    /// The configuration in `text` as apt dumps it, without what apt brings along; `None` for a syntax error.
    fn apt_dump(world: &World, own: &BTreeSet<String>, text: &str) -> Option<Vec<(String, String)>> {
        world.write("test.conf", text);
        let output = world.run("test.conf", "apt-config", &["dump"]);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("Syntax error"), "{said}");
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(foreign(own, dump_lines(&text)))
    }

    fn dump_lines(text: &str) -> Vec<(String, String)> {
        let line = |line: &str| {
            let (name, value) = line.strip_suffix("\";").unwrap().split_once(" \"").unwrap();
            (percent_decoded(name), value.to_owned())
        };
        text.lines().map(line).collect()
    }

    fn percent_decoded(text: &str) -> String {
        let mut parts = text.split('%');
        let mut plain = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            let (code, rest) = part.split_at(2);
            plain.push(u8::from_str_radix(code, 16).unwrap());
            plain.extend_from_slice(rest.as_bytes());
        }
        String::from_utf8_lossy(&plain).into_owned()
    }

    fn top(name: &str) -> String {
        name.split("::").next().unwrap_or_default().to_ascii_lowercase()
    }

    fn foreign(own: &BTreeSet<String>, dump: Vec<(String, String)>) -> Vec<(String, String)> {
        dump.into_iter().filter(|(name, _)| !own.contains(&top(name))).collect()
    }

    fn check_conf(world: &World, own: &BTreeSet<String>, body: &str) {
        let text = format!("Dir::Etc \"/nonexistent\";\n{body}");
        let parsed = apt_conf::parse(&text).value;
        let mut tree = Tree::default();
        tree.apply("test.conf", &parsed, &mut |path| {
            let text = std::fs::read_to_string(path).unwrap();
            vec![(path.to_owned(), apt_conf::parse(&text).value)]
        });
        let ours = parsed.error.is_none().then(|| foreign(own, tree.dump()));
        assert_eq!(ours, apt_dump(world, own, &text), "{text}\n{parsed:?}");
    }

    /// The names apt sets itself.
    fn own_names(world: &World) -> BTreeSet<String> {
        let output = world.run("base.conf", "apt-config", &["dump"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        dump_lines(&text).iter().map(|(name, _)| top(name)).collect()
    }

    const CONFS: &[&str] = &[
        "",
        "T \"1\"; t \"2\"; T::A \"3\";",
        "T { A \"1\"; B { \"x\"; \"y\"; }; C:: \"z\"; };",
        "T { \"a\"; \"b\"; };\nT:: \"c\";\nT::x \"d\";",
        "T::A:: \"1\"; T::A:: \"2\";\n#clear T::A;\nT::A:: \"3\";",
        "#clear T;\n#clear;\n",
        "#clear T\n;\nT 1;",
        "T { #clear T; };",
        "T { \"#clear\"; };",
        "#unknown x;",
        "T \"1\" // c\n; U 2; # c\nV /* x */ 3; /* a\n b */ W 4;",
        "T \"//\"; U \"#\"; V \"/*\"; W \"*/\";",
        "T /* // */ 1;\n*/ 2;",
        "#clearT x;",
        "T #clear\n;",
        "T 1; #x-apt-configure-index\n",
        "T\t\"a\tb\";",
        "T  \"a\"   \"b\"\n  \"c\" ;",
        "T a b;",
        "T \"a\" b;",
        "T a \"b\";",
        "T \"a;",
        "T \"a\nb\";",
        "T %41; %54 \"%41\"; \"T\"::x 1;",
        "\"x y\" \"z\";",
        "\"lonely\";",
        "{ T 1; };",
        "T { 1; }",
        "T { 1; } U 2;",
        "T { U { V 1; };",
        "}; T 1;",
        "T::::A 1; T:::A 2; ::T 3; T:: 4;",
        "T \"x\" { A 1; };",
        "T x { A 1; };",
        "T x y { A 1; };",
        "T;",
        ";;;",
        "T 1",
        "T 1;\r\nU 2;\r\n",
        "T [a b];",
        "T \"\"; U \"\" \"\";",
        "T { A 1; /* } */ B 2; };",
        "T{A{B{C 1;}D 2;}E 3;}F 4;",
        "T \"a\"; T { };",
        "T \u{e4};",
    ];

    #[test]
    fn configuration_is_read_as_apt_reads_it() {
        let Some(world) = World::new() else { return };
        let own = own_names(&world);
        for body in CONFS {
            check_conf(&world, &own, body);
        }
        world.write("more.conf", "T 2; U 2;");
        let include = format!("T 1; U 1;\n#include \"{}\";\nU 3;", world.path("more.conf").display());
        check_conf(&world, &own, &include);
    }

    #[test]
    fn the_same_preferences_are_refused() {
        let Some(world) = World::new() else { return };
        for text in [
            "",
            "Package: a\nPin: release a=b\nPin-Priority: 5\n",
            "Package: a\nPin-Priority: 5\n",
            "Package: a\nPin: odd\nPin-Priority: 0\n",
            "Package: *\nPin: version 1\nPin-Priority: x\n",
            "Package: *\nPin: release a=b\nPin-Priority: never\n",
            "Package: a\nPin: release a=b\nPin-Priority: never\n",
            "Package: *\nPin: release a=b\nPin-Priority: Never\n",
            "Package: a\nPin: release a=b\n",
            "Package: a\nPin: release a=b\nPin-Priority: 0x10\n",
            "Package: a\nPin: release a=b\nPin-Priority: 32767\n",
            "Package: a\nPin: release a=b\nPin-Priority: 32768\n",
            "Package: a\nPin: release a=b\nPin-Priority: -32768\n",
            "Package: a\nPin: release a=b\nPin-Priority: 99999999999999999999\n",
            "Pin: release a=b\nPin-Priority: 5\n",
            "# only a comment\n\n",
            "# c\n\nPackage: a\n# c\nPin: release a=b\nPin-Priority: 10 text\n",
            "stray",
        ] {
            world.write("etc/preferences", text);
            let output = world.run("base.conf", "apt-cache", &["policy"]);
            let error = apt_preferences::parse(text, world.context.version).value.error;
            assert_eq!(error.is_none(), output.status.success(), "{text:?} {error:?} {output:?}");
        }
    }

    /// Runs `check` on generated texts.
    fn generated(texts: impl Strategy<Value = String>, check: impl Fn(&str)) {
        const CASES: u32 = 150;
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        let outcome = TestRunner::new(config).run(&texts, |text| {
            check(&text);
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn generated_lines_are_read_as_apt_reads_them() {
        let Some(world) = World::new() else { return };
        generated(line_strategy(), |text| check(&world, text, Kind::OneLine));
    }

    #[test]
    fn generated_stanzas_are_read_as_apt_reads_them() {
        let Some(world) = World::new() else { return };
        generated(stanza_strategy(), |text| check(&world, text, Kind::Deb822));
    }

    #[test]
    fn generated_configuration_is_read_as_apt_reads_it() {
        let Some(world) = World::new() else { return };
        let own = own_names(&world);
        generated(conf_strategy(), |text| check_conf(&world, &own, text));
    }

    fn line_strategy() -> impl Strategy<Value = String> {
        let option = "((arch|arch\\+|arch-)=(amd64|i386,all|,)|x=\"a b\"|(allow-insecure|trusted|check-date)=(yes|no|maybe)|signed-by=/[kl]|signed-by=k)";
        let uri = "(http|https|file|cdrom)(:|://)(u:p@|u@)?([g-l]|\\[::1\\]|\\[a b\\])(:80|:)?(/[a%$]{0,2}|/\\$\\(ARCH\\))?/?";
        let end = "([st] [cd]( [c-f])?|[st]/)( ?#.{0,3})?\n";
        let plain = format!("(deb|deb-src) {uri} {end}");
        let with_options = format!("deb \\[ ?{option}( {option})? ?\\] ?{uri} {end}");
        let odd = "(deb |deb\t|[ \\[\\]=\"#:/ah\r\t]|%41|http://h | s| c){0,12}\n";
        let line = prop_oneof![
            4 => string_regex(&plain).unwrap(),
            4 => string_regex(&with_options).unwrap(),
            1 => odd
        ];
        prop::collection::vec(line, 1..4).prop_map(|lines| lines.concat())
    }

    fn stanza_strategy() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            4 => "Types: (deb|deb-src|deb deb-src)\n",
            4 => "URIs: (http://[hi]|http://u:p@h|file:/x|\n http://h\n)\n?",
            4 => "Suites: ([st]|s t|\\./)\n",
            4 => "Components: (c|c d|# c)\n",
            1 => "Enabled: (no|yes|0|)\n",
            1 => "(Trusted|Check-Date): (no|yes|)\n",
            1 => "Signed-By: (/k|/k /l|k|)\n",
            1 => "Architectures(-Add|-Remove)?: (i386|amd64 all|)\n",
            1 => "[ #\ta:\r\n]{0,4}\n",
        ];
        let whole = "Types: deb\nURIs: http://[hij]\nSuites: [st]\nComponents: c\n";
        let part = prop_oneof![3 => line, 2 => whole, 1 => "\n"];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    fn conf_strategy() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "T(::[abT]?){0,2} \"[a-c #/]{0,3}\";",
            2 => "(T|b)::? ?\\{ ?",
            2 => " ?\\};?",
            2 => "\"[ab]\"; ?",
            1 => "#clear T(::a)?;\n",
            1 => "(//|#|/\\*|\\*/)[a\";]{0,2}",
            2 => "[ \n\t]",
            1 => "[T\";{} a%4:]",
        ];
        prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }
}
