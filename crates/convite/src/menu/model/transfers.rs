//! Downloads of this menu: waiting, running, paused, ended.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_peer::download::Progress;
use serde::{Deserialize, Serialize};

use super::{Meter, Selection};

/// Downloads that run at once; the others wait for their turn.
const AT_ONCE: usize = 4;

/// The number of a transfer, never used twice.
pub type TransferId = u64;

/// How a transfer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// For its turn.
    Waiting,
    Running,
    Paused,
    /// It was given up, or is left from the last time; what was fetched is kept.
    Stopped,
    Done {
        /// Where it is now.
        place: String,
        took: Duration,
        providers: usize,
        was_there: bool,
    },
    Failed(Problem),
}

impl State {
    /// Whether nothing more happens by itself.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Stopped | Self::Done { .. } | Self::Failed(_))
    }
}

/// One transfer.
#[derive(Debug)]
pub struct Transfer {
    pub id: TransferId,
    pub name: String,
    pub size: u64,
    pub hash: ContentHash,
    /// Where it goes.
    pub folder: String,
    pub state: State,
    pub progress: Progress,
    pub meter: Meter,
    /// Whether something is at work on it, paused or not.
    pub begun: bool,
}

/// A download that did not end, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    pub folder: String,
    #[serde(default)]
    pub verified: u64,
}

/// What the menu remembers from one time to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Where files go.
    pub folder: Option<String>,
    #[serde(default)]
    pub unfinished: Vec<Remembered>,
}

/// The transfers screen; the newest first.
#[derive(Debug, Default)]
pub struct Transfers {
    pub all: Vec<Transfer>,
    pub chosen: Selection,
    next: TransferId,
}

impl Transfers {
    pub fn remembered(memory: Memory) -> Self {
        let mut transfers = Self::default();
        for old in memory.unfinished.into_iter().rev() {
            let id = transfers.add(old.name, old.size, old.hash, old.folder);
            if let Some(transfer) = transfers.get(id) {
                transfer.state = State::Stopped;
                transfer.progress.verified = old.verified;
            }
        }
        transfers
    }

    /// A new one, that waits for its turn.
    pub fn add(
        &mut self,
        name: String,
        size: u64,
        hash: ContentHash,
        folder: String,
    ) -> TransferId {
        let id = self.next;
        self.next += 1;
        let transfer = Transfer {
            id,
            name,
            size,
            hash,
            folder,
            state: State::Waiting,
            progress: Progress::default(),
            meter: Meter::default(),
            begun: false,
        };
        self.all.insert(0, transfer);
        if self.all.len() > 1 {
            // What was chosen is now one further down.
            self.chosen.down(1, self.all.len());
        }
        id
    }

    pub fn get(&mut self, id: TransferId) -> Option<&mut Transfer> {
        self.all.iter_mut().find(|transfer| transfer.id == id)
    }

    pub fn transfer(&mut self) -> Option<&mut Transfer> {
        self.all.get_mut(self.chosen.at())
    }

    /// The download of a content that has not ended.
    pub fn of(&mut self, wanted: &ContentHash) -> Option<&mut Transfer> {
        self.all.iter_mut().find(|transfer| {
            transfer.hash == *wanted && !matches!(transfer.state, State::Done { .. })
        })
    }

    /// How many are at work.
    pub fn running(&self) -> usize {
        let running = |t: &&Transfer| t.state == State::Running;
        self.all.iter().filter(running).count()
    }

    /// How many are at work, wait for it, or are paused.
    pub fn open(&self) -> usize {
        self.all.iter().filter(|t| !t.state.is_over()).count()
    }

    /// The next whose turn it is, the oldest first; it runs from now on. [`Transfer::begun`] says
    /// whether it did before.
    pub fn begin_next(&mut self) -> Option<&mut Transfer> {
        if self.running() >= AT_ONCE {
            return None;
        }
        let waits = |t: &&mut Transfer| t.state == State::Waiting;
        let next = self.all.iter_mut().rev().find(waits)?;
        next.state = State::Running;
        Some(next)
    }

    /// Takes those that are over off the list; the remembered ones go with them.
    pub fn clear(&mut self) -> usize {
        let before = self.all.len();
        self.all.retain(|transfer| !transfer.state.is_over());
        self.chosen.clamp(self.all.len());
        before - self.all.len()
    }

    /// Bytes a second that come in, in all.
    pub fn rate(&self) -> u64 {
        let running = self.all.iter().filter(|t| t.state == State::Running);
        running.map(|t| t.meter.rate()).sum()
    }

    /// The downloads to go on with another time, the newest first.
    pub fn unfinished(&self) -> Vec<Remembered> {
        let open = self
            .all
            .iter()
            .filter(|t| !matches!(t.state, State::Done { .. }));
        open.map(|transfer| Remembered {
            hash: transfer.hash,
            name: transfer.name.clone(),
            size: transfer.size,
            folder: transfer.folder.clone(),
            verified: transfer.progress.verified,
        })
        .collect()
    }
}
