//! Facts about the parts of a guest file whose text is never kept.

use std::collections::BTreeSet;

use crate::formats::perl;
use crate::formats::shell::words;

/// How the password for cloud-init (`cipassword`) is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Password {
    /// In clear text.
    Clear,
    /// As a crypt(5) hash with this scheme id, such as `5` for SHA-256.
    Hashed(&'static str),
}

/// The scheme ids of crypt(5) hashes, as Debian's libxcrypt knows them.
const SCHEMES: [&str; 12] = ["1", "2a", "2b", "2x", "2y", "5", "6", "7", "gy", "md5", "sha1", "y"];

impl Password {
    /// The fact about `text`. Anything that is not surely a hash is clear text.
    pub(super) fn of(text: &str) -> Self {
        let scheme = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        let known =
            scheme.and_then(|(id, rest)| SCHEMES.into_iter().find(|each| *each == id && !rest.is_empty()));
        known.map_or(Self::Clear, Self::Hashed)
    }
}

/// What is known about `args`, the extra command line of a virtual machine. The text itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Length of the text in bytes; 0 means blank.
    pub length: usize,
    /// Names of arguments that open the process or the host, see [`Arguments::of`].
    pub risky: BTreeSet<&'static str>,
}

impl Arguments {
    /// The facts about `text`. These names can come out: `-chardev server` (a socket that listens),
    /// `-drive file=/dev`, `-fsdev local`, `-gdb`, `-incoming`, `-mon`, `-monitor`, `-netdev hostfwd`,
    /// `-object memory-backend-file`, `-qmp`, `-s`, `-sandbox off`, `-virtfs local`, `-vnc` (not on a Unix socket),
    /// `vfio-pci`.
    pub(super) fn of(text: &str, line: u32) -> Self {
        let words = words(text);
        let mut risky = BTreeSet::new();
        for (at, word) in words.iter().enumerate() {
            let value = words.get(at + 1).map_or("", String::as_str);
            if let Some(option) = word.strip_prefix('-') {
                risky.extend(risky_option(option.strip_prefix('-').unwrap_or(option), value));
            }
            if word.contains("vfio-pci") {
                risky.insert("vfio-pci");
            }
        }
        Self { line, length: perl::trimmed(text).len(), risky }
    }

    /// Whether there are no arguments in fact.
    pub fn is_blank(&self) -> bool {
        self.length == 0
    }
}

fn risky_option(option: &str, value: &str) -> Option<&'static str> {
    let holds = |part: &str| value.split(',').any(|each| each.trim_start().starts_with(part));
    match option {
        "monitor" if value != "none" => Some("-monitor"),
        "mon" => Some("-mon"),
        "qmp" | "qmp-pretty" if value != "none" => Some("-qmp"),
        "gdb" => Some("-gdb"),
        "s" => Some("-s"),
        "incoming" => Some("-incoming"),
        "vnc" if value != "none" && !value.starts_with("unix:") => Some("-vnc"),
        "chardev" if holds("socket") && holds("server") && !holds("server=off") => Some("-chardev server"),
        "netdev" | "nic" | "net" if value.contains("hostfwd") => Some("-netdev hostfwd"),
        "fsdev" if value.starts_with("local") => Some("-fsdev local"),
        "virtfs" if value.starts_with("local") => Some("-virtfs local"),
        "object" if value.contains("memory-backend-file") => Some("-object memory-backend-file"),
        "drive" | "blockdev" if reads_device(value) => Some("-drive file=/dev"),
        "hda" | "hdb" | "hdc" | "hdd" | "cdrom" if value.starts_with("/dev/") => Some("-drive file=/dev"),
        "sandbox" if holds("off") => Some("-sandbox off"),
        _ => None,
    }
}

fn reads_device(value: &str) -> bool {
    value.split(',').any(|part| part.split_once('=').is_some_and(|(_, path)| path.starts_with("/dev/")))
        || value.contains("\"/dev/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risky(text: &str) -> Vec<&'static str> {
        Arguments::of(text, 1).risky.into_iter().collect()
    }

    #[test]
    fn a_password_is_a_hash_only_with_a_known_scheme() {
        assert_eq!(Password::of("$5$salt$hash"), Password::Hashed("5"));
        assert_eq!(Password::of("$y$j9T$x$y"), Password::Hashed("y"));
        for clear in ["secret", "", "$5$", "$", "$secret$x", "x$5$y"] {
            assert_eq!(Password::of(clear), Password::Clear, "{clear}");
        }
    }

    #[test]
    fn risky_arguments_are_named_and_their_text_is_not_kept() {
        assert_eq!(risky("-device isa-debugcon,iobase=0x402"), Vec::<&str>::new());
        assert_eq!(risky("-monitor tcp:0.0.0.0:4444,server -s"), ["-monitor", "-s"]);
        assert_eq!(risky("--qmp 'unix:/run/x,server'"), ["-qmp"]);
        assert_eq!(risky("-vnc 0.0.0.0:1"), ["-vnc"]);
        assert_eq!(risky("-vnc unix:/run/x"), Vec::<&str>::new());
        assert_eq!(risky("-chardev socket,id=a,path=/x,server=on,wait=off"), ["-chardev server"]);
        assert_eq!(risky("-chardev socket,id=a,path=/x"), Vec::<&str>::new());
        assert_eq!(risky("-netdev user,id=n,hostfwd=tcp::22-:22"), ["-netdev hostfwd"]);
        assert_eq!(risky("-virtfs local,path=/ -fsdev local,path=/etc"), ["-fsdev local", "-virtfs local"]);
        assert_eq!(risky("-device vfio-pci,host=01:00.0"), ["vfio-pci"]);
        assert_eq!(risky("-drive file=/dev/sda,if=none"), ["-drive file=/dev"]);
        assert_eq!(
            risky("-incoming tcp:0:1 -gdb tcp::1 -sandbox off"),
            ["-gdb", "-incoming", "-sandbox off"]
        );
        assert_eq!(risky("-object memory-backend-file,id=m"), ["-object memory-backend-file"]);
        let facts = Arguments::of("-vnc :1,password=hunter2", 3);
        assert!(!format!("{facts:?}").contains("hunter2"));
    }

    #[test]
    fn quoting_does_not_hide_an_argument() {
        assert_eq!(risky(r#""-mon"itor stdio"#), ["-monitor"]);
        assert_eq!(risky(r"-mo\nitor stdio"), ["-monitor"]);
        assert_eq!(risky("-name 'a -monitor b'"), Vec::<&str>::new());
    }

    #[test]
    fn blank_arguments_are_none() {
        assert!(Arguments::of(" ", 1).is_blank());
    }
}
