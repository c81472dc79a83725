//! Match stages: the queries of the index for a clause, in four stages from the strictest.
//!
//! Words are first looked up in the dictionaries of the index. A stage adds a list of existing
//! words with their document counts, so that the caller can estimate the cost of a query.

use std::collections::BTreeMap;

use tantivy::query::{
    BooleanQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery, Query as Ask, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use crate::document::Fields;
use crate::query::{Clause, forgives};
use crate::symbols;
use crate::tokens::{BEGINNING_MAX, pair};
use crate::words::{Run, Word};

/// A match stage, by what it adds to the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MatchStage {
    /// Whole words of the file name.
    Whole,
    /// Prefixes of words of the file name.
    HeaderParse,
    /// Words of the folders that contain it, and prefixes of them with at least three letters.
    Folder,
    /// Words of the file name with one typo.
    Typo,
}

impl MatchStage {
    pub(crate) const ALL: [Self; 4] = [Self::Whole, Self::HeaderParse, Self::Folder, Self::Typo];
}

/// The maximum number of words for a prefix; above it, the first in alphabetical order.
const BEGINNING_WORDS_MAX: usize = 2_048;
/// The maximum number of words for a typo.
const TYPO_WORDS_MAX: usize = 64;
/// The minimum length of a prefix of a folder word, in letters.
const FOLDER_BEGINNING_MIN: usize = 3;
/// Up to this number, words are queried individually, which can be combined with other conditions.
/// More words are first collected in a set of documents.
const ONE_BY_ONE_MAX: usize = 32;

/// Alternative queries for a clause, any of which may match.
#[derive(Default)]
pub(crate) struct Alternatives {
    asks: Vec<Box<dyn Ask>>,
    /// The maximum number of matching documents.
    pub(crate) found: u64,
}

impl Clone for Alternatives {
    fn clone(&self) -> Self {
        Self {
            asks: self.asks.iter().map(|ask| ask.box_clone()).collect(),
            found: self.found,
        }
    }
}

impl Alternatives {
    fn add(&mut self, ask: Box<dyn Ask>, found: u64) {
        if found > 0 {
            self.asks.push(ask);
            self.found += found;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    pub(crate) fn and_those_of(&mut self, other: &Self) {
        self.asks
            .extend(other.asks.iter().map(|ask| ask.box_clone()));
        self.found += other.found;
    }

    /// Returns a query for matches of any alternative.
    pub(crate) fn any(&self) -> Box<dyn Ask> {
        any_of(self.asks.iter().map(|ask| ask.box_clone()).collect())
    }
}

/// Returns a query for matches of any of `asks`.
pub(crate) fn any_of(mut asks: Vec<Box<dyn Ask>>) -> Box<dyn Ask> {
    match (asks.pop(), asks.is_empty()) {
        (None, _) => Box::new(EmptyQuery),
        (Some(only), true) => only,
        (Some(last), false) => {
            asks.push(last);
            Box::new(BooleanQuery::union(asks))
        }
    }
}

/// Returns a query for documents with a term.
pub(crate) fn with_term(term: Term) -> Box<dyn Ask> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// Looks up the words of match stages in the dictionaries of the index.
pub(crate) struct Dictionary<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) searcher: &'a Searcher,
}

