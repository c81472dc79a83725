//! User accounts: administration, and the user's own password.

use convite_core::administration::{AccountSummary, AuditAction};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UserName};
use convite_store::AccountChange;

use super::paging::list_limit;
use super::{Caller, ClientAddress, Service};

/// A change to an account; `None` leaves a setting unchanged.
#[derive(Clone, Copy, Default)]
pub struct UserChange<'a> {
    /// The new role.
    pub role: Option<Role>,
    /// Whether the account is disabled.
    pub disabled: Option<bool>,
    /// The new password.
    pub password: Option<&'a str>,
    /// The current password, required for a change of the caller's own.
    pub current_password: Option<&'a str>,
}

impl Service {
    /// Creates an account that is a member of these spaces, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `user_taken`; `not_found`
    /// for an unknown space; `invalid_argument` if the password is too short or too long.
    pub async fn add_user(
        &self,
        caller: &Caller,
        user: &UserName,
        password: &str,
        role: Role,
        spaces: &[SpaceName],
    ) -> Result<AccountSummary, Problem> {
        self.require_admin(caller, AuditAction::UserAdd).await?;
        let hash = self.passwords.hash(password).await?;
        let entry = self.audit_entry(caller, AuditAction::UserAdd, user);
        let (store, now) = (self.store(), self.now());
        store
            .add_account(user, &hash, role, spaces, &entry, now)
            .await?;
        self.user(user).await
    }

    /// Returns the accounts by name, for administrators; `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `invalid_argument` for an
    /// invalid limit or cursor.
    pub async fn list_users(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem> {
        self.require_admin(caller, AuditAction::UserList).await?;
        let limit = list_limit(limit)?;
        self.store().accounts(limit, cursor).await
    }

    async fn user(&self, user: &UserName) -> Result<AccountSummary, Problem> {
        let found = self.store().account_summary(user).await?;
        found.ok_or_else(|| Problem::not_found(format!("there is no user '{user}'")))
    }

    /// Changes an account, completely or not at all: administrators any account, other users their
    /// own password, with the current one. Disabling an account ends its sessions and removes its
    /// peers from the list; a new password ends its other sessions.
    ///
    /// # Errors
    /// Returns `permission_denied` for changes that only administrators may make;
    /// `wrong_credentials` for a wrong current password; `not_found`; `last_admin`;
    /// `invalid_argument` if the password is too short or too long; `too_many_requests` after too
    /// many failures.
    pub async fn change_user(
        &self,
        caller: &Caller,
        user: &UserName,
        change: UserChange<'_>,
        seen: ClientAddress,
    ) -> Result<AccountSummary, Problem> {
        let own = *user == caller.user;
        let (mut made, mut entries) = (AccountChange::default(), Vec::new());
        if let Some(role) = change.role {
            self.require_admin(caller, AuditAction::UserRole).await?;
            let target = format!("{user} {}", role.name());
            entries.push(self.audit_entry(caller, AuditAction::UserRole, target));
            made.role = Some(role);
        }
        if let Some(disabled) = change.disabled {
            let act = if disabled {
                AuditAction::UserDisable
            } else {
                AuditAction::UserEnable
            };
            self.require_admin(caller, act).await?;
            entries.push(self.audit_entry(caller, act, user));
            made.disabled = Some(disabled);
        }
        match change.password {
            // An empty change returns the account, so that it requires the permission to list
            // accounts.
            None if entries.is_empty() => self.require_admin(caller, AuditAction::UserList).await?,
            None => {}
            Some(new) => {
                if own {
                    let check =
                        self.check_password(user, change.current_password.unwrap_or_default());
                    let checked = self.attempt_password(user, seen, check).await;
                    if checked.is_err() {
                        let act = AuditAction::UserPassword;
                        self.record_attempt(act, user, seen, &checked).await;
                    }
                    checked?;
                } else {
                    self.require_admin(caller, AuditAction::UserPassword)
                        .await?;
                }
                made.password_hash = Some(self.passwords.hash(new).await?);
                made.keep = own.then_some(caller.session);
                entries.push(self.audit_entry(caller, AuditAction::UserPassword, user));
            }
        }
        self.store().change_account(user, &made, &entries).await?;
        self.peers_changed();
        self.user(user).await
    }
}
