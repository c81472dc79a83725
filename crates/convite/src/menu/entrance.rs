//! How the menu gets into the network: a session, and this home's peer in it.

use std::path::PathBuf;

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem, UserName};
use convite_peer::RunningPeer;
use convite_wire::invite::InviteLink;
use tokio_util::sync::CancellationToken;

use super::downloads::Common;
use super::model::{Identity, Secret};
use crate::commands::get::member_of;
use crate::commands::join;
use crate::commands::peer::{Start, remember_id};
use crate::context::Context;

/// What somebody who is in no session gives.
pub struct Given {
    /// None where the home belongs to a directory already.
    pub link: Option<String>,
    pub user: String,
    pub password: Secret,
}

/// A session, and the peer that runs in it.
pub struct Session {
    pub peer: RunningPeer,
    pub common: Common,
    pub identity: Identity,
}

/// What is needed to come in.
#[derive(Clone)]
pub struct Entrance {
    pub home: PathBuf,
    pub start: Start,
    pub stop: CancellationToken,
}

impl Entrance {
    /// Begins a session, and the peer.
    ///
    /// # Errors
    /// What the directory refuses; those of [`convite_peer::start`].
    pub async fn enter(self, given: Given) -> Result<Session, Problem> {
        let context = Context::open(Some(self.home.clone()))?;
        let user: UserName = given.user.parse()?;
        match given.link {
            Some(link) => {
                let link: InviteLink = link.parse()?;
                let makes = link.code.is_some();
                let joined = join::enter(&context, &link, &user, &given.password.0).await;
                joined.map_err(|problem| match problem.code {
                    // There are no flags here; and more likely it is the name that is wrong.
                    ErrorCode::WrongCredentials if makes => {
                        Problem::new(ErrorCode::UserTaken, problem.message)
                            .hint("choose another name, or give that account's password")
                    }
                    ErrorCode::WrongCredentials => problem.hint(
                        "give the name and password of your account; an invite makes a new one",
                    ),
                    _ => problem,
                })?;
            }
            None => {
                let mut credentials = context.joined()?.clone();
                credentials.token = None;
                let client = DirectoryClient::new(&credentials)?;
                let session = client.login(&user, &given.password.0).await?;
                credentials.addresses = client.addresses();
                join::keep(&context, credentials, &session)?;
            }
        }
        self.resume().await
    }

    /// Starts the peer of a home that is in a session.
    ///
    /// # Errors
    /// Those of [`convite_peer::start`].
    pub async fn resume(mut self) -> Result<Session, Problem> {
        let mut context = Context::open(Some(self.home.clone()))?;
        self.start.id = Some(remember_id(&mut context, self.start.id.take())?);
        let client = context.client()?;
        let peer = self.start.start(&context, client.clone(), self.stop);
        let peer = peer.await?;
        session(&context, client, peer)
    }
}

/// What the menu knows of a peer that runs.
///
/// # Errors
/// If the home has not joined.
pub fn session(
    context: &Context,
    client: DirectoryClient,
    peer: RunningPeer,
) -> Result<Session, Problem> {
    let credentials: &Credentials = context.joined()?;
    let directory = credentials.addresses.first();
    let user = credentials.user.as_ref();
    let identity = Identity {
        user: user.map(ToString::to_string).unwrap_or_default(),
        peer: peer.id.to_string(),
        directory: directory.map(ToString::to_string).unwrap_or_default(),
    };
    let common = Common {
        home: context.home.clone(),
        client,
        authority: credentials.authority,
        member: member_of(context, None, None)?,
    };
    Ok(Session {
        peer,
        common,
        identity,
    })
}
