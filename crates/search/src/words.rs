//! What counts as a word in a file name.
//!
//! A *run* is letters and digits without anything between; each run is a word, and so are its
//! parts: `HTTPServer2024` is `httpserver2024`, `http`, `server` and `2024`. Chinese and Japanese
//! have no spaces, so each of their characters is a part.
//!
//! Case and accents do not count: NFKD (UAX #15), combining marks left out, lower case. Names and
//! queries pass through the same function, so that whatever it does to a word it does to both.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// The longest word, in characters; the rest of a run is passed over.
pub(crate) const WORD_MAX: usize = 64;
/// Parts of a run that count: enough for any name that people gave, few for a hexadecimal number.
pub(crate) const PARTS_MAX: usize = 16;

/// Letters and digits without anything between.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// All of it. Never empty.
    pub(crate) whole: String,
    /// What it is made of; empty if it is one piece.
    pub(crate) parts: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upper,
    Lower,
    Digit,
    Ideograph,
}

fn kind(c: char) -> Option<Kind> {
    match c {
        '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{20000}'..='\u{3ffff}'
            if c.is_alphabetic() =>
        {
            Some(Kind::Ideograph)
        }
        _ if c.is_uppercase() => Some(Kind::Upper),
        _ if c.is_numeric() => Some(Kind::Digit),
        _ if c.is_alphabetic() => Some(Kind::Lower),
        _ => None,
    }
}

/// Appends `c` in lower case, letters that NFKD leaves whole written as people type them.
fn fold(c: char, out: &mut String) {
    for lower in c.to_lowercase() {
        match lower {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ø' => out.push('o'),
            'đ' | 'ð' => out.push('d'),
            'ł' => out.push('l'),
            'ħ' => out.push('h'),
            'ı' => out.push('i'),
            'ς' => out.push('σ'),
            _ if canonical_combining_class(lower) != 0 => {}
            _ => out.push(lower),
        }
    }
}

/// The runs of a text, in order.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = Run> {
    let mut characters = text
        .nfkd()
        .filter(|c| canonical_combining_class(*c) == 0)
        .map(|c| (c, kind(c)));
    std::iter::from_fn(move || {
        loop {
            let (first, kind) = characters.by_ref().find_map(|(c, k)| Some((c, k?)))?;
            let mut run = Reader::default();
            run.take(first, kind);
            for (c, kind) in characters.by_ref() {
                let Some(kind) = kind else {
                    break;
                };
                run.take(c, kind);
            }
            let run = run.finish();
            // A few letters fold to nothing.
            if !run.whole.is_empty() {
                return Some(run);
            }
        }
    })
}

/// Reads one run, character by character.
#[derive(Default)]
struct Reader {
    run: Run,
    length: usize,
    /// The part being read, where its last character begins, and the two kinds before.
    part: String,
    last_at: usize,
    last: Option<Kind>,
    before: Option<Kind>,
}

impl Reader {
    fn take(&mut self, c: char, kind: Kind) {
        let from = self.run.whole.len();
        fold(c, &mut self.run.whole);
        let folded = self.run.whole[from..].chars().count();
        if self.length + folded > WORD_MAX {
            self.run.whole.truncate(from);
            // Nothing fits any more.
            self.length = WORD_MAX;
            return;
        }
        self.length += folded;
        match (self.last, kind) {
            (None, _) | (Some(Kind::Upper), Kind::Upper) => {}
            (Some(Kind::Upper), Kind::Lower) => {
                // The last of several capitals begins the next word: `HTTPServer`.
                if self.before == Some(Kind::Upper) {
                    let begun = self.part.split_off(self.last_at);
                    self.end_part();
                    self.part = begun;
                }
            }
            (Some(last), _) if last == kind && kind != Kind::Ideograph => {}
            _ => self.end_part(),
        }
        self.last_at = self.part.len();
        self.part.push_str(&self.run.whole[from..]);
        self.before = self.last.replace(kind);
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if !part.is_empty() && self.run.parts.len() < PARTS_MAX {
            self.run.parts.push(part);
        }
    }

    fn finish(mut self) -> Run {
        self.end_part();
        if self.run.parts.len() == 1 {
            self.run.parts.clear();
        }
        self.run
    }
}

/// Hands the words of a name to the index.
#[derive(Clone, Default)]
pub(crate) struct NameTokenizer;

impl Tokenizer for NameTokenizer {
    type TokenStream<'a> = Words;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words {
        let mut words: Vec<String> = Vec::new();
        for run in runs(text) {
            words.push(run.whole);
            words.extend(run.parts);
        }
        Words {
            words: words.into_iter(),
            token: Token::default(),
        }
    }
}

/// The words of one name.
pub(crate) struct Words {
    words: std::vec::IntoIter<String>,
    token: Token,
}

impl TokenStream for Words {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = word;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for run in runs(text) {
            all.push(run.whole);
            all.extend(run.parts);
        }
        all
    }

    #[test]
    fn names_fall_into_the_words_that_people_search_for() {
        for (name, expected) in [
            ("Telemática", "telematica"),
            ("informe2024.pdf", "informe2024 informe 2024 pdf"),
            ("fooBar_baz-qux", "foobar foo bar baz qux"),
            ("HTTPServer2", "httpserver2 http server 2"),
            ("a.b/c d", "a b c d"),
            ("README", "readme"),
            ("iPhone", "iphone i phone"),
            ("Straße ŁÓDŹ", "strasse lodz"),
            ("te\u{301}le\u{301}", "tele"),
            ("报告2", "报告2 报 告 2"),
            ("ﬁle", "file"),
            (" .-_/*?[ ", ""),
            ("", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn long_runs_are_cut() {
        let all = words(&"a1".repeat(5000));
        assert_eq!(all.len(), 1 + PARTS_MAX);
        assert_eq!(all[0].chars().count(), WORD_MAX);
    }

    proptest! {
        #[test]
        fn any_text_gives_words_within_bounds(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && word.chars().count() <= WORD_MAX);
            }
        }

        #[test]
        fn a_word_read_again_is_itself(text in "\\PC{0,60}|[a-zA-Z0-9._/ -]{0,80}") {
            for word in words(&text) {
                let again: Vec<_> = runs(&word).map(|run| run.whole).collect();
                prop_assert_eq!(again, vec![word]);
            }
        }

        #[test]
        fn case_does_not_count(text in "[a-z0-9 ._-]{0,40}") {
            let whole = |text: &str| runs(text).map(|run| run.whole).collect::<Vec<_>>();
            prop_assert_eq!(whole(&text), whole(&text.to_uppercase()));
        }
    }
}
