//! Sessions: random tokens that identify an account. Only their hashes are stored.

use std::fmt;
use std::net::IpAddr;

use convite_core::administration::{AuditAction, SessionSummary};
use convite_core::model::{FileEntry, Page, Role};
use convite_core::{ErrorCode, Problem, SpaceName, UnixMillis, UserName};
use convite_metrics::catalogue::LOGINS;
use convite_net::random;
use convite_store::{AccountRecord, SecretHash, public_id};
use convite_wire::invite::InviteLink;

use super::caller::unauthenticated;
use super::paging::list_limit;
use super::{Caller, ClientAddress, PeerRegistration, Service};

/// The account and the expiry of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAccount {
    /// The account.
    pub user: UserName,
    /// The account's role.
    pub role: Role,
    /// The spaces that it belongs to, by name.
    pub spaces: Vec<SpaceName>,
    /// When the session expires unless it is used.
    pub expires: UnixMillis,
    /// The link for connecting another computer of the account.
    pub link: InviteLink,
}

/// A new session.
#[derive(Clone)]
pub struct Session {
    /// The bearer token: 43 characters of base64url; for a browser two such tokens, separated by a
    /// dot. Returned once.
    pub token: String,
    /// When it expires unless it is used.
    pub expires: UnixMillis,
    /// The account.
    pub user: UserName,
    /// The account's role.
    pub role: Role,
}

/// The client that stores a session's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStorage {
    /// A program, which stores the whole token.
    Program,
    /// A browser, which stores two halves; both are required. One is a cookie, which is sent to
    /// every server on the host; the other is a key that only pages of this server can read.
    Browser,
}

/// A login request.
pub struct Login<'a> {
    /// The user name.
    pub user: &'a UserName,
    /// The password.
    pub password: &'a str,
    /// The client that stores the token.
    pub holder: TokenStorage,
    /// A peer to register in the session.
    pub peer: Option<PeerLogin>,
}

/// A peer to register with a login.
pub struct PeerLogin {
    /// The peer.
    pub endpoint: PeerRegistration,
    /// All files that it shares; `None` leaves its index unchanged.
    pub files: Option<Vec<FileEntry>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits the token, which is a secret.
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

pub(super) fn hash_token(token: &str) -> SecretHash {
    *blake3::hash(token.as_bytes()).as_bytes()
}

fn must_be_enabled(account: &AccountRecord) -> Result<(), Problem> {
    if account.disabled {
        Err(
            Problem::new(ErrorCode::PermissionDenied, "this account is disabled")
                .hint("ask an administrator of this directory"),
        )
    } else {
        Ok(())
    }
}

impl Service {
    /// Checks a user name and password; with open registration, creates the account if necessary.
    async fn log_in(
        &self,
        user: &UserName,
        password: &str,
        seen: ClientAddress,
    ) -> Result<AccountRecord, Problem> {
        let known = self.store().account(user).await?;
        let account = match known {
            None if self.parts.open_registration => {
                let made = async {
                    let hash = self.passwords.hash(password).await?;
                    let account = self
                        .create_or_get_account(user, &hash, Role::Member)
                        .await?;
                    // Another call may have created it in between, with another password.
                    if account.password_hash != hash {
                        self.check(password, Some(&account)).await?;
                    }
                    Ok(account)
                };
                self.attempt_joining(seen, made).await?
            }
            known => {
                self.check(password, known.as_ref()).await?;
                known.ok_or_else(wrong_credentials)?
            }
        };
        must_be_enabled(&account)?;
        Ok(account)
    }

