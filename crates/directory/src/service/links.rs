//! Links: access to one file without an account, for a number of uses and a limited time.
//!
//! A link shows what the account that created it may see at each use. An unknown token, an expired
//! or used link, and a file that is gone or no longer visible all get the same response.
//!
//! Opening the address in a browser, or fetching it for a chat preview, does not spend a use: the
//! response is a page with a button, which leads to an address that serves the file
//! ([`LinkPermit::button_token`]).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::{ContentHash, EntryKind, ErrorCode, Problem, SearchScope, UnixMillis, UserName};
use convite_net::Network;
use convite_net::random;
use convite_store::{AuditEntry, LinkRecord, LinkUse, NewLink, SecretHash};

use super::contents::ReaderLookup;
use super::sessions::hash_token;
use super::{Caller, ClientAddress, Contents, Service};

const EXPIRES_DEFAULT: Duration = Duration::from_secs(3600);
const EXPIRES_MIN: Duration = Duration::from_secs(60);
const EXPIRES_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const USES_MAX: u32 = 1_000;

/// A new link.
#[derive(Clone)]
pub struct NewLinkUrl {
    /// Its path on this server, with its token, a secret.
    pub path: String,
    /// Its complete URL.
    pub url: String,
    /// When it expires.
    pub expires: UnixMillis,
}

/// A file that a link gives access to; no provider has been contacted yet.
pub struct OpenedLink {
    /// The file.
    pub contents: Contents,
    /// Its content hash.
    pub hash: ContentHash,
    /// The account that created the link.
    pub sender: UserName,
    /// Whether the requesting network has begun a use.
    pub begun: bool,
    /// The permission to use the link.
    pub pass: LinkPermit,
}

/// The permission to use a link; a use is spent only once the file is available.
pub struct LinkPermit {
    service: Arc<Service>,
    token: SecretHash,
    user: UserName,
    hash: ContentHash,
    seen: ClientAddress,
}

impl LinkPermit {
    /// Returns the suffix of the file's address after the button on the link's page was pressed,
    /// for this network: preview programs do not press it.
    pub fn button_token(&self) -> String {
        self.service
            .link_button_token(&self.token, &network_name(self.seen))
    }

    /// Returns whether `text` is the result of [`Self::button_token`].
    pub fn is_button_token(&self, text: &str) -> bool {
        let network = network_name(self.seen);
        self.service
            .is_link_button_token(text, &self.token, &network)
    }

    /// Spends a use of the link; `begins` means that the file is requested from its start.
    ///
    /// # Errors
    /// Returns `not_found` if another network has spent the last use.
    pub async fn spend(&self, begins: bool) -> Result<(), Problem> {
        let service = &self.service;
        let now = service.now();
        let entry = AuditEntry {
            at: now,
            actor: Some(self.user.clone()),
            action: AuditAction::LinkUse,
            target: self.hash.to_string(),
            address: Some(self.seen.address()),
            outcome: AuditOutcome::Done,
        };
        let network = network_name(self.seen);
        let used = service
            .store()
            .use_link(&self.token, &network, begins, &entry, now)
            .await?;
        match used {
            LinkUse::Begun | LinkUse::GoneOn => Ok(()),
            LinkUse::Refused => Err(link_not_found()),
        }
    }
}

