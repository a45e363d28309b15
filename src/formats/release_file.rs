//! `InRelease` and `Release` files under `/var/lib/apt/lists/`: who an archive says it is.
//!
//! Follows apt `apt-pkg/deb/debmetaindex.cc` (`debReleaseIndex::Load`), `apt-pkg/contrib/gpgv.cc`
//! (`SplitClearSignedFile`) and `apt-pkg/contrib/strutl.cc` (`RFC1123StrToTime`). The signature is not checked:
//! apt did that when it stored the file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::apt_text::{boolean, words};
use super::tag_file::{self, Comments, Stanza};
use super::{Issue, Parsed};

const SIGNED_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// Priority of the versions of an ordinary archive.
pub const DEFAULT_PIN: i16 = 500;
/// Priority with `NotAutomatic` and `ButAutomaticUpgrades` (backports).
pub const BUT_AUTOMATIC_UPGRADES_PIN: i16 = 100;
/// Priority with `NotAutomatic` alone (experimental).
pub const NOT_AUTOMATIC_PIN: i16 = 1;

/// The head of a Release file; texts are empty when their field is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReleaseFile {
    /// `Origin`, such as `Debian`.
    pub origin: String,
    /// `Label`, such as `Debian-Security`.
    pub label: String,
    /// `Suite`, such as `stable-security`.
    pub suite: String,
    /// `Codename`, such as `trixie-security`.
    pub codename: String,
    /// `Version`, such as `13.7`.
    pub version: String,
    /// `Components` as written.
    pub components: Vec<String>,
    /// `Architectures` as written.
    pub architectures: Vec<String>,
    /// `Date` as written.
    pub date: String,
    /// `Valid-Until` as written.
    pub valid_until: String,
    /// `NotAutomatic: yes`.
    pub not_automatic: bool,
    /// `ButAutomaticUpgrades: yes`, which counts only with `NotAutomatic`.
    pub but_automatic_upgrades: bool,
    /// `No-Support-for-Architecture-all` names the package lists: those of architecture `all` are not to be fetched.
    pub all_in_every_list: bool,
    /// Sizes of the package lists the file names, by their path without compression (`main/binary-amd64/Packages`).
    pub lists: BTreeMap<String, u64>,
    /// The file is clearsigned (an `InRelease` file).
    pub clearsigned: bool,
    /// The signature that ends a clearsigned file is there: nothing of the message is missing.
    pub whole: bool,
}

impl ReleaseFile {
    /// When the archive was made; `None` for a date apt cannot read.
    pub fn date(&self) -> Option<Timestamp> {
        timestamp(&self.date)
    }

    /// When the file expires; `None` without a limit or for a date apt cannot read.
    pub fn valid_until(&self) -> Option<Timestamp> {
        timestamp(&self.valid_until)
    }

    /// Priority of the archive's versions when no pin speaks of them.
    pub fn default_pin(&self) -> i16 {
        match (self.not_automatic, self.but_automatic_upgrades) {
            (false, _) => DEFAULT_PIN,
            (true, true) => BUT_AUTOMATIC_UPGRADES_PIN,
            (true, false) => NOT_AUTOMATIC_PIN,
        }
    }
}

/// Reads a Release file, or its head.
pub fn parse(text: &str) -> Parsed<ReleaseFile> {
    let clearsigned = text.split('\n').next().is_some_and(|line| line.trim_ascii_end() == SIGNED_MESSAGE);
    let Message { text, skipped, whole } = if clearsigned { message(text) } else { Message::plain(text) };
    let file = tag_file::parse(&text, Comments::Text);
    let placed = |issue: Issue| Issue { line: issue.line.saturating_add(skipped), ..issue };
    let mut issues: Vec<Issue> = file.issues.into_iter().map(placed).collect();
    let Some(stanza) = file.value.stanzas.first() else {
        issues.push(Issue::new(1, "no fields: apt cannot use the file"));
        return Parsed { value: ReleaseFile { clearsigned, ..ReleaseFile::default() }, issues };
    };
    let text = |name| stanza.text(name).to_owned();
    let list = |name| words(stanza.text(name)).map(str::to_owned).collect();
    let flag = |name| boolean(stanza.text(name)) == Some(true);
    let value = ReleaseFile {
        origin: text("Origin"),
        label: text("Label"),
        suite: text("Suite"),
        codename: text("Codename"),
        version: text("Version"),
        components: list("Components"),
        architectures: list("Architectures"),
        date: text("Date"),
        valid_until: text("Valid-Until"),
        not_automatic: flag("NotAutomatic"),
        but_automatic_upgrades: flag("ButAutomaticUpgrades"),
        all_in_every_list: words(stanza.text("No-Support-for-Architecture-all"))
            .any(|word| word == "Packages"),
        lists: lists(stanza),
        clearsigned,
        whole,
    };
    for name in ["Date", "Valid-Until"] {
        if let Some(field) = stanza.get(name).filter(|field| timestamp(&field.value).is_none()) {
            issues.push(Issue::new(
                field.line.saturating_add(skipped),
                format!("{name} is no date that is understood here"),
            ));
        }
    }
    Parsed { value, issues }
}