    /// Starts a session with a password. With a peer, also registers the peer and publishes its
    /// files; if this fails, the session is ended. Returns the generation of the index if one was
    /// published.
    ///
    /// # Errors
    /// Returns `wrong_credentials`, in the same time whether or not the user exists;
    /// `permission_denied` if the account is disabled; `overloaded` if too many logins are in
    /// progress; `too_many_requests` after too many failures; otherwise as [`Self::register_peer`]
    /// and [`Self::begin_publish_index`].
    pub async fn login(
        &self,
        login: Login<'_>,
        seen: ClientAddress,
    ) -> Result<(Session, Option<u64>), Problem> {
        let Login { user, password, .. } = login;
        let attempt = self.attempt_password(user, seen, self.log_in(user, password, seen));
        let account = attempt.await;
        self.record_attempt(AuditAction::Login, user, seen, &account)
            .await;
        let account = self.count_outcome(&LOGINS, account)?;
        let session = self.begin(account, login.holder, Some(seen)).await?;
        let Some(peer) = login.peer else {
            return Ok((session, None));
        };
        let caller = self.authenticate(Some(&session.token), Some(seen)).await?;
        match self.register_and_publish(&caller, peer, seen).await {
            Ok(generation) => Ok((session, generation)),
            Err(problem) => {
                self.logout(&caller).await?;
                Err(problem)
            }
        }
    }

    /// Registers a peer and publishes its files under the next generation.
    async fn register_and_publish(
        &self,
        caller: &Caller,
        peer: PeerLogin,
        seen: ClientAddress,
    ) -> Result<Option<u64>, Problem> {
        let id = peer.endpoint.id.clone();
        let registered = self.register_peer(caller, peer.endpoint, seen).await?;
        let Some(files) = peer.files else {
            return Ok(None);
        };
        let generation = registered.generation.saturating_add(1);
        let mut upload = self.begin_publish_index(caller, &id, generation).await?;
        upload.add_batch(files).await?;
        upload.finish().await?;
        Ok(Some(generation))
    }

    /// Checks a user name and password.
    ///
    /// # Errors
    /// Returns `wrong_credentials`.
    pub(super) async fn check_password(
        &self,
        user: &UserName,
        password: &str,
    ) -> Result<(), Problem> {
        let account = self.store().account(user).await?;
        self.check(password, account.as_ref()).await
    }

    async fn check(&self, password: &str, account: Option<&AccountRecord>) -> Result<(), Problem> {
        let stored = account.map(|account| account.password_hash.as_str());
        if self.passwords.verify(password, stored).await? {
            Ok(())
        } else {
            Err(wrong_credentials())
        }
    }

    /// Number of password hashes computed since the start.
    pub fn password_hashes(&self) -> u64 {
        self.passwords.computed()
    }

    /// Starts a session for the owner of the directory's own folder, as `convite up` does. Creates
    /// the account, as an administrator, if it does not exist. Without a password the account can
    /// be used only in this way.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the password is too short or too long; `permission_denied` if
    /// the account is disabled.
    pub async fn local_session(
        &self,
        user: &UserName,
        password: Option<&str>,
    ) -> Result<Session, Problem> {
        let account = match self.store().account(user).await? {
            Some(account) => account,
            None => {
                let hash = match password {
                    Some(password) => self.passwords.hash(password).await?,
                    None => String::new(),
                };
                self.create_or_get_account(user, &hash, Role::Admin).await?
            }
        };
        must_be_enabled(&account)?;
        self.begin(account, TokenStorage::Program, None).await
    }

    async fn begin(
        &self,
        account: AccountRecord,
        holder: TokenStorage,
        seen: Option<ClientAddress>,
    ) -> Result<Session, Problem> {
        let secret = || -> Result<String, Problem> {
            Ok(data_encoding::BASE64URL_NOPAD.encode(&random::bytes::<32>()?))
        };
        // Only the hash of the whole token is stored, so that one half does not identify the
        // session.
        let token = match holder {
            TokenStorage::Program => secret()?,
            TokenStorage::Browser => format!("{}.{}", secret()?, secret()?),
        };
        let now = self.now();
        let expires = now.after(self.parts.session_lifetime);
        let begun = self
            .store()
            .create_session(
                &hash_token(&token),
                account.id,
                &account.password_hash,
                seen.map(ClientAddress::address),
                expires,
                now,
            )
            .await?;
        if !begun {
            // The password was changed, or the account disabled, after the check.
            return Err(wrong_credentials());
        }
        Ok(Session {
            token,
            expires,
            user: account.user,
            role: account.role,
        })
    }

