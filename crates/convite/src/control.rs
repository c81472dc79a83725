//! The way to this home's own running peer: over its port, with the home's control token.

use std::fs;

use convite_client::{Credentials, Home};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, SpaceName};
use convite_net::dial::{Expected, Http2};
use convite_net::tls;
use convite_wire::status::from_status;
use convite_wire::v1::control_client::ControlClient;
use convite_wire::v1::{
    LeaveRequest, ShareRequest, ShareStatus, StatusReply, StatusRequest, UnshareRequest,
};
use serde::Deserialize;
use tonic::Request;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};

/// What a running peer leaves in its home.
#[derive(Deserialize)]
struct Running {
    url: String,
    port: u16,
    id: PeerId,
}

/// A connection to this home's running peer.
pub struct Control {
    client: ControlClient<Http2<Body>>,
    bearer: MetadataValue<Ascii>,
    /// The id of the peer.
    pub id: PeerId,
}

impl Control {
    /// Connects; none if no peer runs on this home.
    ///
    /// # Errors
    /// If one seems to run, and does not answer as it should.
    pub async fn connect(
        home: &Home,
        credentials: Option<&Credentials>,
    ) -> Result<Option<Self>, Problem> {
        let read = |name: &str| fs::read_to_string(home.peer().join(name)).ok();
        let (Some(running), Some(token)) = (read("running.json"), read("control.token")) else {
            return Ok(None);
        };
        let Ok(running) = serde_json::from_str::<Running>(&running) else {
            return Ok(None);
        };
        let damaged = |_| Problem::new(ErrorCode::Internal, "the control token is damaged");
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(damaged)?;
        bearer.set_sensitive(true);

        let name = running.id.certificate_name();
        let pin = credentials.and_then(|credentials| credentials.authority);
        let expected = pin
            .filter(|_| running.url.starts_with("https:"))
            .map(|pin| Expected::new(tls::client_config(pin.0), &name))
            .transpose()?;
        let scheme = if expected.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{name}")
            .parse()
            .map_err(|_| Problem::invalid("the peer's name is not valid"))?;
        for address in addresses(&running) {
            if let Ok(http2) = Http2::connect(&address, expected.as_ref()).await {
                return Ok(Some(Self {
                    client: ControlClient::with_origin(http2, origin),
                    bearer,
                    id: running.id,
                }));
            }
        }
        // Left behind by one that was killed.
        Ok(None)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        request
    }

    /// What the peer is doing.
    ///
    /// # Errors
    /// Those of the peer.
    pub async fn status(&mut self) -> Result<StatusReply, Problem> {
        let request = self.request(StatusRequest {});
        let reply = self.client.status(request).await;
        reply
            .map(tonic::Response::into_inner)
            .map_err(|s| from_status(&s))
    }

    /// Shares a folder or file, in a space if one is named.
    ///
    /// # Errors
    /// `not_found` if there is none.
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
    /// `not_found` if it is not shared.
    pub async fn unshare(&mut self, folder: &str) -> Result<(), Problem> {
        let folder = folder.to_owned();
        let request = self.request(UnshareRequest { folder });
        let reply = self.client.unshare(request).await;
        reply.map(drop).map_err(|s| from_status(&s))
    }

    /// Takes the peer off the list and ends it.
    ///
    /// # Errors
    /// Those of the peer.
    pub async fn leave(&mut self) -> Result<(), Problem> {
        let request = self.request(LeaveRequest {});
        let reply = self.client.leave(request).await;
        reply.map(drop).map_err(|s| from_status(&s))
    }
}

/// Where the peer may listen: on all addresses, or on the one in its URL.
fn addresses(running: &Running) -> Vec<PeerAddress> {
    let local = PeerAddress::new("127.0.0.1", running.port).ok();
    let stated = running
        .url
        .split_once("://")
        .and_then(|(_, address)| address.parse().ok());
    local.into_iter().chain(stated).collect()
}
