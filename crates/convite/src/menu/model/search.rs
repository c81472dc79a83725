//! The search screen.

use convite_client::Found;
use convite_core::Problem;
use convite_core::file_kind::FileKind;
use convite_core::model::SearchHit;

use super::input::TextField;
use super::selection::Selection;

/// The part of the screen that receives keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    #[default]
    Words,
    Results,
}

/// The state of the search screen.
#[derive(Debug, Default)]
pub struct Search {
    pub focus: Focus,
    pub words: TextField,
    /// `None` for all kinds.
    pub kind: Option<FileKind>,
    pub hits: Vec<SearchHit>,
    pub next_cursor: Option<String>,
    pub indexing: bool,
    pub chosen: Selection,
    /// The error of the last search.
    pub problem: Option<Problem>,
    /// The words of the search that returned `hits`.
    pub answered_words: Option<String>,
    /// The number of the pending search; answers to others are outdated.
    pub pending: Option<u64>,
}

impl Search {
    /// Applies an answer to the pending search; ignores others.
    pub fn apply(&mut self, ticket: u64, more: bool, answer: Result<Found, Problem>) {
        if self.pending != Some(ticket) {
            return;
        }
        self.pending = None;
        match answer {
            Ok(found) => {
                if more {
                    let known: std::collections::HashSet<_> =
                        self.hits.iter().map(|hit| hit.hash).collect();
                    let new = found.items.into_iter();
                    self.hits
                        .extend(new.filter(|hit| !known.contains(&hit.hash)));
                } else {
                    self.hits = found.items;
                    self.chosen = Selection::default();
                }
                self.next_cursor = found.next_cursor;
                self.indexing = found.indexing;
                self.problem = None;
                self.answered_words = Some(self.words.text().trim().to_owned());
            }
            Err(problem) => self.problem = Some(problem),
        }
        self.chosen.clamp(self.hits.len());
        if self.hits.is_empty() {
            self.focus = Focus::Words;
        }
    }

    /// Clears the search, except the kind.
    pub fn clear(&mut self) {
        *self = Self {
            kind: self.kind,
            ..Self::default()
        };
    }

    pub fn hit(&self) -> Option<&SearchHit> {
        self.hits.get(self.chosen.at())
    }
}
