//! Symbols in queries: characters other than letters, digits and blanks, such as `!!!` or emoji.
//!
//! Between words, most symbols are only separators, and users write them in different ways. So a
//! query with words must match only those of its symbols that are never separators (emoji), and a
//! query without words must match all of its symbols.

use crate::words::symbols;

/// The maximum number of consecutive symbols in an entry of the index.
pub(crate) const GRAM_MAX: usize = 3;

/// Returns all sequences of this length in a run of symbols.
pub(crate) fn grams(run: &[char], length: usize) -> impl Iterator<Item = String> {
    run.windows(length).map(|gram| gram.iter().collect())
}

/// Returns whether `c` is used as a separator of words.
fn separates(c: char) -> bool {
    c.is_ascii()
        || matches!(c, '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{206f}' | '\u{3000}'..='\u{303f}'
            | '\u{30fb}')
}

/// Returns whether `c` is a symbol that a name must have even if the query has words.
pub(crate) fn tells(c: char) -> bool {
    !separates(c) && !symbols(c.encode_utf8(&mut [0; 4])).is_empty()
}

/// Returns the symbols of a text that a name must have even if the query has words.
pub(crate) fn telling(text: &str) -> Vec<String> {
    let runs = symbols(text).into_iter();
    let characters = runs.map(|run| run.into_iter().map(|(_, c)| c).collect::<String>());
    let telling = characters.flat_map(|run| {
        let parts = run.split(separates).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    });
    telling.collect()
}

/// Returns all symbols of a text.
pub(crate) fn all(text: &str) -> Vec<String> {
    let runs = symbols(text).into_iter();
    runs.map(|run| run.into_iter().map(|(_, c)| c).collect())
        .collect()
}

/// Returns the index entries that a name must have to contain these symbols consecutively. More
/// than [`GRAM_MAX`] symbols are found by each sequence of that length.
pub(crate) fn entries(symbols: &str) -> Vec<String> {
    let run: Vec<char> = symbols.chars().collect();
    grams(&run, run.len().clamp(1, GRAM_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_tell_and_separators_only_without_words() {
        assert_eq!(telling("a-b & c.txt"), [""; 0]);
        assert_eq!(telling("🎵.txt"), ["🎵"]);
        assert_eq!(telling("x 🎵🎶! y"), ["🎵🎶"]);
        assert_eq!(all("!!! -"), ["!!!", "-"]);
        assert_eq!(entries("-"), ["-"]);
        assert_eq!(entries("!?!?"), ["!?!", "?!?"]);
        assert_eq!(entries(""), [""; 0]);
    }
}
