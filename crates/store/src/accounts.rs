//! Accounts: the members of the group.

use async_trait::async_trait;
use convite_core::administration::AccountSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis, UserName};

use crate::{AuditEntry, SecretHash};

/// The number of an account. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Number of the account.
    pub id: AccountId,
    /// User name.
    pub user: UserName,
    /// Role.
    pub role: Role,
    /// argon2id hash of the password in PHC format. An empty text never matches.
    pub password_hash: String,
    /// A disabled account cannot log in, and its sessions are invalid.
    pub disabled: bool,
}

/// Origin of a new account.
#[derive(Debug, Clone)]
pub enum Admission {
    /// An invite, of which one use is spent. The account gets the invite's role, or `admin` if the
    /// invite `founds` and there is no administrator yet.
    Invite(SecretHash),
    /// The directory itself (`$CONVITE_ADMIN_PASSWORD`, open registration, `up`).
    Granted(Role),
}

/// A change of an account. Fields that are `None` stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// New role.
    pub role: Option<Role>,
    /// Whether the account is disabled.
    pub disabled: Option<bool>,
    /// argon2id hash of the new password in PHC format.
    pub password_hash: Option<String>,
    /// Session that stays valid after a new password.
    pub keep: Option<SecretHash>,
}

/// The accounts.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates an account, and spends one use of the invite if there is one.
    ///
    /// # Errors
    /// Returns `user_taken` if the name exists, and `invite_invalid` if the invite is unknown, used
    /// up or expired.
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem>;

    /// Returns the account with this name.
    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem>;

    /// Returns whether there is an administrator that is not disabled.
    async fn has_admin(&self) -> Result<bool, Problem>;

    /// Creates an account for an administrator, as a member of `spaces`.
    ///
    /// # Errors
    /// Returns `user_taken` if the name exists, and `not_found` if a space does not exist.
    async fn add_account(
        &self,
        user: &UserName,
        password_hash: &str,
        role: Role,
        spaces: &[SpaceName],
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem>;

    /// Lists the accounts by name. `cursor` comes from the previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn accounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem>;

    /// Returns the summary of the account with this name.
    async fn account_summary(&self, user: &UserName) -> Result<Option<AccountSummary>, Problem>;

    /// Changes an account atomically and writes `entries`.
    ///
    /// If the account becomes a guest, its peers go offline. If it is disabled, its sessions end
    /// and its peers go offline. A new password ends its sessions except `keep`.
    ///
    /// # Errors
    /// Returns `not_found` if there is no such account, and `last_admin` if no other administrator
    /// that is not disabled would remain.
    async fn change_account(
        &self,
        user: &UserName,
        change: &AccountChange,
        entries: &[AuditEntry],
    ) -> Result<(), Problem>;
}
