//! Ranking by levels instead of statistics.
//!
//! The best level has names that equal the query. Then come names with few other words, names with
//! the whole words, prefixes of words, words of folders, and typos. Of two entries that match by
//! words of folders, one with at least one word in its own name comes first: so a folder precedes
//! the files inside of it that only its path matches. Names are too short for word frequencies to
//! add information, and levels give the order that users expect. Within a level the newest comes
//! first.

use std::cell::OnceCell;

use convite_core::file_kind::FileType;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query as Ask};

use crate::document::type_term;
use crate::excluded::Excluded;
use crate::query::{Alternative, Clause, Query};
use crate::stages::{Alternatives, Dictionary, MatchStage, any_of, with_term};

/// The scores of the levels in search results.
pub(crate) const SCORES: [f32; 7] = [1.0, 0.95, 0.9, 0.7, 0.55, 0.5, 0.3];
/// The level of names that equal the query.
const LEVEL_EXACT: usize = 0;
/// The level of names with few other words.
const LEVEL_SHORT: usize = 1;
/// The level of names with the whole words, and of all names if the query has no words.
const LEVEL_WHOLE: usize = 2;
/// The level of names with the prefixes of words.
const LEVEL_PREFIX: usize = 3;
/// The level of matches by folders with at least one word in the name.
const LEVEL_NAME_IN_FOLDER: usize = 4;
/// The level of other matches by folders.
const LEVEL_FOLDER: usize = 5;
/// The level of names with typos.
const LEVEL_TYPO: usize = 6;
/// The maximum number of other words in a name of level [`LEVEL_SHORT`]. An extension is a word.
const OTHER_WORDS_MAX: u64 = 1;

/// The documents of a level.
pub(crate) struct RankLevel {
    /// Matches documents that are in no previous level.
    pub(crate) ask: Box<dyn Ask>,
    /// Matches the documents of the previous levels, if any.
    pub(crate) before: Option<Box<dyn Ask>>,
    /// The maximum number of documents to examine.
    pub(crate) cost: u64,
}

/// A query and the maximum number of documents to examine for it.
type Found = (Box<dyn Ask>, u64);

/// The levels of a query. Each is computed on demand.
pub(crate) struct Ranking<'a> {
    each: Vec<AlternativeLevels<'a>>,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(
        dictionary: &'a Dictionary<'a>,
        query: &'a Query,
        file_type: Option<&FileType>,
    ) -> Self {
        let field = dictionary.fields.file_type;
        let file_type = file_type.map(|t| Term::from_field_text(field, &type_term(t)));
        let each = query.alternatives.iter().map(|query| AlternativeLevels {
            dictionary,
            query,
            file_type: file_type.clone(),
            added: Default::default(),
        });
        Self {
            each: each.collect(),
        }
    }

    /// Returns a level, or `None` if it is empty.
    pub(crate) fn level(&self, n: usize) -> tantivy::Result<Option<RankLevel>> {
        let (mut asks, mut before, mut cost) = (Vec::new(), Vec::new(), 0);
        for one in &self.each {
            if let Some((ask, found)) = one.down_to(n)? {
                asks.push(ask);
                cost += found;
            }
            before.extend(one.before(n)?);
        }
        if asks.is_empty() || cost == 0 {
            return Ok(None);
        }
        let (mut ask, before) = (any_of(asks), (!before.is_empty()).then(|| any_of(before)));
        if let Some(before) = &before {
            ask = excluding(ask, vec![before.box_clone()]);
        }
        Ok(Some(RankLevel { ask, before, cost }))
    }

    /// Returns a query for all matches of the match stages up to `step`.
    pub(crate) fn any_up_to(&self, step: MatchStage) -> tantivy::Result<Box<dyn Ask>> {
        let mut asks = Vec::new();
        for one in &self.each {
            asks.push(one.any_up_to(step)?.0);
            asks.extend(one.exact()?.map(|(ask, _)| ask));
        }
        Ok(any_of(asks))
    }
}

/// The levels of one alternative.
struct AlternativeLevels<'a> {
    dictionary: &'a Dictionary<'a>,
    query: &'a Alternative,
    file_type: Option<Term>,
    /// What each match stage adds, for each clause.
    added: [OnceCell<Vec<Alternatives>>; MatchStage::ALL.len()],
}

