//! The parts of a name that match a query, for highlighting and for choosing one of several names
//! of a content.

use crate::document::exact;
use crate::query::{Alternative, Clause, Query, forgives};
use crate::words::{Run, Word, is_continuation, runs, symbols};

/// The match of a query with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// How much of the query the name contains, and how exactly; comparable within one query.
    pub quality: u32,
    /// The matching ranges of the name, each with start and exclusive end, counted in Unicode
    /// scalar values from 0. Sorted and without overlaps.
    pub ranges: Vec<[u32; 2]>,
}

/// The quality of a matching word: a typo, a prefix, or the whole word.
const QUALITY_TYPO: u32 = 1;
const QUALITY_PREFIX: u32 = 2;
const QUALITY_WHOLE: u32 = 3;
/// The quality added if the name equals the query. It exceeds all other qualities.
const QUALITY_EXACT: u32 = 1 << 16;

type Range = (u32, u32);

impl Query {
    /// Returns the matching parts of a name.
    pub fn marks(&self, name: &str) -> Marks {
        let runs: Vec<Run> = runs(name).collect();
        let mut marks = Marks::default();
        let mut ranges = Vec::new();
        for query in &self.alternatives {
            let (quality, found) = query.marks(&runs, name);
            marks.quality = marks.quality.max(quality);
            ranges.extend(found);
        }
        marks.ranges = merged(ranges, name);
        marks
    }
}

impl Alternative {
    fn marks(&self, runs: &[Run], name: &str) -> (u32, Vec<Range>) {
        let mut quality = match self.exact {
            Some(query) if query == exact(name) => QUALITY_EXACT,
            _ => 0,
        };
        let mut ranges = Vec::new();
        for clause in &self.wanted {
            let (of_clause, found) = match clause {
                Clause::Phrase(phrase) => phrase_in(runs, phrase),
                Clause::Word { run, last } => run_in(runs, run, *last),
                Clause::Symbols(symbols) => symbols_in(name, symbols),
            };
            quality += of_clause;
            ranges.extend(found);
        }
        (quality, ranges)
    }
}

fn symbols_in(name: &str, wanted: &str) -> (u32, Vec<Range>) {
    let wanted: Vec<char> = wanted.chars().collect();
    let mut ranges = Vec::new();
    for run in symbols(name) {
        for place in run.windows(wanted.len().max(1)) {
            let is_there = place.iter().map(|(_, c)| c).eq(&wanted);
            if is_there && let (Some(first), Some(last)) = (place.first(), place.last()) {
                ranges.push((first.0, last.0 + 1));
            }
        }
    }
    let quality = if ranges.is_empty() { 0 } else { QUALITY_WHOLE };
    (quality, ranges)
}

fn phrase_in(runs: &[Run], phrase: &[Run]) -> (u32, Vec<Range>) {
    let in_pieces: Vec<&Word> = runs.iter().flat_map(Run::pieces).collect();
    let wanted: Vec<&Word> = phrase.iter().flat_map(Run::pieces).collect();
    let mut found = sequences(&in_pieces, &wanted);
    if found.is_empty() {
        let whole: Vec<&Word> = runs.iter().map(|run| &run.whole).collect();
        let wanted: Vec<&Word> = phrase.iter().map(|run| &run.whole).collect();
        found = sequences(&whole, &wanted);
    }
    let quality = if found.is_empty() { 0 } else { QUALITY_WHOLE };
    (quality, found)
}

/// Returns the ranges where the words occur consecutively.
fn sequences(words: &[&Word], wanted: &[&Word]) -> Vec<Range> {
    let places = words.windows(wanted.len().max(1));
    let same = |place: &&[&Word]| place.iter().zip(wanted).all(|(a, b)| a.text == b.text);
    let ranges = places.filter(same).filter_map(|place| {
        let (first, last) = (place.first()?, place.last()?);
        Some((
            first.range(first.text.len()).0,
            last.range(last.text.len()).1,
        ))
    });
    ranges.collect()
}

fn run_in(runs: &[Run], wanted: &Run, last: bool) -> (u32, Vec<Range>) {
    let whole = word_in(runs, &wanted.whole.text, last);
    if whole.0 == QUALITY_WHOLE || wanted.parts.is_empty() {
        return whole;
    }
    let (mut worst, mut ranges) = (QUALITY_WHOLE, Vec::new());
    let in_pieces: Vec<&Word> = runs.iter().flat_map(Run::pieces).collect();
    let mut rest = wanted.parts.as_slice();
    while let Some((part, after)) = rest.split_first() {
        let together = rest.iter().take_while(|part| part.unspaced).count().max(1);
        let (characters, following) = rest.split_at(together);
        let (quality, found) = match characters {
            [_] => word_in(runs, &part.text, last && after.is_empty()),
            _ => {
                let wanted: Vec<&Word> = characters.iter().collect();
                let found = sequences(&in_pieces, &wanted);
                (if found.is_empty() { 0 } else { QUALITY_WHOLE }, found)
            }
        };
        worst = worst.min(quality);
        ranges.extend(found);
        rest = following;
    }
    if worst > whole.0 {
        (worst, ranges)
    } else {
        whole
    }
}

