//! Escaping and fitting of text for the terminal.
//!
//! All untrusted text passes through this module. Widths are terminal columns (Unicode Standard
//! Annex 11): a CJK character has two.

use convite_core::display;
use ratatui::style::Style;
use ratatui::text::Span;

const CUT: char = '…';

/// Returns the columns of escaped text.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

fn char_width(c: char) -> usize {
    width(c.encode_utf8(&mut [0; 4]))
}

/// Escapes text and fits it into `room` columns; longer text is cut at its end.
pub fn fit(text: &str, room: usize) -> String {
    let text = display::escape(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    let mut cut = prefix(text.chars(), room.saturating_sub(1));
    if room > 0 {
        cut.push(CUT);
    }
    cut
}

/// Escapes a name and fits it into `room` columns; a longer name is cut in the middle, so that its
/// extension stays visible.
pub fn fit_name(text: &str, room: usize) -> String {
    let text = display::escape(text);
    if width(&text) <= room || room < 12 {
        return fit(&text, room);
    }
    let last: String = prefix(text.chars().rev(), room / 3).chars().rev().collect();
    let mut cut = prefix(text.chars(), room - 1 - width(&last));
    cut.push(CUT);
    cut + &last
}

/// Returns the longest prefix that fits into `room` columns.
pub fn prefix(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut taken = 0;
    let fits = |c: &char| {
        taken += char_width(*c);
        taken <= room
    };
    chars.take_while(fits).collect()
}

fn blanks(text: &str, room: usize) -> String {
    " ".repeat(room.saturating_sub(width(text)))
}

/// Like [`fit`], padded with blanks at the end to exactly `room` columns.
pub fn pad_end(text: &str, room: usize) -> String {
    let text = fit(text, room);
    let blanks = blanks(&text, room);
    text + &blanks
}

/// Like [`fit_name`], padded at the end.
pub fn pad_end_name(text: &str, room: usize) -> String {
    let text = fit_name(text, room);
    let blanks = blanks(&text, room);
    text + &blanks
}

/// Like [`fit`], padded at the start.
pub fn pad_start(text: &str, room: usize) -> String {
    let text = fit(text, room);
    blanks(&text, room) + &text
}

/// Returns a name in exactly `room` columns, with the `matches` (half-open ranges of characters) in the
/// style `marked`.
pub fn marked(
    name: &str,
    matches: &[[u32; 2]],
    room: usize,
    plain: Style,
    marked: Style,
) -> Vec<Span<'static>> {
    if width(&display::escape(name)) > room {
        // A cut name has other character positions.
        return vec![Span::styled(pad_end_name(name, room), plain)];
    }
    let mut parts: Vec<(String, bool)> = Vec::new();
    let mut taken = 0;
    for (c, at) in name.chars().zip(0u32..) {
        let shown = display::escape(c.encode_utf8(&mut [0; 4])).into_owned();
        taken += width(&shown);
        let mark = matches.iter().any(|[from, to]| (*from..*to).contains(&at));
        match parts.last_mut() {
            Some((text, same)) if *same == mark => text.push_str(&shown),
            _ => parts.push((shown, mark)),
        }
    }
    parts.push((" ".repeat(room.saturating_sub(taken)), false));
    let styled = |(text, mark)| Span::styled(text, if mark { marked } else { plain });
    parts.into_iter().map(styled).collect()
}

/// Escapes text and wraps it between words into at most `lines` lines of `room` columns; the last line
/// is cut if the text is longer.
pub fn wrapped(text: &str, room: usize, lines: usize) -> Vec<String> {
    let text = display::escape(text);
    let mut out = vec![String::new()];
    for word in text.split(' ') {
        let full = out.len() >= lines;
        let Some(line) = out.last_mut() else {
            break;
        };
        if line.is_empty() {
            line.push_str(word);
        } else if full || width(line) + 1 + width(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            out.push(word.to_owned());
        }
    }
    out.iter().map(|line| fit(line, room)).collect()
}

/// Formats a number with its noun: `1 file`, `3 files`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_fitted() {
        for (text, room, shown) in [
            ("short", 10, "short     "),
            ("exactly ten", 10, "exactly t…"),
            ("文字化け", 7, "文字化…"),
            ("文字化け", 6, "文字… "),
            ("a\u{1b}[2Jb", 12, "a\\u{1b}[2Jb "),
            ("\u{202e}gpj.exe", 8, "\\u{202e…"),
            ("x", 0, ""),
            ("🎞🎞x", 3, "🎞🎞x"),
        ] {
            let fitted = pad_end(text, room);
            assert_eq!(fitted, shown);
            assert_eq!(width(&fitted), room, "{text}");
        }
        assert_eq!(pad_start("5 B", 6), "   5 B");
        let name = "a very long name of a film.mkv";
        assert_eq!(fit_name(name, 18), "a very long…lm.mkv");
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let text = "what was fetched is kept, and goes on";
        assert_eq!(
            wrapped(text, 20, 3),
            ["what was fetched is", "kept, and goes on"]
        );
        assert_eq!(wrapped(text, 10, 2), ["what was", "fetched i…"]);
        assert_eq!(wrapped("", 5, 2), [""]);
    }

    #[test]
    fn matching_parts_are_marked_in_names_with_escapes() {
        let (plain, mark) = (Style::new(), Style::new().bold());
        let spans = marked("a\u{7}film", &[[2, 6]], 12, plain, mark);
        let shown: Vec<_> = spans
            .iter()
            .map(|s| (s.content.as_ref(), s.style == mark))
            .collect();
        assert_eq!(shown, [("a\\u{7}", false), ("film", true), ("  ", false)]);
    }
}
