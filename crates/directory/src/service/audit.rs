//! The audit log: completed and refused operations, visible to administrators.

use convite_core::administration::{AuditAction, AuditOutcome, AuditRecord};
use convite_core::model::Page;
use convite_core::{ErrorCode, Problem, UserName};
use convite_store::AuditEntry;

use super::paging::list_limit;
use super::{Caller, ClientAddress, Service};

impl Service {
    /// Returns the log entry for a completed operation of the caller.
    pub(super) fn audit_entry(
        &self,
        caller: &Caller,
        action: AuditAction,
        target: impl ToString,
    ) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            actor: Some(caller.user.clone()),
            action,
            target: target.to_string(),
            address: caller.client_address,
            outcome: AuditOutcome::Done,
        }
    }

    /// Requires an administrator, and logs a refusal.
    ///
    /// # Errors
    /// Returns `permission_denied` for other roles.
    pub(super) async fn require_admin(
        &self,
        caller: &Caller,
        act: AuditAction,
    ) -> Result<(), Problem> {
        let Err(problem) = caller.require_admin() else {
            return Ok(());
        };
        self.record_refusal(caller, act).await?;
        Err(problem)
    }

    /// Logs that the caller was refused an operation.
    pub(super) async fn record_refusal(
        &self,
        caller: &Caller,
        act: AuditAction,
    ) -> Result<(), Problem> {
        let refused = AuditEntry {
            outcome: AuditOutcome::Refused,
            ..self.audit_entry(caller, AuditAction::Denied, act.name())
        };
        self.store().record(&refused).await
    }

    /// Logs the result of a login or of joining. The name is not logged if no such account exists:
    /// users sometimes type their password there.
    pub(super) async fn record_attempt<T>(
        &self,
        act: AuditAction,
        user: &UserName,
        seen: ClientAddress,
        ended: &Result<T, Problem>,
    ) {
        let outcome = match ended {
            Ok(_) => AuditOutcome::Done,
            Err(problem) => match problem.code {
                ErrorCode::PermissionDenied | ErrorCode::TooManyRequests => AuditOutcome::Refused,
                ErrorCode::WrongCredentials | ErrorCode::InviteInvalid => AuditOutcome::Failed,
                // The error says nothing about the credentials.
                _ => return,
            },
        };
        let store = self.store();
        let known = matches!(store.account(user).await, Ok(Some(_)));
        let entry = AuditEntry {
            at: self.now(),
            actor: ended.is_ok().then(|| user.clone()),
            action: act,
            target: if known {
                user.to_string()
            } else {
                String::new()
            },
            address: Some(seen.address()),
            outcome,
        };
        if let Err(problem) = store.record(&entry).await {
            tracing::error!(error = %problem, "cannot record an attempt in the audit log");
        }
    }

    /// Returns the audit log, newest first; `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `invalid_argument` for an
    /// invalid limit or cursor.
    pub async fn audit(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<AuditRecord>, Problem> {
        self.require_admin(caller, AuditAction::AuditList).await?;
        let limit = list_limit(limit)?;
        self.store().audit(limit, cursor).await
    }
}
