//! Uploads to the inboxes of other peers.

use std::time::Duration;

use convite_core::{PeerId, Problem};
use convite_peer::put::UploadProgress;

use super::downloads::TransferId;
use super::input::TextField;
use super::rate_meter::RateMeter;

/// The state of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadState {
    Sending,
    Done {
        /// The path on the receiving peer.
        place: String,
        took: Duration,
    },
    Failed(Problem),
}

/// An upload.
#[derive(Debug)]
pub struct Upload {
    pub id: TransferId,
    pub file: String,
    pub peer: PeerId,
    pub state: UploadState,
    pub progress: UploadProgress,
    pub meter: RateMeter,
}

/// The uploads of this menu, newest first.
#[derive(Debug, Default)]
pub struct Uploads {
    pub all: Vec<Upload>,
    next: TransferId,
}

impl Uploads {
    /// Adds an upload, which starts at once.
    pub fn add(&mut self, file: String, peer: PeerId) -> TransferId {
        let id = self.next;
        self.next += 1;
        let upload = Upload {
            id,
            file,
            peer,
            state: UploadState::Sending,
            progress: UploadProgress::default(),
            meter: RateMeter::default(),
        };
        self.all.insert(0, upload);
        id
    }

    pub fn get(&mut self, id: TransferId) -> Option<&mut Upload> {
        self.all.iter_mut().find(|upload| upload.id == id)
    }

    /// Returns the number of uploads that have not ended.
    pub fn unfinished_count(&self) -> usize {
        let sends = |upload: &&Upload| upload.state == UploadState::Sending;
        self.all.iter().filter(sends).count()
    }

    /// Removes ended uploads from the list. Returns their number.
    pub fn clear(&mut self) -> usize {
        let before = self.all.len();
        self.all
            .retain(|upload| upload.state == UploadState::Sending);
        before - self.all.len()
    }
}

/// The dialog for uploading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadDialog {
    pub peer: PeerId,
    pub file: TextField,
}
