//! Splitting of file names into words.
//!
//! A *run* is a sequence of letters and digits. Each run is a word, and so are its parts:
//! `HTTPServer2024` gives `httpserver2024`, `http`, `server` and `2024`. In scripts written without
//! spaces ([`is_unspaced`]) each character is a part, and a query matches consecutive parts, so any
//! section of such a run can be found.
//!
//! Case, accents and invisible characters are ignored: NFKD (UAX #15) with recomposed Hangul,
//! without combining marks and default ignorable characters, in lower case. Names and queries pass
//! through the same function, so they are always folded in the same way.

use unicode_normalization::char::{
    canonical_combining_class, compose, decompose_compatible, is_combining_mark,
};

/// The maximum length of a run, in characters; the rest is a new run.
pub(crate) const WORD_MAX: usize = 64;
/// The maximum number of parts of a run, not counting characters of unspaced scripts: enough for
/// names given by people, few for a hexadecimal number.
pub(crate) const PARTS_MAX: usize = 16;

/// A word and its position in the text.
#[derive(Debug, Default, Clone)]
pub(crate) struct Word {
    /// Folded text. Never empty in the output of [`runs`].
    pub(crate) text: String,
    /// For each character of `text`, the index of the original character.
    pub(crate) at: Vec<u32>,
    /// Whether it is one character of an unspaced script.
    pub(crate) unspaced: bool,
}

impl Word {
    /// Returns the range of original characters (start and exclusive end) for the first `length`
    /// bytes of the word.
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

/// A sequence of letters and digits.
#[derive(Debug, Default, Clone)]
pub(crate) struct Run {
    /// The whole run.
    pub(crate) whole: Word,
    /// Its parts; empty if there is only one.
    pub(crate) parts: Vec<Word>,
}

impl Run {
    /// Returns the parts, or the whole run if it is one piece.
    pub(crate) fn pieces(&self) -> &[Word] {
        if self.parts.is_empty() {
            std::slice::from_ref(&self.whole)
        } else {
            &self.parts
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CharKind {
    Upper,
    Lower,
    Digit,
    Unspaced,
}

/// Returns whether the script of `c` does not separate words by spaces, or joins them with
/// particles, so that only sections of a run can be searched for. Based on the default blocks of
/// each script.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        // Thai, Lao, Tibetan, Myanmar.
        '\u{e00}'..='\u{109f}'
        // Hangul.
        | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
        // Khmer; Tai Le, New Tai Lue, Khmer symbols; Tai Tham; Balinese.
        | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19ff}' | '\u{1a20}'..='\u{1aaf}'
        | '\u{1b00}'..='\u{1b7f}'
        // Kana, Bopomofo, iteration marks, Han, Yi.
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{318f}'
        | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}'
        | '\u{f900}'..='\u{faff}'
        // Javanese; Myanmar extended; Tai Viet.
        | '\u{a980}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}'
        // Tangut, Khitan, kana supplements, Nushu; Han beyond the first plane.
        | '\u{16fe0}'..='\u{18dff}' | '\u{1aff0}'..='\u{1b2ff}' | '\u{20000}'..='\u{3ffff}')
}

fn kind(c: char) -> Option<CharKind> {
    match c {
        _ if c.is_alphabetic() && is_unspaced(c) => Some(CharKind::Unspaced),
        _ if c.is_uppercase() => Some(CharKind::Upper),
        _ if c.is_numeric() => Some(CharKind::Digit),
        _ if c.is_alphabetic() => Some(CharKind::Lower),
        _ => None,
    }
}

/// Appends `c` in lower case. Letters that NFKD does not decompose are replaced by what users type.
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

/// Returns whether `c` is invisible (Unicode's Default_Ignorable_Code_Point: joiners, soft hyphens,
/// direction and variation marks) or only stretches a line (tatweel).
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a mark can be omitted from its letter. Vowel signs cannot.
fn is_accent(c: char) -> bool {
    canonical_combining_class(c) != 0 || (is_combining_mark(c) && !c.is_alphabetic())
}

/// Returns whether `c` belongs to the preceding character: an accent, a joiner, or the rest of a
/// Hangul syllable.
pub(crate) fn is_continuation(c: char) -> bool {
    is_ignorable(c)
        || is_accent(c)
        || matches!(c, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}')
}

/// Returns the significant characters of a text, each with the index of its original character.
pub(crate) fn decompose(text: &str) -> Vec<(u32, char)> {
    let mut out: Vec<(u32, char)> = Vec::with_capacity(text.len());
    for (at, c) in (0..).zip(text.chars()) {
        if c.is_ascii() {
            out.push((at, c));
            continue;
        }
        decompose_compatible(c, |c| {
            if is_ignorable(c) || is_accent(c) {
                return;
            }
            // Accents are removed, so only Hangul syllables compose.
            let before = out.last().map(|(_, before)| *before);
            match before.and_then(|before| compose(before, c)) {
                Some(syllable) if is_unspaced(syllable) => {
                    if let Some(last) = out.last_mut() {
                        last.1 = syllable;
                    }
                }
                _ => out.push((at, c)),
            }
        });
    }
    out
}

