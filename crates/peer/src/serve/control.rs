//! Control by the commands of the peer's own home, on the same port: whoever can read the home's
//! control token may, and nobody else.

use std::path::Path;
use std::sync::Arc;

use convite_client::DirectoryClient;
use convite_core::{ErrorCode, Problem};
use convite_wire::convert::some_text;
use convite_wire::status::to_status;
use convite_wire::v1::control_server::Control;
use convite_wire::v1::{
    LeaveReply, LeaveRequest, ShareReply, ShareRequest, StatusReply, StatusRequest, UnshareReply,
    UnshareRequest,
};
use data_encoding::HEXLOWER;
use tonic::{Request, Response, Status};

use super::auth;
use crate::state::PeerState;

/// The secret of this run, for `HOME/peer/control.token`. Has no `Debug`.
pub struct ControlToken(String);

impl ControlToken {
    /// 256 random bits.
    ///
    /// # Errors
    /// `internal` if the system has no randomness.
    pub fn random() -> Result<Self, Problem> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("no randomness: {e}")))?;
        Ok(Self(HEXLOWER.encode(&bytes)))
    }

    /// The text that goes into the file.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The service `Control`.
#[derive(Clone)]
pub struct ControlService {
    pub(super) state: Arc<PeerState>,
    /// The way to the directory, in the name of the peer's account.
    pub(super) directory: Option<DirectoryClient>,
    /// Of the token: hashes are compared in constant time and tell nothing of it.
    token: blake3::Hash,
}

impl ControlService {
    /// Control of `state` for bearers of `token`.
    pub fn new(
        state: Arc<PeerState>,
        token: &ControlToken,
        directory: Option<DirectoryClient>,
    ) -> Self {
        Self {
            state,
            directory,
            token: blake3::hash(token.0.as_bytes()),
        }
    }

    #[allow(clippy::result_large_err, reason = "tonic's own error type")]
    pub(super) fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let headers = request.metadata().clone().into_headers();
        match auth::bearer(&headers) {
            Some(token) if blake3::hash(token.as_bytes()) == self.token => Ok(()),
            _ => Err(to_status(
                &Problem::new(
                    ErrorCode::Unauthenticated,
                    "only the commands of this peer's own home control it",
                )
                .hint("run the command with the peer's `--home`"),
            )),
        }
    }

    /// Runs what writes to the disk where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PeerState) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Status> {
        let state = self.state.clone();
        let done = tokio::task::spawn_blocking(move || work(&state)).await;
        done.unwrap_or_else(|_| {
            Err(Problem::new(
                ErrorCode::Internal,
                "a task of the peer failed",
            ))
        })
        .map_err(|problem| to_status(&problem))
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusReply>, Status> {
        self.admit(&request)?;
        Ok(Response::new(self.state.status()))
    }

    async fn share(&self, request: Request<ShareRequest>) -> Result<Response<ShareReply>, Status> {
        self.admit(&request)?;
        let ShareRequest { folder, space } = request.into_inner();
        let space = some_text(space).map(|space| space.parse()).transpose();
        let share = self
            .blocking(move |state| state.share(absolute(&folder)?, space?))
            .await?;
        Ok(Response::new(ShareReply { share: Some(share) }))
    }

    async fn unshare(
        &self,
        request: Request<UnshareRequest>,
    ) -> Result<Response<UnshareReply>, Status> {
        self.admit(&request)?;
        let folder = request.into_inner().folder;
        self.blocking(move |state| state.unshare(Path::new(&folder)))
            .await?;
        Ok(Response::new(UnshareReply {}))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        self.admit(&request)?;
        self.state.stop.cancel();
        Ok(Response::new(LeaveReply {}))
    }
}

/// The peer's current folder is not that of the command, so that a relative path means nothing.
fn absolute(folder: &str) -> Result<&Path, Problem> {
    let path = Path::new(folder);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Problem::invalid(
            "the folder to share is not an absolute path",
        ))
    }
}