impl AlternativeLevels<'_> {
    /// Returns the documents of a level, possibly with some of the previous ones, or `None` if it
    /// adds nothing.
    fn down_to(&self, n: usize) -> tantivy::Result<Option<Found>> {
        if self.query.wanted.is_empty() && n > LEVEL_EXACT {
            return (n == LEVEL_WHOLE)
                .then(|| self.any_up_to(MatchStage::Whole))
                .transpose();
        }
        let found = match n {
            LEVEL_EXACT => return self.exact(),
            LEVEL_SHORT => self.short()?,
            LEVEL_WHOLE => self.any_up_to(MatchStage::Whole)?,
            _ => {
                let step = match n {
                    LEVEL_PREFIX => MatchStage::HeaderParse,
                    LEVEL_NAME_IN_FOLDER | LEVEL_FOLDER => MatchStage::Folder,
                    LEVEL_TYPO => MatchStage::Typo,
                    _ => return Ok(None),
                };
                if self.added(step)?.iter().all(Alternatives::is_empty) {
                    return Ok(None);
                }
                if n == LEVEL_NAME_IN_FOLDER {
                    return self.name_in_folder();
                }
                self.any_up_to(step)?
            }
        };
        Ok((found.1 > 0).then_some(found))
    }

    /// Returns queries for the levels before this one.
    fn before(&self, n: usize) -> tantivy::Result<Vec<Box<dyn Ask>>> {
        let mut before = Vec::new();
        if n > LEVEL_EXACT {
            before.extend(self.exact()?.map(|(ask, _)| ask));
        }
        let step = match n {
            LEVEL_WHOLE if !self.query.wanted.is_empty() => {
                before.push(self.short()?.0);
                None
            }
            LEVEL_PREFIX => Some(MatchStage::Whole),
            LEVEL_NAME_IN_FOLDER => Some(MatchStage::HeaderParse),
            LEVEL_FOLDER => {
                before.extend(self.name_in_folder()?.map(|(ask, _)| ask));
                Some(MatchStage::HeaderParse)
            }
            LEVEL_TYPO => Some(MatchStage::Folder),
            _ => None,
        };
        if let Some(step) = step {
            before.push(self.any_up_to(step)?.0);
        }
        Ok(before)
    }

    /// Returns the matches by folders with at least one word in the name, or `None` if a single
    /// word is wanted, which is then in the name of a previous level.
    fn name_in_folder(&self) -> tantivy::Result<Option<Found>> {
        if self.query.wanted.len() < 2 {
            return Ok(None);
        }
        let mut in_name = Alternatives::default();
        for step in [MatchStage::Whole, MatchStage::HeaderParse] {
            for of_clause in self.added(step)? {
                in_name.and_those_of(of_clause);
            }
        }
        let found = self.matching(MatchStage::Folder, Some((in_name.any(), in_name.found)))?;
        Ok((found.1 > 0).then_some(found))
    }

    /// Returns the names and paths that equal the query.
    fn exact(&self) -> tantivy::Result<Option<Found>> {
        let Some(exact) = self.query.exact else {
            return Ok(None);
        };
        let term = Term::from_field_u64(self.dictionary.fields.exact, exact);
        let found = self.dictionary.count(&term)?;
        if found == 0 {
            return Ok(None);
        }
        let mut must = vec![(Occur::Must, with_term(term))];
        if let Some(term) = &self.file_type {
            must.push((Occur::Must, with_term(term.clone())));
        }
        Ok(Some((Box::new(BooleanQuery::new(must)), found)))
    }

    fn any_up_to(&self, step: MatchStage) -> tantivy::Result<Found> {
        self.matching(step, None)
    }

    /// Returns the short names that have all words.
    fn short(&self) -> tantivy::Result<Found> {
        let field = self.dictionary.fields.length;
        let most = self.query.count as u64 + OTHER_WORDS_MAX;
        let lengths = (0..=most).map(|length| Term::from_field_u64(field, length));
        let mut found = 0;
        let mut short = Vec::new();
        for length in lengths {
            found += self.dictionary.count(&length)?;
            short.push(with_term(length));
        }
        self.matching(MatchStage::Whole, Some((any_of(short), found)))
    }

    fn matching(&self, step: MatchStage, also: Option<Found>) -> tantivy::Result<Found> {
        let mut must: Vec<Box<dyn Ask>> = Vec::new();
        let mut cost = u64::MAX;
        for clause in 0..self.query.wanted.len() {
            let mut ways = Alternatives::default();
            for step in MatchStage::ALL
                .into_iter()
                .take_while(|other| *other <= step)
            {
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
        Ok((excluding(ask, self.unwanted()?), cost))
    }

    fn added(&self, step: MatchStage) -> tantivy::Result<&[Alternatives]> {
        let cell = &self.added[step as usize];
        if let Some(added) = cell.get() {
            return Ok(added);
        }
        let is_forgiven = step != MatchStage::Typo || self.query.forgives();
        let adds = |clause: &Clause| {
            if is_forgiven {
                self.dictionary.adds(clause, step)
            } else {
                Ok(Alternatives::default())
            }
        };
        let added = self.query.wanted.iter().map(adds);
        let added = added.collect::<tantivy::Result<Vec<_>>>()?;
        Ok(cell.get_or_init(|| added))
    }

    /// Returns queries for the excluded words: whole words of names and folders.
    fn unwanted(&self) -> tantivy::Result<Vec<Box<dyn Ask>>> {
        let mut unwanted = Vec::new();
        for clause in &self.query.unwanted {
            for step in [MatchStage::Whole, MatchStage::Folder] {
                let ways = self.dictionary.adds(clause, step)?;
                if !ways.is_empty() {
                    unwanted.push(ways.any());
                }
            }
        }
        Ok(unwanted)
    }
}

fn excluding(ask: Box<dyn Ask>, unwanted: Vec<Box<dyn Ask>>) -> Box<dyn Ask> {
    if unwanted.is_empty() {
        return ask;
    }
    let unwanted = unwanted
        .into_iter()
        .map(|ask| -> (Occur, Box<dyn Ask>) { (Occur::MustNot, Box::new(Excluded(ask))) });
    Box::new(BooleanQuery::new(
        std::iter::once((Occur::Must, ask))
            .chain(unwanted)
            .collect(),
    ))
}
