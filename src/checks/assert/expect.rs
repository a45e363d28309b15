//! What a value must be.

use crate::catalogue::Expect;
use crate::checks::Look;

/// What is wanted of a value, in words; `None` if the value is as wanted. Values are compared without regard to case.
pub(super) fn unmet(look: &Look<'_>, expect: &Expect, value: &str) -> Option<String> {
    unmet_by(look, expect, value, str::eq_ignore_ascii_case)
}

/// As [`unmet`], where upper and lower case differ.
pub(super) fn unmet_exactly(look: &Look<'_>, expect: &Expect, value: &str) -> Option<String> {
    unmet_by(look, expect, value, |word, value| word == value)
}

fn unmet_by(look: &Look<'_>, expect: &Expect, value: &str, same: fn(&str, &str) -> bool) -> Option<String> {
    if let Some(words) = expect.one_of {
        let words = resolved(look, words);
        if !words.iter().any(|word| same(word, value)) {
            return Some(words.join(" or "));
        }
    }
    if let Some(words) = expect.none_of {
        let words = resolved(look, words);
        if words.iter().any(|word| same(word, value)) {
            return Some(format!("anything but {}", words.join(", ")));
        }
    }
    let number = value.parse::<i64>().ok();
    match (expect.at_least, expect.at_most) {
        (Some(least), _) if number.is_none_or(|number| number < least) => Some(format!("at least {least}")),
        (_, Some(most)) if number.is_none_or(|number| number > most) => Some(format!("at most {most}")),
        _ => None,
    }
}

/// A single `$name` stands for the parameter of that name.
fn resolved(look: &Look<'_>, words: &[&str]) -> Vec<String> {
    match words {
        [word] if word.starts_with('$') => look.list(word.trim_start_matches('$')),
        words => words.iter().map(|word| (*word).to_owned()).collect(),
    }
}
