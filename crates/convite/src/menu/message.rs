//! Messages to the menu and effects that it requests.

use std::time::Duration;

use convite_client::Found;
use convite_core::file_kind::FileKind;
use convite_core::model::{IndexEntry, Page, PeerSummary};
use convite_core::remote_fetch::LoadSummary;
use convite_core::{ContentHash, PeerId, Problem};
use convite_peer::Status;
use convite_peer::download::DownloadProgress;
use convite_peer::put;
use ratatui::crossterm::event::KeyEvent;

use super::model::{DownloadState, SavedState, TransferId};
use crate::password::Password;
use crate::session::AccountInfo;

/// The interval of [`Message::Tick`].
pub const TICK: Duration = Duration::from_millis(250);

/// An event for the model.
#[derive(Debug, Clone)]
pub enum Message {
    Key(KeyEvent),
    /// Pasted text.
    Pasted(String),
    /// The time since the start of the menu.
    Tick(Duration),
    /// A request to stop from outside the menu.
    Stop,
    SearchResult {
        ticket: u64,
        /// Whether this is a further page of the same search.
        more: bool,
        answer: Result<Found, Problem>,
    },
    Peers(Result<Vec<PeerSummary>, Problem>),
    Files {
        ticket: u64,
        answer: Result<Page<IndexEntry>, Problem>,
    },
    Progress(TransferId, DownloadProgress),
    /// A download has ended: [`DownloadState::Done`], [`DownloadState::Stopped`] or
    /// [`DownloadState::Failed`].
    Ended(TransferId, DownloadState),
    /// The progress of an upload.
    UploadProgress(TransferId, put::UploadProgress),
    UploadEnded(TransferId, Result<put::UploadResult, Problem>),
    /// The remote downloads of this account, newest first.
    RemoteFetches(Vec<LoadSummary>),
    /// A remote download was requested; the notice to show.
    RemoteFetchRequested(Result<String, Problem>),
    Status(Box<Status>),
    LogLines(Vec<String>),
    /// A session has started, and the peer runs.
    LoggedIn(Result<AccountInfo, Problem>),
    /// A folder was shared or unshared; the notice to show.
    ShareResult(Result<String, Problem>),
}

/// An action for the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Search; replaces the previous search.
    Search {
        ticket: u64,
        words: String,
        kind: Option<FileKind>,
        cursor: Option<String>,
    },
    ListPeers,
    ListFiles {
        ticket: u64,
        peer: PeerId,
        cursor: Option<String>,
    },
    Get {
        id: TransferId,
        hash: ContentHash,
        name: String,
        folder: String,
    },
    /// Request a remote download.
    StartRemoteFetch {
        peer: PeerId,
        hash: ContentHash,
        name: String,
    },
    ListRemoteFetches,
    /// Upload a file to a peer's inbox.
    Upload {
        id: TransferId,
        peer: PeerId,
        file: String,
    },
    Pause(TransferId),
    Resume(TransferId),
    /// Cancel a download; its parts are kept.
    Cancel(TransferId),
    Share(String),
    Unshare(String),
    /// Join the directory of a link or, without a link, log in to this home's directory.
    Login {
        link: Option<String>,
        user: String,
        password: Password,
    },
    /// Save the state of the menu.
    Save(SavedState),
    /// Ctrl-Z.
    Suspend,
    /// Redraw the whole screen.
    Redraw,
    /// Leave the network and quit.
    Quit,
}
