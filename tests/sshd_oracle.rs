//! The reading of `sshd_config` held against the real sshd: every text here goes through `sshd -T`, too, and the lines
//! it prints are compared one by one, in its order.
//!
//! The installed `/usr/sbin/sshd` is asked when it is one of the supported releases; on Debian 12 that is 9.2p1.
//! `SSHD_ORACLE_ROOTS` may name more Debian trees (separated by colons, entered with `chroot`, so as root). For the
//! other releases the answers in `tests/sshd_results` are taken, which `tests/sshd_results/make.sh` writes.
#![expect(clippy::indexing_slicing, reason = "tables with at least one entry")]

#[path = "support/sshd.rs"]
mod sshd;
#[path = "support/sshd_questions.rs"]
mod sshd_questions;
#[path = "support/sshd_trees.rs"]
mod sshd_trees;

use proptest::prelude::*;
use sshd::{Oracle, Question};
use sshd_questions::{CONNECTIONS, LINES, MATCHES, NESTED, ODDLY_WRITTEN, OPTIONS, OPTIONS_OVER};
use sshd_trees::TREES;

/// Asks every sshd there is, and stores what they say where that is asked for.
#[test]
fn every_question_is_answered_the_same() {
    for oracle in Oracle::all() {
        let mut asked = 0_usize;
        each_question(&mut |question| {
            oracle.compare(question);
            asked += 1;
        });
        oracle.store();
        assert!(asked >= 900, "only {asked} questions");
    }
}

/// Every question whose answer is stored.
fn each_question(ask: &mut dyn FnMut(Question<'_>)) {
    ask(Question::new(""));
    for (keyword, values) in LINES {
        for value in *values {
            ask(Question::new(&format!("{keyword} {value}\n")));
        }
        for pair in values.windows(2) {
            ask(Question::new(&format!("{keyword} {}\n{keyword} {}\n", pair[0], pair[1])));
            ask(Question::new(&format!("{keyword} {}\n{keyword} {}\n", pair[1], pair[0])));
        }
        let (value, last) = (values[0], values[values.len() - 1]);
        ask(Question::new(&format!("Match user x\n{keyword} {value}\n")));
        ask(Question::new(&format!("{keyword} {last}\nMatch all\n{keyword} {value}\n")));
        let matched = format!("{keyword} {last}\nMatch user root\n{keyword} {value}\n");
        ask(Question { connection: "user=root,lport=1", ..Question::new(&matched) });
    }
    for criteria in MATCHES {
        let text = format!("PermitRootLogin no\nMatch {criteria}\nPermitRootLogin yes\n");
        ask(Question::new(&text));
        for connection in CONNECTIONS {
            ask(Question { connection, ..Question::new(&text) });
        }
    }
    for text in ODDLY_WRITTEN {
        ask(Question::new(text));
    }
    for (text, files) in NESTED {
        ask(Question { files, ..Question::new(text) });
        ask(Question { files, connection: "user=x,lport=1", ..Question::new(text) });
    }
    for options in OPTIONS {
        ask(Question { options, ..Question::new(OPTIONS_OVER) });
    }
    for tree in TREES {
        for connection in tree.connections {
            ask(Question { files: tree.files, options: &[], connection, text: tree.text });
        }
    }
}

/// A line with a keyword, a value and a way of writing.
fn line() -> impl Strategy<Value = String> {
    let known = (0..LINES.len(), any::<prop::sample::Index>(), 0..12_u8).prop_map(|(at, value, style)| {
        let (keyword, values) = LINES[at];
        let value = value.get(values);
        match style {
            0 => format!("{keyword}={value}"),
            1 => format!("  {}\t{value}  ", keyword.to_lowercase()),
            2 => format!("{} {value} # note", keyword.to_uppercase()),
            3 => format!("#{keyword} {value}"),
            4 => format!("{keyword} \"{value}\""),
            _ => format!("{keyword} {value}"),
        }
    });
    let good = (0..LINES.len()).prop_map(|at| format!("{} {}", LINES[at].0, LINES[at].1[0]));
    let block = prop::sample::select(MATCHES).prop_map(|criteria| format!("Match {criteria}"));
    let include = Just("Include {dir}/*.conf".to_owned());
    let soup =
        ("(Banner|ForceCommand|AllowUsers|PermitOpen|SetEnv|Match)", "[ab \\\\\"'=#,!*:@/0-9\t]{0,12}")
            .prop_map(|(keyword, rest)| format!("{keyword} {rest}"));
    prop_oneof![10 => good, 4 => known, 2 => block, 1 => include, 1 => soup]
}

/// Lines of one file; `deep` files include nothing.
fn file(deep: bool) -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 0..6).prop_map(move |lines| {
        let kept = lines.into_iter().filter(|line| !deep || !line.starts_with("Include"));
        kept.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn made_up_files_read_the_same() {
    let oracles = Oracle::real();
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(text in file(false), first in file(true), second in file(true))| {
        for oracle in &oracles {
            let files = [("a.conf", first.as_str()), ("b.conf", second.as_str())];
            oracle.compare(Question { files: &files, connection: "user=root,addr=10.1.2.3,lport=1", ..Question::new(&text) });
        }
    });
}
