//! Spaces: named sets of accounts, and what the members of some of them may see.

use async_trait::async_trait;
use convite_core::administration::SpaceSummary;
use convite_core::model::Page;
use convite_core::{ErrorCode, Problem, SpaceName, UnixMillis, UserName};

use crate::{AccountId, AuditEntry};

/// The number of a space, for good; search documents carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceKey(pub i64);

impl SpaceKey {
    /// Not a space that can be named: what lies in it, every account may see.
    pub const EVERYONE: Self = Self(0);
}

/// Through whose eyes something is read: for it there is nothing that lies in another space.
///
/// Cheap to compare: watchers with equal eyes share an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Viewer {
    spaces: Vec<SpaceKey>,
}

impl Viewer {
    /// The eyes of one who belongs to these spaces, and to everyone.
    pub fn of(spaces: impl IntoIterator<Item = SpaceKey>) -> Self {
        let mut spaces: Vec<_> = spaces.into_iter().chain([SpaceKey::EVERYONE]).collect();
        spaces.sort_unstable();
        spaces.dedup();
        Self { spaces }
    }

    /// The eyes of one who belongs to no space.
    pub fn everyone() -> Self {
        Self::of([])
    }

    /// The eyes that see what lies in one space, and nothing else.
    pub(crate) fn only(space: SpaceKey) -> Self {
        Self {
            spaces: vec![space],
        }
    }

    /// The same eyes for one of the spaces that they see.
    pub(crate) fn narrowed(
        &self,
        name: &SpaceName,
        key: Option<SpaceKey>,
    ) -> Result<Self, Problem> {
        let key = key.filter(|key| self.spaces.contains(key));
        key.map(Self::only).ok_or_else(|| not_yours(name))
    }

    /// The eyes that see what both see.
    pub fn common(&self, other: &Self) -> Self {
        let spaces = self.spaces.iter().filter(|s| other.spaces.contains(s));
        Self {
            spaces: spaces.copied().collect(),
        }
    }

    /// What it sees: the spaces by number, each once, [`SpaceKey::EVERYONE`] first.
    pub fn spaces(&self) -> &[SpaceKey] {
        &self.spaces
    }
}

/// The spaces and who belongs to them.
///
/// Every method is one transaction. Errors are `internal` for a failing database, and what each
/// method names.
#[async_trait]
pub trait Spaces: Send + Sync + 'static {
    /// The eyes of an account.
    async fn viewer(&self, account: AccountId) -> Result<Viewer, Problem>;

    /// Makes a space without members.
    ///
    /// # Errors
    /// `space_taken`.
    async fn create_space(
        &self,
        name: &SpaceName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Removes a space, with its memberships and the invites to it. The index of each peer that had
    /// files in it starts at generation 0. Nobody sees these any more; they go with
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals).
    ///
    /// # Errors
    /// `not_found`.
    async fn remove_space(&self, name: &SpaceName, entry: &AuditEntry) -> Result<(), Problem>;

    /// The spaces by name, or only those that an account belongs to. `cursor` is what the page
    /// before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn spaces(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem>;

    /// The eyes of `viewer` for one of its spaces alone: not even what everyone sees.
    ///
    /// # Errors
    /// `permission_denied` for a space that it does not belong to, or that does not exist.
    async fn narrowed(&self, viewer: &Viewer, space: &SpaceName) -> Result<Viewer, Problem>;

    /// The members of a space, by name.
    ///
    /// # Errors
    /// `not_found`; `invalid_argument` for a cursor that no page returned.
    async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem>;

    /// Lets an account into a space; returns whether it is new to it. The index of each of its
    /// peers starts at generation 0, so that it sends anew what was refused before.
    ///
    /// # Errors
    /// `not_found` for the space or the account.
    async fn add_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// Takes an account out of a space, and back what its peers have announced of contents that it
    /// sees no more. The index of each of its peers starts at generation 0, so that it sends anew
    /// what is left. Their files in the space go with
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals); until then its members see them.
    ///
    /// # Errors
    /// `not_found` for the space, the account, or its not being a member.
    async fn remove_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
    ) -> Result<(), Problem>;
}

/// What a name that no space has is refused with.
pub(crate) fn unknown(space: &SpaceName) -> Problem {
    Problem::not_found(format!("there is no space '{space}'"))
        .hint("see `convite space list`, or make it with `convite space add`")
}

/// What a name that a space has already is refused with.
pub(crate) fn taken(space: &SpaceName) -> Problem {
    Problem::new(
        ErrorCode::SpaceTaken,
        format!("there is a space '{space}' already"),
    )
    .hint("choose another name")
}

/// What one is refused with who names a space that it does not belong to. Of one that does not
/// exist it is the same.
pub(crate) fn not_yours(space: &SpaceName) -> Problem {
    Problem::new(
        ErrorCode::PermissionDenied,
        format!("you do not belong to a space '{space}'"),
    )
    .hint("see yours with `convite space list`, or ask an administrator to let you in")
}

/// What taking out one who is not in is refused with.
pub(crate) fn no_member(space: &SpaceName, user: &UserName) -> Problem {
    Problem::not_found(format!("'{user}' does not belong to the space '{space}'"))
        .hint("see who does with `convite space member list`")
}
