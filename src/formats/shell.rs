//! Command lines inside configuration files, and lists of mount options.

use super::perl;

/// The words of a command line, quotes and backslashes resolved as a shell does. An open quote ends with the text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(each) = characters.next() {
        match (quote, each) {
            (Some(open), _) if each == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(each);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, _) if perl::is_space(each) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(each),
        }
    }
    words.extend(word);
    words
}

/// The mount options in `text`, separated by commas. Options whose name speaks of a credential lose their value.
pub(crate) fn mount_options(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|option| !option.is_empty())
        .map(|option| without_credential(option).to_owned())
        .collect()
}

/// A mount option, without its value if its name speaks of a credential (`password=…` of cifs).
pub(crate) fn without_credential(option: &str) -> &str {
    const WORDS: [&str; 6] = ["pass", "pwd", "cred", "secret", "key", "token"];
    let Some((name, _)) = option.split_once('=') else { return option };
    let lower = name.to_ascii_lowercase();
    if WORDS.iter().any(|word| lower.contains(word)) { name } else { option }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(words(r#"a "b c"'d' e\ f ''"#), ["a", "b cd", "e f", ""]);
        assert_eq!(words(r#"'a\b' "c\"d" "open"#), [r"a\b", "c\"d", "open"]);
        assert_eq!(words("  "), Vec::<String>::new());
    }

    #[test]
    fn credentials_lose_their_value() {
        assert_eq!(
            mount_options("ro,,password=x,CREDENTIALS=/root/c,sec=krb5p"),
            ["ro", "password", "CREDENTIALS", "sec=krb5p"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn splitting_words_never_panics_and_keeps_plain_words(plain in "[a-z]{1,5}( [a-z]{1,5}){0,4}", any in ".{0,40}") {
            let expected: Vec<_> = plain.split(' ').map(str::to_owned).collect();
            prop_assert_eq!(words(&plain), expected);
            let _ = words(&any);
        }
    }
}
