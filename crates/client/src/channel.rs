//! One HTTP/2 connection to the directory, made anew when it breaks, at whichever of its addresses
//! answers first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use convite_core::{ErrorCode, PeerAddress, Problem};
use convite_net::dial::{Expected, Http2};
use convite_net::tls;
use convite_wire::invite::Fingerprint;
use convite_wire::status::to_status;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

/// A `tower` service that tonic's clients run over. Clones share the connection.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

struct Shared {
    addresses: Vec<PeerAddress>,
    expected: Option<Expected>,
    connection: Mutex<Option<Http2<Body>>>,
}

impl Channel {
    /// A channel to the directory at `addresses`, dialled when it is first used.
    ///
    /// # Errors
    /// `invalid_argument` if there is no address.
    pub fn new(
        addresses: Vec<PeerAddress>,
        authority: Option<Fingerprint>,
    ) -> Result<Self, Problem> {
        if addresses.is_empty() {
            return Err(Problem::invalid("the directory has no address"));
        }
        let expected = authority
            .map(|Fingerprint(pin)| Expected::new(tls::client_config(pin), tls::DIRECTORY_NAME))
            .transpose()?;
        Ok(Self {
            shared: Arc::new(Shared {
                addresses,
                expected,
                connection: Mutex::new(None),
            }),
        })
    }

    /// Where the directory may be.
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.shared.addresses
    }

    /// Whether the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.shared.expected.is_none()
    }
}

impl Shared {
    async fn connection(&self) -> Result<Http2<Body>, Problem> {
        // Held while dialling, so that callers at the same time share one attempt.
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let fresh = self.dial().await?;
        *connection = Some(fresh.clone());
        Ok(fresh)
    }

    async fn dial(&self) -> Result<Http2<Body>, Problem> {
        let mut worst = None;
        for address in &self.addresses {
            match Http2::connect(address, self.expected.as_ref()).await {
                Ok(connection) => return Ok(connection),
                // An impostor is the more important news than a closed port.
                Err(problem) if problem.code == ErrorCode::Untrusted => worst = Some(problem),
                Err(problem) => worst = worst.or(Some(problem)),
            }
        }
        let problem = worst.unwrap_or_else(|| {
            Problem::new(ErrorCode::Unavailable, "the directory has no address")
        });
        Err(match problem.hint {
            Some(_) => problem,
            None => problem.hint("is the directory running, and reachable from this machine?"),
        })
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connection = shared.connection().await.map_err(|p| to_status(&p))?;
            connection.oneshot(request).await.map_err(|error| {
                to_status(&Problem::new(
                    ErrorCode::Unavailable,
                    format!("the connection to the directory broke: {error}"),
                ))
            })
        })
    }
}
