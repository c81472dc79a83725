//! Sessions: a random token that stands for an account. Only its hash is stored.

use std::fmt;
use std::net::IpAddr;

use convite_core::administration::{Act, SessionSummary};
use convite_core::model::{Page, Role};
use convite_core::{ErrorCode, Problem, SpaceName, UnixMillis, UserName};
use convite_metrics::catalogue::LOGINS;
use convite_store::{AccountId, AccountRecord, SecretHash, Viewer, public_id};
use convite_wire::invite::InviteLink;

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::peers::page_limit;
use super::{Endpoint, Seen, Service};

/// Whoever makes a call, known by a session that is alive.
#[derive(Clone)]
pub struct Caller {
    /// The number of the account.
    pub account: AccountId,
    /// Its name.
    pub user: UserName,
    /// What it may do.
    pub role: Role,
    /// What it may see.
    pub(super) viewer: Viewer,
    /// Where the call came from.
    pub(super) from: Option<IpAddr>,
    /// The hash of the session's token.
    pub(super) session: SecretHash,
}

impl Caller {
    /// Whose things the caller administers: the own alone, or (none) everybody's.
    pub(super) fn only_own(&self) -> Option<AccountId> {
        match self.role {
            Role::Admin => None,
            Role::Member | Role::Guest => Some(self.account),
        }
    }

    /// Lets administrators pass.
    ///
    /// # Errors
    /// `permission_denied` for everybody else.
    pub fn must_administer(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Member | Role::Guest => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "only an administrator may do this",
            )
            .hint("ask an administrator of this directory")),
        }
    }
}

/// Who a session stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Whose it is.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
    /// The spaces that it belongs to, by name.
    pub spaces: Vec<SpaceName>,
    /// When the session ends unless it is used.
    pub expires: UnixMillis,
    /// The way here for another computer of the account.
    pub link: InviteLink,
}

/// A session that has just begun.
#[derive(Clone)]
pub struct Session {
    /// The bearer token: 43 characters of base64url. Shown once.
    pub token: String,
    /// When it ends unless it is used.
    pub expires: UnixMillis,
    /// Whose it is.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token, which is a secret.
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
    match account.disabled {
        false => Ok(()),
        true => Err(
            Problem::new(ErrorCode::PermissionDenied, "this account is disabled")
                .hint("ask an administrator of this directory"),
        ),
    }
}

impl Service {
    /// Begins a session with a password.
    ///
    /// # Errors
    /// `wrong_credentials`, in the same time whether or not there is such a user;
    /// `permission_denied` if the account is disabled; `overloaded` if too many log in at once;
    /// `too_many_requests` after too many failures.
    pub async fn login(
        &self,
        user: &UserName,
        password: &str,
        seen: Seen,
    ) -> Result<Session, Problem> {
        let attempt = self.attempt_password(user, seen, self.log_in(user, password, seen));
        let account = attempt.await;
        self.note_attempt(Act::Login, user, seen, &account).await;
        let account = self.count_outcome(&LOGINS, account)?;
        self.begin(account, Some(seen)).await
    }

    /// The account that user and password belong to.
    async fn log_in(
        &self,
        user: &UserName,
        password: &str,
        seen: Seen,
    ) -> Result<AccountRecord, Problem> {
        let known = self.store().account(user).await?;
        let account = match known {
            None if self.parts.open_registration => {
                let made = async {
                    let hash = self.passwords.hash(password).await?;
                    let account = self.admit(user, &hash, Role::Member).await?;
                    // Someone else may have made it in between, with another password.
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

    /// Begins a session and registers a peer in it, if one is given: both or neither.
    ///
    /// # Errors
    /// As [`Self::login`] and [`Self::register_peer`].
    pub async fn login_with_peer(
        &self,
        user: &UserName,
        password: &str,
        peer: Option<Endpoint>,
        seen: Seen,
    ) -> Result<Session, Problem> {
        let session = self.login(user, password, seen).await?;
        if let Some(endpoint) = peer {
            let caller = self.authenticate(Some(&session.token), Some(seen)).await?;
            if let Err(problem) = self.register_peer(&caller, endpoint, seen).await {
                self.logout(&caller).await?;
                return Err(problem);
            }
        }
        Ok(session)
    }

    /// Whether user and password belong together.
    ///
    /// # Errors
    /// `wrong_credentials`.
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
        match self.passwords.verify(password, stored).await? {
            true => Ok(()),
            false => Err(wrong_credentials()),
        }
    }

    /// A session for whoever owns the directory's own folder, as `convite up` does: makes the
    /// account, as an administrator, if there is none of that name. Without a password the account
    /// gets none, and can be logged in to in this way only.
    ///
    /// # Errors
    /// `invalid_argument` for a password that is too short or too long; `permission_denied` if the
    /// account is disabled.
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
                self.admit(user, &hash, Role::Admin).await?
            }
        };
        must_be_enabled(&account)?;
        self.begin(account, None).await
    }

