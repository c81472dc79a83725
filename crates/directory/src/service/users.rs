//! Users: accounts as administrators see and change them, and everybody's own password.

use convite_core::administration::{AccountSummary, Act};
use convite_core::model::{Page, Role};
use convite_core::{Problem, UserName};

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::peers::page_limit;
use super::{Caller, Seen, Service};

impl Service {
    /// Makes an account, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `user_taken`; `invalid_argument` for a
    /// password that is too short or too long.
    pub async fn add_user(
        &self,
        caller: &Caller,
        user: &UserName,
        password: &str,
        role: Role,
    ) -> Result<(), Problem> {
        self.must_administer(caller, Act::UserAdd).await?;
        let hash = self.passwords.hash(password).await?;
        let entry = self.done(caller, Act::UserAdd, user);
        let made = self
            .store()
            .add_account(user, &hash, role, &entry, self.now());
        made.await.map(drop)
    }

    /// The accounts, by name, for administrators; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `invalid_argument` for a limit or cursor
    /// that is not valid.
    pub async fn list_users(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem> {
        caller.must_administer()?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().accounts(limit, cursor).await
    }

    /// Gives an account a role, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found`; `last_admin`.
    pub async fn set_role(
        &self,
        caller: &Caller,
        user: &UserName,
        role: Role,
    ) -> Result<(), Problem> {
        self.must_administer(caller, Act::UserRole).await?;
        let subject = format!("{user} {}", role.name());
        let entry = self.done(caller, Act::UserRole, subject);
        self.store().set_role(user, role, &entry).await?;
        self.forget_online();
        Ok(())
    }

    /// Disables an account, which ends its sessions and takes its peers off the list, or enables
    /// it, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found`; `last_admin`.
    pub async fn set_disabled(
        &self,
        caller: &Caller,
        user: &UserName,
        disabled: bool,
    ) -> Result<(), Problem> {
        let act = match disabled {
            true => Act::UserDisable,
            false => Act::UserEnable,
        };
        self.must_administer(caller, act).await?;
        let entry = self.done(caller, act, user);
        self.store().set_disabled(user, disabled, &entry).await?;
        self.forget_online();
        Ok(())
    }

    /// Changes a password: an administrator anybody's, everybody the own one with the old one. Ends
    /// the account's other sessions.
    ///
    /// # Errors
    /// `permission_denied` for another's unless the caller administers; `wrong_credentials` for a
    /// wrong old password; `not_found`; `invalid_argument` for a new one that is too short or too
    /// long; `too_many_requests` after too many failures.
    pub async fn set_password(
        &self,
        caller: &Caller,
        user: &UserName,
        old: Option<&str>,
        new: &str,
        seen: Seen,
    ) -> Result<(), Problem> {
        let own = *user == caller.user;
        if own {
            let check = self.check_password(user, old.unwrap_or_default());
            self.attempt_password(user, seen, check).await?;
        } else {
            self.must_administer(caller, Act::UserPassword).await?;
        }
        let hash = self.passwords.hash(new).await?;
        let entry = self.done(caller, Act::UserPassword, user);
        let keep = own.then_some(&caller.session);
        self.store().set_password(user, &hash, keep, &entry).await?;
        self.forget_online();
        Ok(())
    }
}
