//! Invites: links with the address of the directory and the right to create an account.

use std::time::Duration;

use convite_core::administration::{AuditAction, InviteSummary};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis};
use convite_net::random;
use convite_store::{InviteRecord, SecretHash, public_id};
use convite_wire::invite::InviteLink;

use super::paging::list_limit;
use super::{Caller, Service};
use crate::secrets::SecretStore;

const DAY: Duration = Duration::from_secs(24 * 3600);
const EXPIRES_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
const EXPIRES_MIN: Duration = Duration::from_secs(60);
const EXPIRES_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const USES_MAX: u32 = 100_000;
/// Lifetime of the invite on the ready line.
const READY_INVITE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The settings of a new invite; `None` selects the default.
#[derive(Debug, Clone, Default)]
pub struct NewInvite {
    /// Number of uses, 1 to 100,000; 1 by default.
    pub uses: Option<u32>,
    /// Lifetime, 1 minute to 366 days; 7 days by default.
    pub expires_in: Option<Duration>,
    /// The role of accounts created with it; member by default.
    pub role: Option<Role>,
    /// The space that these accounts become members of.
    pub space: Option<SpaceName>,
}

/// A new invite.
#[derive(Clone)]
pub struct NewInviteLink {
    /// The link with its code, a secret.
    pub link: InviteLink,
    /// When it expires.
    pub expires: UnixMillis,
    /// Number of uses.
    pub uses: u32,
}

/// Returns the stored hash of an invite's code.
pub(super) fn hash_code(code: &str) -> SecretHash {
    *blake3::hash(code.to_ascii_lowercase().as_bytes()).as_bytes()
}

/// Returns 160 random bits as 32 letters and digits, which a double click selects as one word.
fn new_code() -> Result<String, Problem> {
    let bytes = random::bytes::<20>()?;
    Ok(data_encoding::BASE32_NOPAD
        .encode(&bytes)
        .to_ascii_lowercase())
}

impl Service {
    /// Creates an invite.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `invalid_argument` for
    /// values out of bounds; `not_found` if the space does not exist.
    pub async fn create_invite(
        &self,
        caller: &Caller,
        new: NewInvite,
    ) -> Result<NewInviteLink, Problem> {
        self.require_admin(caller, AuditAction::InviteAdd).await?;
        let uses = new.uses.unwrap_or(1);
        if !(1..=USES_MAX).contains(&uses) {
            return Err(Problem::invalid(format!(
                "an invite can be used 1 to {USES_MAX} times, not {uses}"
            )));
        }
        let lifetime = new.expires_in.unwrap_or(EXPIRES_DEFAULT);
        if !(EXPIRES_MIN..=EXPIRES_MAX).contains(&lifetime) {
            return Err(Problem::invalid(format!(
                "an invite lasts 60 to {} seconds, not {}",
                EXPIRES_MAX.as_secs(),
                lifetime.as_secs()
            )));
        }
        let code = new_code()?;
        let now = self.now();
        let record = InviteRecord {
            code: hash_code(&code),
            role: new.role.unwrap_or(Role::Member),
            space: new.space,
            uses: Some(uses),
            expires: now.after(lifetime),
            founds: false,
        };
        let mut target = format!("{} {}", public_id(&record.code), record.role.name());
        if let Some(space) = &record.space {
            target = format!("{target} {space}");
        }
        let entry = self.audit_entry(caller, AuditAction::InviteAdd, target);
        self.store()
            .create_invite(&record, Some(&entry), now)
            .await?;
        Ok(NewInviteLink {
            link: self.link(Some(code)),
            expires: record.expires,
            uses,
        })
    }

    /// Returns the usable invites by id, for administrators; `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `invalid_argument` for an
    /// invalid limit or cursor.
    pub async fn list_invites(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<InviteSummary>, Problem> {
        self.require_admin(caller, AuditAction::InviteList).await?;
        let limit = list_limit(limit)?;
        self.store().invites(limit, cursor, self.now()).await
    }

    /// Revokes an invite by its id, for administrators.
    ///
    /// # Errors
    /// Returns `permission_denied` unless the caller is an administrator; `not_found` if there is
    /// no such invite.
    pub async fn revoke_invite(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        self.require_admin(caller, AuditAction::InviteRevoke)
            .await?;
        let entry = self.audit_entry(caller, AuditAction::InviteRevoke, id);
        self.store().revoke_invite(id, &entry).await
    }

    /// Returns the invite of the ready line: unlimited uses within 30 days; the first user of a new
    /// directory becomes its administrator. Its code is stored in `secrets` and reused at the next
    /// start, and by other replicas, while more than a day is left.
    pub(crate) async fn ready_line_invite(
        &self,
        secrets: &SecretStore,
    ) -> Result<InviteLink, Problem> {
        let now = self.now();
        let kept = secrets.invite().await?;
        if let Some(code) = kept.as_deref().map(|text| text.trim().to_owned()) {
            let record = self.store().invite(&hash_code(&code), now).await?;
            if record.is_some_and(|record| record.expires > now.after(DAY)) {
                return Ok(self.link(Some(code)));
            }
        }
        let code = new_code()?;
        let record = InviteRecord {
            code: hash_code(&code),
            role: Role::Member,
            space: None,
            uses: None,
            expires: now.after(READY_INVITE_LIFETIME),
            founds: true,
        };
        // Create it before publishing the code. Another replica may have stored another code first.
        self.store().create_invite(&record, None, now).await?;
        let kept = secrets
            .store_invite(kept.as_deref(), &format!("{code}\n"))
            .await?;
        Ok(self.link(Some(kept.trim().to_owned())))
    }

    /// Returns a link to this directory for existing accounts: without a secret, and no one can
    /// join with it.
    pub(super) fn link_without_code(&self) -> InviteLink {
        self.link(None)
    }

    fn link(&self, code: Option<String>) -> InviteLink {
        InviteLink {
            addresses: self.link_addresses(),
            code,
            authority: self.fingerprint(),
        }
    }
}
