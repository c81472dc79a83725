//! Text for terminals and shells: escaping of untrusted names, quoting, readable sizes.

use std::borrow::Cow;

/// Escapes characters that could control a terminal or disguise a name: control characters and
/// marks that reorder or hide text (Unicode TR 36, section 2.10). Leaves all other characters
/// unchanged.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !chars_with_safety(text).any(|(_, is_unsafe)| is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (c, is_unsafe) in chars_with_safety(text) {
        if is_unsafe {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns the characters of `text`, each with a flag that is true if the character must not reach
/// a terminal or become part of a local file name.
///
/// A joiner or non-joiner (U+200C, U+200D) between two non-ASCII characters is part of the
/// spelling, as in Persian words and emoji sequences. Elsewhere it is unsafe.
pub fn chars_with_safety(text: &str) -> impl Iterator<Item = (char, bool)> {
    let not_ascii = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_unsafe(c));
    let mut before = None;
    text.char_indices().map(move |(at, c)| {
        let is_spelling = matches!(c, '\u{200c}' | '\u{200d}')
            && not_ascii(before)
            && not_ascii(text[at + c.len_utf8()..].chars().next());
        before = Some(c);
        (c, is_unsafe(c) && !is_spelling)
    })
}

/// Returns whether `c` on its own must not reach a terminal or become part of a local file name.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns `text` as one word of a POSIX shell, quoted if necessary.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%~".contains(c);
    if !text.is_empty() && !text.starts_with(['~', '-']) && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "'\\''")))
}

/// Formats a number of bytes with a binary unit and one decimal: `0 B`, `1.5 KiB`, `20.0 GiB`.
pub fn format_bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_a_shell_as_they_are() {
        for (text, word) in [
            ("/data/film.mkv", "/data/film.mkv"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
            ("~", "'~'"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn terminal_escapes_and_disguises_become_visible() {
        assert_eq!(escape("plain ñ 文.txt"), "plain ñ 文.txt");
        assert_eq!(escape("\u{1b}[2Jx"), "\\u{1b}[2Jx");
        assert_eq!(escape("a\nb\r"), "a\\nb\\r");
        assert_eq!(escape("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }

    #[test]
    fn joiners_are_spelling_between_letters_and_emoji_and_hidden_elsewhere() {
        for name in ["می\u{200c}خواهم.txt", "👩\u{200d}💻.png", "क्\u{200d}ष"] {
            assert_eq!(escape(name), name);
        }
        for (hidden, shown) in [
            ("pay\u{200d}pal", "pay\\u{200d}pal"),
            ("\u{200c}م", "\\u{200c}م"),
            ("م\u{200c}", "م\\u{200c}"),
            ("م\u{200c}\u{200c}م", "م\\u{200c}\\u{200c}م"),
            ("é\u{200d}.txt", "é\\u{200d}.txt"),
        ] {
            assert_eq!(escape(hidden), shown);
        }
    }

    #[test]
    fn sizes_read_well_at_the_borders() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (2 << 30, "2.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(format_bytes(count), text);
        }
    }
}
