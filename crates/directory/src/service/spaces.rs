//! Spaces: named sets of accounts. Who is in one sees what is shared there, and nobody else does.

use std::sync::Arc;
use std::time::Duration;

use convite_core::administration::{Act, SpaceSummary};
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UserName};

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::peers::page_limit;
use super::{Caller, Service};

/// How long who removes something waits for its files to be out.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

impl Service {
    /// Makes a space without members, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `space_taken`.
    pub async fn add_space(&self, caller: &Caller, space: &SpaceName) -> Result<(), Problem> {
        self.must_administer(caller, Act::SpaceAdd).await?;
        let entry = self.done(caller, Act::SpaceAdd, space);
        self.store().create_space(space, &entry, self.now()).await
    }

    /// Removes a space and takes the files out that are shared there, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found`.
    pub async fn remove_space(&self, caller: &Caller, space: &SpaceName) -> Result<(), Problem> {
        self.must_administer(caller, Act::SpaceRemove).await?;
        let entry = self.done(caller, Act::SpaceRemove, space);
        self.store().remove_space(space, &entry).await?;
        self.finish_removals().await;
        self.visibility_changed().await;
        Ok(())
    }

    /// The spaces by name: all for administrators, their own for others; `limit` 1 to 1,000, 100 by
    /// default.
    ///
    /// # Errors
    /// `invalid_argument` for a limit or cursor that is not valid.
    pub async fn list_spaces(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().spaces(caller.only_own(), limit, cursor).await
    }

    /// The members of a space by name, for administrators; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found`; `invalid_argument` for a
    /// limit or cursor that is not valid.
    pub async fn list_members(
        &self,
        caller: &Caller,
        space: &SpaceName,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem> {
        self.must_administer(caller, Act::MemberList).await?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().members(space, limit, cursor).await
    }

    /// Lets an account into a space, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found` for either.
    pub async fn add_member(
        &self,
        caller: &Caller,
        space: &SpaceName,
        user: &UserName,
    ) -> Result<(), Problem> {
        self.must_administer(caller, Act::MemberAdd).await?;
        let entry = self.done(caller, Act::MemberAdd, format!("{space} {user}"));
        let now = self.now();
        self.store().add_member(space, user, &entry, now).await?;
        self.visibility_changed().await;
        Ok(())
    }

    /// Takes an account and its files out of a space, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found` for either, or if it is no
    /// member.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        space: &SpaceName,
        user: &UserName,
    ) -> Result<(), Problem> {
        self.must_administer(caller, Act::MemberRemove).await?;
        let entry = self.done(caller, Act::MemberRemove, format!("{space} {user}"));
        self.store().remove_member(space, user, &entry).await?;
        self.finish_removals().await;
        self.visibility_changed().await;
        Ok(())
    }

    /// Has the files taken out that nobody may see any more. Waits for a moment, so that few are out
    /// when whoever removed something is told; of very many the rest goes by itself, and what a stop
    /// of the directory leaves is found by the sweeper.
    pub(super) async fn finish_removals(&self) {
        let store = Arc::clone(&self.parts.store);
        let work = tokio::spawn(async move {
            if let Err(problem) = store.finish_removals().await {
                tracing::warn!(error = %problem, "files that were removed are left to the sweeper");
            }
        });
        // Not awaited longer than that, but not stopped either.
        let _ = tokio::time::timeout(REMOVAL_WAIT, work).await;
    }

    /// Some see what they did not, or no more what they did.
    pub(super) async fn visibility_changed(&self) {
        self.watched.touch_all();
        self.until_found().await;
    }
}
