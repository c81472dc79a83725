//! Accounts: who is in the group.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UnixMillis, UserName};

use crate::SecretHash;

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
}

/// What a name that is somebody else's is refused with.
pub(crate) fn taken(user: &UserName) -> Problem {
    Problem::new(
        ErrorCode::UserTaken,
        format!("the user name '{user}' is taken"),
    )
    .hint("choose another name, or log in if it is yours")
}
