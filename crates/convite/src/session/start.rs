//! The start of a session with its peer: after a login, or from the credentials in the home.

use std::path::PathBuf;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::{ErrorCode, Problem, UserName};
use convite_peer::RunningPeer;
use convite_peer::download::TransientPeerConfig;
use convite_wire::invite::{Fingerprint, InviteLink};
use tokio_util::sync::CancellationToken;

use super::login::{join_or_login, login};
use super::peer::{PeerStart, choose_and_save_id, transient_peer_config};
use crate::context::Context;
use crate::password::Password;

/// The data of a login form.
pub struct LoginData {
    /// `None` if the home has already joined a directory.
    pub link: Option<String>,
    pub user: String,
    pub password: Password,
}

/// The account, the peer and the directory of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountInfo {
    pub user: String,
    pub peer: String,
    pub directory: String,
}

/// What the transfers of a session share.
#[derive(Clone)]
pub struct SessionContext {
    pub home: Home,
    pub client: DirectoryClient,
    pub authority: Option<Fingerprint>,
    pub member: TransientPeerConfig,
}

/// A session and its running peer.
pub struct RunningSession {
    pub peer: RunningPeer,
    pub context: SessionContext,
    pub account: AccountInfo,
}

/// The settings for starting a session.
#[derive(Clone)]
pub struct SessionStart {
    pub home: PathBuf,
    pub peer: PeerStart,
    pub stop: CancellationToken,
}

impl SessionStart {
    /// Joins or logs in, and starts the peer.
    ///
    /// # Errors
    /// Returns the error of the directory or of [`convite_peer::start`].
    pub async fn login(self, data: LoginData) -> Result<RunningSession, Problem> {
        let context = Context::open(Some(self.home.clone()))?;
        let user: UserName = data.user.parse()?;
        match data.link {
            Some(link) => {
                let link: InviteLink = link.parse()?;
                let makes = link.code.is_some();
                let joined = join_or_login(&context, &link, &user, &data.password.0).await;
                joined.map_err(|problem| match problem.code {
                    // The menu has no flags to name in a hint. A new user more often chose an existing
                    // name than mistyped a password.
                    ErrorCode::WrongCredentials if makes => {
                        Problem::new(ErrorCode::UserTaken, problem.message)
                            .hint("choose another name, or use the password of that account")
                    }
                    ErrorCode::WrongCredentials => problem.hint(
                        "use the name and password of your account; a new account needs an invite",
                    ),
                    _ => problem,
                })?;
            }
            None => {
                login(&context, &user, &data.password.0).await?;
            }
        }
        self.resume().await
    }

    /// Starts the peer of a home that has a session.
    ///
    /// # Errors
    /// As [`convite_peer::start`].
    pub async fn resume(mut self) -> Result<RunningSession, Problem> {
        let mut context = Context::open(Some(self.home.clone()))?;
        self.peer.id = Some(choose_and_save_id(&mut context, self.peer.id.take())?);
        let client = context.client()?;
        let peer = self.peer.start(&context, client.clone(), self.stop);
        let peer = peer.await?;
        RunningSession::new(&context, client, peer)
    }
}

impl RunningSession {
    /// Returns the session of a running peer.
    ///
    /// # Errors
    /// Fails if the home has not joined a directory.
    pub fn new(
        context: &Context,
        client: DirectoryClient,
        peer: RunningPeer,
    ) -> Result<Self, Problem> {
        let credentials: &Credentials = context.require_credentials()?;
        let directory = credentials.addresses.first();
        let user = credentials.user.as_ref();
        let account = AccountInfo {
            user: user.map(ToString::to_string).unwrap_or_default(),
            peer: peer.id.to_string(),
            directory: directory.map(ToString::to_string).unwrap_or_default(),
        };
        let context = SessionContext {
            home: context.home.clone(),
            client,
            authority: credentials.authority,
            member: transient_peer_config(context, None, None)?,
        };
        Ok(Self {
            peer,
            context,
            account,
        })
    }
}
