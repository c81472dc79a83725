//! The state of the menu as plain values, without a terminal, a clock or a network.

mod dialog;
mod downloads;
mod input;
mod login;
mod network;
mod paths;
mod rate_meter;
mod remote_fetches;
mod search;
mod selection;
mod shares;
mod uploads;

use std::collections::VecDeque;
use std::time::Duration;

use convite_core::model::PeerSummary;
use convite_core::{ErrorCode, Problem};
use convite_peer::Status;

pub use dialog::{Confirm, ConfirmedAction, Dialog, GetDialog, ShareDialog};
pub use downloads::{Download, DownloadState, Downloads, SavedState, TransferId};
pub use input::TextField;
pub use login::{Field, LoginForm};
pub use network::{Network, NetworkList, Row};
pub use paths::BaseFolders;
pub use rate_meter::RateMeter;
pub use remote_fetches::{RemoteFetchDialog, RemoteFetches};
pub use search::{Focus, Search};
pub use selection::{Scroll, Selection};
pub use shares::Shares;
pub use uploads::{Upload, UploadDialog, UploadState, Uploads};

use crate::session::AccountInfo;

/// The maximum number of log lines; older ones are dropped.
const LOG_LINES_MAX: usize = 2_000;
/// How long a notice is shown; a key press removes it earlier.
const NOTICE_DURATION: Duration = Duration::from_secs(6);

/// The screens, in the order of their tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Search,
    Network,
    Transfers,
    Shares,
    Activity,
}

impl Screen {
    pub const ALL: [Self; 5] = [
        Self::Search,
        Self::Network,
        Self::Transfers,
        Self::Shares,
        Self::Activity,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Search => "Search",
            Self::Network => "Network",
            Self::Transfers => "Transfers",
            Self::Shares => "Shares",
            Self::Activity => "Activity",
        }
    }

    /// Returns the screen `steps` to the right, wrapping around.
    pub fn offset_by(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|screen| *screen == self);
        Self::ALL[(at.unwrap_or(0) + steps) % Self::ALL.len()]
    }
}

/// The invitation to the directory, if `up` runs it beside this menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub link: String,
    pub web: String,
}

/// A message in the line above the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub hint: Option<String>,
    pub is_problem: bool,
    until: Duration,
}

/// The state of the menu.
#[derive(Debug)]
pub struct Model {
    /// The time since the start of the menu.
    pub now: Duration,
    pub screen: Screen,
    /// The login form; `None` once a session has started.
    pub login: Option<LoginForm>,
    pub account: AccountInfo,
    pub invitation: Option<Invitation>,
    pub search: Search,
    pub network: Network,
    pub downloads: Downloads,
    pub remote_fetches: RemoteFetches,
    pub uploads: Uploads,
    pub shares: Shares,
    /// Log lines, oldest first.
    pub lines: VecDeque<String>,
    pub activity: Selection,
    /// Whether the log scrolls to the newest line.
    pub is_following_log: bool,
    /// The status of this home's peer, once it runs.
    pub peer: Option<Box<Status>>,
    pub sent: RateMeter,
    pub dialog: Option<Dialog>,
    pub notice: Option<Notice>,
    /// The target folder of downloads.
    pub folder: String,
    /// A new target folder and its first transfer; it becomes `folder` if that transfer succeeds.
    pub pending_folder: Option<(TransferId, String)>,
    pub paths: BaseFolders,
    /// Whether the last request to the directory got no answer.
    is_directory_silent: bool,
    pub leaving: bool,
    ticket: u64,
}

impl Model {
    pub fn new(saved: SavedState, folder: String) -> Self {
        Self {
            now: Duration::ZERO,
            screen: Screen::Search,
            login: None,
            account: AccountInfo::default(),
            invitation: None,
            search: Search::default(),
            network: Network::default(),
            folder: saved.folder.clone().unwrap_or(folder),
            downloads: Downloads::from_saved(saved),
            remote_fetches: RemoteFetches::default(),
            uploads: Uploads::default(),
            shares: Shares::default(),
            lines: VecDeque::new(),
            activity: Selection::default(),
            is_following_log: true,
            peer: None,
            sent: RateMeter::default(),
            dialog: None,
            notice: None,
            pending_folder: None,
            paths: BaseFolders::default(),
            is_directory_silent: false,
            leaving: false,
            ticket: 0,
        }
    }

    /// Returns a unique number that links a request to its answer.
    pub fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Returns the other online peers that accept remote downloads from this account and lack the file.
    pub fn willing_peers(&self, load: &RemoteFetchDialog) -> Vec<&PeerSummary> {
        let is_other = |peer: &&PeerSummary| peer.id.as_str() != self.account.peer;
        let lacks = |peer: &&PeerSummary| peer.loads && !load.holders.contains(&peer.id);
        let peers = self.network.peers.iter().filter(lacks);
        peers.filter(is_other).collect()
    }

    /// Shows a notice.
    pub fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            hint: None,
            is_problem: false,
            until: self.now + NOTICE_DURATION,
        });
    }

    /// Shows a problem as a notice, and adds it to the log lines.
    pub fn show_problem(&mut self, problem: &Problem) {
        let mut line = format!("ERROR {}", problem.message);
        if let Some(hint) = &problem.hint {
            line.push_str(&format!("; hint: {hint}"));
        }
        self.log(vec![line]);
        self.notice = Some(Notice {
            text: problem.message.clone(),
            hint: problem.hint.clone(),
            is_problem: true,
            until: self.now + 2 * NOTICE_DURATION,
        });
    }

    /// Records whether the directory answered.
    pub fn record_answer<T>(&mut self, answer: &Result<T, Problem>) {
        let silent = |problem: &Problem| problem.code == ErrorCode::Unavailable;
        self.is_directory_silent = answer.as_ref().is_err_and(silent);
    }

    /// Returns whether the directory is unreachable; lists then show the last known state.
    pub fn is_directory_unreachable(&self) -> bool {
        let peer = self.peer.as_ref();
        self.is_directory_silent
            || peer.is_some_and(|peer| !peer.online && !peer.trouble.is_empty())
    }

    /// Returns the suggested folder for the next download.
    pub fn suggested_folder(&self) -> String {
        let tried = self.pending_folder.as_ref().map(|(_, folder)| folder);
        tried.unwrap_or(&self.folder).clone()
    }

    /// Sets the current time and removes an expired notice.
    pub fn advance_time(&mut self, now: Duration) {
        self.now = self.now.max(now);
        if self.notice.as_ref().is_some_and(|n| n.until <= self.now) {
            self.notice = None;
        }
    }

    /// Adds log lines.
    pub fn log(&mut self, lines: Vec<String>) {
        self.lines.extend(lines);
        while self.lines.len() > LOG_LINES_MAX {
            self.lines.pop_front();
            self.activity.up(1);
        }
        if self.is_following_log {
            self.activity.end(self.lines.len());
        }
    }

    /// Returns the state to save.
    pub fn saved_state(&self) -> SavedState {
        SavedState {
            folder: Some(self.folder.clone()),
            unfinished: self.downloads.unfinished(),
        }
    }

    /// Returns whether letters are typed into a field.
    pub fn is_typing(&self) -> bool {
        match &self.dialog {
            Some(dialog) => dialog.is_typing(),
            None if self.login.is_some() => true,
            None => self.screen == Screen::Search && self.search.focus == Focus::Words,
        }
    }
}
