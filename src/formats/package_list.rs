//! `…_Packages` files of apt and, in the same form, dpkg's status file: one stanza per version of a package.
//!
//! Follows apt `apt-pkg/deb/deblistparser.cc` (`debListParser`), the same in apt 2.2 to 3.0. These files are large
//! (the list of Debian's main component is 50 MB), so they are cut into stanzas piece by piece and only the stanzas of
//! wanted packages are looked into. Carriage returns, which no archive writes, are not understood.

use memchr::memmem::Finder;

/// Longest stanza; the longest of Debian has about 100 KB.
pub const STANZA_LIMIT: usize = 1 << 20;

/// What ends a stanza.
const END: &[u8] = b"\n\n";

/// Cuts bytes into stanzas.
pub struct Cutter {
    end: Finder<'static>,
}

impl Default for Cutter {
    fn default() -> Self {
        Self { end: Finder::new(END) }
    }
}

impl Cutter {
    /// The first stanza of `bytes` and how many bytes it takes with the empty lines around it; `None` where its end
    /// is not among them, which at the end of the file is the end of the file.
    pub fn next<'b>(&self, bytes: &'b [u8], at_end: bool) -> Option<(&'b [u8], usize)> {
        let before = bytes.iter().take_while(|byte| **byte == b'\n').count();
        let rest = bytes.get(before..)?;
        match self.end.find(rest) {
            Some(end) => Some((rest.get(..=end)?, before.saturating_add(end).saturating_add(END.len()))),
            None if at_end && !rest.is_empty() => Some((rest, bytes.len())),
            None => None,
        }
    }
}

/// The name of the package if the stanza begins with it, as all of them do.
pub fn leading_name(stanza: &[u8]) -> Option<&[u8]> {
    let rest = stanza.strip_prefix(b"Package:")?;
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    rest.get(..end).map(<[u8]>::trim_ascii)
}

/// The fields of a version that apt tells it from others by; texts are empty when their field is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stanza<'a> {
    /// `Package`.
    pub package: &'a str,
    /// `Version`.
    pub version: &'a str,
    /// `Architecture`.
    pub architecture: &'a str,
    /// `Source` as written: a name, or a name with a version in parentheses.
    source: &'a str,
    /// What else tells two builds of one version apart.
    pub print: Fingerprint,
    /// A line is no field: apt cannot read the file.
    pub damaged: bool,
}

/// What tells two versions of the same number apart (`debListParser::VersionHash` and `SameVersion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint {
    hash: u32,
    size: u64,
    multi_arch: u8,
}

impl Fingerprint {
    /// Whether apt takes the two for the same version. The status file has no size, which then does not count.
    pub fn same(self, other: Self) -> bool {
        let size = self.size == 0 || other.size == 0 || self.size == other.size;
        self.hash == other.hash && size && self.multi_arch == other.multi_arch
    }
}

/// The fields that count, in the order in which apt takes them.
const HASHED: [&str; 6] = ["Installed-Size", "Depends", "Pre-Depends", "Conflicts", "Breaks", "Replaces"];

impl<'a> Stanza<'a> {
    /// Reads a stanza. A field given twice keeps its last value.
    pub fn parse(stanza: &'a [u8]) -> Self {
        let mut read = Self::default();
        let mut hashed: [&[u8]; HASHED.len()] = [&[]; HASHED.len()];
        let (mut size, mut multi_arch) = (0, "");
        for field in Fields(stanza) {
            let Some((name, value)) = field else {
                read.damaged = true;
                continue;
            };
            let text = || std::str::from_utf8(value).map(str::trim_ascii).unwrap_or_default();
            if let Some(slot) = HASHED.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                if let Some(slot) = hashed.get_mut(slot) {
                    *slot = value;
                }
                continue;
            }
            match name.len() {
                4 if name.eq_ignore_ascii_case(b"Size") => size = text().parse().unwrap_or(0),
                6 if name.eq_ignore_ascii_case(b"Source") => read.source = text(),
                7 if name.eq_ignore_ascii_case(b"Package") => read.package = text(),
                7 if name.eq_ignore_ascii_case(b"Version") => read.version = text(),
                10 if name.eq_ignore_ascii_case(b"Multi-Arch") => multi_arch = text(),
                12 if name.eq_ignore_ascii_case(b"Architecture") => read.architecture = text(),
                _ => {}
            }
        }
        let multi_arch = multi_arch_code(multi_arch, read.architecture == "all");
        read.print = Fingerprint { hash: hash(&hashed), size, multi_arch };
        read
    }

    /// Name and version of the source package.
    pub fn source(&self) -> (&'a str, &'a str) {
        let Some((name, version)) = self.source.split_once('(') else {
            let name = if self.source.is_empty() { self.package } else { self.source };
            return (name, self.version);
        };
        (name.trim_ascii(), version.trim_ascii().trim_end_matches(')').trim_ascii())
    }
}

