//! What a person typed, taken apart.
//!
//! Words in any order, of which a name must have all; `"several words"` must follow one another;
//! `-word` and `-"several words"` must not be there. A dash inside a word is a separator like any
//! other. A quotation that is not closed goes to the end: it may still be being typed.

use convite_core::Problem;

use crate::words::{Run, runs};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1_000;
/// The most words of a query, those in quotes counted.
pub const QUERY_WORDS_MAX: usize = 32;
/// From so many letters on a typo in a word is forgiven.
const TYPO_LETTERS_MIN: usize = 5;

/// A query, taken apart.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of all of these a name must have each.
    pub(crate) wanted: Vec<Clause>,
    /// And of these none.
    pub(crate) unwanted: Vec<Clause>,
    /// How many words are wanted, those in quotes counted.
    pub(crate) count: usize,
}

/// A part of a query.
#[derive(Debug, Clone)]
pub(crate) enum Clause {
    /// A word, whole or its beginning or with a typo.
    Word {
        /// The word.
        run: Run,
        /// It is the last one, and may still be being typed.
        last: bool,
    },
    /// Runs that follow one another; never empty.
    Phrase(Vec<Run>),
}

/// Whether a typo in this word is forgiven: only letters, and enough of them. A number with
/// another digit is another number.
pub(crate) fn forgives(word: &str) -> bool {
    word.chars().nth(TYPO_LETTERS_MIN - 1).is_some() && word.chars().all(char::is_alphabetic)
}

impl Query {
    /// Takes a query apart. Without words it asks for all there is.
    ///
    /// # Errors
    /// `invalid_argument` above [`QUERY_BYTES_MAX`] bytes or [`QUERY_WORDS_MAX`] words.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > QUERY_BYTES_MAX {
            let text = format!("a query has at most {QUERY_BYTES_MAX} bytes");
            return Err(Problem::invalid(text).hint("search for a few words of the name"));
        }
        let mut query = Self::default();
        let mut words = 0;
        for piece in pieces(text) {
            let runs: Vec<Run> = runs(piece.text).collect();
            words += runs.len();
            if words > QUERY_WORDS_MAX {
                let text = format!("a query has at most {QUERY_WORDS_MAX} words");
                return Err(Problem::invalid(text).hint("search for a few words of the name"));
            }
            if runs.is_empty() {
                continue;
            }
            if piece.unwanted {
                query.unwanted.push(Clause::Phrase(runs));
                continue;
            }
            query.count += runs.len();
            if piece.quoted {
                query.wanted.push(Clause::Phrase(runs));
            } else {
                let words = runs.into_iter();
                let words = words.map(|run| Clause::Word { run, last: false });
                query.wanted.extend(words);
            }
        }
        if let Some(Clause::Word { last, .. }) = query.wanted.last_mut() {
            *last = true;
        }
        Ok(query)
    }
}

/// What stands between blanks or in quotes.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    text: &'a str,
    quoted: bool,
    unwanted: bool,
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let mut unwanted = false;
        if let Some(after) = rest.strip_prefix('-')
            && after.starts_with(|c: char| c.is_alphanumeric() || is_quote(c))
        {
            unwanted = true;
            rest = after;
        }
        let first = rest.chars().next()?;
        let quoted = is_quote(first);
        if quoted {
            rest = &rest[first.len_utf8()..];
        }
        let ends = |c: char| is_quote(c) || (!quoted && c.is_whitespace());
        let end = rest.find(ends).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        if quoted {
            rest = rest.strip_prefix(is_quote).unwrap_or(rest);
        }
        Some(Piece {
            text: piece,
            quoted,
            unwanted,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let pieces = pieces(text).map(|piece| {
            let dash = if piece.unwanted { "-" } else { "" };
            let quote = if piece.quoted { "'" } else { "" };
            format!("{dash}{quote}{}{quote}", piece.text)
        });
        pieces.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn queries_are_taken_apart_as_people_mean_them() {
        for (text, expected) in [
            ("two words", "two|words"),
            ("  blanks\t\n ", "blanks"),
            ("\"a phrase\" word", "'a phrase'|word"),
            ("\u{201c}a phrase\u{201d}", "'a phrase'"),
            ("\"being typed", "'being typed'"),
            ("word -without", "word|-without"),
            ("-\"a phrase\"", "-'a phrase'"),
            ("well-known -x-y", "well-known|-x-y"),
            ("- x", "-|x"),
            ("--x", "--x"),
            ("5\"disk", "5|'disk'"),
            ("\"\"", "''"),
            ("", ""),
            ("-", "-"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        for text in [
            "x ".repeat(QUERY_WORDS_MAX + 1),
            format!("\"{}\"", "x ".repeat(QUERY_WORDS_MAX + 1)),
            "-x ".repeat(QUERY_WORDS_MAX + 1),
            "a.".repeat(QUERY_WORDS_MAX + 1),
            "x".repeat(QUERY_BYTES_MAX + 1),
            "\"".repeat(1 << 20),
            "-".repeat(1 << 20),
        ] {
            assert!(Query::parse(&text).is_err(), "{}", &text[..8]);
        }
        for text in [
            "x ".repeat(QUERY_WORDS_MAX),
            "\"".repeat(QUERY_BYTES_MAX),
            "-".repeat(QUERY_BYTES_MAX),
            "\"-".repeat(QUERY_BYTES_MAX / 2),
        ] {
            assert!(Query::parse(&text).is_ok());
        }
    }

    #[test]
    fn only_words_of_letters_are_forgiven() {
        for (word, expected) in [
            ("report", true),
            ("ñandú", true),
            ("four", false),
            ("20241", false),
            ("a2345", false),
        ] {
            assert_eq!(forgives(word), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(text in "[ a\"\\-é.]{0,80}|\\PC{0,400}") {
            if let Ok(query) = Query::parse(&text) {
                let clauses = query.wanted.iter().chain(&query.unwanted);
                let words = clauses.map(|clause| match clause {
                    Clause::Word { .. } => 1,
                    Clause::Phrase(runs) => runs.len(),
                });
                prop_assert!(words.sum::<usize>() <= QUERY_WORDS_MAX);
            }
        }

        #[test]
        fn words_between_blanks_are_all_wanted(words in prop::collection::vec("[a-z]{1,9}", 1..20)) {
            let query = Query::parse(&words.join(" ")).unwrap();
            prop_assert_eq!((query.wanted.len(), query.count), (words.len(), words.len()));
            prop_assert!(query.unwanted.is_empty());
        }
    }
}
