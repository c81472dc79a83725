//! The audit log: what is done and what is refused, kept for administrators.

use convite_core::administration::{Act, AuditRecord, Outcome};
use convite_core::model::{Page, Role};
use convite_core::{ErrorCode, Problem, UserName};
use convite_store::AuditEntry;

use super::peers::page_limit;
use super::{Caller, Seen, Service};

pub(super) const PAGE_DEFAULT: u32 = 100;
pub(super) const PAGE_MAX: u32 = 1000;

impl Service {
    /// What the log is told of an act of the caller's that is done.
    pub(super) fn done(&self, caller: &Caller, action: Act, target: impl ToString) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            actor: Some(caller.user.clone()),
            action,
            target: target.to_string(),
            address: caller.from,
            outcome: Outcome::Done,
        }
    }

    /// Lets administrators pass; the log is told of others.
    ///
    /// # Errors
    /// `permission_denied` for everybody else.
    pub(super) async fn must_administer(&self, caller: &Caller, act: Act) -> Result<(), Problem> {
        let Err(problem) = caller.must_administer() else {
            return Ok(());
        };
        self.note_denied(caller, act).await?;
        Err(problem)
    }

    /// Tells the log that the caller was refused what only others may do.
    pub(super) async fn note_denied(&self, caller: &Caller, act: Act) -> Result<(), Problem> {
        let refused = AuditEntry {
            outcome: Outcome::Refused,
            ..self.done(caller, Act::Denied, act.name())
        };
        self.store().record(&refused).await
    }

    /// Tells the log how a login or a joining ended. The name of one who has no account is not
    /// kept: people type passwords there.
    pub(super) async fn note_attempt<T>(
        &self,
        act: Act,
        user: &UserName,
        seen: Seen,
        ended: &Result<T, Problem>,
    ) {
        let outcome = match ended {
            Ok(_) => Outcome::Done,
            Err(problem) => match problem.code {
                ErrorCode::PermissionDenied | ErrorCode::TooManyRequests => Outcome::Refused,
                ErrorCode::WrongCredentials | ErrorCode::InviteInvalid => Outcome::Failed,
                // Nothing was decided about who it is.
                _ => return,
            },
        };
        let store = self.store();
        let known = matches!(store.account(user).await, Ok(Some(_)));
        let entry = AuditEntry {
            at: self.now(),
            actor: ended.is_ok().then(|| user.clone()),
            action: act,
            target: match known {
                true => user.to_string(),
                false => String::new(),
            },
            address: Some(seen.address()),
            outcome,
        };
        if let Err(problem) = store.record(&entry).await {
            tracing::error!(error = %problem, "the audit log lacks an attempt");
        }
    }

    /// The audit log, newest first; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `invalid_argument` for a limit or cursor
    /// that is not valid.
    pub async fn audit(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<AuditRecord>, Problem> {
        self.must_administer(caller, Act::AuditList).await?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().audit(limit, cursor).await
    }
}

impl Caller {
    /// Lets pass who may share and provide: all but guests.
    ///
    /// # Errors
    /// `permission_denied` for guests.
    pub(super) fn must_share(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin | Role::Member => Ok(()),
            Role::Guest => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "guests search and fetch only",
            )
            .hint("ask an administrator of this directory to make you a member")),
        }
    }
}
