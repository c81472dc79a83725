//! Spaces: named sets of accounts. Files shared in a space are visible only to its members.

use std::sync::Arc;
use std::time::Duration;

use convite_core::administration::{AuditAction, SpaceSummary};
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UserName};
use convite_net::task;

use super::paging::list_limit;
use super::{Caller, Service};

/// How long a removal waits until its files are removed.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

impl Service {
    /// Creates a space without members, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `space_taken`.
    pub async fn add_space(&self, caller: &Caller, space: &SpaceName) -> Result<(), Problem> {
        self.require_admin(caller, AuditAction::SpaceAdd).await?;
        let entry = self.audit_entry(caller, AuditAction::SpaceAdd, space);
        self.store().create_space(space, &entry, self.now()).await
    }

    /// Removes a space together with the files shared in it, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `not_found`.
    pub async fn remove_space(&self, caller: &Caller, space: &SpaceName) -> Result<(), Problem> {
        self.require_admin(caller, AuditAction::SpaceRemove).await?;
        let entry = self.audit_entry(caller, AuditAction::SpaceRemove, space);
        self.store().remove_space(space, &entry).await?;
        self.finish_removals().await;
        self.visibility_changed().await;
        Ok(())
    }

    /// Returns the spaces by name: all for administrators, their own for others; `limit` is 1 to
    /// 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid limit or cursor.
    pub async fn list_spaces(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        let limit = list_limit(limit)?;
        self.store()
            .spaces(caller.administered_account(), limit, cursor)
            .await
    }

    /// Returns the members of a space by name, for administrators; `limit` is 1 to 1,000 (default
    /// 100).
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `not_found`;
    /// `invalid_argument` for an invalid limit or cursor.
    pub async fn list_members(
        &self,
        caller: &Caller,
        space: &SpaceName,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem> {
        self.require_admin(caller, AuditAction::MemberList).await?;
        let limit = list_limit(limit)?;
        self.store().members(space, limit, cursor).await
    }

    /// Adds an account to a space, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `not_found` if the space
    /// or the account does not exist.
    pub async fn add_member(
        &self,
        caller: &Caller,
        space: &SpaceName,
        user: &UserName,
    ) -> Result<(), Problem> {
        self.require_admin(caller, AuditAction::MemberAdd).await?;
        let entry = self.audit_entry(caller, AuditAction::MemberAdd, format!("{space} {user}"));
        let now = self.now();
        self.store().add_member(space, user, &entry, now).await?;
        self.visibility_changed().await;
        Ok(())
    }

    /// Removes an account and its files from a space, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `not_found` if the space
    /// or the account does not exist, or the account is not a member.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        space: &SpaceName,
        user: &UserName,
    ) -> Result<(), Problem> {
        self.require_admin(caller, AuditAction::MemberRemove)
            .await?;
        let entry = self.audit_entry(caller, AuditAction::MemberRemove, format!("{space} {user}"));
        self.store().remove_member(space, user, &entry).await?;
        self.finish_removals().await;
        self.visibility_changed().await;
        Ok(())
    }

    /// Removes the files that are no longer visible to anyone. Waits at most [`REMOVAL_WAIT`], so
    /// that a small number of files is gone when the call returns; the rest continues in the
    /// background, and the sweeper completes it after a restart of the directory.
    pub(super) async fn finish_removals(&self) {
        let store = Arc::clone(&self.parts.store);
        let work = task::spawn("space removal", async move {
            if let Err(problem) = store.finish_removals().await {
                tracing::warn!(error = %problem, "cannot finish removing files; the sweeper will retry");
            }
        });
        // The wait is bounded; the task continues.
        let _ = tokio::time::timeout(REMOVAL_WAIT, work).await;
    }

    /// Reports that files became visible or invisible to some accounts.
    pub(super) async fn visibility_changed(&self) {
        self.provider_watchers.touch_all();
        self.wait_until_searchable().await;
    }
}
