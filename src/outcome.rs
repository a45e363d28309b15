//! What a judgement is made of: verdict, subject, evidence, fingerprint.

use std::fmt::{self, Write as _};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::catalogue::schema::{Scope, Severity};
use crate::host::Host;
use crate::host::guests::Guest;

/// How a check or one of its subjects ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every relevant subject is fine and every relevant source was read whole.
    Pass,
    /// The feature is not there.
    NotApplicable,
    /// It could not be known.
    Unknown,
    /// The bad thing was seen.
    Fail,
}

impl Verdict {
    /// The name used in reports and cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotApplicable => "not-applicable",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

/// What kind of thing is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// The cluster (or the stand-alone node's cluster configuration).
    Cluster,
    /// This node.
    Node,
    /// A guest; the id is its VMID.
    Guest,
    /// A user; the id is `name@realm`.
    User,
    /// An API token; the id is `name@realm!token`.
    Token,
    /// A group of users.
    Group,
    /// A role.
    Role,
    /// An ACL entry.
    Acl,
    /// A realm.
    Realm,
    /// A storage.
    Storage,
    /// A network interface or bridge.
    Network,
    /// A firewall rule.
    FirewallRule,
    /// A service or unit.
    Service,
    /// A setting of a program.
    Setting,
    /// A file.
    File,
    /// A Debian package.
    Package,
    /// An apt source.
    Repository,
    /// A backup or other job.
    Job,
}

impl SubjectKind {
    /// The name used in reports and fingerprints; it never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Guest => "guest",
            Self::User => "user",
            Self::Token => "token",
            Self::Group => "group",
            Self::Role => "role",
            Self::Acl => "acl",
            Self::Realm => "realm",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::FirewallRule => "firewall_rule",
            Self::Service => "service",
            Self::Setting => "setting",
            Self::File => "file",
            Self::Package => "package",
            Self::Repository => "repository",
            Self::Job => "job",
        }
    }
}

/// One thing that is judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Its identity, normalised: the same thing has the same id on every node and in every run.
    pub id: String,
    /// What people call it, if that is something else. Untrusted text.
    pub name: Option<String>,
    /// The node it is on, if it is on one.
    pub node: Option<String>,
}

impl Subject {
    /// A subject of this kind and identity.
    pub fn new(kind: SubjectKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), name: None, node: None }
    }

    /// This node as a whole.
    pub fn node() -> Self {
        Self::new(SubjectKind::Node, "node")
    }

    /// The cluster's configuration as a whole.
    pub fn cluster() -> Self {
        Self::new(SubjectKind::Cluster, "cluster")
    }

    /// The same with a name (untrusted text).
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same, standing on a node.
    #[must_use]
    pub fn on(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }
}

impl Guest {
    /// The guest as what is judged.
    pub fn subject(&self) -> Subject {
        let subject = Subject::new(SubjectKind::Guest, self.vmid.to_string()).on(&self.node);
        match self.name() {
            Some(name) => subject.named(name),
            None => subject,
        }
    }
}

/// Where something was seen, what it was and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// The file, as the audited host sees it.
    pub path: String,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// The key, option or keyword.
    pub key: Option<String>,
    /// What was seen. Never a secret.
    pub observed: Option<String>,
    /// What was wanted.
    pub expected: Option<String>,
}

impl Evidence {
    /// Something about a whole file.
    pub fn of(path: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, key: None, observed: None, expected: None }
    }

    /// Something on a line (counted from 1).
    pub fn at(path: impl Into<String>, line: u32) -> Self {
        Self { line: Some(line), ..Self::of(path) }
    }

    /// With the key it is about.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With what was seen. Never a secret.
    #[must_use]
    pub fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self
    }

    /// With what was wanted.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

/// The verdict on one subject, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen: one sentence without a full stop, starting in lower case.
    pub summary: String,
    /// The severity here, where it differs from the check's.
    pub severity: Option<Severity>,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
}

impl Judgement {
    fn new(verdict: Verdict, summary: impl Into<String>) -> Self {
        Self { verdict, summary: summary.into(), severity: None, evidence: Vec::new() }
    }

    /// The bad thing was seen.
    pub fn fail(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, summary)
    }

    /// It is fine.
    pub fn pass(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, summary)
    }

    /// It cannot be known.
    pub fn unknown(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, summary)
    }

    /// Fails if `bad`, passes otherwise.
    pub fn fail_if(bad: bool, failing: impl Into<String>, passing: impl Into<String>) -> Self {
        if bad { Self::fail(failing) } else { Self::pass(passing) }
    }

    /// With a severity of its own.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// With a piece of evidence.
    #[must_use]
    pub fn with(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// With several pieces of evidence.
    #[must_use]
    pub fn with_all(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// With the line it rests on.
    #[must_use]
    pub fn at(self, path: impl Into<String>, line: u32) -> Self {
        self.with(Evidence::at(path, line))
    }
}

/// What makes a finding of this scope unique beyond check and subject: the cluster's key, or the host's.
pub fn scope_key(host: &Host, scope: Scope) -> String {
    let cluster = host.cluster().and_then(|cluster| cluster.uid);
    let name = || host.node_name().unwrap_or_default();
    match scope {
        Scope::Cluster | Scope::Guest => cluster.unwrap_or_else(name),
        Scope::Node => host.uid().unwrap_or_else(|| format!("{}/{}", cluster.unwrap_or_default(), name())),
    }
}

/// The identity of a finding over time and over the nodes of a cluster: `pa1:` and 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Hashes what identifies a finding, and nothing that changes while it stays the same finding: no text, no
    /// line, no severity, no version. Each part is framed as a netstring, so no part can imitate another.
    pub fn of(check: &str, scope: Scope, scope_key: &str, subject: &Subject) -> Self {
        let scope = match scope {
            Scope::Cluster => "cluster",
            Scope::Node => "node",
            Scope::Guest => "guest",
        };
        let mut hash = Sha256::new();
        for part in ["pa1", check, scope, scope_key, subject.kind.name(), &subject.id] {
            hash.update(part.len().to_string());
            hash.update(":");
            hash.update(part);
            hash.update(",");
        }
        let mut text = String::from("pa1:");
        for byte in hash.finalize().iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_check_scope_and_subject_only() {
        let eve = Subject::new(SubjectKind::User, "eve@pve");
        let print = Fingerprint::of("access/x", Scope::Cluster, "uid", &eve);
        assert_eq!(print.to_string().len(), 36);
        assert_eq!(
            print,
            Fingerprint::of("access/x", Scope::Cluster, "uid", &eve.clone().named("Eve").on("n1"))
        );
        for other in [
            Fingerprint::of("access/y", Scope::Cluster, "uid", &eve),
            Fingerprint::of("access/x", Scope::Node, "uid", &eve),
            Fingerprint::of("access/x", Scope::Cluster, "uid2", &eve),
            Fingerprint::of("access/x", Scope::Cluster, "uid", &Subject::new(SubjectKind::Token, "eve@pve")),
            Fingerprint::of("access/x", Scope::Cluster, "uid", &Subject::new(SubjectKind::User, "eve@pam")),
        ] {
            assert_ne!(print, other);
        }
    }

    #[test]
    fn the_formula_of_the_fingerprint_never_changes() {
        let print = Fingerprint::of("a/b", Scope::Guest, "key", &Subject::new(SubjectKind::Guest, "100"));
        assert_eq!(print.to_string(), "pa1:8e33afa59f81b94efea727a61708242a");
    }
}
