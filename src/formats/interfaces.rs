//! `/etc/network/interfaces` and the files it pulls in.
//!
//! Follows ifupdown2 `ifupdown2/ifupdown/networkinterfaces.py` (`process_interfaces`, `parse_iface`), which Proxmox VE
//! uses. What surprises administrators:
//!
//! - A stanza ends at the next keyword only, not at an empty line: every other line belongs to it.
//! - `mapping` and `template` are no keywords; inside a stanza they are attributes nobody asks for.
//! - A backslash anywhere joins what stands on both sides of it, line ends included.
//! - `-` and `_` in the name of an attribute are the same.

use std::net::IpAddr;

use super::firewall::address::Cidr;
use super::{Issue, Parsed, shown};

/// One attribute of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, with `-` for `_`.
    pub name: String,
    /// Its value, `$IFACE` replaced by the name of the interface.
    pub value: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// One `iface` or `vlan` stanza. An interface may have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// The interface; of `eth0:1` the part before the colon.
    pub name: String,
    /// The address family (`inet`, `inet6`), if one is given.
    pub family: Option<String>,
    /// The method (`static`, `manual`, `dhcp`, …), if one is given.
    pub method: Option<String>,
    /// The attributes in order.
    pub attributes: Vec<Attribute>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Stanza {
    /// The attributes of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Attribute> {
        self.attributes.iter().filter(move |attribute| attribute.name == name)
    }
}

/// Something a file says, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A stanza.
    Stanza(Stanza),
    /// `source`: files by a pattern.
    Source {
        /// The pattern as written.
        pattern: String,
        /// Line in the file, counted from 1.
        line: u32,
    },
    /// `source-directory`: every file of folders by a pattern.
    SourceDirectory {
        /// The pattern as written.
        pattern: String,
        /// Line in the file, counted from 1.
        line: u32,
    },
    /// `auto` or `allow-…`: interfaces that are brought up, `all` for every one.
    Auto(Vec<String>),
}

/// A boolean as ifupdown2 reads it: `on`, `yes`, `1` and `fast`; everything else is false.
pub fn is_true(value: &str) -> bool {
    matches!(value, "on" | "yes" | "1" | "fast")
}

/// Longest range of interfaces that is written out (`eth[1-4]`).
const RANGE_LIMIT: u32 = 256;

/// Reads the text of one file.
pub fn parse(text: &str) -> Parsed<Vec<Item>> {
    let mut parsed = Parsed::<Vec<Item>>::default();
    let mut open: Option<Stanza> = None;
    for (line, content) in joined(text) {
        let content = content.trim();
        if content.starts_with('%') || content.contains("${") || content.contains("<%") {
            parsed.issues.push(Issue::new(line, "may be part of a template, which is not carried out here"));
        }
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (word, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
        let rest = rest.trim();
        if is_keyword(word) {
            finish(open.take(), &mut parsed);
            match keyword(word, rest, line) {
                Ok(Begun::Stanza(stanza)) => open = Some(stanza),
                Ok(Begun::Item(item)) => parsed.value.push(item),
                Err(what) => parsed.issues.push(Issue::new(line, what)),
            }
        } else if let Some(stanza) = &mut open {
            if rest.is_empty() {
                let what = format!("attribute {} has no value and is ignored", shown(word));
                parsed.issues.push(Issue::new(line, what));
                continue;
            }
            if !word.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_')) {
                let what = format!("{} is no attribute, ifupdown2 ignores it", shown(word));
                parsed.issues.push(Issue::new(line, what));
                continue;
            }
            let value = rest.replace("$IFACE", &stanza.name);
            stanza.attributes.push(Attribute { name: word.replace('_', "-"), value, line });
        } else {
            let what = format!("{} begins no stanza; ifupdown2 ignores the line", shown(word));
            parsed.issues.push(Issue::new(line, what));
        }
    }
    finish(open, &mut parsed);
    parsed
}