    /// Returns the caller that a bearer token identifies, and extends the session.
    ///
    /// # Errors
    /// Returns `unauthenticated` without a token or for an unknown one; `session_expired`.
    pub async fn authenticate(
        &self,
        token: Option<&str>,
        seen: Option<ClientAddress>,
    ) -> Result<Caller, Problem> {
        let token = token.ok_or_else(|| unauthenticated("not logged in"))?;
        self.caller_of_session(hash_token(token), seen.map(ClientAddress::address))
            .await
    }

    /// Returns the caller of the session with this token hash, and extends the session.
    pub(super) async fn caller_of_session(
        &self,
        hash: SecretHash,
        client_address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let session = self
            .store()
            .session(&hash)
            .await?
            .filter(|session| !session.account.disabled)
            .ok_or_else(|| unauthenticated("the session token is unknown"))?;
        let now = self.now();
        if session.expires <= now {
            return Err(
                Problem::new(ErrorCode::SessionExpired, "the session has expired")
                    .hint("log in again with `convite login`"),
            );
        }
        // Not on every call: each extension is a write.
        let lifetime = self.parts.session_lifetime;
        if now.until(session.expires) < lifetime / 30 * 29 {
            self.store()
                .extend_session(&hash, now.after(lifetime), now)
                .await?;
        }
        Ok(Caller {
            account: session.account.id,
            user: session.account.user,
            role: session.account.role,
            viewer: session.viewer,
            client_address,
            session: hash,
        })
    }

    /// Returns the account and expiry of the caller's session.
    ///
    /// # Errors
    /// Returns `unauthenticated` if the session has ended in the meantime.
    pub async fn me(&self, caller: &Caller) -> Result<SessionAccount, Problem> {
        let session = self.store().session(&caller.session).await?;
        let account = self.store().account_summary(&caller.user).await?;
        let (session, account) = session
            .zip(account)
            .ok_or_else(|| unauthenticated("the session token is unknown"))?;
        Ok(SessionAccount {
            user: account.user,
            role: account.role,
            spaces: account.spaces,
            expires: session.expires,
            link: self.link_without_code(),
        })
    }

    /// Returns the active sessions by id: those of `user`, or all that the caller may see (for an
    /// administrator, those of all accounts); `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `permission_denied` for another user's sessions unless the caller is an
    /// administrator; `not_found` if the user does not exist; `invalid_argument` for an invalid
    /// limit or cursor.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        user: Option<&UserName>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<SessionSummary>, Problem> {
        let limit = list_limit(limit)?;
        let of = match user {
            Some(user) if *user == caller.user => Some(caller.account),
            Some(user) => {
                self.require_admin(caller, AuditAction::SessionList).await?;
                let account = self.store().account(user).await?;
                let unknown = || Problem::not_found(format!("there is no user '{user}'"));
                Some(account.ok_or_else(unknown)?.id)
            }
            None => caller.administered_account(),
        };
        let now = self.now();
        let mut page = self.store().sessions(of, limit, cursor, now).await?;
        let current = public_id(&caller.session);
        for session in &mut page.items {
            session.current = session.id == current;
        }
        Ok(page)
    }

    /// Ends a session by its id: one of the caller's own or, for administrators, any; its peers go
    /// offline.
    ///
    /// # Errors
    /// Returns `not_found`, also for another user's session unless the caller is an administrator.
    pub async fn revoke_session(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        let entry = self.audit_entry(caller, AuditAction::SessionRevoke, id);
        self.store()
            .revoke_session(id, caller.administered_account(), &entry)
            .await?;
        self.peers_changed();
        Ok(())
    }

    /// Ends the caller's session; peers that were registered in it go offline.
    ///
    /// # Errors
    /// Returns `internal` if the database fails.
    pub async fn logout(&self, caller: &Caller) -> Result<(), Problem> {
        self.store()
            .end_session(&caller.session, self.now())
            .await?;
        self.peers_changed();
        Ok(())
    }
}

fn wrong_credentials() -> Problem {
    Problem::new(ErrorCode::WrongCredentials, "wrong user name or password")
        .hint("check both; to create an account with an invite link, use `convite join LINK`")
}