/// The package lists with their sizes, of the first of apt's tables of checksums that is there.
fn lists(stanza: &Stanza) -> BTreeMap<String, u64> {
    const TABLES: [&str; 4] = ["SHA512", "SHA256", "SHA1", "MD5Sum"];
    let table = TABLES.iter().map(|name| stanza.text(name)).find(|table| !table.is_empty());
    let line = |line: &str| {
        let mut words = words(line);
        let (_, size, path) = (words.next()?, words.next()?, words.next()?);
        let is_list =
            path.strip_suffix("Packages").is_some_and(|start| start.is_empty() || start.ends_with('/'));
        Some((path.to_owned(), size.parse().ok().filter(|_| is_list)?))
    };
    table.unwrap_or_default().lines().filter_map(line).collect()
}

/// What a file says without its signature.
struct Message<'a> {
    text: Cow<'a, str>,
    /// The number of lines in front of it.
    skipped: u32,
    /// The signature begins behind it.
    whole: bool,
}

impl<'a> Message<'a> {
    fn plain(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), skipped: 0, whole: false }
    }
}

/// The signed text: after the empty line that ends the armor headers, before the signature, dashes unescaped.
fn message(text: &str) -> Message<'_> {
    let mut message = String::with_capacity(text.len());
    let mut skipped = 0_u32;
    let (mut in_header, mut whole) = (true, false);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_ascii_end();
        if in_header {
            in_header = !bare.is_empty();
            skipped = skipped.saturating_add(1);
            continue;
        }
        if bare == SIGNATURE {
            whole = true;
            break;
        }
        message.push_str(line.strip_prefix("- ").unwrap_or(line));
    }
    Message { text: Cow::Owned(message), skipped, whole }
}