/// `debListParser::ParseMultiArch`.
fn multi_arch_code(text: &str, is_all: bool) -> u8 {
    const ALL: u8 = 1;
    let code = match text {
        "same" if !is_all => 2,
        "foreign" => 4,
        "allowed" => 8,
        _ => 0,
    };
    if is_all { code | ALL } else { code }
}

/// `debListParser::VersionHash`: blanks, `=` and the epoch `0:` do not count, nor does the case of letters.
fn hash(fields: &[&[u8]]) -> u32 {
    const START: u32 = 5381;
    const FACTOR: u32 = 33;
    let mut result = START;
    for value in fields {
        let mut bytes = value.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte == b'0' && bytes.peek() == Some(&b':') {
                bytes.next();
            } else if !byte.is_ascii_whitespace() && byte != b'\x0b' && byte != b'=' {
                // apt reads the byte as a signed number.
                let signed = i32::from(byte.cast_signed()) | 0x20;
                result = result.wrapping_mul(FACTOR).wrapping_add(signed.cast_unsigned());
            }
        }
    }
    result
}

/// The fields of a stanza with their continuation lines; `None` for a line that is none.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut end = line_end(self.0);
        while matches!(self.0.get(end), Some(b' ' | b'\t')) {
            end = end.saturating_add(line_end(self.0.get(end..)?));
        }
        let (field, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        let Some(colon) = memchr::memchr(b':', field.get(..line_end(field))?) else { return Some(None) };
        let (name, value) = field.split_at_checked(colon)?;
        Some(Some((name.trim_ascii_end(), value.get(1..)?)))
    }
}

/// Where the next line begins.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPENSSL: &str = "Package: openssl\nSource: openssl (3.5.1-1)\nVersion: 3.5.1-1+b1\nArchitecture: amd64\nMulti-Arch: foreign\nDepends: libc6 (>= 2.34),\n libssl3t64 (= 0:3.5.1-1)\nSize: 12\n";

    fn stanzas(text: &[u8], at_end: bool) -> (Vec<&[u8]>, usize) {
        let cutter = Cutter::default();
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some((stanza, taken)) = cutter.next(&text[at..], at_end) {
            found.push(stanza);
            at += taken;
        }
        (found, at)
    }

    #[test]
    fn stanzas_end_at_empty_lines_and_at_the_end_of_the_file() {
        let text = b"\n\nA: 1\nB: 2\n\n\nC: 3\n\nD: 4";
        assert_eq!(stanzas(text, true).0, [&b"A: 1\nB: 2\n"[..], b"C: 3\n", b"D: 4"]);
        let (found, taken) = stanzas(text, false);
        assert_eq!(found.len(), 2);
        assert_eq!(&text[taken..], b"D: 4");
    }

    #[test]
    fn the_fields_of_a_version_are_read() {
        let stanza = Stanza::parse(OPENSSL.as_bytes());
        assert_eq!((stanza.package, stanza.version, stanza.architecture), ("openssl", "3.5.1-1+b1", "amd64"));
        assert_eq!(stanza.source(), ("openssl", "3.5.1-1"));
        assert_eq!(leading_name(OPENSSL.as_bytes()), Some(&b"openssl"[..]));
        assert!(!stanza.damaged);
        assert_eq!(Stanza::parse(b"Package: a\nVersion: 1\n").source(), ("a", "1"));
        assert_eq!(Stanza::parse(b"Package: a\nSource: b\nVersion: 1\n").source(), ("b", "1"));
    }

    #[test]
    fn a_line_without_a_colon_is_damage() {
        assert!(Stanza::parse(b"Package: a\nVersi").damaged);
        assert!(!Stanza::parse(b"Package: a\nDescription: x\n .\n y\n").damaged);
    }

    #[test]
    fn the_writing_of_dpkg_makes_no_other_version() {
        let print = |text: &str| Stanza::parse(text.as_bytes()).print;
        let here = print(OPENSSL);
        assert!(here.same(print(&OPENSSL.replace(",\n ", ", ").replace("0:3.5", "3.5"))));
        assert!(here.same(print(&OPENSSL.replace("Size: 12\n", ""))));
        assert!(!here.same(print(&OPENSSL.replace("Size: 12", "Size: 13"))));
        assert!(!here.same(print(&OPENSSL.replace("libc6", "libc7"))));
        assert!(!here.same(print(&OPENSSL.replace("foreign", "same"))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics_and_takes_everything(text in "([A-C]: [a0:=]{0,3}\n|\n| x\n|Package:|Source: a \\(){0,12}|\\PC{0,20}") {
            let (found, taken) = stanzas(text.as_bytes(), true);
            for stanza in &found {
                let read = Stanza::parse(stanza);
                let _ = (read.source(), leading_name(stanza));
            }
            prop_assert!(text.as_bytes()[taken..].iter().all(|byte| *byte == b'\n'));
        }
    }
}
