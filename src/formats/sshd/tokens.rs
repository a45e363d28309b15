//! From text to keyword and arguments, as `load_server_config`, `strdelim` and `argv_split` do it.

use super::Version;

/// What separates tokens (`WHITESPACE` in misc.c).
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
/// What is stripped from the end of a line: blanks, and the form feed that is allowed there only.
const LINE_END: [char; 5] = [' ', '\t', '\r', '\n', '\x0c'];

/// The lines sshd sees, each with the number of the file's line it begins on.
///
/// Leading blanks are gone; in 8.4 everything from the first `#` too, quoted or not. A NUL byte hides the rest of
/// its line including the line's end, so the next line is glued on.
pub(super) fn logical_lines(text: &str, version: Version) -> Vec<(u32, String)> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    let mut glued = false;
    for (number, raw) in crate::formats::numbered(text) {
        let (seen, cut) = match raw.split_once('\0') {
            Some((seen, _)) => (seen, true),
            None => (raw, false),
        };
        let (seen, commented) = match seen.split_once('#') {
            Some((code, _)) if version == Version::V8_4 => (code, true),
            _ => (seen, false),
        };
        let seen = seen.trim_start_matches([' ', '\t', '\r']);
        match lines.last_mut() {
            Some((_, line)) if glued => line.push_str(seen),
            _ => lines.push((number, seen.to_owned())),
        }
        glued = cut && !commented;
    }
    lines
}

/// A line after its keyword was taken off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// A quote opened in the keyword is never closed: sshd drops the line without a word.
    Dropped,
    /// A keyword with nothing behind it (8.4 leaves this to the keyword).
    Bare(String),
    /// A keyword and what follows it.
    Directive {
        /// The keyword as written.
        keyword: String,
        /// What follows, untouched; `None` after the very end of the line.
        rest: Option<&'a str>,
    },
}

/// `line` without the blanks at its end; the first character always stays, as upstream's loop has it.
pub(super) fn strip_end(line: &str) -> &str {
    let stripped = line.trim_end_matches(LINE_END);
    if stripped.is_empty() { line.chars().next().map_or("", |first| first_of(line, first)) } else { stripped }
}

/// The text of the first character of `line`.
fn first_of(line: &str, first: char) -> &str {
    line.split_at_checked(first.len_utf8()).map_or("", |(head, _)| head)
}

/// Takes the keyword off a line that went through [`strip_end`].
pub(super) fn split_keyword(line: &str, version: Version) -> Line<'_> {
    if line.is_empty() {
        return Line::Blank;
    }
    let mut rest = Some(line);
    let Some(mut keyword) = delimited(&mut rest, true) else { return Line::Dropped };
    if keyword.is_empty() {
        match delimited(&mut rest, true) {
            Some(second) => keyword = second,
            None if rest.is_none() && line.contains('"') => return Line::Dropped,
            None => return Line::Blank,
        }
    }
    if keyword.is_empty() || keyword.starts_with('#') {
        return Line::Blank;
    }
    if version != Version::V8_4 && rest.is_none_or(str::is_empty) {
        return Line::Bare(keyword);
    }
    Line::Directive { keyword, rest }
}

/// The next token of `rest` (`strdelim`, or `strdelimw` when `equals` is not a separator).
///
/// A quote may open in the middle of a token and ends it when it closes; a quote that never closes makes the rest
/// of the line disappear.
pub(super) fn delimited(rest: &mut Option<&str>, equals: bool) -> Option<String> {
    let text = (*rest)?;
    let stop = |c: char| BLANKS.contains(&c) || c == '"' || (equals && c == '=');
    let Some((head, tail)) = text.find(stop).and_then(|at| text.split_at_checked(at)) else {
        *rest = None;
        return Some(text.to_owned());
    };
    if let Some(quoted) = tail.strip_prefix('"') {
        let Some((inside, after)) = quoted.split_once('"') else {
            *rest = None;
            return None;
        };
        *rest = Some(after.trim_start_matches(BLANKS));
        return Some(format!("{head}{inside}"));
    }
    let (was_equals, after) = match tail.strip_prefix('=') {
        Some(after) => (true, after),
        None => (false, tail.trim_start_matches(BLANKS)),
    };
    let after = after.trim_start_matches(BLANKS);
    // Only one `=` may stand between two tokens.
    let after = match after.strip_prefix('=') {
        Some(next) if equals && !was_equals => next.trim_start_matches(BLANKS),
        _ => after,
    };
    *rest = Some(after);
    Some(head.to_owned())
}

/// The arguments in `text`: quotes of both kinds, backslash escapes, a comment where an argument would begin
/// (`argv_split`). `None` when a quote is not closed.
pub(super) fn arguments(text: &str) -> Option<Vec<String>> {
    let mut arguments = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Some(arguments),
            Some(_) => {}
        }
        let mut argument = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped =
                        |next: &char| matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ');
                    argument.push(chars.next_if(escaped).unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if open == c => quote = None,
                _ => argument.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        arguments.push(argument);
    }
}

/// `arguments` put together again with the quoting that splits into the same (`argv_assemble`).
pub(super) fn assembled(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments
        .iter()
        .map(|argument| {
            let mut text = String::new();
            for c in argument.chars() {
                if matches!(c, '\\' | '\'' | '"') {
                    text.push('\\');
                }
                text.push(c);
            }
            if argument.contains([' ', '\t']) { format!("\"{text}\"") } else { text }
        })
        .collect();
    quoted.join(" ")
}

