//! Relevance: how well a document matches is a level, not a statistic.
//!
//! The best are names with little else in them than the words that were asked for, then names that
//! have these words whole, then beginnings of words, then words of folders, then typos. Names are
//! too short for word frequencies to say more, and levels are what people expect. Among equals the
//! newest comes first.

use std::cell::OnceCell;

use convite_core::kind::FileType;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query as Ask};

use crate::document::type_term;
use crate::left_out::LeftOut;
use crate::query::{Clause, Query};
use crate::steps::{Dictionary, Step, Ways, any_of, with_term};

/// How well the documents of each level match, for whoever asked.
pub(crate) const SCORES: [f32; 5] = [1.0, 0.9, 0.7, 0.5, 0.3];
/// The level of names that have the words, and of everything if none were asked for.
const WHOLE: usize = 1;
/// A name with no more words than this above those that were asked for is nothing but them: an
/// extension is a word.
const WORDS_BESIDE: u64 = 1;

/// The documents of a level.
pub(crate) struct Level {
    /// Those that are in no level before.
    pub(crate) ask: Box<dyn Ask>,
    /// Those of the levels before; none if there are none.
    pub(crate) before: Option<Box<dyn Ask>>,
    /// At most so many documents are looked at to find them.
    pub(crate) cost: u64,
}

/// The levels of a query; each is worked out when it is asked for.
pub(crate) struct Levels<'a> {
    dictionary: Dictionary<'a>,
    query: &'a Query,
    file_type: Option<Term>,
    /// What each step adds, for each clause.
    added: [OnceCell<Vec<Ways>>; Step::ALL.len()],
}

impl<'a> Levels<'a> {
    pub(crate) fn new(
        dictionary: Dictionary<'a>,
        query: &'a Query,
        file_type: Option<&FileType>,
    ) -> Self {
        let field = dictionary.fields.file_type;
        let file_type = file_type.map(|t| Term::from_field_text(field, &type_term(t)));
        Self {
            dictionary,
            query,
            file_type,
            added: Default::default(),
        }
    }

    /// A level; none if nothing can be in it.
    pub(crate) fn level(&self, n: usize) -> tantivy::Result<Option<Level>> {
        if self.query.wanted.is_empty() {
            return (n == WHOLE)
                .then(|| self.any_up_to(Step::Whole))
                .transpose();
        }
        let level = match n {
            0 => self.short(true)?,
            WHOLE => self.short(false)?,
            _ => {
                let Some(step) = Step::ALL.get(n - 1).copied() else {
                    return Ok(None);
                };
                if self.added(step)?.iter().all(Ways::is_empty) {
                    return Ok(None);
                }
                let mut level = self.any_up_to(step)?;
                let before = self.any_up_to(Step::ALL[n - 2])?;
                // The unwanted are left out of both, so what is before can be left out as it is.
                level.ask = without(level.ask, vec![before.ask.box_clone()]);
                level.before = Some(before.ask);
                level
            }
        };
        Ok((level.cost > 0).then_some(level))
    }

    /// All that matches in this step or one before, in one.
    pub(crate) fn any_up_to(&self, step: Step) -> tantivy::Result<Level> {
        self.matching(step, None)
    }

    /// Names that have all words and are short, or those that are not.
    fn short(&self, is_short: bool) -> tantivy::Result<Level> {
        let field = self.dictionary.fields.length;
        let most = self.query.count as u64 + WORDS_BESIDE;
        let lengths = (0..=most).map(|length| Term::from_field_u64(field, length));
        let mut found = 0;
        let mut short = Vec::new();
        for length in lengths {
            found += self.dictionary.count(&length)?;
            short.push(with_term(length));
        }
        let short = any_of(short);
        let in_short = self.matching(Step::Whole, Some((short.box_clone(), found)))?;
        if is_short {
            return Ok(in_short);
        }
        let mut level = self.any_up_to(Step::Whole)?;
        level.ask = without(level.ask, vec![short]);
        level.before = Some(in_short.ask);
        Ok(level)
    }

    fn matching(&self, step: Step, also: Option<(Box<dyn Ask>, u64)>) -> tantivy::Result<Level> {
        let mut must: Vec<Box<dyn Ask>> = Vec::new();
        let mut cost = u64::MAX;
        for clause in 0..self.query.wanted.len() {
            let mut ways = Ways::default();
            for step in Step::ALL.into_iter().take_while(|other| *other <= step) {
                ways.and_those_of(&self.added(step)?[clause]);
            }
            must.push(ways.any());
            cost = cost.min(ways.found);
        }
        if let Some(term) = &self.file_type {
            cost = cost.min(self.dictionary.count(term)?);
            must.push(with_term(term.clone()));
        }
        if let Some((ask, found)) = also {
            cost = cost.min(found);
            must.push(ask);
        }
        if must.is_empty() {
            cost = self.dictionary.searcher.num_docs();
            must.push(Box::new(AllQuery));
        }
        let must = must.into_iter().map(|ask| (Occur::Must, ask));
        let ask: Box<dyn Ask> = Box::new(BooleanQuery::new(must.collect()));
        Ok(Level {
            ask: without(ask, self.unwanted()?),
            before: None,
            cost,
        })
    }

    fn added(&self, step: Step) -> tantivy::Result<&[Ways]> {
        let cell = &self.added[step as usize];
        if let Some(added) = cell.get() {
            return Ok(added);
        }
        let adds = |clause: &Clause| self.dictionary.adds(clause, step);
        let added = self.query.wanted.iter().map(adds);
        let added = added.collect::<tantivy::Result<Vec<_>>>()?;
        Ok(cell.get_or_init(|| added))
    }

    /// What must not be there: whole words of names and folders.
    fn unwanted(&self) -> tantivy::Result<Vec<Box<dyn Ask>>> {
        let mut unwanted = Vec::new();
        for clause in &self.query.unwanted {
            for step in [Step::Whole, Step::Folder] {
                let ways = self.dictionary.adds(clause, step)?;
                if !ways.is_empty() {
                    unwanted.push(ways.any());
                }
            }
        }
        Ok(unwanted)
    }
}

fn without(ask: Box<dyn Ask>, unwanted: Vec<Box<dyn Ask>>) -> Box<dyn Ask> {
    if unwanted.is_empty() {
        return ask;
    }
    let unwanted = unwanted
        .into_iter()
        .map(|ask| -> (Occur, Box<dyn Ask>) { (Occur::MustNot, Box::new(LeftOut(ask))) });
    Box::new(BooleanQuery::new(
        std::iter::once((Occur::Must, ask))
            .chain(unwanted)
            .collect(),
    ))
}
