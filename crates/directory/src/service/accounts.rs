//! Creation of accounts.

use convite_core::administration::AuditAction;
use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UserName};
use convite_store::{AccountRecord, Admission};
use convite_wire::invite::InviteLink;

use super::{ClientAddress, Service, invites};

/// The account whose password is `$CONVITE_ADMIN_PASSWORD`.
const ADMIN: &str = "admin";

/// A text without `://` that is shorter than this is no link, whatever its encoding.
const LINK_MIN: usize = 20;

impl Service {
    /// Creates an account with an invite, given as its code or as the whole link.
    ///
    /// # Errors
    /// Returns `invite_invalid` for an invalid invite; `user_taken` if the name exists;
    /// `invalid_argument` if the password is too short or too long; `overloaded` if too many
    /// passwords are being hashed; `too_many_requests` after too many attempts from the same
    /// network.
    pub async fn create_account(
        &self,
        invite: &str,
        user: &UserName,
        password: &str,
        seen: ClientAddress,
    ) -> Result<AccountRecord, Problem> {
        let attempt = self.attempt_joining(seen, self.redeem_invite(invite, user, password));
        let account = attempt.await;
        self.record_attempt(AuditAction::Join, user, seen, &account)
            .await;
        account
    }

    async fn redeem_invite(
        &self,
        invite: &str,
        user: &UserName,
        password: &str,
    ) -> Result<AccountRecord, Problem> {
        let code = match invite_code_in(invite) {
            Some(code) => code.to_owned(),
            // Too short for a link: treat it as a wrong code.
            None if invite.len() < LINK_MIN && !invite.contains("://") => invite.to_owned(),
            None => invite.parse::<InviteLink>()?.code.ok_or_else(|| {
                Problem::new(ErrorCode::InviteInvalid, "this link contains no invite")
                    .hint("it is for existing accounts: sign in, or ask for an invite")
            })?,
        };
        let code = invites::hash_code(&code);
        // Check before the expensive hash, so that only holders of an invite can cause one.
        if self.store().invite(&code, self.now()).await?.is_none() {
            return Err(Problem::new(
                ErrorCode::InviteInvalid,
                "this invite is invalid, already used, or expired",
            )
            .hint("ask an administrator for a new one, made with `convite invite`"));
        }
        let hash = self.passwords.hash(password).await?;
        self.store()
            .create_account(user, &hash, Admission::Invite(code), self.now())
            .await
    }

    /// Creates the account `admin` with this password, unless it exists.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the password is too short or too long.
    pub async fn ensure_admin(&self, password: &str) -> Result<(), Problem> {
        let user: UserName = ADMIN.parse()?;
        if self.store().account(&user).await?.is_some() {
            return Ok(());
        }
        let hash = self.passwords.hash(password).await?;
        self.create_or_get_account(&user, &hash, Role::Admin)
            .await
            .map(drop)
    }

    /// Creates an account without an invite, or returns it if another call has created it.
    pub(super) async fn create_or_get_account(
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
            // Another replica or call created it first.
            Err(problem) if problem.code == ErrorCode::UserTaken => {
                self.store().account(user).await?.ok_or(problem)
            }
            other => other,
        }
    }
}

/// Returns the invite code in a pasted text, without surrounding characters. Returns `None` for a
/// link or anything else, which [`InviteLink`] parses.
fn invite_code_in(text: &str) -> Option<&str> {
    let code = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::invite_code_in;

    #[test]
    fn an_invite_code_is_extracted_from_text() {
        for text in ["abc123", " abc123\n", "'abc123'.", "\u{200b}abc123,"] {
            assert_eq!(invite_code_in(text), Some("abc123"), "{text}");
        }
        for text in ["", " ", "convite://a:1/abc123?ca=00", "join abc123", "%"] {
            assert_eq!(invite_code_in(text), None, "{text}");
        }
    }
}
