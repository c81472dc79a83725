//! Accounts: who is in the group.

use convite_core::administration::Act;
use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UserName};
use convite_store::{AccountRecord, Admission};
use convite_wire::invite::InviteLink;

use super::{Seen, Service, invites};

/// The account that `$CONVITE_ADMIN_PASSWORD` is for.
const ADMIN: &str = "admin";

impl Service {
    /// Makes an account with an invite: its code alone, or the whole link.
    ///
    /// # Errors
    /// `invite_invalid`; `user_taken`; `invalid_argument` for a password that is too short or too
    /// long; `overloaded` if too many are being hashed; `too_many_requests` after too many from
    /// there.
    pub async fn create_account(
        &self,
        invite: &str,
        user: &UserName,
        password: &str,
        seen: Seen,
    ) -> Result<AccountRecord, Problem> {
        let attempt = self.attempt_joining(seen, self.admit_invited(invite, user, password));
        let account = attempt.await;
        self.note_attempt(Act::Join, user, seen, &account).await;
        account
    }

    async fn admit_invited(
        &self,
        invite: &str,
        user: &UserName,
        password: &str,
    ) -> Result<AccountRecord, Problem> {
        let code = match invite.contains("://") {
            true => invite.parse::<InviteLink>()?.code.ok_or_else(|| {
                Problem::new(ErrorCode::InviteInvalid, "this link has no invite in it")
                    .hint("it is for accounts that exist: sign in, or ask for an invite")
            })?,
            false => invite.trim().to_owned(),
        };
        let code = invites::hash_code(&code);
        // Before the costly hash: strangers get that far only with an invite.
        if self.store().invite(&code, self.now()).await?.is_none() {
            return Err(Problem::new(
                ErrorCode::InviteInvalid,
                "the invite is unknown, used up or has run out",
            )
            .hint("ask for a new one: an administrator makes it with `convite invite`"));
        }
        let hash = self.passwords.hash(password).await?;
        self.store()
            .create_account(user, &hash, Admission::Invite(code), self.now())
            .await
    }

    /// Makes the account `admin` with this password, unless it exists.
    ///
    /// # Errors
    /// `invalid_argument` for a password that is too short or too long.
    pub async fn ensure_admin(&self, password: &str) -> Result<(), Problem> {
        let user: UserName = ADMIN.parse()?;
        if self.store().account(&user).await?.is_some() {
            return Ok(());
        }
        let hash = self.passwords.hash(password).await?;
        self.admit(&user, &hash, Role::Admin).await.map(drop)
    }

    /// Makes an account by the directory's own right, or finds it made meanwhile.
    pub(super) async fn admit(
        &self,
        user: &UserName,
        password_hash: &str,
        role: Role,
    ) -> Result<AccountRecord, Problem> {
        let made = self
            .store()
            .create_account(user, password_hash, Admission::Granted(role), self.now())
            .await;
        match made {
            // Another replica, or another call, was quicker.
            Err(problem) if problem.code == ErrorCode::UserTaken => {
                self.store().account(user).await?.ok_or(problem)
            }
            other => other,
        }
    }
}
