//! Which parts of a name a query means: for showing them, and for choosing which of several names
//! of a content to show.

use unicode_normalization::char::canonical_combining_class;

use crate::query::{Clause, Query, forgives};
use crate::words::{Run, Word, runs};

/// What a query means of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// How much of the query is in the name, and how exactly; only the order means something.
    pub quality: u32,
    /// The matching parts of the name: from a character to before another, counted in Unicode
    /// scalar values from 0; in order, without overlaps.
    pub ranges: Vec<[u32; 2]>,
}

/// How well a word matches, from the least: nothing, a typo, a beginning, a whole word.
const TYPO: u32 = 1;
const BEGINNING: u32 = 2;
const WHOLE: u32 = 3;

type Range = (u32, u32);

impl Query {
    /// Marks the matching parts of a name.
    pub fn marks(&self, name: &str) -> Marks {
        let runs: Vec<Run> = runs(name).collect();
        let mut marks = Marks::default();
        let mut ranges = Vec::new();
        for clause in &self.wanted {
            let (quality, found) = match clause {
                Clause::Phrase(phrase) => phrase_in(&runs, phrase),
                Clause::Word { run, last } => run_in(&runs, run, *last),
            };
            marks.quality += quality;
            ranges.extend(found);
        }
        marks.ranges = merged(ranges, name);
        marks
    }
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
    let quality = if found.is_empty() { 0 } else { WHOLE };
    (quality, found)
}

/// Where the wanted words follow one another.
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
    if whole.0 == WHOLE || wanted.parts.is_empty() {
        return whole;
    }
    let (mut worst, mut ranges) = (WHOLE, Vec::new());
    for (n, part) in wanted.parts.iter().enumerate() {
        let last = last && n + 1 == wanted.parts.len();
        let (quality, found) = word_in(runs, &part.text, last);
        worst = worst.min(quality);
        ranges.extend(found);
    }
    if worst > whole.0 {
        (worst, ranges)
    } else {
        whole
    }
}

/// All places where a word matches as well as it does anywhere.
fn word_in(runs: &[Run], wanted: &str, last: bool) -> (u32, Vec<Range>) {
    let begins = last || wanted.chars().nth(1).is_some();
    let quality = |word: &Word| match () {
        () if word.text == wanted => WHOLE,
        () if begins && word.text.starts_with(wanted) => BEGINNING,
        () if forgives(wanted) && within_one_edit(&word.text, wanted) => TYPO,
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
            TYPO => word.text.len(),
            _ => wanted.len(),
        };
        ranges.push(word.range(length));
    }
    (best, ranges)
}

/// Whether two words are equal but for one letter more, less or other, or two swapped
/// (the restricted Damerau-Levenshtein distance is at most 1).
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

/// In order, joined where they touch, and with the accents that follow their last letters.
fn merged(mut ranges: Vec<Range>, name: &str) -> Vec<[u32; 2]> {
    ranges.sort_unstable();
    let accents: Vec<u32> = (0..)
        .zip(name.chars())
        .filter(|(_, c)| canonical_combining_class(*c) != 0)
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
