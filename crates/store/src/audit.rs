//! The audit log: actor, action, time, target and outcome of each act.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::{AuditAction, AuditOutcome, AuditRecord};
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis, UserName};

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Time.
    pub at: UnixMillis,
    /// Account that acted; `None` if it is unknown or the directory itself.
    pub actor: Option<UserName>,
    /// Action.
    pub action: AuditAction,
    /// Account or object of the action. Never a secret.
    pub target: String,
    /// Client address.
    pub address: Option<IpAddr>,
    /// Outcome.
    pub outcome: AuditOutcome,
}

/// Kind of a line. Lines are limited per kind, so that one kind cannot displace another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes of permissions, and acts reserved to administrators.
    Administration,
    /// Frequent acts of any member.
    Routine,
    /// Failed or refused acts, which anyone can repeat.
    Refused,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Administration, Self::Routine, Self::Refused];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Administration => "administration",
            Self::Routine => "routine",
            Self::Refused => "refused",
        }
    }
}

impl AuditEntry {
    pub(crate) fn kind(&self) -> Kind {
        if self.outcome != AuditOutcome::Done {
            return Kind::Refused;
        }
        let actor = self.actor.as_ref().map_or("", |actor| actor.as_str());
        // Targets start with the name of the account concerned.
        let is_own = self.target.split(' ').next() == Some(actor);
        match self.action {
            AuditAction::Login
            | AuditAction::LinkAdd
            | AuditAction::LinkUse
            | AuditAction::LoadAdd => Kind::Routine,
            AuditAction::UserPassword | AuditAction::SessionRevoke if is_own => Kind::Routine,
            _ => Kind::Administration,
        }
    }

    /// Returns the start of the window in which entries of this kind are merged into one line.
    pub(crate) fn window(&self) -> i64 {
        let window = match self.kind() {
            Kind::Routine => ROUTINE_WINDOW,
            Kind::Administration | Kind::Refused => AUDIT_WINDOW,
        };
        self.at.0.saturating_sub(window)
    }
}

/// An existing line that an entry may be merged into.
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) target: String,
    pub(crate) address: String,
}

/// Placement of an entry.
pub(crate) enum Placed {
    /// Merge into the line with this number.
    Added(i64),
    /// New line.
    Alone,
    /// New line, without target and address, for all entries above the limit.
    Beyond,
}

/// Decides the placement of a routine act from the lines of its actor and action in its window.
pub(crate) fn place(lines: &[Line], target: &str, address: &str) -> Placed {
    let find = |target: &str, address: &str| {
        let is_same = |line: &&Line| line.target == target && line.address == address;
        lines.iter().find(is_same).map(|line| line.id)
    };
    if let Some(line) = find(target, address) {
        return Placed::Added(line);
    }
    if lines.len() < ROUTINE_LINES_MAX {
        return Placed::Alone;
    }
    find("", "").map_or(Placed::Beyond, Placed::Added)
}

/// Window in which failed or refused acts are merged into one line, in milliseconds: an hour.
pub const AUDIT_WINDOW: i64 = 60 * 60 * 1000;

/// Maximum number of lines for failed or refused acts per window. Further ones are merged into one
/// line per action, without actor, target and address.
pub const AUDIT_LINES_MAX: u64 = 1000;

/// Window in which routine acts are merged into one line, in milliseconds: a day.
const ROUTINE_WINDOW: i64 = 24 * 60 * 60 * 1000;

/// Maximum number of lines per window for one actor and one routine action. Further ones are merged
/// into one more line.
pub const ROUTINE_LINES_MAX: usize = 20;

/// Maximum number of lines kept per kind.
pub const AUDIT_MAX: u64 = 100_000;

/// Time for which lines are kept, in milliseconds: 400 days.
pub const AUDIT_KEPT: i64 = 400 * 24 * 60 * 60 * 1000;

/// The audit log.
///
/// Each method is one transaction. All methods return `internal` if the database fails; further
/// errors are listed per method. Administrative methods of other traits take an entry and write it
/// in their own transaction.
#[async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Writes an entry. A failed or refused act is merged into an otherwise equal line of the last
    /// [`AUDIT_WINDOW`]. These acts use at most [`AUDIT_LINES_MAX`] lines per window, so that
    /// refused callers cannot fill the disk. Routine acts are merged likewise into at most
    /// [`ROUTINE_LINES_MAX`] lines per day, actor and action, and one more.
    async fn record(&self, entry: &AuditEntry) -> Result<(), Problem>;

    /// Lists the log, newest first. `cursor` comes from the previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<Page<AuditRecord>, Problem>;
}
