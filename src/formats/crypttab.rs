//! `/etc/crypttab`: the encrypted devices set up at boot.
//!
//! Follows systemd `src/cryptsetup/cryptsetup-generator.c` (`add_crypttab_devices`) and Debian's
//! `cryptsetup:debian/functions`: target name, source device, key file, options; `#` comments at the start of
//! a line; `\NNN` octal escapes (Debian). The file proves an intent, not that the device is open.

use super::escapes::octal;
use super::{Issue, Parsed, numbered};

/// Where the key of a device comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// No key file (`none`, `-` or an absent field): a passphrase is asked for, or a token is tried.
    Prompt,
    /// A random device: a new key at every boot, as for swap.
    Random,
    /// A key file; systemd also reads `PATH:DEVICE`, the file on another device.
    File(String),
}

/// One line of crypttab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name below `/dev/mapper`.
    pub name: String,
    /// Underlying device: a path or `UUID=…`, `PARTUUID=…`, `LABEL=…`.
    pub source: String,
    /// Where the key comes from.
    pub key: Key,
    /// Options in order: name and the text after `=`.
    pub options: Vec<(String, Option<String>)>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Entry {
    /// Whether the option `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| option == name)
    }

    /// The value of the last option called `name`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(option, _)| option == name).and_then(|(_, value)| value.as_deref())
    }
}

/// Devices that give a new key at every boot: crypttab(5).
const RANDOM_DEVICES: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/hw_random"];

/// Reads the text of `/etc/crypttab`.
pub fn parse(text: &str) -> Parsed<Vec<Entry>> {
    let mut parsed = Parsed::<Vec<Entry>>::default();
    for (line, content) in numbered(text) {
        let content = content.trim_matches([' ', '\t', '\r']);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match entry(content, line) {
            Ok(entry) => parsed.value.push(entry),
            Err(what) => parsed.issues.push(Issue::new(line, what)),
        }
    }
    parsed
}

fn entry(content: &str, line: u32) -> Result<Entry, &'static str> {
    let mut fields = content.split([' ', '\t']).filter(|field| !field.is_empty()).map(octal);
    let (Some(name), Some(source)) = (fields.next(), fields.next()) else {
        return Err("fewer than two fields; the boot scripts ignore the line");
    };
    let key = key(fields.next());
    let options = fields.next().unwrap_or_default();
    if fields.next().is_some_and(|extra| !extra.starts_with('#')) {
        return Err("more than four fields; systemd and Debian's scripts disagree about the line");
    }
    let options =
        options.split(',').filter(|option| !option.is_empty() && *option != "none" && *option != "-");
    let options = options.map(|option| match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.to_owned(), None),
    });
    Ok(Entry { name, source, key, options: options.collect(), line })
}

fn key(field: Option<String>) -> Key {
    match field {
        None => Key::Prompt,
        Some(field) if field == "none" || field == "-" => Key::Prompt,
        Some(field) if RANDOM_DEVICES.contains(&field.as_str()) => Key::Random,
        Some(field) => Key::File(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_a_key_file_and_a_random_key_are_told_apart() {
        let text = "# <target name> <source device> <key file> <options>\n\
                    sda3_crypt UUID=1b2c none luks,discard\n\
                    data /dev/sdb1 /root/data.key luks,noauto\n\
                    cswap /dev/sdc2 /dev/urandom swap,cipher=aes-xts-plain64,size=256\n\
                    tpm /dev/sdd1 - tpm2-device=auto\nbare /dev/sde1\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        let keys: Vec<_> = parsed.value.iter().map(|entry| entry.key.clone()).collect();
        let file = Key::File("/root/data.key".to_owned());
        assert_eq!(keys, [Key::Prompt, file, Key::Random, Key::Prompt, Key::Prompt]);
        assert!(parsed.value[1].has("noauto"));
        assert_eq!(parsed.value[2].value("size"), Some("256"));
        assert_eq!(parsed.value[3].value("tpm2-device"), Some("auto"));
    }

    #[test]
    fn the_header_debian_ships_holds_no_device() {
        let parsed = parse("# <target name>\t<source device>\t\t<key file>\t<options>\n");
        assert_eq!(parsed, Parsed::default());
    }

    #[test]
    fn a_line_with_too_few_or_too_many_fields_is_an_issue() {
        let parsed = parse("alone\na b c d e\nok /dev/x\\040y none luks # note\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(parsed.value[0].source, "/dev/x y");
    }
}
