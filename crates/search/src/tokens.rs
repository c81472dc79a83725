//! How the words of a name are handed to the index.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::words::runs;

/// Beginnings of words that have an entry of their own in the index, in characters. Longer ones
/// are looked up among the words: there are few that begin so.
pub(crate) const BEGINNING_MAX: usize = 4;

/// All words of a name. The parts of a run stand one after the other; the run itself stands where
/// its first part does and where its last does, so that it follows and is followed as they are.
#[derive(Clone, Default)]
pub(crate) struct NameWords;

impl Tokenizer for NameWords {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut words = Vec::new();
        let mut place = 0;
        for run in runs(text) {
            let last = place + run.parts.len().saturating_sub(1);
            words.push((place, run.whole.text.clone()));
            words.extend((place..).zip(run.parts.into_iter().map(|part| part.text)));
            if last > place {
                words.push((last, run.whole.text));
            }
            place = last + 1;
        }
        Tokens::new(words)
    }
}

/// The first one to [`BEGINNING_MAX`] characters of all words of a name.
#[derive(Clone, Default)]
pub(crate) struct NameBeginnings;

impl Tokenizer for NameBeginnings {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut beginnings = Vec::new();
        for (place, run) in runs(text).enumerate() {
            // The first part begins as the whole does.
            let parts = run.parts.into_iter().skip(1);
            for word in std::iter::once(run.whole).chain(parts) {
                let ends = word.text.char_indices().map(|(at, c)| at + c.len_utf8());
                let ends = ends.take(BEGINNING_MAX);
                beginnings.extend(ends.map(|end| (place, word.text[..end].to_owned())));
            }
        }
        Tokens::new(beginnings)
    }
}

/// The tokens of one name.
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
