//! What happens to the menu, and what it wants done.

use std::time::Duration;

use convite_client::Found;
use convite_core::kind::Kind;
use convite_core::loads::LoadSummary;
use convite_core::model::{IndexEntry, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, Problem};
use convite_peer::Status;
use convite_peer::download::Progress;
use convite_peer::put;
use ratatui::crossterm::event::KeyEvent;

use super::model::{Identity, Memory, Secret, State, TransferId};

/// What happened.
#[derive(Debug, Clone)]
pub enum Message {
    Key(KeyEvent),
    /// Text was pasted.
    Pasted(String),
    /// So long after the menu began.
    Tick(Duration),
    /// Asked to stop, from outside.
    Stop,
    Found {
        ticket: u64,
        /// Besides what was found before.
        more: bool,
        answer: Result<Found, Problem>,
    },
    Peers(Result<Vec<PeerSummary>, Problem>),
    Files {
        ticket: u64,
        answer: Result<Page<IndexEntry>, Problem>,
    },
    Progress(TransferId, Progress),
    /// A transfer is over: [`State::Done`], [`State::Stopped`] or [`State::Failed`].
    Ended(TransferId, State),
    /// How an upload stands, and how it ended.
    PutProgress(TransferId, put::Progress),
    PutEnded(TransferId, Result<put::Done, Problem>),
    /// What other peers are asked to fetch, the newest first.
    Loads(Vec<LoadSummary>),
    /// A peer was asked to: what to say of it.
    Asked(Result<String, Problem>),
    Status(Box<Status>),
    Logged(Vec<String>),
    /// This home is in a session, and its peer runs.
    Entered(Result<Identity, Problem>),
    /// A folder is shared, or not any more: what to say of it.
    Shared(Result<String, Problem>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the directory, in place of what was asked before.
    Search {
        ticket: u64,
        words: String,
        kind: Option<Kind>,
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
    /// Have another peer fetch a file.
    Load {
        peer: PeerId,
        hash: ContentHash,
        name: String,
    },
    ListLoads,
    /// Put a file into a peer's inbox.
    Put {
        id: TransferId,
        peer: PeerId,
        file: String,
    },
    Pause(TransferId),
    Resume(TransferId),
    /// Give up; what was fetched is kept.
    Cancel(TransferId),
    Share(String),
    Unshare(String),
    /// Come in: with a link into a directory, without one again into this home's own.
    Enter {
        link: Option<String>,
        user: String,
        password: Secret,
    },
    /// Keep this for the next time.
    Remember(Memory),
    /// Ctrl-Z.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave the network and end.
    Quit,
}