impl Dictionary<'_> {
    /// Returns what `step` adds for a clause.
    pub(crate) fn adds(&self, clause: &Clause, step: MatchStage) -> tantivy::Result<Alternatives> {
        let (name, folder) = (self.fields.name, self.fields.folder);
        let mut ways = Alternatives::default();
        match (clause, step) {
            (Clause::Phrase(phrase), MatchStage::Whole) => self.phrase(phrase, &mut ways)?,
            (Clause::Phrase(phrase), MatchStage::Folder) => {
                if let [run] = phrase.as_slice() {
                    self.word(folder, &run.whole, &mut ways)?;
                }
            }
            (Clause::Symbols(symbols), MatchStage::Whole) => self.symbols(symbols, &mut ways)?,
            (Clause::Phrase(_) | Clause::Symbols(_), _) => {}
            (Clause::Word { run, .. }, MatchStage::Whole) => self.whole(name, run, &mut ways)?,
            (Clause::Word { run, last }, MatchStage::HeaderParse) => {
                self.beginning(run, *last, &mut ways)?;
            }
            (Clause::Word { run, .. }, MatchStage::Folder) => {
                self.whole(folder, run, &mut ways)?;
                if run.whole.at.len() >= FOLDER_BEGINNING_MIN {
                    let words = self.words_from(folder, &run.whole.text)?;
                    self.words(folder, words, &mut ways);
                }
            }
            (Clause::Word { run, .. }, MatchStage::Typo) => self.typo(run, &mut ways)?,
        }
        Ok(ways)
    }

    /// Returns the maximum number of documents with a term.
    pub(crate) fn count(&self, term: &Term) -> tantivy::Result<u64> {
        self.searcher.doc_freq(term)
    }

    fn word(&self, field: Field, word: &Word, ways: &mut Alternatives) -> tantivy::Result<()> {
        let term = Term::from_field_text(field, &word.text);
        let found = self.count(&term)?;
        ways.add(with_term(term), found);
        Ok(())
    }

    fn symbols(&self, text: &str, ways: &mut Alternatives) -> tantivy::Result<()> {
        let (mut asks, mut found) = (Vec::new(), u64::MAX);
        for entry in symbols::entries(text) {
            let term = Term::from_field_text(self.fields.symbol, &entry);
            found = found.min(self.count(&term)?);
            asks.push((Occur::Must, with_term(term)));
        }
        if !asks.is_empty() {
            ways.add(Box::new(BooleanQuery::new(asks)), found);
        }
        Ok(())
    }

    fn phrase(&self, phrase: &[Run], ways: &mut Alternatives) -> tantivy::Result<()> {
        if let [run] = phrase {
            self.word(self.fields.name, &run.whole, ways)?;
            if run.parts.is_empty() {
                return Ok(());
            }
        }
        let term = |word: &Word| Term::from_field_text(self.fields.name, &word.text);
        let terms: Vec<Term> = phrase.iter().flat_map(Run::pieces).map(term).collect();
        let mut found = u64::MAX;
        for term in &terms {
            found = found.min(self.count(term)?);
        }
        ways.add(Box::new(PhraseQuery::new(terms)), found);
        Ok(())
    }

    /// Adds matches of the run as a whole, or of all of its parts.
    fn whole(&self, field: Field, run: &Run, ways: &mut Alternatives) -> tantivy::Result<()> {
        self.word(field, &run.whole, ways)?;
        self.all_parts(field, run, ways, |part, _, ways| {
            self.word(field, part, ways)
        })
    }

    fn beginning(&self, run: &Run, last: bool, ways: &mut Alternatives) -> tantivy::Result<()> {
        // A single letter is a prefix only if the word may still be being typed.
        let begins = |word: &Word, last: bool| last || word.at.len() > 1;
        let add = |word: &Word, ways: &mut Alternatives| {
            if word.at.len() <= BEGINNING_MAX {
                return self.word(self.fields.beginning, word, ways);
            }
            let words = self.words_from(self.fields.name, &word.text)?;
            self.words(self.fields.name, words, ways);
            Ok(())
        };
        if begins(&run.whole, last) {
            add(&run.whole, ways)?;
        }
        self.all_parts(self.fields.name, run, ways, |part, is_last, ways| {
            if is_last && !part.unspaced && begins(part, last) {
                return add(part, ways);
            }
            self.word(self.fields.name, part, ways)
        })
    }

    fn typo(&self, run: &Run, ways: &mut Alternatives) -> tantivy::Result<()> {
        let add = |word: &Word, ways: &mut Alternatives| {
            if forgives(&word.text) {
                let words = self.words_like(&word.text)?;
                self.words(self.fields.name, words, ways);
            }
            Ok(())
        };
        add(&run.whole, ways)?;
        if run.parts.iter().any(|part| forgives(&part.text)) {
            self.all_parts(self.fields.name, run, ways, |part, _, ways| {
                self.word(self.fields.name, part, ways)?;
                add(part, ways)
            })?;
        }
        Ok(())
    }

    /// Adds matches in which every part of a run matches one of the alternatives added by `each`,
    /// and characters of unspaced scripts are consecutive as in the run.
    fn all_parts(
        &self,
        field: Field,
        run: &Run,
        ways: &mut Alternatives,
        each: impl Fn(&Word, bool, &mut Alternatives) -> tantivy::Result<()>,
    ) -> tantivy::Result<()> {
        let (mut asks, mut found) = (Vec::new(), u64::MAX);
        let mut rest = run.parts.as_slice();
        while let Some((part, after)) = rest.split_first() {
            let together = rest.iter().take_while(|part| part.unspaced).count();
            let mut of_part = Alternatives::default();
            if together < 2 {
                each(part, after.is_empty(), &mut of_part)?;
                rest = after;
            } else {
                let (characters, after) = rest.split_at(together);
                self.characters(field, characters, &mut of_part)?;
                rest = after;
            }
            asks.push((Occur::Must, of_part.any()));
            found = found.min(of_part.found);
        }
        if !asks.is_empty() {
            ways.add(Box::new(BooleanQuery::new(asks)), found);
        }
        Ok(())
    }

    /// Adds matches of consecutive characters of unspaced scripts: by position in names, by pairs
    /// in folders.
    fn characters(
        &self,
        field: Field,
        parts: &[Word],
        ways: &mut Alternatives,
    ) -> tantivy::Result<()> {
        let text = |text: &str| Term::from_field_text(field, text);
        let terms: Vec<Term> = if field == self.fields.name {
            parts.iter().map(|part| text(&part.text)).collect()
        } else {
            parts
                .windows(2)
                .filter_map(pair)
                .map(|pair| text(&pair))
                .collect()
        };
        let mut found = u64::MAX;
        for term in &terms {
            found = found.min(self.count(term)?);
        }
        let ask: Box<dyn Ask> = if field == self.fields.name {
            Box::new(PhraseQuery::new(terms))
        } else {
            let all = terms.into_iter().map(|term| (Occur::Must, with_term(term)));
            Box::new(BooleanQuery::new(all.collect()))
        };
        ways.add(ask, found);
        Ok(())
    }

    fn words(&self, field: Field, words: BTreeMap<Vec<u8>, u64>, ways: &mut Alternatives) {
        let found = words.values().sum();
        let text = |word: Vec<u8>| String::from_utf8(word).ok();
        let terms = words.into_keys().filter_map(text);
        let terms: Vec<Term> = terms
            .map(|word| Term::from_field_text(field, &word))
            .collect();
        if terms.len() <= ONE_BY_ONE_MAX {
            ways.add(any_of(terms.into_iter().map(with_term).collect()), found);
        } else {
            ways.add(Box::new(TermSetQuery::new(terms)), found);
        }
    }

    /// Returns the words with this prefix, with their document counts.
    fn words_from(&self, field: Field, beginning: &str) -> tantivy::Result<BTreeMap<Vec<u8>, u64>> {
        // No word contains the last code point, so this is after all words with the prefix. Byte
        // order is the order of UTF-8.
        let end = format!("{beginning}\u{10ffff}");
        let mut words = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let range = index.terms().range().ge(beginning).lt(&end);
            let mut stream = range.into_stream()?;
            for _ in 0..BEGINNING_WORDS_MAX {
                let Some((word, info)) = stream.next() else {
                    break;
                };
                *words.entry(word.to_vec()).or_insert(0) += u64::from(info.doc_freq);
            }
        }
        while words.len() > BEGINNING_WORDS_MAX {
            words.pop_last();
        }
        Ok(words)
    }

    /// Returns the words of names that differ by one typo.
    fn words_like(&self, word: &str) -> tantivy::Result<BTreeMap<Vec<u8>, u64>> {
        let term = Term::from_field_text(self.fields.name, word);
        let automaton = FuzzyTermQuery::new(term, 1, true).automaton()?;
        let mut words = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.name)?;
            let mut stream = index.terms().search(&automaton).into_stream()?;
            while words.len() < TYPO_WORDS_MAX
                && let Some((like, info)) = stream.next()
            {
                if like != word.as_bytes() {
                    *words.entry(like.to_vec()).or_insert(0) += u64::from(info.doc_freq);
                }
            }
        }
        Ok(words)
    }
}
