//! The downloads of this menu and their states.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_peer::download::DownloadProgress;
use serde::{Deserialize, Serialize};

use super::rate_meter::RateMeter;
use super::selection::Selection;

/// The maximum number of downloads that run at the same time; others wait.
const RUNNING_MAX: usize = 4;

/// The unique number of a transfer.
pub type TransferId = u64;

/// The state of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadState {
    /// In the queue.
    Waiting,
    Running,
    Paused,
    /// Cancelled, or unfinished in an earlier run; downloaded parts are kept.
    Stopped,
    Done {
        /// The path of the file.
        place: String,
        took: Duration,
        providers: usize,
        was_there: bool,
    },
    Failed(Problem),
}

impl DownloadState {
    /// Returns whether the download has ended.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Stopped | Self::Done { .. } | Self::Failed(_))
    }
}

/// A download.
#[derive(Debug)]
pub struct Download {
    pub id: TransferId,
    pub name: String,
    pub size: u64,
    pub hash: ContentHash,
    /// The target folder.
    pub folder: String,
    pub state: DownloadState,
    pub progress: DownloadProgress,
    pub meter: RateMeter,
    /// Whether it has a task, paused or not.
    pub has_task: bool,
}

/// An unfinished download, as saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDownload {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    pub folder: String,
    #[serde(default)]
    pub verified: u64,
}

/// The saved state of the menu.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// The target folder of downloads.
    pub folder: Option<String>,
    #[serde(default)]
    pub unfinished: Vec<SavedDownload>,
}

/// The downloads, newest first.
#[derive(Debug, Default)]
pub struct Downloads {
    pub all: Vec<Download>,
    pub chosen: Selection,
    next: TransferId,
}

impl Downloads {
    pub fn from_saved(saved: SavedState) -> Self {
        let mut transfers = Self::default();
        for old in saved.unfinished.into_iter().rev() {
            let id = transfers.add(old.name, old.size, old.hash, old.folder);
            if let Some(transfer) = transfers.get(id) {
                transfer.state = DownloadState::Stopped;
                transfer.progress.verified = old.verified;
            }
        }
        transfers
    }

    /// Adds a download to the queue.
    pub fn add(
        &mut self,
        name: String,
        size: u64,
        hash: ContentHash,
        folder: String,
    ) -> TransferId {
        let id = self.next;
        self.next += 1;
        let transfer = Download {
            id,
            name,
            size,
            hash,
            folder,
            state: DownloadState::Waiting,
            progress: DownloadProgress::default(),
            meter: RateMeter::default(),
            has_task: false,
        };
        self.all.insert(0, transfer);
        if self.all.len() > 1 {
            // The selected row has moved down by one.
            self.chosen.down(1, self.all.len());
        }
        id
    }

    pub fn get(&mut self, id: TransferId) -> Option<&mut Download> {
        self.all.iter_mut().find(|transfer| transfer.id == id)
    }

    pub fn transfer(&mut self) -> Option<&mut Download> {
        self.all.get_mut(self.chosen.at())
    }

    /// Returns the unfinished download of a content hash.
    pub fn unfinished_of(&mut self, wanted: &ContentHash) -> Option<&mut Download> {
        self.all.iter_mut().find(|transfer| {
            transfer.hash == *wanted && !matches!(transfer.state, DownloadState::Done { .. })
        })
    }

    /// Returns the number of running downloads.
    pub fn running(&self) -> usize {
        let running = |t: &&Download| t.state == DownloadState::Running;
        self.all.iter().filter(running).count()
    }

    /// Returns the number of downloads that have not ended.
    pub fn unfinished_count(&self) -> usize {
        self.all.iter().filter(|t| !t.state.is_over()).count()
    }

    /// Marks the oldest waiting download as running and returns it, if the maximum is not reached.
    /// [`Download::has_task`] says whether it already has a task.
    pub fn start_next(&mut self) -> Option<&mut Download> {
        if self.running() >= RUNNING_MAX {
            return None;
        }
        let waits = |t: &&mut Download| t.state == DownloadState::Waiting;
        let next = self.all.iter_mut().rev().find(waits)?;
        next.state = DownloadState::Running;
        Some(next)
    }

    /// Removes ended downloads from the list, also saved ones. Returns their number.
    pub fn clear(&mut self) -> usize {
        let before = self.all.len();
        self.all.retain(|transfer| !transfer.state.is_over());
        self.chosen.clamp(self.all.len());
        before - self.all.len()
    }

    /// Returns the total rate in bytes per second.
    pub fn rate(&self) -> u64 {
        let running = self
            .all
            .iter()
            .filter(|t| t.state == DownloadState::Running);
        running.map(|t| t.meter.rate()).sum()
    }

    /// Returns the unfinished downloads for saving, newest first.
    pub fn unfinished(&self) -> Vec<SavedDownload> {
        let open = self
            .all
            .iter()
            .filter(|t| !matches!(t.state, DownloadState::Done { .. }));
        open.map(|transfer| SavedDownload {
            hash: transfer.hash,
            name: transfer.name.clone(),
            size: transfer.size,
            folder: transfer.folder.clone(),
            verified: transfer.progress.verified,
        })
        .collect()
    }
}
