//! Files on their way from here into the inboxes of other peers.

use std::time::Duration;

use convite_core::{PeerId, Problem};
use convite_peer::put::Progress;

use super::{Input, Meter, TransferId};

/// How one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutState {
    Sending,
    Done {
        /// What it is called there.
        place: String,
        took: Duration,
    },
    Failed(Problem),
}

/// One file.
#[derive(Debug)]
pub struct Put {
    pub id: TransferId,
    pub file: String,
    pub peer: PeerId,
    pub state: PutState,
    pub progress: Progress,
    pub meter: Meter,
}

/// Those of this menu, the newest first.
#[derive(Debug, Default)]
pub struct Puts {
    pub all: Vec<Put>,
    next: TransferId,
}

impl Puts {
    /// A new one, which begins at once.
    pub fn add(&mut self, file: String, peer: PeerId) -> TransferId {
        let id = self.next;
        self.next += 1;
        let put = Put {
            id,
            file,
            peer,
            state: PutState::Sending,
            progress: Progress::default(),
            meter: Meter::default(),
        };
        self.all.insert(0, put);
        id
    }

    pub fn get(&mut self, id: TransferId) -> Option<&mut Put> {
        self.all.iter_mut().find(|put| put.id == id)
    }

    /// How many are not over.
    pub fn open(&self) -> usize {
        let sends = |put: &&Put| put.state == PutState::Sending;
        self.all.iter().filter(sends).count()
    }

    /// Takes those that are over off the list; how many there were.
    pub fn clear(&mut self) -> usize {
        let before = self.all.len();
        self.all.retain(|put| put.state == PutState::Sending);
        before - self.all.len()
    }
}

/// A file that is about to be put into a peer's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutDialog {
    pub peer: PeerId,
    pub file: Input,
}
