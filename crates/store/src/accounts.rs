//! Accounts: who is in the group.

use async_trait::async_trait;
use convite_core::administration::AccountSummary;
use convite_core::model::{Page, Role};
use convite_core::{ErrorCode, Problem, SpaceName, UnixMillis, UserName};

use crate::{AuditEntry, SecretHash};

/// The number of an account, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub user: UserName,
    /// What it may do.
    pub role: Role,
    /// The password's argon2id hash in PHC format; never matches if empty.
    pub password_hash: String,
    /// A disabled account cannot log in, and its sessions are void.
    pub disabled: bool,
}

/// How a new account comes to be.
#[derive(Debug, Clone)]
pub enum Admission {
    /// With an invite, of which one use is spent. Its role is the invite's, but `admin` if the
    /// invite founds and there is no administrator yet.
    Invite(SecretHash),
    /// By the directory itself (`$CONVITE_ADMIN_PASSWORD`, open registration, `up`).
    Granted(Role),
}

/// What is to be different about an account; what is none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it is kept from logging in.
    pub disabled: Option<bool>,
    /// The new password's argon2id hash in PHC format.
    pub password_hash: Option<String>,
    /// The session that a new password does not end.
    pub keep: Option<SecretHash>,
}

/// The accounts.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account, spending one use of the invite if that is how it comes in.
    ///
    /// # Errors
    /// `user_taken`; `invite_invalid` if the invite is unknown, spent or over.
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem>;

    /// The account of that name.
    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem>;

    /// Whether any account that is not disabled has the role admin.
    async fn has_admin(&self) -> Result<bool, Problem>;

    /// Makes an account by an administrator's will, in these spaces.
    ///
    /// # Errors
    /// `user_taken`; `not_found` for a space.
    async fn add_account(
        &self,
        user: &UserName,
        password_hash: &str,
        role: Role,
        spaces: &[SpaceName],
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem>;

    /// The accounts, by name. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn accounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem>;

    /// The account of that name, as lists show it.
    async fn account_summary(&self, user: &UserName) -> Result<Option<AccountSummary>, Problem>;

    /// Changes an account, all of it or nothing, and writes `entries`.
    ///
    /// The peers of one that becomes a guest are off the list. Disabling one ends its sessions and
    /// takes its peers off the list. A new password ends its sessions but `keep`.
    ///
    /// # Errors
    /// `not_found`; `last_admin` if no other account that is not disabled would administer.
    async fn change_account(
        &self,
        user: &UserName,
        change: &AccountChange,
        entries: &[AuditEntry],
    ) -> Result<(), Problem>;
}

/// What a name that is somebody else's is refused with.
pub(crate) fn taken(user: &UserName) -> Problem {
    Problem::new(
        ErrorCode::UserTaken,
        format!("the user name '{user}' is taken"),
    )
    .hint("choose another name, or log in if it is yours")
}

/// What a name that nobody has is refused with.
pub(crate) fn unknown(user: &UserName) -> Problem {
    Problem::not_found(format!("there is no user '{user}'"))
        .hint("see who there is with `convite user list`")
}

/// What is refused that would leave nobody who administers.
pub(crate) fn last_admin() -> Problem {
    Problem::new(
        ErrorCode::LastAdmin,
        "this is the last administrator of the directory",
    )
    .hint("make somebody else an administrator first: `convite user role NAME admin`")
}
