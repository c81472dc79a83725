//! From what a person typed to what the index is asked.
//!
//! All words must match. How well one does is a step, not a statistic: the whole word in the file
//! name, the beginning of one there, the whole word in a folder, the beginning of one there. File
//! names are too short for word frequencies to say more, and steps are what people expect.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur, Query,
    RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use crate::document::{Fields, fold_extension};
use crate::words::{Run, runs};

/// Characters of a query that are read.
const CHARACTERS_MAX: usize = 4096;
/// Words of a query that count.
const WORDS_MAX: usize = 16;
/// A word that matches only by its parts scores this much of one that matches whole.
const BY_PARTS: f32 = 0.6;

const NAME_WORD: f32 = 1.0;
const NAME_PREFIX: f32 = 0.7;
const FOLDER_WORD: f32 = 0.4;
const FOLDER_PREFIX: f32 = 0.3;

/// The words of a query that count.
pub(crate) fn words(text: &str) -> Vec<Run> {
    let end = text.char_indices().nth(CHARACTERS_MAX);
    let text = end.map_or(text, |(end, _)| &text[..end]);
    let mut words: Vec<Run> = Vec::new();
    for run in runs(text) {
        if words.len() == WORDS_MAX {
            break;
        }
        if !words.contains(&run) {
            words.push(run);
        }
    }
    words
}

/// What matches all of `words` and has the extension.
pub(crate) fn build(fields: &Fields, words: &[Run], extension: Option<&str>) -> Box<dyn Query> {
    let mut clauses = Vec::new();
    for (n, run) in words.iter().enumerate() {
        let last = n + 1 == words.len();
        clauses.push(word(fields, run, last));
    }
    if let Some(extension) = extension.filter(|extension| !extension.is_empty()) {
        clauses.push(match fold_extension(extension) {
            Some(extension) => exact(fields.extension, &extension, 0.0),
            None => Box::new(EmptyQuery),
        });
    }
    if clauses.is_empty() {
        return Box::new(AllQuery);
    }
    all_of(clauses)
}

fn word(fields: &Fields, run: &Run, last: bool) -> Box<dyn Query> {
    let mut ways = ways(fields, &run.whole, 1.0, last);
    if !run.parts.is_empty() {
        let share = BY_PARTS / run.parts.len() as f32;
        let parts = run
            .parts
            .iter()
            .enumerate()
            .map(|(n, part)| -> Box<dyn Query> {
                let last = last && n + 1 == run.parts.len();
                Box::new(DisjunctionMaxQuery::new(self::ways(
                    fields, part, share, last,
                )))
            });
        ways.push(all_of(parts.collect()));
    }
    Box::new(DisjunctionMaxQuery::new(ways))
}

/// The steps for one word. A single letter is the beginning of a word only while it may still be
/// being typed.
fn ways(fields: &Fields, word: &str, share: f32, last: bool) -> Vec<Box<dyn Query>> {
    let mut ways = vec![
        exact(fields.name, word, NAME_WORD * share),
        exact(fields.folder, word, FOLDER_WORD * share),
    ];
    if last || word.chars().nth(1).is_some() {
        ways.push(prefix(fields.name, word, NAME_PREFIX * share));
        ways.push(prefix(fields.folder, word, FOLDER_PREFIX * share));
    }
    ways
}

fn all_of(clauses: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    let clauses = clauses.into_iter().map(|clause| (Occur::Must, clause));
    Box::new(BooleanQuery::new(clauses.collect()))
}

fn exact(field: Field, word: &str, score: f32) -> Box<dyn Query> {
    let term = Term::from_field_text(field, word);
    let query = TermQuery::new(term, IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(query), score))
}

fn prefix(field: Field, word: &str, score: f32) -> Box<dyn Query> {
    // No word goes on with the last character there is, so this is after all that begin with
    // `word`, and its bytes are in the order of UTF-8.
    let end = format!("{word}\u{10ffff}");
    let query = RangeQuery::new(
        Bound::Included(Term::from_field_text(field, word)),
        Bound::Excluded(Term::from_field_text(field, &end)),
    );
    Box::new(ConstScoreQuery::new(Box::new(query), score))
}
