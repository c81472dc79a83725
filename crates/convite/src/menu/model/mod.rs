//! What the menu shows, as plain values: no terminal, no clock, no network.

mod dialog;
mod input;
mod loads;
mod meter;
mod network;
mod paths;
mod puts;
mod search;
mod selection;
mod shares;
mod transfers;
mod welcome;

use std::collections::VecDeque;
use std::time::Duration;

use convite_core::model::PeerSummary;
use convite_core::{ErrorCode, Problem};
use convite_peer::Status;

pub use dialog::{Confirm, Consequence, Dialog, GetDialog, ShareDialog};
pub use input::Input;
pub use loads::{LoadDialog, Loads};
pub use meter::Meter;
pub use network::{Level, Network, Row};
pub use paths::Paths;
pub use puts::{Put, PutDialog, PutState, Puts};
pub use search::{Focus, Search};
pub use selection::{Scroll, Selection};
pub use shares::Shares;
pub use transfers::{Memory, State, Transfer, TransferId, Transfers};
pub use welcome::{Field, Secret, Welcome};

/// Log lines kept; older ones are forgotten.
const LINES: usize = 2_000;
/// How long a notice stays, unless the next key takes it away.
const NOTICE: Duration = Duration::from_secs(6);

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

    /// The screen `steps` to the right, around the corner.
    pub fn beside(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|screen| *screen == self);
        Self::ALL[(at.unwrap_or(0) + steps) % Self::ALL.len()]
    }
}

/// Who this is, where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub peer: String,
    pub directory: String,
}

/// What lets others in, where this menu runs beside a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub link: String,
    pub web: String,
}

/// A line that tells how something went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub hint: Option<String>,
    pub is_problem: bool,
    until: Duration,
}

/// All of it.
#[derive(Debug)]
pub struct Model {
    /// Since the menu began.
    pub now: Duration,
    pub screen: Screen,
    /// None once this home is in a session.
    pub welcome: Option<Welcome>,
    pub identity: Identity,
    pub invitation: Option<Invitation>,
    pub search: Search,
    pub network: Network,
    pub transfers: Transfers,
    pub loads: Loads,
    pub puts: Puts,
    pub shares: Shares,
    /// Log lines, the oldest first.
    pub lines: VecDeque<String>,
    pub activity: Selection,
    /// Whether the newest line is kept in sight.
    pub follows: bool,
    /// The peer of this home, once it runs.
    pub peer: Option<Box<Status>>,
    pub sent: Meter,
    pub dialog: Option<Dialog>,
    pub notice: Option<Notice>,
    /// Where files go.
    pub folder: String,
    /// The folder that was named for a transfer, until it is known to be good.
    pub trying: Option<(TransferId, String)>,
    pub paths: Paths,
    /// Whether the directory failed to answer when it was asked last.
    unanswered: bool,
    pub leaving: bool,
    ticket: u64,
}

impl Model {
    pub fn new(memory: Memory, folder: String) -> Self {
        Self {
            now: Duration::ZERO,
            screen: Screen::Search,
            welcome: None,
            identity: Identity::default(),
            invitation: None,
            search: Search::default(),
            network: Network::default(),
            folder: memory.folder.clone().unwrap_or(folder),
            transfers: Transfers::remembered(memory),
            loads: Loads::default(),
            puts: Puts::default(),
            shares: Shares::default(),
            lines: VecDeque::new(),
            activity: Selection::default(),
            follows: true,
            peer: None,
            sent: Meter::default(),
            dialog: None,
            notice: None,
            trying: None,
            paths: Paths::default(),
            unanswered: false,
            leaving: false,
            ticket: 0,
        }
    }

    /// A number that was never used before, for a question and its answer.
    pub fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// The other peers online that load for this account, and do not have the file.
    pub fn hosts(&self, load: &LoadDialog) -> Vec<&PeerSummary> {
        let is_other = |peer: &&PeerSummary| peer.id.as_str() != self.identity.peer;
        let lacks = |peer: &&PeerSummary| peer.loads && !load.holders.contains(&peer.id);
        let peers = self.network.peers.iter().filter(lacks);
        peers.filter(is_other).collect()
    }

    /// Says something.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            hint: None,
            is_problem: false,
            until: self.now + NOTICE,
        });
    }

    /// Says what went wrong; all of it stays among the log lines.
    pub fn complain(&mut self, problem: &Problem) {
        let mut line = format!("ERROR {}", problem.message);
        if let Some(hint) = &problem.hint {
            line.push_str(&format!("; hint: {hint}"));
        }
        self.log(vec![line]);
        self.notice = Some(Notice {
            text: problem.message.clone(),
            hint: problem.hint.clone(),
            is_problem: true,
            until: self.now + 2 * NOTICE,
        });
    }

    /// The directory answered, or did not.
    pub fn heard<T>(&mut self, answer: &Result<T, Problem>) {
        let silent = |problem: &Problem| problem.code == ErrorCode::Unavailable;
        self.unanswered = answer.as_ref().is_err_and(silent);
    }

    /// Whether the directory cannot be reached, so that lists show what was heard before.
    pub fn is_cut_off(&self) -> bool {
        let peer = self.peer.as_ref();
        self.unanswered || peer.is_some_and(|peer| !peer.online && !peer.trouble.is_empty())
    }

    /// The folder that is offered for the next file.
    pub fn offered(&self) -> String {
        let tried = self.trying.as_ref().map(|(_, folder)| folder);
        tried.unwrap_or(&self.folder).clone()
    }

    /// Time has come to `now`.
    pub fn age(&mut self, now: Duration) {
        self.now = self.now.max(now);
        if self.notice.as_ref().is_some_and(|n| n.until <= self.now) {
            self.notice = None;
        }
    }

    /// Takes log lines.
    pub fn log(&mut self, lines: Vec<String>) {
        self.lines.extend(lines);
        while self.lines.len() > LINES {
            self.lines.pop_front();
            self.activity.up(1);
        }
        if self.follows {
            self.activity.end(self.lines.len());
        }
    }

    /// What is remembered for the next time.
    pub fn memory(&self) -> Memory {
        Memory {
            folder: Some(self.folder.clone()),
            unfinished: self.transfers.unfinished(),
        }
    }

    /// Whether a letter is text just now.
    pub fn is_typing(&self) -> bool {
        match &self.dialog {
            Some(dialog) => dialog.is_typing(),
            None if self.welcome.is_some() => true,
            None => self.screen == Screen::Search && self.search.focus == Focus::Words,
        }
    }
}
