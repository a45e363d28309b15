//! The version order against `dpkg --compare-versions`.
//!
//! Without dpkg the test is skipped with a message, except where the variable `CI` is set.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may ask the real program")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod oracle {
    use std::cmp::Ordering;
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    use pve_audit::formats::debian_version::compare;

    const GENERATED: usize = 300;

    /// Reads `left right` lines and answers `lt`, `eq` or `gt` for each.
    const SCRIPT: &str = r#"while read -r left right; do
        if dpkg --compare-versions "$left" lt "$right"; then echo lt
        elif dpkg --compare-versions "$left" eq "$right"; then echo eq
        else echo gt; fi; done"#;

    const REAL: &[&str] = &[
        "1:9.2p1-2+deb12u3",
        "1:9.2p1-2+deb12u10",
        "6.8.12-18",
        "6.14.11-9~bpo12+1",
        "6.14.11-9",
        "2.41-12+deb13u1",
        "2.41-12",
        "8.0.4",
        "7.0-7",
        "7.0.4",
        "1.0~rc1-1",
        "1.0-1",
        "1.0",
        "1.0-0",
        "0:1.0-0",
        "00001.000-00",
        "1.0+dfsg-1",
        "1.0.dfsg-1",
        "1.0a-1",
        "20240101",
        "99999999999999999999999",
        "100000000000000000000000",
    ];

    fn pairs() -> Vec<(String, String)> {
        let real = REAL.iter().flat_map(|left| REAL.iter().map(move |right| (*left, *right)));
        let mut pairs: Vec<_> = real.map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
        let version = "([0-2]:)?[0-9][0-9a-cZ~.+]{0,5}(-[0-9a~.+]{1,4})?";
        let strategy = (version, version);
        let mut runner = TestRunner::deterministic();
        for _ in 0..GENERATED {
            pairs.push(strategy.new_tree(&mut runner).unwrap().current());
        }
        pairs
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        if Command::new("dpkg").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "dpkg is missing");
            eprintln!("skipped: dpkg is missing");
            return;
        }
        let pairs = pairs();
        let mut input = String::new();
        for (left, right) in &pairs {
            writeln!(input, "{left} {right}").unwrap();
        }
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = shell.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let answers = String::from_utf8(output.stdout).unwrap();
        assert_eq!(answers.lines().count(), pairs.len());
        for ((left, right), answer) in pairs.iter().zip(answers.lines()) {
            let expected = match answer {
                "lt" => Ordering::Less,
                "eq" => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(compare(left, right), expected, "{left} against {right}");
        }
    }
}
