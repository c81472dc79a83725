//! Links: one file for whoever has the link, without an account, a few times and for a while.
//!
//! A link shows what the account that made it sees, at each use anew. Of a token that is none, one
//! that is over or used up, and a file that is gone or seen no more, the answers are the same.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use convite_core::administration::{Act, Outcome};
use convite_core::{ContentHash, ErrorCode, Problem, UnixMillis, UserName, Within};
use convite_net::Network;
use convite_store::{AuditEntry, LinkUse, NewLink, SecretHash};

use super::contents::Asking;
use super::sessions::hash_token;
use super::{Caller, Contents, Seen, Service};

const EXPIRES_DEFAULT: Duration = Duration::from_secs(3600);
const EXPIRES_MIN: Duration = Duration::from_secs(60);
const EXPIRES_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const USES_MAX: u32 = 1_000;

/// A link that has just been made.
#[derive(Clone)]
pub struct LinkIssued {
    /// Its path here, with its token, a secret.
    pub path: String,
    /// The whole of it.
    pub url: String,
    /// When it ends.
    pub expires: UnixMillis,
}

/// A file that a link opens, not asked for yet.
pub struct Linked {
    /// The file.
    pub contents: Contents,
    /// Its identity.
    pub hash: ContentHash,
    /// The right to it.
    pub pass: Pass,
}

/// The right to use a link, which spends a use only once the file is at hand.
pub struct Pass {
    service: Arc<Service>,
    token: SecretHash,
    user: UserName,
    hash: ContentHash,
    seen: Seen,
}

impl Pass {
    /// Uses the link; `begins` says that the file is asked for from its beginning.
    ///
    /// # Errors
    /// `not_found` if somebody else had the last use.
    pub async fn spend(&self, begins: bool) -> Result<(), Problem> {
        let service = &self.service;
        let now = service.now();
        let entry = AuditEntry {
            at: now,
            actor: Some(self.user.clone()),
            action: Act::LinkUse,
            target: self.hash.to_string(),
            address: Some(self.seen.address()),
            outcome: Outcome::Done,
        };
        let network = network_name(self.seen);
        let used = service
            .store()
            .use_link(&self.token, &network, begins, &entry, now)
            .await?;
        match used {
            LinkUse::Begun | LinkUse::GoneOn => Ok(()),
            LinkUse::Refused => Err(no_such_link()),
        }
    }
}

impl Service {
    /// Makes a link to a file that the caller sees: for `expires_in`, 1 minute to 30 days, an hour
    /// by default; for `uses`, 1 to 1,000, once by default.
    ///
    /// # Errors
    /// `not_found` if nobody online shares the file, or the caller may not know of it;
    /// `permission_denied` for guests, and if this directory relays nothing; `invalid_argument` out
    /// of bounds; `too_many_requests` if the caller has very many links.
    pub async fn create_link(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        expires_in: Option<Duration>,
        uses: Option<u32>,
    ) -> Result<LinkIssued, Problem> {
        if let Err(problem) = caller.must_share() {
            self.note_denied(caller, Act::LinkAdd).await?;
            return Err(problem);
        }
        self.relay.must_be_enabled()?;
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
        self.locate(caller, hash, &Within::Seen).await?;
        let token = data_encoding::BASE64URL_NOPAD.encode(&crate::random_bytes::<32>()?);
        let now = self.now();
        let link = NewLink {
            token: hash_token(&token),
            account: caller.account,
            hash: *hash,
            uses,
            expires: now.after(lifetime),
        };
        let entry = self.done(caller, Act::LinkAdd, hash);
        self.store().create_link(&link, &entry, now).await?;
        let path = format!("/d/{token}");
        let scheme = match self.parts.authority {
            Some(_) => "https",
            None => "http",
        };
        let addresses = self.link_addresses();
        let host = addresses.first().map(ToString::to_string);
        Ok(LinkIssued {
            url: format!("{scheme}://{}{path}", host.unwrap_or_default()),
            path,
            expires: link.expires,
        })
    }

    /// What a link opens, for one who needs no account. Spends no use: see [`Pass::spend`].
    ///
    /// # Errors
    /// `not_found`, always the same; `too_many_requests` after too many tokens that were none.
    pub async fn linked(self: &Arc<Self>, token: &str, seen: Seen) -> Result<Linked, Problem> {
        let (token, now) = (hash_token(token), self.now());
        let (network, store) = (network_name(seen), self.store());
        let found = self
            .attempt_link(
                Network::of(seen.remote.ip()),
                store.link(&token, &network, now),
            )
            .await?;
        let link = found.ok_or_else(no_such_link)?;
        let contents = self
            .linked_contents(token, link.user.clone(), link.hash, seen)
            .await
            .map_err(|problem| match problem.code {
                ErrorCode::NotFound | ErrorCode::PermissionDenied => no_such_link(),
                _ => problem,
            })?;
        Ok(Linked {
            contents,
            hash: link.hash,
            pass: Pass {
                service: Arc::clone(self),
                token,
                user: link.user,
                hash: link.hash,
                seen,
            },
        })
    }

    fn linked_contents(
        self: &Arc<Self>,
        token: SecretHash,
        user: UserName,
        hash: ContentHash,
        seen: Seen,
    ) -> impl Future<Output = Result<Contents, Problem>> + Send {
        let service = Arc::clone(self);
        self.contents_of(hash, move || -> Asking {
            let (service, user) = (Arc::clone(&service), user.clone());
            Box::pin(async move { service.in_place_of(&user, token, seen).await })
        })
    }

    /// The eyes of the account that made a link, as they are now.
    async fn in_place_of(
        &self,
        user: &UserName,
        token: SecretHash,
        seen: Seen,
    ) -> Result<Caller, Problem> {
        let account = self.store().account(user).await?;
        let account = account
            .filter(|account| !account.disabled)
            .ok_or_else(no_such_link)?;
        let caller = Caller {
            account: account.id,
            user: account.user,
            role: account.role,
            viewer: self.store().viewer(account.id).await?,
            from: Some(seen.address()),
            // No session has this hash: nothing can be done in its place but to read.
            session: token,
        };
        caller.must_share()?;
        Ok(caller)
    }
}

/// Whose use it is: an address, or the network of an IPv6 one.
fn network_name(seen: Seen) -> String {
    Network::of(seen.remote.ip()).to_string()
}

fn no_such_link() -> Problem {
    Problem::not_found("this link opens nothing, or nothing any more")
        .hint("ask whoever gave it to you for a new one")
}
