//! The configuration of a node: `/etc/pve/nodes/NODE/config`.
//!
//! Follows `proxmox/pve-manager:PVE/NodeConfig.pm` (`parse_node_config`, `get_acme_conf`): `key: value` lines, of which
//! those about ACME are kept. One bad ACME line, or a domain named twice, keeps every certificate from being renewed.

use std::collections::BTreeMap;

use super::property_string::{self, Kind, Properties, Schema, key};
use super::release::Release;
use super::{Issue, Located, Parsed, numbered, perl, verify};

/// Domains with a line of their own: `acmedomain0` to `acmedomain5`.
const MAX_DOMAINS: u32 = 5;

/// The account used when none is named.
pub const DEFAULT_ACCOUNT: &str = "default";

static ACME: Schema =
    Schema { keys: &[&[key("account", Kind::Text), key("domains", Kind::Checked(is_domain_list))]] };

static DOMAIN: Schema = Schema {
    keys: &[&[
        key("domain", Kind::Checked(is_domain)).default_key().required(),
        key("plugin", Kind::Checked(verify::config_id)),
        key("alias", Kind::Text),
    ]],
};

/// What the file says about ACME.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeConfig {
    /// The domains the node's certificate is ordered for, in lower case, with their lines.
    pub domains: BTreeMap<String, u32>,
    /// The account, [`DEFAULT_ACCOUNT`] where none is named.
    pub account: String,
    /// The first line that keeps upstream from reading the ACME settings, and why.
    pub refused: Option<Located<String>>,
}

/// Reads the text of a node's configuration.
pub fn parse(text: &str) -> Parsed<NodeConfig> {
    let mut parsed = Parsed::<NodeConfig>::default();
    DEFAULT_ACCOUNT.clone_into(&mut parsed.value.account);
    // Of several lines of a key the last counts.
    let mut last: BTreeMap<String, (u32, &str)> = BTreeMap::new();
    for (line, content) in numbered(text) {
        let content = content.trim_matches(|each: char| each.is_ascii_whitespace());
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match content.split_once(':') {
            Some((key, value)) if !key.is_empty() && !key.contains(char::is_whitespace) => {
                last.insert(key.to_owned(), (line, value.trim()));
            }
            _ => parsed.issues.push(Issue::new(line, "not `key: value`; the line is ignored")),
        }
    }
    if let Some((line, value)) = last.get("acme") {
        acme(value, *line, &mut parsed);
    }
    for index in 0..=MAX_DOMAINS {
        if let Some((line, value)) = last.get(&format!("acmedomain{index}")) {
            domain(value, *line, &mut parsed);
        }
    }
    parsed.issues.sort();
    parsed
}

fn properties(
    schema: &'static Schema,
    value: &str,
    line: u32,
    parsed: &mut Parsed<NodeConfig>,
) -> Option<Properties> {
    match property_string::parse(schema, value, Release::Pve9) {
        Ok(properties) => Some(properties),
        Err(refusal) => {
            // The line is dropped, and a certificate is then not ordered for its domains.
            let what = format!("{refusal}; the line is dropped");
            parsed.issues.push(Issue::new(line, what.clone()));
            parsed.value.refused.get_or_insert(Located::new(what, line));
            None
        }
    }
}

fn acme(value: &str, line: u32, parsed: &mut Parsed<NodeConfig>) {
    let Some(found) = properties(&ACME, value, line, parsed) else { return };
    if let Some(account) = found.get("account") {
        account.clone_into(&mut parsed.value.account);
    }
    for domain in found.get("domains").unwrap_or_default().split(';').filter(|domain| !domain.is_empty()) {
        add(domain, line, parsed);
    }
}

fn domain(value: &str, line: u32, parsed: &mut Parsed<NodeConfig>) {
    let Some(found) = properties(&DOMAIN, value, line, parsed) else { return };
    if let Some(domain) = found.get("domain") {
        add(domain, line, parsed);
    }
}

fn add(domain: &str, line: u32, parsed: &mut Parsed<NodeConfig>) {
    if parsed.value.domains.insert(domain.to_ascii_lowercase(), line).is_some() {
        let what = "names a domain a second time: no certificate is renewed".to_owned();
        parsed.value.refused.get_or_insert(Located::new(what, line));
    }
}

/// `pve-acme-domain`: at least two labels.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        label.starts_with(|first: char| first.is_ascii_alphanumeric())
            && label.chars().all(|each| perl::is_word(each) || each == '-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

fn is_domain_list(text: &str) -> bool {
    perl::split_list(text).into_iter().all(is_domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domains(text: &str) -> Vec<String> {
        parse(text).value.domains.into_keys().collect()
    }

    #[test]
    fn domains_of_both_kinds_of_lines_are_collected() {
        let text = "#note\nacme: account=le,domains=A.example.com;b.example.com\nacmedomain0: c.example.com,plugin=dns1\n";
        assert_eq!(domains(text), ["a.example.com", "b.example.com", "c.example.com"]);
        assert_eq!(parse(text).value.account, "le");
        assert_eq!(parse(text).issues, []);
    }

    #[test]
    fn an_account_alone_orders_nothing() {
        let value = parse("acme: account=le\nwakeonlan: 02:00:00:00:00:01\n").value;
        assert!(value.domains.is_empty() && value.refused.is_none());
    }

    #[test]
    fn a_domain_named_twice_stops_all_of_it() {
        let value = parse("acme: domains=a.example.com\nacmedomain1: A.example.com\n").value;
        assert_eq!(value.refused.map(|refused| refused.line), Some(2));
    }

    #[test]
    fn a_line_upstream_refuses_is_an_issue_and_noted() {
        for text in ["acmedomain0: plugin=x1\n", "acme: domain=a.example.com\n", "acmedomain0: single\n"] {
            let parsed = parse(text);
            assert_eq!((parsed.issues.len(), parsed.value.refused.is_some()), (1, true), "{text}");
        }
        assert_eq!(parse("no colon\n").issues.len(), 1);
    }

    #[test]
    fn the_last_line_of_a_key_counts_and_only_six_domain_lines_are_known() {
        assert_eq!(
            domains("acmedomain0: a.example.com\nacmedomain0: b.example.com\nacmedomain6: c.example.com\n"),
            ["b.example.com"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_text_is_read(text in "(acme|acmedomain0|: |,|=|[a-c.;\n]){0,30}") {
            let _ = parse(&text);
        }
    }
}
