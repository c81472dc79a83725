//! The control API for commands of the peer's own home, on the peer's port. Callers prove access to
//! the home with its control token.

use std::path::Path;
use std::sync::Arc;

use convite_client::DirectoryClient;
use convite_core::{ErrorCode, Problem};
use convite_net::random;
use convite_net::task::blocking;
use convite_wire::convert::some_text;
use convite_wire::status::to_status;
use convite_wire::v1::control_server::Control;
use convite_wire::v1::{
    LeaveReply, LeaveRequest, ShareReply, ShareRequest, StatusReply, StatusRequest, UnshareReply,
    UnshareRequest,
};
use data_encoding::HEXLOWER;
use tonic::{Request, Response, Status};

use crate::announce::tickets;
use crate::node::state::PeerState;

/// The control token of this process, for `HOME/peer/control.token`. Has no `Debug`, so that it is
/// never logged.
pub struct ControlToken(String);

impl ControlToken {
    /// Generates a token of 256 random bits.
    ///
    /// # Errors
    /// Returns `internal` if the system provides no randomness.
    pub fn random() -> Result<Self, Problem> {
        Ok(Self(HEXLOWER.encode(&random::bytes::<32>()?)))
    }

    /// Returns the text for the file.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The service `Control`.
#[derive(Clone)]
pub struct ControlService {
    pub(super) state: Arc<PeerState>,
    /// A client of the directory for the peer's account.
    pub(super) directory: Option<DirectoryClient>,
    /// The hash of the token. Hashes are compared in constant time and reveal nothing about the
    /// token.
    token: blake3::Hash,
}

impl ControlService {
    /// Creates a service that controls `state` for callers with `token`.
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
    pub(super) fn authorize<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let headers = request.metadata().clone().into_headers();
        match tickets::bearer(&headers) {
            Some(token) if blake3::hash(token.as_bytes()) == self.token => Ok(()),
            _ => Err(to_status(
                &Problem::new(
                    ErrorCode::Unauthenticated,
                    "only commands of this peer's home can control it",
                )
                .hint("run the command with the peer's `--home`"),
            )),
        }
    }

    /// Runs blocking work on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PeerState) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Status> {
        let state = self.state.clone();
        let done = blocking(move || work(&state)).await;
        done.map_err(|problem| to_status(&problem))
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusReply>, Status> {
        self.authorize(&request)?;
        Ok(Response::new(self.state.status()))
    }

    async fn share(&self, request: Request<ShareRequest>) -> Result<Response<ShareReply>, Status> {
        self.authorize(&request)?;
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
        self.authorize(&request)?;
        let folder = request.into_inner().folder;
        self.blocking(move |state| state.files.unshare(Path::new(&folder)))
            .await?;
        Ok(Response::new(UnshareReply {}))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        self.authorize(&request)?;
        self.state.stop.cancel();
        Ok(Response::new(LeaveReply {}))
    }
}

/// Rejects relative paths: the peer's current folder differs from the command's.
fn absolute(folder: &str) -> Result<&Path, Problem> {
    let path = Path::new(folder);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Problem::invalid("the path to share is not absolute"))
    }
}
