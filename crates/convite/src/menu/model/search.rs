//! Words, and what was found for them.

use convite_client::Found;
use convite_core::Problem;
use convite_core::kind::Kind;
use convite_core::model::SearchHit;

use super::{Input, Selection};

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    #[default]
    Words,
    Results,
}

/// The search screen.
#[derive(Debug, Default)]
pub struct Search {
    pub focus: Focus,
    pub words: Input,
    /// None for all kinds.
    pub kind: Option<Kind>,
    pub hits: Vec<SearchHit>,
    pub next_cursor: Option<String>,
    pub indexing: bool,
    pub chosen: Selection,
    /// What went wrong with the last question.
    pub problem: Option<Problem>,
    /// The words that `hits` answer.
    pub answered: Option<String>,
    /// The number of the question whose answer is awaited; answers to others are old.
    pub awaited: Option<u64>,
}

impl Search {
    /// Takes an answer, if it is one to the last question.
    pub fn take(&mut self, ticket: u64, more: bool, answer: Result<Found, Problem>) {
        if self.awaited != Some(ticket) {
            return;
        }
        self.awaited = None;
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
                self.answered = Some(self.words.text().trim().to_owned());
            }
            Err(problem) => self.problem = Some(problem),
        }
        self.chosen.clamp(self.hits.len());
        if self.hits.is_empty() {
            self.focus = Focus::Words;
        }
    }

    /// Forgets what was found.
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
