//! Client for this home's running peer, over the peer's port with the home's control token.

use std::fs;
use std::time::SystemTime;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, SpaceName, UnixMillis};
use convite_net::clock::DirectoryClock;
use convite_net::dial::{Expected, Http2};
use convite_net::tls;
use convite_peer::home::PeerHome;
use convite_wire::status::from_status;
use convite_wire::v1::control_client::ControlClient;
use convite_wire::v1::{
    LeaveRequest, ShareRequest, ShareStatus, StatusReply, StatusRequest, UnshareRequest,
};
use serde::Deserialize;
use tonic::Request;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};

/// The file that a running peer writes to its home, `running.json`.
#[derive(Deserialize)]
struct RunningFile {
    pid: u32,
    url: String,
    port: u16,
    id: PeerId,
}

/// A connection to this home's running peer.
pub struct PeerControl {
    client: ControlClient<Http2<Body>>,
    bearer: MetadataValue<Ascii>,
    /// The id of the peer.
    pub id: PeerId,
}

impl PeerControl {
    /// Connects to the running peer; returns `None` if no peer runs on this home.
    ///
    /// # Errors
    /// Returns `unavailable` if a peer runs and cannot be reached: a change to the files of its home
    /// would not take effect. Fails if the control token or the name of the peer is invalid.
    pub async fn connect(
        home: &Home,
        credentials: Option<&Credentials>,
    ) -> Result<Option<Self>, Problem> {
        let read = |name: &str| fs::read_to_string(home.peer().join(name)).ok();
        let (Some(running), Some(token)) = (read("running.json"), read("control.token")) else {
            return Ok(None);
        };
        let Ok(running) = serde_json::from_str::<RunningFile>(&running) else {
            return Ok(None);
        };
        let damaged = |_| Problem::new(ErrorCode::Internal, "the control token is damaged");
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(damaged)?;
        bearer.set_sensitive(true);

        let name = running.id.certificate_name();
        let pin = credentials.and_then(|credentials| credentials.authority);
        let pin = pin.filter(|_| running.url.starts_with("https:"));
        let clock = DirectoryClock::default();
        let expected = pin
            .map(|pin| Expected::new(tls::peer_client_config(pin.0, &clock), &name))
            .transpose()?;
        let scheme = if expected.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{name}")
            .parse()
            .map_err(|_| Problem::invalid("the peer's name is not valid"))?;
        let addresses = addresses(&running);
        let mut dialled = dial(&addresses, expected.as_ref()).await;
        if let (Err(problem), Some(credentials)) = (&dialled, credentials)
            && problem.code == ErrorCode::Untrusted
            && let Some(ahead) = directory_clock_offset(credentials).await
        {
            // The directory's clock dates the certificate, and this machine's clock may be wrong.
            let own = UnixMillis::from(SystemTime::now());
            clock.record(UnixMillis(own.0.saturating_add(ahead)), own);
            dialled = dial(&addresses, expected.as_ref()).await;
        }
        let http2 = match dialled {
            Ok(http2) => http2,
            // A killed peer leaves its files behind.
            Err(_) if !PeerHome::is_locked(home.root()) => return Ok(None),
            Err(problem) => {
                return Err(Problem::new(
                    ErrorCode::Unavailable,
                    format!("the running peer of this home does not answer: {problem}"),
                )
                .hint(format!("try again, or end its process {}", running.pid)));
            }
        };
        Ok(Some(Self {
            client: ControlClient::with_origin(http2, origin),
            bearer,
            id: running.id,
        }))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        request
    }

    /// Returns the status of the peer.
    ///
    /// # Errors
    /// Returns the error of the peer.
    pub async fn status(&mut self) -> Result<StatusReply, Problem> {
        let request = self.request(StatusRequest {});
        let reply = self.client.status(request).await;
        reply
            .map(tonic::Response::into_inner)
            .map_err(|s| from_status(&s))
    }

    /// Shares a folder or file, in `space` if given.
    ///
    /// # Errors
    /// Returns `not_found` if the folder or file does not exist.
    pub async fn share(
        &mut self,
        folder: &str,
        space: Option<&SpaceName>,
    ) -> Result<ShareStatus, Problem> {
        let request = self.request(ShareRequest {
            folder: folder.to_owned(),
            space: space.map_or_else(String::new, ToString::to_string),
        });
        let reply = self.client.share(request).await;
        let reply = reply.map_err(|s| from_status(&s))?.into_inner();
        Ok(reply.share.unwrap_or_default())
    }

    /// Stops sharing a folder or file.
    ///
    /// # Errors
    /// Returns `not_found` if it is not shared.
    pub async fn unshare(&mut self, folder: &str) -> Result<(), Problem> {
        let folder = folder.to_owned();
        let request = self.request(UnshareRequest { folder });
        let reply = self.client.unshare(request).await;
        reply.map(drop).map_err(|s| from_status(&s))
    }

    /// Removes the peer from the list and stops it.
    ///
    /// # Errors
    /// Returns the error of the peer.
    pub async fn leave(&mut self) -> Result<(), Problem> {
        let request = self.request(LeaveRequest {});
        let reply = self.client.leave(request).await;
        reply.map(drop).map_err(|s| from_status(&s))
    }
}

/// Connects to the first address that answers.
async fn dial(
    addresses: &[PeerAddress],
    expected: Option<&Expected>,
) -> Result<Http2<Body>, Problem> {
    let mut problem = Problem::new(ErrorCode::Unavailable, "the peer has no address");
    for address in addresses {
        match Http2::connect(address, expected).await {
            Ok(http2) => return Ok(http2),
            Err(failed) => {
                // A wrong certificate is more informative than no answer.
                if problem.code != ErrorCode::Untrusted {
                    problem = failed;
                }
            }
        }
    }
    Err(problem)
}

/// Returns the milliseconds by which the directory's clock is ahead of this machine's.
async fn directory_clock_offset(credentials: &Credentials) -> Option<i64> {
    let client = DirectoryClient::new(credentials).ok()?;
    // Every response has a `Date` header, errors too.
    let _ = client.may_share(None).await;
    client.clock().ahead()
}

/// Returns the addresses to try: the loopback address, then the one in the peer's URL.
fn addresses(running: &RunningFile) -> Vec<PeerAddress> {
    let local = PeerAddress::new("127.0.0.1", running.port).ok();
    let stated = running
        .url
        .split_once("://")
        .and_then(|(_, address)| address.parse().ok());
    local.into_iter().chain(stated).collect()
}