/// The arguments of one directive, taken one by one the way its version does.
#[derive(Debug)]
pub(super) struct Args<'a> {
    version: Version,
    /// What follows the keyword, untouched: for keywords that take the rest of the line verbatim.
    pub(super) raw: Option<&'a str>,
    /// 8.4: what is left of the line.
    rest: Option<&'a str>,
    /// From 9.2: the arguments left, the next one last.
    words: Vec<String>,
}

impl<'a> Args<'a> {
    /// The arguments in what follows a keyword; `None` when a quote is not closed (8.4 does not mind).
    pub(super) fn new(raw: Option<&'a str>, version: Version) -> Option<Self> {
        let words = if version == Version::V8_4 {
            Vec::new()
        } else {
            let mut words = arguments(raw.unwrap_or_default())?;
            words.reverse();
            words
        };
        Some(Self { version, raw, rest: raw, words })
    }

    /// The next argument, possibly empty.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.version == Version::V8_4 { delimited(&mut self.rest, true) } else { self.words.pop() }
    }

    /// All arguments left. 8.4 stops at an empty one; later versions keep it for the keyword to refuse.
    pub(super) fn all(&mut self) -> Vec<String> {
        self.take_all(true)
    }

    /// As [`Args::all`], but 8.4 does not separate at `=` (`SetEnv`).
    pub(super) fn all_assignments(&mut self) -> Vec<String> {
        self.take_all(false)
    }

    fn take_all(&mut self, equals: bool) -> Vec<String> {
        if self.version != Version::V8_4 {
            return std::mem::take(&mut self.words).into_iter().rev().collect();
        }
        let mut all = Vec::new();
        while let Some(word) = delimited(&mut self.rest, equals) {
            if word.is_empty() {
                break;
            }
            all.push(word);
        }
        all
    }

    /// Whether anything but the end of the line is left; in 8.4 that is anything at all, even an empty rest.
    pub(super) fn more(&self) -> bool {
        if self.version == Version::V8_4 { self.rest.is_some() } else { !self.words.is_empty() }
    }

    /// What is left of the line in 8.4, without the next argument being taken off.
    pub(super) fn rest(&self) -> Option<&'a str> {
        self.rest
    }

    /// The next argument, left in place (from 9.2 only).
    pub(super) fn peek(&self) -> Option<&str> {
        self.words.last().map(String::as_str)
    }

    /// Drops the arguments left, so that nothing counts as left over.
    pub(super) fn consume(&mut self) {
        self.rest = None;
        self.words.clear();
    }

    /// The argument left over at the end of the line, which makes the line wrong.
    pub(super) fn left_over(&mut self) -> Option<String> {
        let next = self.next();
        if self.version == Version::V8_4 { next.filter(|word| !word.is_empty()) } else { next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Option<String>> {
        let mut rest = Some(text);
        let mut all = Vec::new();
        while rest.is_some() {
            all.push(delimited(&mut rest, true));
        }
        all
    }

    fn some(words: &[&str]) -> Vec<Option<String>> {
        words.iter().map(|word| Some((*word).to_owned())).collect()
    }

    #[test]
    fn one_equals_sign_separates_and_a_second_makes_an_empty_token() {
        assert_eq!(tokens("Port=22"), some(&["Port", "22"]));
        assert_eq!(tokens("Port = 22"), some(&["Port", "22"]));
        assert_eq!(tokens("Banner==x"), some(&["Banner", "", "x"]));
    }

    #[test]
    fn a_quote_may_open_inside_a_token_and_ends_it() {
        assert_eq!(tokens("a\"b c\"d e"), some(&["ab c", "d", "e"]));
        assert_eq!(tokens("\"a\""), some(&["a", ""]));
    }

    #[test]
    fn an_unclosed_quote_swallows_the_rest() {
        assert_eq!(tokens("a \"b c"), [Some("a".to_owned()), None]);
        assert_eq!(split_keyword("\"Port 22", Version::V9_2), Line::Dropped);
    }

    #[test]
    fn arguments_know_both_quotes_escapes_and_comments() {
        let split = |text| arguments(text).unwrap();
        assert_eq!(split("a 'b c' \"d e\"f"), ["a", "b c", "d ef"]);
        assert_eq!(split(r#"a\ b \"c\" d\e '\ '"#), ["a b", "\"c\"", r"d\e", r"\ "]);
        assert_eq!(split("a#b #c"), ["a#b"]);
        assert_eq!(split("'' x"), ["", "x"]);
        assert_eq!(arguments("a 'b"), None);
    }

    #[test]
    fn put_together_arguments_split_into_the_same() {
        let words: Vec<String> = ["a", "b c", "d\"e", r"f\g"].map(str::to_owned).to_vec();
        assert_eq!(arguments(&assembled(&words)).unwrap(), words);
    }

    #[test]
    fn version_8_4_cuts_comments_even_inside_quotes() {
        let text = "  Banner \"/a#b\"\nPort 22 # x\n";
        let lines =
            |version| logical_lines(text, version).into_iter().map(|(_, line)| line).collect::<Vec<_>>();
        assert_eq!(lines(Version::V8_4), ["Banner \"/a", "Port 22 "]);
        assert_eq!(lines(Version::V9_2), ["Banner \"/a#b\"", "Port 22 # x"]);
    }

    #[test]
    fn a_nul_byte_glues_the_next_line_on() {
        let lines = logical_lines("Port 22\0x\nUseDNS no\nUsePAM yes", Version::V9_2);
        assert_eq!(lines, [(1, "Port 22UseDNS no".to_owned()), (3, "UsePAM yes".to_owned())]);
    }

    #[test]
    fn the_first_character_of_a_line_is_never_stripped() {
        assert_eq!(strip_end("\x0c \t"), "\x0c");
        assert_eq!(strip_end("a \r\x0c"), "a");
    }
}