/// What a line with a keyword begins.
enum Begun {
    Stanza(Stanza),
    Item(Item),
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "source" | "source-directory" | "auto" | "iface" | "vlan")
        || word.split('-').next() == Some("allow")
}

fn keyword(word: &str, rest: &str, line: u32) -> Result<Begun, String> {
    let mut words = rest.split_whitespace();
    let first = words.next().ok_or_else(|| format!("{} has no value", shown(word)))?;
    Ok(match word {
        "source" => Begun::Item(Item::Source { pattern: first.to_owned(), line }),
        "source-directory" => Begun::Item(Item::SourceDirectory { pattern: first.to_owned(), line }),
        "iface" | "vlan" => Begun::Stanza(Stanza {
            name: first.split(':').next().unwrap_or_default().to_owned(),
            family: words.next().map(str::to_owned),
            method: words.next().map(str::to_owned),
            attributes: Vec::new(),
            line,
        }),
        _ => Begun::Item(Item::Auto(rest.split_whitespace().map(str::to_owned).collect())),
    })
}

fn finish(stanza: Option<Stanza>, parsed: &mut Parsed<Vec<Item>>) {
    let Some(stanza) = stanza else { return };
    match range(&stanza.name) {
        None => parsed.value.push(Item::Stanza(stanza)),
        Some((prefix, first, last, suffix)) if last.saturating_sub(first) < RANGE_LIMIT => {
            for number in first..=last {
                let name = format!("{prefix}{number}{suffix}");
                parsed.value.push(Item::Stanza(Stanza { name, ..stanza.clone() }));
            }
        }
        Some(_) => {
            let what = format!("the range {} is too long to be read", shown(&stanza.name));
            parsed.issues.push(Issue::new(stanza.line, what));
        }
    }
}

/// The parts of `prefix[first-last]suffix`.
fn range(name: &str) -> Option<(&str, u32, u32, &str)> {
    let (prefix, rest) = name.split_once('[')?;
    let (numbers, suffix) = rest.split_once(']')?;
    let (first, last) = numbers.split_once('-')?;
    Some((prefix, first.parse().ok()?, last.parse().ok()?, suffix))
}

/// The lines with everything around a backslash joined by one blank; a joined line has the number of its first one.
fn joined(text: &str) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut current: (u32, String) = (1, String::new());
    let mut at = 1;
    for (index, piece) in text.split('\\').enumerate() {
        let body = piece.trim();
        at += line_ends(piece) - line_ends(piece.trim_start());
        if index > 0 {
            current.1.push(' ');
        }
        for (offset, part) in (0..).zip(body.split('\n')) {
            if offset > 0 {
                lines.push(std::mem::take(&mut current));
            }
            if current.1.trim().is_empty() {
                current.0 = at + offset;
            }
            current.1.push_str(part);
        }
        at += line_ends(piece.trim_start());
    }
    lines.push(current);
    lines
}

fn line_ends(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The prefix length of a netmask or prefix length.
pub fn prefix(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| Some(mask_bits(text.parse().ok()?)))
}

fn mask_bits(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    }
}

