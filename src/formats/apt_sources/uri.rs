//! apt's idea of a URI and of the file name a list is stored under.
//!
//! Follows apt `apt-pkg/contrib/strutl.cc` (`URI::CopyFrom`, `URI::operator string`, `URItoFileName`) and
//! `apt-pkg/deb/debmetaindex.cc` (`constructMetaIndexURI`).

use crate::formats::apt_text::{self, AptVersion};

/// Characters `URItoFileName` percent-encodes besides the usual ones.
const BAD_IN_FILE_NAMES: &[u8] = b"\\|{}[]<>\"^~_=!@#$%^&*";
/// Characters apt percent-encodes in a suite (upstream default of `Acquire::URIEncode`).
const BAD_IN_URIS: &[u8] = b"+~ ";

/// The parts of a URI. User and password are dropped; only that there were any is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uri {
    /// Scheme: `http`, `https`, `file`, `cdrom`, …
    pub access: String,
    /// Host without port and brackets.
    pub host: String,
    /// Port, 0 without one.
    pub port: u32,
    /// Path, at least `/`.
    pub path: String,
    /// A user, a password or both stood before the host.
    pub credentials: bool,
}

impl Uri {
    /// Takes `text` apart the way apt does.
    pub fn parse(text: &str) -> Self {
        Shape::of(text).uri(text)
    }

    /// The URI as apt writes it back, without user and password.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let named = !self.access.is_empty();
        if named {
            text.push_str(&self.access);
            text.push(':');
        }
        if !self.host.is_empty() {
            if named {
                text.push_str("//");
            }
            if named && self.host.contains(['/', ':']) {
                text.extend(["[", &self.host, "]"]);
            } else {
                text.push_str(&self.host);
            }
            if self.port != 0 {
                text.extend([":", &self.port.to_string()]);
            }
        }
        text.push_str(&self.path);
        text
    }
}

/// Where the parts of a URI stand.
struct Shape {
    access_end: usize,
    authority: usize,
    path: usize,
    /// Place of the `@` that ends user and password.
    at: Option<usize>,
}

impl Shape {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let byte = |at: usize| bytes.get(at).copied();
        let access_end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        let double = byte(access_end + 1) == Some(b'/') && byte(access_end + 2) == Some(b'/');
        let mut path = access_end + if double && bytes.len() > access_end + 3 { 3 } else { 0 };
        let mut in_bracket = false;
        while let Some(here) = byte(path) {
            if here == b'/' && !in_bracket {
                break;
            }
            in_bracket = (in_bracket || here == b'[') && here != b']';
            path += 1;
        }
        let authority = (access_end + if double { 3 } else { 1 }).min(bytes.len());
        let shape = Self { access_end, authority: authority.min(path), path, at: None };
        if authority == bytes.len() {
            return shape;
        }
        // the first character is never taken for the `@`
        let from = (shape.authority + 1).min(path);
        let at = bytes.get(from..path).and_then(|part| part.iter().rposition(|byte| *byte == b'@'));
        Self { at: at.map(|at| from + at), ..shape }
    }

    fn uri(&self, text: &str) -> Uri {
        let piece = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let path = piece(self.path, text.len());
        let path = if path.is_empty() { "/" } else { path };
        let authority = piece(self.at.map_or(self.authority, |at| at + 1), self.path);
        let (host, port) = host_and_port(authority);
        Uri {
            access: piece(0, self.access_end).to_owned(),
            host,
            port,
            path: path.to_owned(),
            credentials: self.at.is_some(),
        }
    }
}

/// Splits `host:port`; square brackets are dropped and hide colons, an open one makes the host empty.
fn host_and_port(text: &str) -> (String, u32) {
    let mut host = String::with_capacity(text.len());
    let (mut in_bracket, mut bracket_end) = (false, 0);
    for c in text.chars() {
        match c {
            '[' => in_bracket = true,
            ']' if in_bracket => {
                in_bracket = false;
                bracket_end = host.len();
            }
            c => host.push(c),
        }
    }
    if in_bracket {
        return (String::new(), 0);
    }
    match host.rfind(':') {
        Some(at) if at >= bracket_end => {
            let port = apt_text::number(host.get(at + 1..).unwrap_or_default(), 10).0.to_le_bytes();
            let port = port.first_chunk::<4>().map_or(0, |low| u32::from_le_bytes(*low));
            host.truncate(at);
            (host, port)
        }
        _ => (host, 0),
    }
}

