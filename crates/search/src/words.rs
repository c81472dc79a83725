//! What counts as a word in a file name.
//!
//! A *run* is letters and digits without anything between; each run is a word, and so are its
//! parts: `HTTPServer2024` is `httpserver2024`, `http`, `server` and `2024`. Chinese and Japanese
//! have no spaces, so each of their characters is a part.
//!
//! Case and accents do not count: NFKD (UAX #15), combining marks left out, lower case. Names and
//! queries pass through the same function, so that whatever it does to a word it does to both.

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// The longest word, in characters; the rest of a run is passed over.
pub(crate) const WORD_MAX: usize = 64;
/// Parts of a run that count: enough for any name that people gave, few for a hexadecimal number.
pub(crate) const PARTS_MAX: usize = 16;

/// A word, and where in the text it stands.
#[derive(Debug, Default, Clone)]
pub(crate) struct Word {
    /// Folded. Never empty in what [`runs`] returns.
    pub(crate) text: String,
    /// Of each character of `text` the number of the character in the original that it is from.
    pub(crate) at: Vec<u32>,
}

impl Word {
    /// The characters of the original that the first `length` bytes of the word are from: the
    /// first of them, and the one after the last.
    pub(crate) fn range(&self, length: usize) -> (u32, u32) {
        let count = self
            .text
            .get(..length)
            .map_or(0, |text| text.chars().count());
        let first = self.at.first().copied().unwrap_or(0);
        let last = count.checked_sub(1).and_then(|last| self.at.get(last));
        (first, last.map_or(first, |last| last + 1))
    }

    fn push(&mut self, text: &str, at: u32) {
        self.text.push_str(text);
        self.at.extend(text.chars().map(|_| at));
    }
}

/// Letters and digits without anything between.
#[derive(Debug, Default, Clone)]
pub(crate) struct Run {
    /// All of it.
    pub(crate) whole: Word,
    /// What it is made of; empty if it is one piece.
    pub(crate) parts: Vec<Word>,
}

impl Run {
    /// Its parts, or all of it if it is one piece.
    pub(crate) fn pieces(&self) -> &[Word] {
        if self.parts.is_empty() {
            std::slice::from_ref(&self.whole)
        } else {
            &self.parts
        }
    }
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

/// The characters of a text as NFKD has them without combining marks, each with the number of the
/// one that it is from.
fn decomposed(text: &str) -> Vec<(u32, char)> {
    let mut out = Vec::with_capacity(text.len());
    for (at, c) in (0..).zip(text.chars()) {
        if c.is_ascii() {
            out.push((at, c));
            continue;
        }
        decompose_compatible(c, |c| {
            if canonical_combining_class(c) == 0 {
                out.push((at, c));
            }
        });
    }
    out
}

/// The runs of a text, in order.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = Run> {
    let mut characters = decomposed(text).into_iter().map(|(at, c)| (at, c, kind(c)));
    std::iter::from_fn(move || {
        loop {
            let begin = |(at, c, kind): (u32, char, Option<Kind>)| Some((at, c, kind?));
            let (at, first, kind) = characters.by_ref().find_map(begin)?;
            let mut run = Reader::default();
            run.take(at, first, kind);
            for (at, c, kind) in characters.by_ref() {
                let Some(kind) = kind else {
                    break;
                };
                run.take(at, c, kind);
            }
            let run = run.finish();
            // A few letters fold to nothing.
            if !run.whole.text.is_empty() {
                return Some(run);
            }
        }
    })
}

/// Reads one run, character by character.
#[derive(Default)]
struct Reader {
    run: Run,
    /// What the character being read folds to.
    folded: String,
    /// The part being read, where its last character begins (in bytes and in characters), and the
    /// two kinds before.
    part: Word,
    last_at: (usize, usize),
    last: Option<Kind>,
    before: Option<Kind>,
    full: bool,
}

impl Reader {
    fn take(&mut self, at: u32, c: char, kind: Kind) {
        self.folded.clear();
        fold(c, &mut self.folded);
        let length = self.run.whole.at.len() + self.folded.chars().count();
        // Once something did not fit, nothing does: a word has no holes.
        if self.full || length > WORD_MAX {
            self.full = true;
            return;
        }
        self.run.whole.push(&self.folded, at);
        match (self.last, kind) {
            (None, _) | (Some(Kind::Upper), Kind::Upper) => {}
            (Some(Kind::Upper), Kind::Lower) => {
                // The last of several capitals begins the next word: `HTTPServer`.
                if self.before == Some(Kind::Upper) {
                    let begun = Word {
                        text: self.part.text.split_off(self.last_at.0),
                        at: self.part.at.split_off(self.last_at.1),
                    };
                    self.end_part();
                    self.part = begun;
                }
            }
            (Some(last), _) if last == kind && kind != Kind::Ideograph => {}
            _ => self.end_part(),
        }
        self.last_at = (self.part.text.len(), self.part.at.len());
        self.part.push(&self.folded, at);
        self.before = self.last.replace(kind);
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if !part.text.is_empty() && self.run.parts.len() < PARTS_MAX {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for run in runs(text) {
            all.push(run.whole.text);
            all.extend(run.parts.into_iter().map(|part| part.text));
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

    #[test]
    fn a_word_knows_where_it_stands() {
        for (text, word, expected) in [
            ("a fooBar.txt", "bar", (5, 8)),
            ("Straße x", "strasse", (0, 6)),
            ("te\u{301}le\u{301} x", "tele", (0, 5)),
            ("ﬁle", "file", (0, 3)),
            ("报告2", "告", (1, 2)),
        ] {
            let all = runs(text).flat_map(|run| std::iter::once(run.whole).chain(run.parts));
            let found = all.into_iter().find(|w| w.text == word).unwrap();
            assert_eq!(found.range(word.len()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_words_within_bounds(text in any::<String>()) {
            let length = text.chars().count() as u32;
            for run in runs(&text) {
                for word in std::iter::once(run.whole).chain(run.parts) {
                    prop_assert!(!word.text.is_empty() && word.at.len() <= WORD_MAX);
                    prop_assert_eq!(word.text.chars().count(), word.at.len());
                    prop_assert!(word.at.is_sorted());
                    let (first, end) = word.range(word.text.len());
                    prop_assert!(first < end && end <= length);
                }
            }
        }

        #[test]
        fn a_word_read_again_is_itself(text in "\\PC{0,60}|[a-zA-Z0-9._/ -]{0,80}") {
            for word in words(&text) {
                let again: Vec<_> = runs(&word).map(|run| run.whole.text).collect();
                prop_assert_eq!(again, vec![word]);
            }
        }

        #[test]
        fn case_does_not_count(text in "[a-z0-9 ._-]{0,40}") {
            let whole = |text: &str| runs(text).map(|run| run.whole.text).collect::<Vec<_>>();
            prop_assert_eq!(whole(&text), whole(&text.to_uppercase()));
        }
    }
}
