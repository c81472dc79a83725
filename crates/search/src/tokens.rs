//! Tokenizers of the index.

use std::collections::BTreeSet;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::symbols::{GRAM_MAX, grams};
use crate::words::{Run, Word, runs, symbols};

/// The maximum length of prefixes with an entry in the index, in characters. Longer prefixes are
/// looked up in the dictionary, where few words have them.
pub(crate) const BEGINNING_MAX: usize = 4;

/// Tokenizes a name into all of its words. The parts of a run have consecutive positions. The run
/// itself is at the positions of its first and of its last part, so that phrases with its
/// neighbours match.
#[derive(Clone, Default)]
pub(crate) struct NameWords;

impl Tokenizer for NameWords {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut words = Vec::new();
        let mut place = 0;
        for run in runs(text) {
            place = push(run, place, &mut words);
        }
        Tokens::new(words)
    }
}

/// Appends the words of a run at position `place`. Returns the position after it.
fn push(run: Run, place: usize, words: &mut Vec<(usize, String)>) -> usize {
    let last = place + run.parts.len().saturating_sub(1);
    words.push((place, run.whole.text.clone()));
    words.extend((place..).zip(run.parts.into_iter().map(|part| part.text)));
    if last > place {
        words.push((last, run.whole.text));
    }
    last + 1
}

/// Tokenizes the path of a folder into all of its words, and pairs of consecutive characters of
/// unspaced scripts, because folders are indexed without positions.
#[derive(Clone, Default)]
pub(crate) struct FolderWords;

impl Tokenizer for FolderWords {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut words = Vec::new();
        let mut place = 0;
        for run in runs(text) {
            let pairs = run.parts.windows(2).filter_map(pair);
            words.extend(pairs.map(|pair| (place, pair)));
            place = push(run, place, &mut words);
        }
        Tokens::new(words)
    }
}

/// Returns two parts as one token if both are characters of unspaced scripts.
pub(crate) fn pair(parts: &[Word]) -> Option<String> {
    match parts {
        [a, b] if a.unspaced && b.unspaced => Some(format!("{}{}", a.text, b.text)),
        _ => None,
    }
}

/// Tokenizes the symbols of a name: each one, and sequences of up to [`GRAM_MAX`].
#[derive(Clone, Default)]
pub(crate) struct NameSymbols;

impl Tokenizer for NameSymbols {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut all = BTreeSet::new();
        for run in symbols(text) {
            let run: Vec<char> = run.into_iter().map(|(_, c)| c).collect();
            all.extend((1..=GRAM_MAX).flat_map(|length| grams(&run, length)));
        }
        Tokens::new(all.into_iter().map(|gram| (0, gram)).collect())
    }
}

/// Tokenizes the words of a name into their prefixes of up to [`BEGINNING_MAX`] characters, except
/// in unspaced scripts, where each character is already a word.
#[derive(Clone, Default)]
pub(crate) struct NameBeginnings;

impl Tokenizer for NameBeginnings {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut beginnings = Vec::new();
        for (place, run) in runs(text).enumerate() {
            let is_unspaced = run.parts.first().unwrap_or(&run.whole).unspaced;
            // The prefixes of the first part are those of the whole.
            let parts = run.parts.into_iter().skip(1);
            let whole = (!is_unspaced).then_some(run.whole);
            let parts = parts.filter(|part| !part.unspaced);
            for word in whole.into_iter().chain(parts) {
                let ends = word.text.char_indices().map(|(at, c)| at + c.len_utf8());
                let ends = ends.take(BEGINNING_MAX);
                beginnings.extend(ends.map(|end| (place, word.text[..end].to_owned())));
            }
        }
        Tokens::new(beginnings)
    }
}

/// The tokens of a name.
pub(crate) struct Tokens {
    tokens: std::vec::IntoIter<(usize, String)>,
    token: Token,
}

impl Tokens {
    fn new(tokens: Vec<(usize, String)>) -> Self {
        Self {
            tokens: tokens.into_iter(),
            token: Token::default(),
        }
    }
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        let Some((place, text)) = self.tokens.next() else {
            return false;
        };
        self.token.position = place;
        self.token.text = text;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