/// apt's `FixupURI`: the URI of a source entry without user and password, ending in `/`, and whether there were
/// credentials; `None` for a text apt refuses. apt 2.6 and later rewrite the URI, apt 2.2 keeps its spelling.
pub(super) fn fixed(text: &str, native: &str, version: AptVersion) -> Option<(String, bool)> {
    if !text.contains(':') {
        return None;
    }
    let mut text = text.replace(super::ARCH, native);
    let mut shape = Shape::of(&text);
    let mut credentials = shape.at.is_some();
    if !text.get(shape.authority..shape.path).is_some_and(|authority| authority.contains('@')) {
        // a password with an unescaped slash is no password to apt, but it still is a secret
        (text, credentials) = apt_text::without_userinfo(&text);
        shape = Shape::of(&text);
    }
    let mut fixed = match (version, shape.at) {
        (AptVersion::V2_2, Some(at)) => {
            let before = text.get(..shape.authority).unwrap_or_default();
            format!("{before}{}", text.get(at + 1..).unwrap_or_default())
        }
        (AptVersion::V2_2, None) => text,
        _ => shape.uri(&text).text(),
    };
    if !fixed.ends_with('/') {
        fixed.push('/');
    }
    Some((fixed, credentials))
}

/// The URI of the folder that holds the Release file of `suite` in the archive `uri` (which ends in `/`).
pub fn release_uri(uri: &str, suite: &str) -> String {
    let encoded = apt_text::quote(suite, BAD_IN_URIS);
    match suite {
        "/" => uri.to_owned(),
        exact if exact.ends_with('/') => format!("{uri}{encoded}"),
        _ => format!("{uri}dists/{encoded}/"),
    }
}

/// Name under `/var/lib/apt/lists/` of the file at `uri`.
pub fn list_file_name(uri: &str) -> String {
    let text = Uri { access: String::new(), ..Uri::parse(uri) }.text();
    apt_text::quote(&text, BAD_IN_FILE_NAMES).replace('/', "_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_and_password_are_dropped_and_noted() {
        for text in
            ["http://u:p@h/x", "http://u@h/x", "http://u:p%40@h/x", "http://:p@h/x", "http://u:p@q@h/x"]
        {
            let uri = Uri::parse(text);
            assert!(uri.credentials, "{text}");
            assert_eq!(uri.text(), "http://h/x", "{text}");
            for version in [AptVersion::V2_2, AptVersion::V3_0] {
                assert_eq!(fixed(text, "amd64", version), Some(("http://h/x/".to_owned(), true)), "{text}");
            }
        }
        assert!(!Uri::parse("http://h/x@y").credentials);
        for version in [AptVersion::V2_2, AptVersion::V3_0] {
            let odd = fixed("http://u:pass/word@h/x", "amd64", version);
            assert!(odd.is_some_and(|(uri, credentials)| credentials && !uri.contains("word")));
        }
    }

    #[test]
    fn apt_rewrites_uris_since_2_6() {
        let both = |text| {
            [AptVersion::V2_2, AptVersion::V2_6].map(|version| fixed(text, "amd64", version).unwrap().0)
        };
        assert_eq!(both("http://h:80"), ["http://h:80/", "http://h:80/"]);
        assert_eq!(both("http://[::1]:80/a"), ["http://[::1]:80/a/", "http://[::1]:80/a/"]);
        assert_eq!(both("cdrom:[Debian 12]/"), ["cdrom:[Debian 12]/", "cdrom://Debian 12/"]);
        assert_eq!(both("file:/srv/$(ARCH)"), ["file:/srv/amd64/", "file:/srv/amd64/"]);
        assert_eq!(both("http://h:x"), ["http://h:x/", "http://h/"]);
        assert_eq!(fixed("/srv", "amd64", AptVersion::V2_6), None);
    }

    #[test]
    fn list_files_are_named_after_the_archive() {
        let release = |uri, suite| list_file_name(&(release_uri(uri, suite) + "InRelease"));
        assert_eq!(
            release("http://deb.debian.org/debian-security/", "trixie-security"),
            "deb.debian.org_debian-security_dists_trixie-security_InRelease"
        );
        assert_eq!(release("https://h:8443/a_b/", "./"), "h:8443_a%5fb_._InRelease");
        assert_eq!(release("file:/srv/", "/"), "_srv_InRelease");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_password_never_comes_out(user in "[a-z]{0,3}", host in "[a-z.]{1,5}", path in "[a-z/@:]{0,6}") {
            for scheme in ["http", "https", "ftp", "mirror+http"] {
                let text = format!("{scheme}://{user}:SECRET@{host}/{path}");
                for version in [AptVersion::V2_2, AptVersion::V2_6, AptVersion::V3_0] {
                    let (uri, credentials) = fixed(&text, "amd64", version).unwrap();
                    prop_assert!(credentials && !uri.contains("SECRET"), "{}", uri);
                }
            }
        }

        #[test]
        fn never_panics_and_ends_in_a_slash(text in "[a:/@\\[\\]0-9ä]{0,12}|\\PC{0,12}") {
            for version in [AptVersion::V2_2, AptVersion::V2_6] {
                if let Some((uri, _)) = fixed(&text, "amd64", version) {
                    prop_assert!(uri.ends_with('/'));
                }
            }
            let _ = list_file_name(&text);
        }
    }
}