/// Returns the ranges of all words with the best match.
fn word_in(runs: &[Run], wanted: &str, last: bool) -> (u32, Vec<Range>) {
    let begins = last || wanted.chars().nth(1).is_some();
    let quality = |word: &Word| match () {
        () if word.text == wanted => QUALITY_WHOLE,
        () if begins && word.text.starts_with(wanted) => QUALITY_PREFIX,
        () if forgives(wanted) && within_one_edit(&word.text, wanted) => QUALITY_TYPO,
        () => 0,
    };
    let (mut best, mut ranges) = (0, Vec::new());
    for word in runs
        .iter()
        .flat_map(|run| std::iter::once(&run.whole).chain(&run.parts))
    {
        let quality = quality(word);
        if quality == 0 || quality < best {
            continue;
        }
        if quality > best {
            ranges.clear();
            best = quality;
        }
        let length = match quality {
            QUALITY_TYPO => word.text.len(),
            _ => wanted.len(),
        };
        ranges.push(word.range(length));
    }
    (best, ranges)
}

/// Returns whether two words differ by at most one insertion, deletion, substitution or swap of
/// adjacent letters (restricted Damerau-Levenshtein distance of at most 1).
fn within_one_edit(a: &str, b: &str) -> bool {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let begin = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[begin..], &b[begin..]);
    let end = a.iter().rev().zip(b.iter().rev());
    let end = end.take_while(|(a, b)| a == b).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([] | [_], [] | [_]) => true,
        ([a1, a2], [b1, b2]) => a1 == b2 && a2 == b1,
        _ => false,
    }
}

/// Sorts ranges, joins adjacent ones, and extends them over the accents of their last characters.
fn merged(mut ranges: Vec<Range>, name: &str) -> Vec<[u32; 2]> {
    ranges.sort_unstable();
    let accents: Vec<u32> = (0..)
        .zip(name.chars())
        .filter(|(_, c)| is_continuation(*c))
        .map(|(at, _)| at)
        .collect();
    let mut merged: Vec<[u32; 2]> = Vec::new();
    for (first, mut end) in ranges {
        while accents.binary_search(&end).is_ok() {
            end += 1;
        }
        match merged.last_mut() {
            Some(last) if first <= last[1] => last[1] = last[1].max(end),
            _ => merged.push([first, end]),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(query: &str, name: &str) -> String {
        let marks = Query::parse(query).unwrap().marks(name);
        let mut out = String::new();
        for (at, c) in (0..).zip(name.chars()) {
            out.extend(marks.ranges.iter().any(|r| r[0] == at).then_some('['));
            out.push(c);
            out.extend(marks.ranges.iter().any(|r| r[1] == at + 1).then_some(']'));
        }
        out
    }

    #[test]
    fn the_matching_part_is_marked() {
        for (query, expected) in [
            ("telematica", "[Telemática].pdf"),
            ("tele", "[Tele]mática.pdf"),
            ("PDF", "Telemática.[pdf]"),
            ("telematcia", "[Telemática].pdf"),
            ("tele pdf", "[Tele]mática.[pdf]"),
            ("bar", "foo[Bar]Baz.rs"),
            ("foob", "[fooB]arBaz.rs"),
            ("foobarbaz", "[fooBarBaz].rs"),
            ("foo bar", "[fooBar]Baz.rs"),
            ("report2024", "[report] [2024]"),
            ("report20", "[report] [20]24"),
            ("\"a b\"", "x [a-b] a c b"),
            ("\"b\"", "[b] bc"),
            ("노래", "한국어[노래].mp3"),
            ("노래", "[노 래]"),
            ("!!!", "a[!!!!] !!"),
            ("🎵", "x [🎵\u{fe0f}].mp3"),
            ("\"foo bar\"", "[fooBar]Baz.rs"),
            ("\"baz rs\"", "fooBar[Baz.rs]"),
            ("\"foobarbaz rs\"", "[fooBarBaz.rs]"),
            ("strasse", "[Straße]"),
            ("stras", "[Straß]e"),
            ("tele", "[te\u{301}le\u{301}]!"),
            ("告", "报[告]"),
            ("nothing", "Telemática"),
            ("", "Telemática"),
            ("-tele", "Telemática"),
            ("a", "[a] b"),
            ("a b", "[a] [b]"),
        ] {
            let name: String = expected.chars().filter(|c| !"[]".contains(*c)).collect();
            assert_eq!(shown(query, &name), expected, "{query}");
        }
    }

    #[test]
    fn one_edit_is_one_edit() {
        for (a, b, expected) in [
            ("report", "report", true),
            ("report", "reprot", true),
            ("report", "eport", true),
            ("report", "reports", true),
            ("report", "rexort", true),
            ("report", "rxxort", false),
            ("report", "perort", false),
            ("report", "repo", false),
            ("", "a", true),
            ("", "ab", false),
            ("ab", "ba", true),
        ] {
            assert_eq!(within_one_edit(a, b), expected, "{a} {b}");
            assert_eq!(within_one_edit(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_name_that_has_more_of_it_is_better() {
        let query = Query::parse("annual report").unwrap();
        let quality = |name: &str| query.marks(name).quality;
        let names = [
            "x",
            "annul",
            "annually",
            "report",
            "annual reports",
            "annual report",
        ];
        let qualities: Vec<u32> = names.map(quality).to_vec();
        assert!(qualities.is_sorted(), "{qualities:?}");
        assert!(qualities[5] > qualities[4] && qualities[1] > qualities[0]);
    }

    proptest! {
        #[test]
        fn marks_lie_in_the_name_in_order(query in "\\PC{0,40}|[a-e \"-]{0,20}", name in "\\PC{0,60}|[a-e ._é]{0,30}") {
            if let Ok(query) = Query::parse(&query) {
                let length = name.chars().count() as u32;
                let ranges = query.marks(&name).ranges;
                prop_assert!(ranges.iter().all(|r| r[0] < r[1] && r[1] <= length));
                prop_assert!(ranges.windows(2).all(|pair| pair[0][1] < pair[1][0]));
            }
        }
    }
}
