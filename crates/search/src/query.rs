//! Parsing of search queries.
//!
//! Words may be in any order, and a name must have all of them. `"several words"` must occur
//! consecutively. `-word` and `-"several words"` must not occur. A dash inside a word is a
//! separator. An unclosed quotation extends to the end, because it may still be being typed. For
//! symbols see [`crate::symbols`].

use convite_core::Problem;

use crate::document::exact;
use crate::symbols;
use crate::words::{Run, runs};

/// The maximum length of a query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1_000;
/// The maximum number of words of a query, including those in quotes.
pub const QUERY_WORDS_MAX: usize = 128;
/// The maximum number of alternative queries.
pub const QUERIES_MAX: usize = 16;
/// Above this number of words no typos are tolerated, because the query is probably a pasted name.
const TYPO_WORDS_MAX: usize = 32;
/// The minimum number of letters of a word in which a typo is tolerated.
const TYPO_LETTERS_MIN: usize = 5;

/// One or more parsed queries.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The alternatives, any of which may match. Never empty after parsing.
    pub(crate) alternatives: Vec<Alternative>,
}

/// A parsed query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alternative {
    /// Clauses that must all match.
    pub(crate) wanted: Vec<Clause>,
    /// Clauses of which none may match.
    pub(crate) unwanted: Vec<Clause>,
    /// Number of words that must match, including those in quotes.
    pub(crate) count: usize,
    /// Hash of the whole query for comparison with names and paths: [`exact`].
    pub(crate) exact: Option<u64>,
}

/// A clause of a query.
#[derive(Debug, Clone)]
pub(crate) enum Clause {
    /// A word, which may match as a whole, by prefix, or with a typo.
    Word {
        /// The word.
        run: Run,
        /// Whether it is the last word, which may still be being typed.
        last: bool,
    },
    /// Consecutive runs; never empty.
    Phrase(Vec<Run>),
    /// Consecutive symbols; the empty text matches nothing.
    Symbols(String),
}

/// Returns whether a typo in this word is tolerated: only if it has letters alone, and enough of
/// them. A number with another digit is another number.
pub(crate) fn forgives(word: &str) -> bool {
    word.chars().nth(TYPO_LETTERS_MIN - 1).is_some() && word.chars().all(char::is_alphabetic)
}

impl Query {
    /// Parses a query. A blank query matches all documents.
    ///
    /// # Errors
    /// Returns `invalid_argument` above [`QUERY_BYTES_MAX`] bytes or [`QUERY_WORDS_MAX`] words.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        Self::any([text])
    }

    /// Parses alternative queries, any of which may match. Blank ones are ignored if there are
    /// others.
    ///
    /// # Errors
    /// As [`Self::parse`] for all of them together, and above `QUERIES_MAX` queries.
    pub fn any<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let texts: Vec<&str> = texts.into_iter().collect();
        if texts.iter().map(|text| text.len()).sum::<usize>() > QUERY_BYTES_MAX {
            return Err(too_long(format!(
                "a query has at most {QUERY_BYTES_MAX} bytes"
            )));
        }
        if texts.len() > QUERIES_MAX {
            return Err(too_long(format!("at most {QUERIES_MAX} queries at once")));
        }
        let mut alternatives = Vec::new();
        let mut words = 0;
        for text in texts {
            alternatives.extend(Alternative::read(text, &mut words)?);
        }
        if alternatives.is_empty() {
            alternatives.push(Alternative::default());
        }
        Ok(Self { alternatives })
    }
}

fn too_long(text: String) -> Problem {
    Problem::invalid(text).hint("use only a few words of the name")
}

impl Alternative {
    /// Parses a query and adds its words to the count. Returns `None` if it is blank.
    fn read(text: &str, words: &mut usize) -> Result<Option<Self>, Problem> {
        let mut query = Self::default();
        let mut symbols = Vec::new();
        for piece in pieces(text) {
            let runs: Vec<Run> = runs(piece.text).collect();
            *words += runs.len();
            if *words > QUERY_WORDS_MAX {
                return Err(too_long(format!(
                    "a query has at most {QUERY_WORDS_MAX} words"
                )));
            }
            let telling = symbols::telling(piece.text).into_iter();
            let telling = telling.map(Clause::Symbols);
            if piece.unwanted {
                query.unwanted.extend(telling);
                if !runs.is_empty() {
                    query.unwanted.push(Clause::Phrase(runs));
                }
                continue;
            }
            symbols.extend(telling);
            if runs.is_empty() {
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
        if query.wanted.is_empty() && query.unwanted.is_empty() {
            if text.trim().is_empty() {
                return Ok(None);
            }
            symbols = only_symbols(text);
        }
        query.wanted.splice(..0, symbols);
        query.exact = (!text.trim().is_empty()).then(|| exact(text));
        Ok(Some(query))
    }

    /// Returns whether typos are tolerated.
    pub(crate) fn forgives(&self) -> bool {
        self.count <= TYPO_WORDS_MAX
    }
}

/// Returns the clauses of a query without words: its symbols, including quotes if there is nothing
/// else. Text that cannot be searched for matches nothing, instead of counting as a blank query.
fn only_symbols(text: &str) -> Vec<Clause> {
    let pieces = pieces(text).flat_map(|piece| symbols::all(piece.text));
    let mut found: Vec<String> = pieces.collect();
    if found.is_empty() {
        found = symbols::all(text);
    }
    if found.is_empty() {
        found.push(String::new());
    }
    found.into_iter().map(Clause::Symbols).collect()
}

/// A part of a query between blanks or in quotes.
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
            && (after.starts_with(|c: char| c.is_alphanumeric() || is_quote(c))
                || after.chars().next().is_some_and(symbols::tells))
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
                let clauses = query.alternatives.iter();
                let clauses = clauses.flat_map(|one| one.wanted.iter().chain(&one.unwanted));
                let words = clauses.map(|clause| match clause {
                    Clause::Symbols(_) => 0,
                    Clause::Word { .. } => 1,
                    Clause::Phrase(runs) => runs.len(),
                });
                prop_assert!(words.sum::<usize>() <= QUERY_WORDS_MAX);
            }
        }

        #[test]
        fn words_between_blanks_are_all_wanted(words in prop::collection::vec("[a-z]{1,9}", 1..20)) {
            let query = Query::parse(&words.join(" ")).unwrap().alternatives.remove(0);
            prop_assert_eq!((query.wanted.len(), query.count), (words.len(), words.len()));
            prop_assert!(query.unwanted.is_empty());
        }
    }
}