/// The network of an `address`, with its host bits: a prefix length or a netmask may stand behind it.
pub fn network(text: &str) -> Option<Cidr> {
    let (address, bits) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let host = Cidr::host(address);
    let Some(bits) = bits else { return Some(host) };
    Some(Cidr { address, prefix: prefix(bits)? }).filter(|cidr| cidr.is_possible())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stanzas(text: &str) -> Vec<Stanza> {
        let items = parse(text).value.into_iter();
        items.filter_map(|item| if let Item::Stanza(stanza) = item { Some(stanza) } else { None }).collect()
    }

    #[test]
    fn a_bridge_is_read_with_its_attributes_and_lines() {
        let text = "auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\n\n\tbridge_ports eno1\n#note\n\
                    \tpost-up echo $IFACE\nsource /etc/network/interfaces.d/*\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value[0], Item::Auto(vec!["vmbr0".to_owned()]));
        let Item::Stanza(stanza) = &parsed.value[1] else { panic!() };
        assert_eq!((stanza.name.as_str(), stanza.line), ("vmbr0", 2));
        assert_eq!((stanza.family.as_deref(), stanza.method.as_deref()), (Some("inet"), Some("static")));
        let seen: Vec<_> =
            stanza.attributes.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
        assert_eq!(seen, [("address", "192.0.2.1/24"), ("bridge-ports", "eno1"), ("post-up", "echo vmbr0")]);
        assert_eq!(stanza.attributes[1].line, 5);
        assert_eq!(
            parsed.value[2],
            Item::Source { pattern: "/etc/network/interfaces.d/*".to_owned(), line: 8 }
        );
    }

    #[test]
    fn an_empty_line_ends_no_stanza_and_a_mapping_belongs_to_it() {
        let found = stanzas("iface a inet manual\n\nmapping x\n  mtu 1500\niface b\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].all("mapping").count() + found[0].all("mtu").count(), 2);
        assert_eq!(found[1].method, None);
    }

    #[test]
    fn a_backslash_joins_lines() {
        let found = stanzas("iface a \\\n inet \\\n\n  static\n  address 192.0.2.1/24\n");
        assert_eq!(found[0].method.as_deref(), Some("static"));
        assert_eq!(found[0].attributes[0].line, 5);
        let found = stanzas("iface a inet manual\n  up x\\\n\\\n  y\n  mtu 9000\n");
        assert_eq!(found[0].attributes[0].value, "x  y");
        assert_eq!(found[0].attributes[1].name, "mtu");
    }

    #[test]
    fn a_range_is_written_out() {
        let names: Vec<String> =
            stanzas("iface swp[1-3].5\n mtu 9000\n").into_iter().map(|stanza| stanza.name).collect();
        assert_eq!(names, ["swp1.5", "swp2.5", "swp3.5"]);
        assert_eq!(parse("iface swp[1-99999]\n").issues.len(), 1);
    }

    #[test]
    fn what_is_no_keyword_and_what_has_no_value_is_an_issue() {
        assert_eq!(parse("ifcae vmbr0\n").issues[0].line, 1);
        assert_eq!(parse("iface\n").issues.len(), 1);
        assert_eq!(parse("iface a\n  hotplug\n").issues[0].line, 2);
        assert_eq!(parse("% for i in range(4):\niface eth${i}\n").issues.len(), 3);
    }

    #[test]
    fn an_alias_belongs_to_its_interface() {
        assert_eq!(stanzas("iface eth0:1 inet static\n address 192.0.2.1\n")[0].name, "eth0");
    }

    #[test]
    fn only_four_words_are_true() {
        assert!(["on", "yes", "1", "fast"].into_iter().all(is_true));
        assert!(!["true", "Yes", "off", ""].into_iter().any(is_true));
    }

    #[test]
    fn networks_are_read_in_all_writings() {
        let shown = |text: &str| network(text).map(|cidr| cidr.to_string());
        assert_eq!(shown("192.0.2.10/24").as_deref(), Some("192.0.2.10/24"));
        assert_eq!(shown("10.1.2.3/255.255.0.0").as_deref(), Some("10.1.2.3/16"));
        assert_eq!(shown("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!((shown("here"), shown("10.0.0.1/33"), prefix("255.255.255.0")), (None, None, Some(24)));
    }

    /// What ifupdown2 does before it looks at lines.
    fn naive_join(text: &str) -> Vec<String> {
        let whole = text.split('\\').map(str::trim).collect::<Vec<_>>().join(" ");
        whole.split('\n').map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_text_is_read(text in "(iface|auto|source|[a-z\\\\ \n#%$_-]){0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn lines_are_joined_as_ifupdown2_does(text in "[ab \n\\\\]{0,40}") {
            let ours: Vec<String> =
                joined(&text).into_iter().map(|(_, line)| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(ours, naive_join(&text));
        }
    }
}
