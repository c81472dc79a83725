//! The plan of a round: its operations and faults, and their times. It follows from a seed alone,
//! so the same seed gives the same plan.

use std::time::Duration;

use super::contents::Contents;

/// The folders of each peer: one shared with everyone, one with a space, and one that is shared and
/// unshared repeatedly.
pub const FOLDERS: [&str; 3] = ["open", "lab", "extra"];
/// The names of the spaces.
pub const SPACES: [&str; 2] = ["red", "blue"];

/// A file in a folder that a peer shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAt {
    /// The number of the peer, which is also the number of its account.
    pub peer: usize,
    /// One of [`FOLDERS`].
    pub folder: &'static str,
    /// The name, unique in the whole run.
    pub name: String,
}

/// A way to change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its bytes are overwritten in place, and its modification time is restored.
    InPlace,
    /// Another file is renamed into its place.
    Replace,
    /// It is truncated and written again.
    Rewrite,
}

/// A way to name a file in a `get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Name,
    Hash,
}

/// An operation of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Creates a file in a folder of its peer.
    Write(FileAt, Contents),
    /// Changes a file.
    Modify(FileAt, Contents, Change),
    /// Renames a file in the same folder.
    Rename(FileAt, String),
    /// Removes a file.
    Remove(FileAt),
    /// Shares the extra folder with a space or everyone.
    Share(Option<&'static str>),
    /// Unshares the extra folder.
    Unshare,
    /// Downloads a file. If a duration is given, the command is killed after it, and run again
    /// later.
    Get(FileAt, By, Option<Duration>),
    /// Uploads a file to a peer.
    Put(usize, Contents, Option<Duration>),
    /// Requests a load of a file on a peer.
    Load(FileAt, usize),
    /// Makes a link to a file and downloads the file by it.
    Link(FileAt),
    /// Searches for the name of a file.
    Search(FileAt),
    /// Lists all visible files.
    List,
    /// Sends requests to a provider with a ticket for something else.
    Misuse(FileAt),
    /// Publishes files by REST, like a script: the numbers of new and of removed files.
    Publish(u64, u64),
    /// Invites a new account, which joins.
    Invite(String),
    /// Adds an account to a space.
    AddMember(&'static str, usize),
    /// Removes an account from a space.
    RemoveMember(&'static str, usize),
}

impl Operation {
    /// Returns the name in the report.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Write(..) => "write",
            Self::Modify(_, _, Change::InPlace) => "change in place",
            Self::Modify(..) => "change",
            Self::Rename(..) => "rename",
            Self::Remove(_) => "remove",
            Self::Share(_) => "share",
            Self::Unshare => "unshare",
            Self::Get(..) => "get",
            Self::Put(..) => "put",
            Self::Load(..) => "load",
            Self::Link(_) => "link",
            Self::Search(_) => "search",
            Self::List => "list",
            Self::Misuse(_) => "misuse",
            Self::Publish(..) => "publish",
            Self::Invite(_) => "invite",
            Self::AddMember(..) => "admit",
            Self::RemoveMember(..) => "expel",
        }
    }
}

/// A long-running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The number of a directory, or of a replica.
    Directory(usize),
    /// The number of a peer.
    Peer(usize),
}

/// A temporary fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed, and started again at the end.
    Kill(Target),
    /// The process is stopped with SIGTERM, and started again at the end.
    Restart(Target),
    /// The process is suspended (SIGSTOP), and continued at the end.
    Freeze(Target),
    /// The disk of the process is full.
    FillDisk(Target),
    /// The clock of the machine is wrong by this number of seconds.
    Clock(Target, i64),
    /// The link of the machine is cut.
    Cut(Target),
    /// The link of the machine is slow.
    Slow(Target),
    /// The disk of a peer's shares is unmounted.
    Unmount(usize),
    /// Bytes of a file change on a provider's disk, and only its ctime shows it.
    Corrupt(usize, u64),
    /// A page of a peer's cache changes while the peer is killed.
    CorruptCache(usize, u64),
    /// The database server is killed, and started again at the end.
    Database,
}

impl Fault {
    /// Returns the name in the report.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill(Target::Peer(_)) => "kill peer",
            Self::Kill(Target::Directory(_)) => "kill directory",
            Self::Restart(_) => "restart",
            Self::Freeze(_) => "freeze",
            Self::FillDisk(_) => "full disk",
            Self::Clock(..) => "clock",
            Self::Cut(_) => "cut link",
            Self::Slow(_) => "slow link",
            Self::Unmount(_) => "unmount",
            Self::Corrupt(..) => "corrupt file",
            Self::CorruptCache(..) => "corrupt cache",
            Self::Database => "database",
        }
    }
}

/// An operation, and the time when it is due, relative to the start of its round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedOperation {
    pub at: Duration,
    pub operation: Operation,
}

/// A fault, and the times of its start and end, relative to the start of its round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    pub from: Duration,
    pub until: Duration,
    pub fault: Fault,
}

/// A round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The operations of each account, in their order.
    pub operations: Vec<Vec<PlannedOperation>>,
    /// The faults, in the order of their starts.
    pub faults: Vec<PlannedFault>,
}

impl Round {
    /// Removes operations and faults of these kinds.
    pub fn exclude(&mut self, kinds: &[String]) {
        let is_meant = |kind: &str| !kinds.iter().any(|other| other == kind);
        for queue in &mut self.operations {
            queue.retain(|due| is_meant(due.operation.kind()));
        }
        self.faults.retain(|planned| is_meant(planned.fault.kind()));
    }
}