/// A date such as `Fri, 20 Nov 2026 00:12:42 UTC`. apt also takes two older forms no archive uses.
fn timestamp(text: &str) -> Option<Timestamp> {
    const WEEKDAYS: [&str; 7] = ["sun,", "mon,", "tue,", "wed,", "thu,", "fri,", "sat,"];
    let mut words = words(text);
    let weekday = words.next()?.to_ascii_lowercase();
    if !WEEKDAYS.contains(&weekday.as_str()) {
        return None;
    }
    let day: i8 = words.next()?.parse().ok()?;
    let month = month(words.next()?);
    let year: i16 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(str::parse::<i8>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let zone = words.next()?;
    let utc = matches!(zone, "GMT" | "UTC" | "Z")
        || (zone.bytes().any(|byte| byte == b'0')
            && zone.trim_start_matches(['+', '-']).bytes().all(|byte| byte == b'0'));
    if !utc || words.next().is_some() {
        return None;
    }
    let date = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// apt's `MonthConv`: told by a few letters, January when in doubt.
fn month(word: &str) -> i8 {
    let letter = |at: usize| word.as_bytes().get(at).map(u8::to_ascii_lowercase);
    match (letter(0), letter(1), letter(2)) {
        (Some(b'a'), Some(b'p'), _) => 4,
        (Some(b'a'), ..) => 8,
        (Some(b'd'), ..) => 12,
        (Some(b'f'), ..) => 2,
        (Some(b'j'), Some(b'a'), _) => 1,
        (Some(b'j'), _, Some(b'n')) => 6,
        (Some(b'j'), ..) => 7,
        (Some(b'm'), _, Some(b'r')) => 3,
        (Some(b'm'), ..) => 5,
        (Some(b'n'), ..) => 11,
        (Some(b'o'), ..) => 10,
        (Some(b's'), ..) => 9,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IN_RELEASE: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian-Security\nSuite: stable-security\nVersion: 13\nCodename: trixie-security\nDate: Fri, 20 Nov 2026 00:12:42 UTC\nValid-Until: Fri, 27 Nov 2026 00:12:42 UTC\nArchitectures: amd64 arm64\nComponents: updates/main updates/contrib\nSHA256:\n 00 1 main/x\n-----BEGIN PGP SIGNATURE-----\n\nOrigin: forged\n";

    #[test]
    fn the_signed_part_is_read() {
        let parsed = parse(IN_RELEASE);
        assert!(parsed.issues.is_empty());
        let release = parsed.value;
        assert!(release.clearsigned);
        assert_eq!(
            [&release.origin, &release.label, &release.suite, &release.codename, &release.version],
            ["Debian", "Debian-Security", "stable-security", "trixie-security", "13"]
        );
        assert_eq!(release.components, ["updates/main", "updates/contrib"]);
        assert_eq!(release.date().unwrap().to_string(), "2026-11-20T00:12:42Z");
        assert_eq!(release.valid_until().unwrap().to_string(), "2026-11-27T00:12:42Z");
        assert_eq!(release.default_pin(), DEFAULT_PIN);
    }

    #[test]
    fn a_head_without_signature_is_enough() {
        let head: String = IN_RELEASE.split_inclusive('\n').take(6).collect();
        assert_eq!(parse(&head).value.suite, "stable-security");
        assert_eq!(parse("Origin: x\n").value.origin, "x");
    }

    #[test]
    fn the_default_priority_follows_two_flags() {
        let pin = |text: &str| parse(&format!("Origin: x\n{text}")).value.default_pin();
        assert_eq!(pin("NotAutomatic: yes\n"), NOT_AUTOMATIC_PIN);
        assert_eq!(pin("NotAutomatic: yes\nButAutomaticUpgrades: yes\n"), BUT_AUTOMATIC_UPGRADES_PIN);
        assert_eq!(pin("ButAutomaticUpgrades: yes\n"), DEFAULT_PIN);
        assert_eq!(pin("NotAutomatic: no\n"), DEFAULT_PIN);
    }

    #[test]
    fn dates_must_be_utc() {
        assert!(timestamp("Sat, 12 Sep 2026 07:55:41 +0000").is_some());
        for bad in [
            "",
            "Sat, 12 Sep 2026 07:55:41",
            "Sat, 12 Sep 2026 07:55:41 CET",
            "Sat, 12 Sep 2026 07:55:41 +0100",
            "2026-09-12",
            "Sam, 12 Sep 2026 07:55:41 UTC",
            "Sat, 32 Sep 2026 07:55:41 UTC",
        ] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
        assert_eq!(parse("Origin: x\nDate: soon\n").issues.len(), 1);
    }

    #[test]
    fn issues_name_the_line_of_the_file() {
        let parsed = parse(&IN_RELEASE.replace("Fri, 20 Nov", "Someday"));
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn the_sizes_of_the_package_lists_are_kept() {
        let text = IN_RELEASE.replace(
            " 00 1 main/x\n",
            " 00 1 main/x\n 00  20 main/binary-amd64/Packages\n 00 3 main/binary-amd64/Packages.xz\n",
        );
        let release = parse(&text).value;
        assert_eq!(
            release.lists.into_iter().collect::<Vec<_>>(),
            [("main/binary-amd64/Packages".to_owned(), 20)]
        );
        assert!(release.whole && !release.all_in_every_list);
        let head = parse(&text.replace("-----BEGIN PGP SIGNATURE-----", "")).value;
        assert!(!head.whole);
        assert!(parse("A: b\nNo-Support-for-Architecture-all: Packages\n").value.all_in_every_list);
    }

    #[test]
    fn an_empty_file_is_an_issue() {
        assert_eq!(parse("").issues.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(text in "(-----BEGIN PGP SIGNED MESSAGE-----\n|Date: [A-z0-9:, ]{0,9}|[- \nA:]){0,12}|\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