/// Folds a whole text for comparison. Texts that differ only in case, accents or invisible
/// characters give the same result.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (_, c) in decompose(text.trim()) {
        fold(c, &mut out);
    }
    if out.is_empty() { text.to_owned() } else { out }
}

/// Returns the sequences of symbols without letters, digits or blanks in between. Each symbol has
/// the index of its original character.
pub(crate) fn symbols(text: &str) -> Vec<Vec<(u32, char)>> {
    let mut runs: Vec<Vec<(u32, char)>> = Vec::new();
    let mut begun = false;
    for (at, c) in decompose(text) {
        if kind(c).is_some() || c.is_whitespace() {
            begun = false;
            continue;
        }
        match runs.last_mut().filter(|_| begun) {
            Some(run) => run.push((at, c)),
            None => runs.push(vec![(at, c)]),
        }
        begun = true;
    }
    runs
}

/// Returns the runs of a text, in order.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = Run> {
    let characters = decompose(text).into_iter().map(|(at, c)| (at, c, kind(c)));
    let mut characters = characters.peekable();
    std::iter::from_fn(move || {
        loop {
            let begin = |(at, c, kind): (u32, char, Option<CharKind>)| Some((at, c, kind?));
            let (at, first, kind) = characters.by_ref().find_map(begin)?;
            let mut run = RunReader::default();
            run.take(at, first, kind);
            // A character that does not fit starts the next run.
            while let Some((at, c, Some(kind))) = characters.peek().copied() {
                if !run.take(at, c, kind) {
                    break;
                }
                characters.next();
            }
            let run = run.finish();
            // Some letters fold to nothing.
            if !run.whole.text.is_empty() {
                return Some(run);
            }
        }
    })
}

/// Reads a run character by character.
#[derive(Default)]
struct RunReader {
    run: Run,
    /// Folded form of the current character.
    folded: String,
    /// The current part, the start of its last character (in bytes and in characters), and the
    /// kinds of the last two characters.
    part: Word,
    last_at: (usize, usize),
    last: Option<CharKind>,
    before: Option<CharKind>,
    /// Number of parts that are not of an unspaced script.
    spaced: usize,
}

impl RunReader {
    /// Adds a character. Returns false if the run is full.
    fn take(&mut self, at: u32, c: char, kind: CharKind) -> bool {
        self.folded.clear();
        fold(c, &mut self.folded);
        let length = self.run.whole.at.len() + self.folded.chars().count();
        if length > WORD_MAX {
            return false;
        }
        self.run.whole.push(&self.folded, at);
        match (self.last, kind) {
            (None, _) | (Some(CharKind::Upper), CharKind::Upper) => {}
            (Some(CharKind::Upper), CharKind::Lower) => {
                // The last of several capitals starts the next word: `HTTPServer`.
                if self.before == Some(CharKind::Upper) {
                    let begun = Word {
                        text: self.part.text.split_off(self.last_at.0),
                        at: self.part.at.split_off(self.last_at.1),
                        unspaced: false,
                    };
                    self.end_part();
                    self.part = begun;
                }
            }
            (Some(last), _) if last == kind && kind != CharKind::Unspaced => {}
            _ => self.end_part(),
        }
        self.last_at = (self.part.text.len(), self.part.at.len());
        self.part.push(&self.folded, at);
        self.part.unspaced = kind == CharKind::Unspaced;
        self.before = self.last.replace(kind);
        true
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if part.text.is_empty() || (!part.unspaced && self.spaced == PARTS_MAX) {
            return;
        }
        self.spaced += usize::from(!part.unspaced);
        self.run.parts.push(part);
    }

    fn finish(mut self) -> Run {
        self.end_part();
        if let [only] = self.run.parts.as_slice() {
            self.run.whole.unspaced = only.unspaced;
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
            ("한국어노래", "한국어노래 한 국 어 노 래"),
            // The same text, decomposed as some file systems do.
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("เพลง", "เพลง เ พ ล ง"),
            // Tatweel, a joiner, a soft hyphen, a variation mark.
            ("كتـــاب", "كتاب"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("Donau\u{ad}dampf", "donaudampf"),
            ("a\u{fe0f}b", "ab"),
            ("ﬁle", "file"),
            (" .-_/*?[ ", ""),
            ("", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn long_runs_become_several() {
        let all = words(&"a1".repeat(WORD_MAX));
        assert_eq!(all.len(), 2 * (1 + PARTS_MAX));
        assert_eq!(all[0].chars().count(), WORD_MAX);
        // In an unspaced script no characters are dropped.
        assert_eq!(words(&"歌".repeat(2 * WORD_MAX)).len(), 2 * (1 + WORD_MAX));
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
