//! The ways in which a clause of a query can match, in four steps from the strictest on, as
//! queries of the index.
//!
//! Words are looked up in the dictionaries of the index first: what a step adds is a list of words
//! that are there, with how often they are, so that whoever asks knows what an answer will cost.

use std::collections::BTreeMap;

use tantivy::query::{
    BooleanQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery, Query as Ask, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use crate::document::Fields;
use crate::query::{Clause, forgives};
use crate::tokens::BEGINNING_MAX;
use crate::words::{Run, Word};

/// What a step adds to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Whole words of the file name.
    Whole,
    /// Beginnings of words of the file name.
    Beginning,
    /// Words of the folders it is in, and beginnings of at least three letters.
    Folder,
    /// Words of the file name with one typo.
    Typo,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Whole, Self::Beginning, Self::Folder, Self::Typo];
}

/// The most words that a beginning stands for; of more, the first in the order of the alphabet.
const BEGINNING_WORDS_MAX: usize = 2_048;
/// The most words that a typo may have been meant as.
const TYPO_WORDS_MAX: usize = 64;
/// Beginnings of folder names have at least so many letters.
const FOLDER_BEGINNING_MIN: usize = 3;
/// Up to so many words are asked for one by one, which goes along with the rest of a query; more
/// are gathered in a set of documents first.
const ONE_BY_ONE_MAX: usize = 32;

/// Ways to match: any of them will do.
#[derive(Default)]
pub(crate) struct Ways {
    asks: Vec<Box<dyn Ask>>,
    /// At most so many documents match.
    pub(crate) found: u64,
}

impl Clone for Ways {
    fn clone(&self) -> Self {
        Self {
            asks: self.asks.iter().map(|ask| ask.box_clone()).collect(),
            found: self.found,
        }
    }
}

impl Ways {
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

    /// What matches in any of these ways.
    pub(crate) fn any(&self) -> Box<dyn Ask> {
        any_of(self.asks.iter().map(|ask| ask.box_clone()).collect())
    }
}

/// What matches any of `asks`.
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

/// Documents with a term.
pub(crate) fn with_term(term: Term) -> Box<dyn Ask> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// Looks up in the dictionaries what the steps add.
pub(crate) struct Dictionary<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) searcher: &'a Searcher,
}

impl Dictionary<'_> {
    /// What `step` adds for a clause.
    pub(crate) fn adds(&self, clause: &Clause, step: Step) -> tantivy::Result<Ways> {
        let (name, folder) = (self.fields.name, self.fields.folder);
        let mut ways = Ways::default();
        match (clause, step) {
            (Clause::Phrase(phrase), Step::Whole) => self.phrase(phrase, &mut ways)?,
            (Clause::Phrase(phrase), Step::Folder) => {
                if let [run] = phrase.as_slice() {
                    self.word(folder, &run.whole, &mut ways)?;
                }
            }
            (Clause::Phrase(_), _) => {}
            (Clause::Word { run, .. }, Step::Whole) => self.whole(name, run, &mut ways)?,
            (Clause::Word { run, last }, Step::Beginning) => {
                self.beginning(run, *last, &mut ways)?;
            }
            (Clause::Word { run, .. }, Step::Folder) => {
                self.whole(folder, run, &mut ways)?;
                if run.whole.at.len() >= FOLDER_BEGINNING_MIN {
                    let words = self.words_from(folder, &run.whole.text)?;
                    self.words(folder, words, &mut ways);
                }
            }
            (Clause::Word { run, .. }, Step::Typo) => self.typo(run, &mut ways)?,
        }
        Ok(ways)
    }

    /// How many documents have a term, at most.
    pub(crate) fn count(&self, term: &Term) -> tantivy::Result<u64> {
        self.searcher.doc_freq(term)
    }

    fn word(&self, field: Field, word: &Word, ways: &mut Ways) -> tantivy::Result<()> {
        let term = Term::from_field_text(field, &word.text);
        let found = self.count(&term)?;
        ways.add(with_term(term), found);
        Ok(())
    }

    fn phrase(&self, phrase: &[Run], ways: &mut Ways) -> tantivy::Result<()> {
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

    /// The run as it is, or all of its parts.
    fn whole(&self, field: Field, run: &Run, ways: &mut Ways) -> tantivy::Result<()> {
        self.word(field, &run.whole, ways)?;
        self.all_parts(run, ways, |part, _, ways| self.word(field, part, ways))
    }

    fn beginning(&self, run: &Run, last: bool, ways: &mut Ways) -> tantivy::Result<()> {
        // A single letter is the beginning of a word only while it may still be being typed.
        let begins = |word: &Word, last: bool| last || word.at.len() > 1;
        let add = |word: &Word, ways: &mut Ways| {
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
        self.all_parts(run, ways, |part, is_last, ways| {
            if is_last && begins(part, last) {
                return add(part, ways);
            }
            self.word(self.fields.name, part, ways)
        })
    }

    fn typo(&self, run: &Run, ways: &mut Ways) -> tantivy::Result<()> {
        let add = |word: &Word, ways: &mut Ways| {
            if forgives(&word.text) {
                let words = self.words_like(&word.text)?;
                self.words(self.fields.name, words, ways);
            }
            Ok(())
        };
        add(&run.whole, ways)?;
        if run.parts.iter().any(|part| forgives(&part.text)) {
            self.all_parts(run, ways, |part, _, ways| {
                self.word(self.fields.name, part, ways)?;
                add(part, ways)
            })?;
        }
        Ok(())
    }

    /// Adds the way in which each part of a run matches in one of the ways that `each` gives.
    fn all_parts(
        &self,
        run: &Run,
        ways: &mut Ways,
        each: impl Fn(&Word, bool, &mut Ways) -> tantivy::Result<()>,
    ) -> tantivy::Result<()> {
        let (mut asks, mut found) = (Vec::new(), u64::MAX);
        for (n, part) in run.parts.iter().enumerate() {
            let mut of_part = Ways::default();
            each(part, n + 1 == run.parts.len(), &mut of_part)?;
            asks.push((Occur::Must, of_part.any()));
            found = found.min(of_part.found);
        }
        if !asks.is_empty() {
            ways.add(Box::new(BooleanQuery::new(asks)), found);
        }
        Ok(())
    }

    fn words(&self, field: Field, words: BTreeMap<Vec<u8>, u64>, ways: &mut Ways) {
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

    /// The words that begin so, each with how many documents have it.
    fn words_from(&self, field: Field, beginning: &str) -> tantivy::Result<BTreeMap<Vec<u8>, u64>> {
        // No word goes on with the last character there is, so this is after all that begin so,
        // and bytes are in the order of UTF-8.
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

    /// The words of names that are one typo away.
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
