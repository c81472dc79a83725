//! Spaces: named sets of accounts, and the visibility of files that follows from membership.

use async_trait::async_trait;
use convite_core::administration::SpaceSummary;
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UnixMillis, UserName};

use crate::error::{DbError, DbResult};
use crate::{AccountId, AuditEntry};

/// The number of a space. Never reused; search documents contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceKey(pub i64);

impl SpaceKey {
    /// The space of everyone. It has no name, and every account can see its files.
    pub const EVERYONE: Self = Self(0);
}

/// The spaces visible to a caller. A read ignores everything in other spaces.
///
/// Comparison is cheap: callers with equal visible spaces share an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Viewer {
    spaces: Vec<SpaceKey>,
}

impl Viewer {
    /// Returns these spaces and the space of everyone.
    pub fn of(spaces: impl IntoIterator<Item = SpaceKey>) -> Self {
        let mut spaces: Vec<_> = spaces.into_iter().chain([SpaceKey::EVERYONE]).collect();
        spaces.sort_unstable();
        spaces.dedup();
        Self { spaces }
    }

    /// Returns the space of everyone only.
    pub fn everyone() -> Self {
        Self::of([])
    }

    /// Returns one space only.
    pub(crate) fn only(space: SpaceKey) -> Self {
        Self {
            spaces: vec![space],
        }
    }

    /// Returns one of these spaces only.
    pub(crate) fn narrowed(&self, name: &SpaceName, key: Option<SpaceKey>) -> DbResult<Self> {
        let key = key.filter(|key| self.spaces.contains(key));
        key.map(Self::only)
            .ok_or_else(|| DbError::CallerNotMember(name.clone()))
    }

    /// Returns the spaces that both can see.
    pub fn common(&self, other: &Self) -> Self {
        let spaces = self.spaces.iter().filter(|s| other.spaces.contains(s));
        Self {
            spaces: spaces.copied().collect(),
        }
    }

    /// Returns the visible spaces by number, without duplicates, [`SpaceKey::EVERYONE`] first.
    pub fn spaces(&self) -> &[SpaceKey] {
        &self.spaces
    }
}

/// The spaces and their members.
///
/// Each method is one transaction. All methods return `internal` if the database fails; further
/// errors are listed per method.
#[async_trait]
pub trait Spaces: Send + Sync + 'static {
    /// Returns the spaces visible to an account.
    async fn viewer(&self, account: AccountId) -> Result<Viewer, Problem>;

    /// Creates a space without members.
    ///
    /// # Errors
    /// Returns `space_taken` if the name exists.
    async fn create_space(
        &self,
        name: &SpaceName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Removes a space with its memberships and invites. The index of each peer with files in the
    /// space starts again at generation 0. The files are no longer visible;
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals) deletes them.
    ///
    /// # Errors
    /// Returns `not_found` if there is no such space.
    async fn remove_space(&self, name: &SpaceName, entry: &AuditEntry) -> Result<(), Problem>;

    /// Lists the spaces by name, or only those of one account. `cursor` comes from the previous
    /// page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn spaces(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem>;

    /// Restricts `viewer` to one of its spaces, without the space of everyone.
    ///
    /// # Errors
    /// Returns `permission_denied` if the space does not exist or the account is not a member of
    /// it.
    async fn narrowed(&self, viewer: &Viewer, space: &SpaceName) -> Result<Viewer, Problem>;

    /// Lists the members of a space by name.
    ///
    /// # Errors
    /// Returns `not_found` if there is no such space, and `invalid_argument` for an invalid cursor.
    async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem>;

    /// Adds an account to a space. Returns whether it was not yet a member. The index of each of
    /// its peers starts again at generation 0, so that the peer publishes files that were refused
    /// before.
    ///
    /// # Errors
    /// Returns `not_found` if the space or the account does not exist.
    async fn add_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// Removes an account from a space, and withdraws its peers' announcements of contents that it
    /// can no longer see. The index of each of its peers starts again at generation 0, so that the
    /// peer publishes its remaining files.
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals) deletes the account's files in
    /// the space; until then the other members see them.
    ///
    /// # Errors
    /// Returns `not_found` if the space or the account does not exist, or the account is not a
    /// member.
    async fn remove_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
    ) -> Result<(), Problem>;
}