    async fn begin(&self, account: AccountRecord, seen: Option<Seen>) -> Result<Session, Problem> {
        let token = data_encoding::BASE64URL_NOPAD.encode(&crate::random_bytes::<32>()?);
        let now = self.now();
        let expires = now.after(self.parts.session_lifetime);
        let begun = self
            .store()
            .create_session(
                &hash_token(&token),
                account.id,
                &account.password_hash,
                seen.map(Seen::address),
                expires,
                now,
            )
            .await?;
        if !begun {
            // The password was changed, or the account disabled, since it was checked.
            return Err(wrong_credentials());
        }
        Ok(Session {
            token,
            expires,
            user: account.user,
            role: account.role,
        })
    }

    /// Who a bearer token stands for, in a call from there; puts off the end of the session.
    ///
    /// # Errors
    /// `unauthenticated` without a token or for an unknown one; `session_expired`.
    pub async fn authenticate(
        &self,
        token: Option<&str>,
        seen: Option<Seen>,
    ) -> Result<Caller, Problem> {
        let token = token.ok_or_else(|| unauthenticated("not logged in"))?;
        self.of_session(hash_token(token), seen.map(Seen::address))
            .await
    }

    /// Whom the session of that token hash stands for; puts off its end.
    pub(super) async fn of_session(
        &self,
        hash: SecretHash,
        from: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let session = self
            .store()
            .session(&hash)
            .await?
            .filter(|session| !session.account.disabled)
            .ok_or_else(|| unauthenticated("the session token is not known"))?;
        let now = self.now();
        if session.expires <= now {
            return Err(
                Problem::new(ErrorCode::SessionExpired, "the session has run out")
                    .hint("log in again with `convite login`"),
            );
        }
        // Not at every call: that would make each of them a write.
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
            from,
            session: hash,
        })
    }

    /// Who the caller's session stands for.
    ///
    /// # Errors
    /// `unauthenticated` if it ended meanwhile.
    pub async fn me(&self, caller: &Caller) -> Result<Me, Problem> {
        let session = self.store().session(&caller.session).await?;
        let account = self.store().account_summary(&caller.user).await?;
        let (session, account) = session
            .zip(account)
            .ok_or_else(|| unauthenticated("the session token is not known"))?;
        Ok(Me {
            user: account.user,
            role: account.role,
            spaces: account.spaces,
            expires: session.expires,
            link: self.way_here(),
        })
    }

    /// The sessions that are alive, by id: of `user`, or all that the caller may see, which for an
    /// administrator is everybody's; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `permission_denied` for another's unless the caller administers; `not_found` for the user;
    /// `invalid_argument` for a limit or cursor that is not valid.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        user: Option<&UserName>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<SessionSummary>, Problem> {
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let of = match user {
            Some(user) if *user == caller.user => Some(caller.account),
            Some(user) => {
                self.must_administer(caller, Act::SessionList).await?;
                let account = self.store().account(user).await?;
                let unknown = || Problem::not_found(format!("there is no user '{user}'"));
                Some(account.ok_or_else(unknown)?.id)
            }
            None => caller.only_own(),
        };
        let now = self.now();
        let mut page = self.store().sessions(of, limit, cursor, now).await?;
        let current = public_id(&caller.session);
        for session in &mut page.items {
            session.current = session.id == current;
        }
        Ok(page)
    }

    /// Ends the session of that id, one's own or, as an administrator, anybody's; its peers go
    /// offline.
    ///
    /// # Errors
    /// `not_found`, also for another's unless the caller administers.
    pub async fn revoke_session(&self, caller: &Caller, id: &str) -> Result<(), Problem> {
        let entry = self.done(caller, Act::SessionRevoke, id);
        self.store()
            .revoke_session(id, caller.only_own(), &entry)
            .await?;
        self.peers_changed();
        Ok(())
    }

    /// Ends the caller's session; peers that were registered in it go offline.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub async fn logout(&self, caller: &Caller) -> Result<(), Problem> {
        self.store()
            .end_session(&caller.session, self.now())
            .await?;
        self.peers_changed();
        Ok(())
    }
}

fn unauthenticated(message: &str) -> Problem {
    Problem::new(ErrorCode::Unauthenticated, message)
        .hint("log in with `convite login`, or send `authorization: Bearer TOKEN`")
}

fn wrong_credentials() -> Problem {
    Problem::new(
        ErrorCode::WrongCredentials,
        "user and password do not belong together",
    )
    .hint("check both; with an invite link, `convite join LINK` makes an account")
}
