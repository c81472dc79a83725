//! Users: accounts as administrators see and change them, and everybody's own password.

use convite_core::administration::{AccountSummary, Act};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UserName};
use convite_store::AccountChange;

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::peers::page_limit;
use super::{Caller, Seen, Service};

/// What is to be different about an account; what is none stays as it is.
#[derive(Clone, Copy, Default)]
pub struct UserChange<'a> {
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it is kept from logging in.
    pub disabled: Option<bool>,
    /// The new password.
    pub password: Option<&'a str>,
    /// The old one, wanted of who changes the own.
    pub old: Option<&'a str>,
}

impl Service {
    /// Makes an account in these spaces, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `user_taken`; `not_found` for a space;
    /// `invalid_argument` for a password that is too short or too long.
    pub async fn add_user(
        &self,
        caller: &Caller,
        user: &UserName,
        password: &str,
        role: Role,
        spaces: &[SpaceName],
    ) -> Result<AccountSummary, Problem> {
        self.must_administer(caller, Act::UserAdd).await?;
        let hash = self.passwords.hash(password).await?;
        let entry = self.done(caller, Act::UserAdd, user);
        let (store, now) = (self.store(), self.now());
        store
            .add_account(user, &hash, role, spaces, &entry, now)
            .await?;
        self.user(user).await
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
        self.must_administer(caller, Act::UserList).await?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().accounts(limit, cursor).await
    }

    async fn user(&self, user: &UserName) -> Result<AccountSummary, Problem> {
        let found = self.store().account_summary(user).await?;
        found.ok_or_else(|| Problem::not_found(format!("there is no user '{user}'")))
    }

    /// Changes an account, all of it or nothing: an administrator anybody's, everybody the own
    /// password with the old one. Disabling ends its sessions and takes its peers off the list; a
    /// new password ends its other sessions.
    ///
    /// # Errors
    /// `permission_denied` for what only administrators may; `wrong_credentials` for a wrong old
    /// password; `not_found`; `last_admin`; `invalid_argument` for a password that is too short or
    /// too long; `too_many_requests` after too many failures.
    pub async fn change_user(
        &self,
        caller: &Caller,
        user: &UserName,
        change: UserChange<'_>,
        seen: Seen,
    ) -> Result<AccountSummary, Problem> {
        let own = *user == caller.user;
        let (mut made, mut entries) = (AccountChange::default(), Vec::new());
        if let Some(role) = change.role {
            self.must_administer(caller, Act::UserRole).await?;
            let target = format!("{user} {}", role.name());
            entries.push(self.done(caller, Act::UserRole, target));
            made.role = Some(role);
        }
        if let Some(disabled) = change.disabled {
            let act = match disabled {
                true => Act::UserDisable,
                false => Act::UserEnable,
            };
            self.must_administer(caller, act).await?;
            entries.push(self.done(caller, act, user));
            made.disabled = Some(disabled);
        }
        match change.password {
            // Whoever changes nothing could read what is told of anybody.
            None if entries.is_empty() => self.must_administer(caller, Act::UserList).await?,
            None => {}
            Some(new) => {
                if own {
                    let check = self.check_password(user, change.old.unwrap_or_default());
                    let checked = self.attempt_password(user, seen, check).await;
                    if checked.is_err() {
                        let act = Act::UserPassword;
                        self.note_attempt(act, user, seen, &checked).await;
                    }
                    checked?;
                } else {
                    self.must_administer(caller, Act::UserPassword).await?;
                }
                made.password_hash = Some(self.passwords.hash(new).await?);
                made.keep = own.then_some(caller.session);
                entries.push(self.done(caller, Act::UserPassword, user));
            }
        }
        self.store().change_account(user, &made, &entries).await?;
        self.peers_changed();
        self.user(user).await
    }
}
