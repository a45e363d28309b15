//! `/proc/version`: which kernel package is running.
//!
//! Proxmox builds its kernels with a version text of its own (`proxmox/pve-kernel:debian/rules`,
//! `KBUILD_BUILD_VERSION_TIMESTAMP`): `PMX 6.8.12-18 (2025-…)`, before 2023 `PVE 5.15.108-3 (2023-…)`. That is the
//! exact version of the Debian package; the release name is not always.

use super::{Issue, Parsed};

/// The running kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcVersion {
    /// Release as `uname -r` gives it: `6.8.12-18-pve`.
    pub release: Option<String>,
    /// Version of the Debian package of a Proxmox kernel, from the version text or else from the release.
    pub package_version: Option<String>,
    /// Build date as written in the version text: `2025-12-15T18:07Z`, older kernels `Tue, 29 Mar 2022 …`.
    pub built: Option<String>,
}

/// Words before the package version in the version text: since kernel 6.2, and before.
const MARKERS: [&str; 2] = ["PMX", "PVE"];

/// First major version whose release carries the revision of the package. In the 5 series the release has an
/// ABI number of its own: `5.13.19-6-pve` is package version 5.13.19-15.
const RELEASE_NAMES_PACKAGE_SINCE: u32 = 6;

/// Reads the text of `/proc/version`.
pub fn parse(text: &str) -> Parsed<ProcVersion> {
    let mut words = text.split([' ', '\n']);
    let release = match (words.next(), words.next(), words.next()) {
        (Some("Linux"), Some("version"), Some(release)) if !release.is_empty() => release,
        _ => {
            let issue = Issue::new(1, "not the text of /proc/version, the running kernel is not known");
            return Parsed { value: ProcVersion::default(), issues: vec![issue] };
        }
    };
    let (package_version, built) = marked(text).unzip();
    let value = ProcVersion {
        release: Some(release.to_owned()),
        package_version: package_version.or_else(|| package_version_of(release)),
        built,
    };
    Parsed { value, issues: Vec::new() }
}

/// The `PMX <version> (<date>)` part. Only the text behind the build number `#N` counts: the part before it
/// names the build host and compiler.
fn marked(text: &str) -> Option<(String, String)> {
    let (_, tail) = text.rsplit_once(") #")?;
    let (_, behind) = MARKERS.iter().find_map(|marker| tail.split_once(&format!(" {marker} ")))?;
    let (version, date) = behind.split_once(" (")?;
    let (date, _) = date.split_once(')')?;
    let plain = version.starts_with(|first: char| first.is_ascii_digit()) && !version.contains(' ');
    plain.then(|| (version.to_owned(), date.to_owned()))
}

/// The package version a release of a Proxmox kernel means: `6.8.12-18-pve` is 6.8.12-18 and
/// `6.14.11-9-bpo12-pve` is 6.14.11-9~bpo12+1.
///
/// `None` for other kernels and for the 5 series, whose release does not tell.
pub fn package_version_of(release: &str) -> Option<String> {
    let body = release.strip_suffix("-pve")?;
    let mut parts = body.split('-');
    let (upstream, revision, backport) = (parts.next()?, parts.next()?, parts.next());
    let major: u32 = upstream.split('.').next()?.parse().ok()?;
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = upstream.split('.').all(numeric) && numeric(revision) && parts.next().is_none();
    if !plain || major < RELEASE_NAMES_PACKAGE_SINCE {
        return None;
    }
    match backport {
        None => Some(format!("{upstream}-{revision}")),
        Some(suffix) if suffix.strip_prefix("bpo").is_some_and(numeric) => {
            Some(format!("{upstream}-{revision}~{suffix}+1"))
        }
        Some(_) => None,
    }
}

/// The series of a release or package version: `6.8` of `6.8.12-18-pve`.
pub fn series(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-']);
    let (major, minor) = (numbers.next()?, numbers.next()?);
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (numeric(major) && numeric(minor)).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_text_gives_the_exact_package() {
        let text = "Linux version 6.8.12-18-pve (build@proxmox) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0, \
                    GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC PMX 6.8.12-18 (2025-12-15T18:07Z)\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.release.as_deref(), Some("6.8.12-18-pve"));
        assert_eq!(parsed.value.package_version.as_deref(), Some("6.8.12-18"));
        assert_eq!(parsed.value.built.as_deref(), Some("2025-12-15T18:07Z"));
    }

    #[test]
    fn the_version_text_beats_the_release_of_the_5_series() {
        let text = "Linux version 5.13.19-6-pve (build@proxmox) (gcc (Debian 10.2.1-6) 10.2.1) \
                    #1 SMP PVE 5.13.19-15 (Tue, 29 Mar 2022 15:59:50 +0200)\n";
        assert_eq!(parse(text).value.package_version.as_deref(), Some("5.13.19-15"));
        assert_eq!(parse(text).value.built.as_deref(), Some("Tue, 29 Mar 2022 15:59:50 +0200"));
    }

    #[test]
    fn a_release_gives_the_package_version() {
        assert_eq!(package_version_of("6.8.12-18-pve").as_deref(), Some("6.8.12-18"));
        assert_eq!(package_version_of("6.14.11-9-bpo12-pve").as_deref(), Some("6.14.11-9~bpo12+1"));
        assert_eq!(package_version_of("7.0.2-5-pve").as_deref(), Some("7.0.2-5"));
    }

    #[test]
    fn other_kernels_and_the_5_series_are_not_guessed() {
        for release in
            ["6.1.0-40-amd64", "5.15.35-1-pve", "6.8.12-18-x-pve", "6.8-pve", "-pve", "6.8.12--pve", ""]
        {
            assert_eq!(package_version_of(release), None, "{release}");
        }
    }

    #[test]
    fn a_foreign_kernel_has_no_package_version() {
        let parsed = parse(
            "Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org) (gcc) #1 SMP Debian 6.1.153-1\n",
        );
        assert_eq!(parsed.value.release.as_deref(), Some("6.1.0-40-amd64"));
        assert_eq!(parsed.value.package_version, None);
    }

    #[test]
    fn a_marker_in_the_build_host_is_not_believed() {
        let parsed = parse("Linux version 6.1.0 (a@b PMX 9.9.9-9 (x)) (gcc) #1 SMP\n");
        assert_eq!(parsed.value.package_version, None);
    }

    #[test]
    fn any_other_text_is_an_issue() {
        assert_eq!(parse("").issues.len(), 1);
        assert_eq!(parse("FreeBSD 14").issues.len(), 1);
    }

    #[test]
    fn the_series_is_the_first_two_numbers() {
        assert_eq!(series("6.14.11-9-bpo12-pve").as_deref(), Some("6.14"));
        assert_eq!(series("6.14.11-9~bpo12+1").as_deref(), Some("6.14"));
        assert_eq!(series("pve"), None);
    }
}
