//! Invites: the right to make an account, as a link that says where the directory is too.

use std::time::Duration;

use convite_core::administration::{Act, InviteSummary};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis};
use convite_store::{InviteRecord, SecretHash, public_id};
use convite_wire::invite::InviteLink;

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::peers::page_limit;
use super::{Caller, Service};
use crate::vault::Vault;

const DAY: Duration = Duration::from_secs(24 * 3600);
const EXPIRES_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
const EXPIRES_MIN: Duration = Duration::from_secs(60);
const EXPIRES_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const USES_MAX: u32 = 100_000;
/// How long the invite on the ready line is good for.
const STANDING: Duration = Duration::from_secs(30 * 24 * 3600);

/// What an invite is to be like; what is not given is as it is by default.
#[derive(Debug, Clone, Default)]
pub struct NewInvite {
    /// How often it can be used, 1 to 100,000; 1 by default.
    pub uses: Option<u32>,
    /// For how long, 1 minute to 366 days; 7 days by default.
    pub expires_in: Option<Duration>,
    /// The role of accounts made with it; member by default.
    pub role: Option<Role>,
    /// The space that they come to belong to.
    pub space: Option<SpaceName>,
}

/// An invite that has just been made.
#[derive(Clone)]
pub struct InviteIssued {
    /// With its code, a secret.
    pub link: InviteLink,
    /// When it ends.
    pub expires: UnixMillis,
    /// How often it can be used.
    pub uses: u32,
}

/// What is stored of an invite's code.
pub(super) fn hash_code(code: &str) -> SecretHash {
    *blake3::hash(code.to_ascii_lowercase().as_bytes()).as_bytes()
}

/// 160 random bits as 32 letters and digits, easy to select with a double click.
fn new_code() -> Result<String, Problem> {
    let bytes = crate::random_bytes::<20>()?;
    Ok(data_encoding::BASE32_NOPAD
        .encode(&bytes)
        .to_ascii_lowercase())
}

impl Service {
    /// Makes an invite.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `invalid_argument` out of bounds;
    /// `not_found` for the space.
    pub async fn create_invite(
        &self,
        caller: &Caller,
        new: NewInvite,
    ) -> Result<InviteIssued, Problem> {
        self.must_administer(caller, Act::InviteAdd).await?;
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
        let entry = self.done(caller, Act::InviteAdd, target);
        self.store()
            .create_invite(&record, Some(&entry), now)
            .await?;
        Ok(InviteIssued {
            link: self.link(Some(code)),
            expires: record.expires,
            uses,
        })
    }

    /// The invites that can still be used, by id, for administrators; `limit` 1 to 1,000, 100 by
    /// default.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `invalid_argument` for a limit or cursor
    /// that is not valid.
    pub async fn list_invites(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<InviteSummary>, Problem> {
        self.must_administer(caller, Act::InviteList).await?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        self.store().invites(limit, cursor, self.now()).await
    }

    /// Makes the invite of that id useless, as an administrator.
    ///
    /// # Errors
    /// `permission_denied` unless the caller administers; `not_found`.
    pub async fn revoke_invite(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        self.must_administer(caller, Act::InviteRevoke).await?;
        let entry = self.done(caller, Act::InviteRevoke, id);
        self.store().revoke_invite(id, &entry).await
    }

    /// The invite of the ready line: usable without limit for 30 days, and founding, so that the
    /// first user of a new directory becomes its administrator. Kept in `vault`, and used again at
    /// the next start, and by other replicas, while it has more than a day left.
    pub(crate) async fn standing_invite(&self, vault: &Vault) -> Result<InviteLink, Problem> {
        let now = self.now();
        let kept = vault.invite().await?;
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
            expires: now.after(STANDING),
            founds: true,
        };
        // Good for something before anybody sees it. Another replica may have been quicker.
        self.store().create_invite(&record, None, now).await?;
        let kept = vault
            .keep_invite(kept.as_deref(), &format!("{code}\n"))
            .await?;
        Ok(self.link(Some(kept.trim().to_owned())))
    }

    /// The way here for accounts that exist: no secret, and nobody can join with it.
    pub(super) fn way_here(&self) -> InviteLink {
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