impl Service {
    /// Creates a link to a file that the caller may see: valid for `expires_in`, 1 minute to 30
    /// days (default 1 hour), and for `uses`, 1 to 1,000 (default 1). The link offers the file
    /// under `name` if that is one of its names, else under the most common one.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the file, or the caller may not see it;
    /// `permission_denied` for guests, and if the gateway of this directory is disabled;
    /// `invalid_argument` for a folder and for values out of bounds; `too_many_requests` if the caller has too many
    /// links.
    pub async fn create_link(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        name: &str,
        expires_in: Option<Duration>,
        uses: Option<u32>,
    ) -> Result<NewLinkUrl, Problem> {
        if let Err(problem) = caller.require_sharing_role() {
            self.record_refusal(caller, AuditAction::LinkAdd).await?;
            return Err(problem);
        }
        self.gateway.must_be_enabled()?;
        let uses = uses.unwrap_or(1);
        if !(1..=USES_MAX).contains(&uses) {
            return Err(Problem::invalid(format!(
                "a link can be used 1 to {USES_MAX} times, not {uses}"
            )));
        }
        let lifetime = expires_in.unwrap_or(EXPIRES_DEFAULT);
        if !(EXPIRES_MIN..=EXPIRES_MAX).contains(&lifetime) {
            return Err(Problem::invalid(format!(
                "a link lasts 60 to {} seconds, not {}",
                EXPIRES_MAX.as_secs(),
                lifetime.as_secs()
            )));
        }
        let (kind, within) = (Some(EntryKind::File), SearchScope::Visible);
        self.locate(caller, hash, kind, &within).await?;
        let has_name = self.has_name(&caller.viewer, hash, name).await?;
        let token = data_encoding::BASE64URL_NOPAD.encode(&random::bytes::<32>()?);
        let now = self.now();
        let link = NewLink {
            token: hash_token(&token),
            account: caller.account,
            hash: *hash,
            name: has_name.then(|| name.to_owned()),
            uses,
            expires: now.after(lifetime),
        };
        let entry = self.audit_entry(caller, AuditAction::LinkAdd, hash);
        self.store().create_link(&link, &entry, now).await?;
        let path = format!("/d/{token}");
        let scheme = match self.parts.authority {
            Some(_) => "https",
            None => "http",
        };
        let addresses = self.link_addresses();
        let host = addresses.first().map(ToString::to_string);
        Ok(NewLinkUrl {
            url: format!("{scheme}://{}{path}", host.unwrap_or_default()),
            path,
            expires: link.expires,
        })
    }

    /// Returns the file of a link; requires no account. Spends no use: see [`LinkPermit::spend`].
    ///
    /// # Errors
    /// Returns `not_found` with the same text in all cases; `too_many_requests` after too many
    /// unknown tokens.
    pub async fn linked(
        self: &Arc<Self>,
        token: &str,
        seen: ClientAddress,
    ) -> Result<OpenedLink, Problem> {
        let (token, now) = (hash_token(token), self.now());
        let (network, store) = (network_name(seen), self.store());
        let found = self
            .attempt_link(
                Network::of(seen.remote.ip()),
                store.link(&token, &network, now),
            )
            .await?;
        let link = found.ok_or_else(link_not_found)?;
        let contents =
            self.link_contents(token, &link, seen)
                .await
                .map_err(|problem| match problem.code {
                    ErrorCode::NotFound | ErrorCode::PermissionDenied => link_not_found(),
                    _ => problem,
                })?;
        Ok(OpenedLink {
            contents,
            hash: link.hash,
            sender: link.user.clone(),
            begun: link.begun,
            pass: LinkPermit {
                service: Arc::clone(self),
                token,
                user: link.user,
                hash: link.hash,
                seen,
            },
        })
    }

    fn link_contents(
        self: &Arc<Self>,
        token: SecretHash,
        link: &LinkRecord,
        seen: ClientAddress,
    ) -> impl Future<Output = Result<Contents, Problem>> + Send {
        let (service, user) = (Arc::clone(self), link.user.clone());
        self.contents_for(link.hash, link.name.clone(), move || -> ReaderLookup {
            let (service, user) = (Arc::clone(&service), user.clone());
            Box::pin(async move { service.creator_as_caller(&user, token, seen).await })
        })
    }

    /// Returns a caller with the current permissions of the account that created a link.
    async fn creator_as_caller(
        &self,
        user: &UserName,
        token: SecretHash,
        seen: ClientAddress,
    ) -> Result<Caller, Problem> {
        let account = self.store().account(user).await?;
        let account = account
            .filter(|account| !account.disabled)
            .ok_or_else(link_not_found)?;
        let caller = Caller {
            account: account.id,
            user: account.user,
            role: account.role,
            viewer: self.store().viewer(account.id).await?,
            client_address: Some(seen.address()),
            // No session has this hash, so that this caller can only read.
            session: token,
        };
        caller.require_sharing_role()?;
        Ok(caller)
    }
}

/// Returns the network that a use belongs to: an IPv4 address, or the network of an IPv6 address.
fn network_name(seen: ClientAddress) -> String {
    Network::of(seen.remote.ip()).to_string()
}

fn link_not_found() -> Problem {
    Problem::not_found("this link does not work, or no longer works")
        .hint("ask the person who sent it for a new one")
}
