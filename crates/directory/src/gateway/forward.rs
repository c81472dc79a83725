//! Forwarding of an upload form to a peer's inbox. Only data in transit is buffered.
//!
//! There is no total time limit; a stalled transfer is aborted (`progress`).

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ErrorCode, Problem, display};
use convite_net::dial::{Expected, Protocol, connect_any, http1_request};
use convite_store::AccountId;
use convite_wire::rest::Uploaded;
use convite_wire::status::ProblemDocument;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::Gateway;
use super::progress::ObservedBody;

/// Maximum size of a peer's response, in bytes.
const RESPONSE_BYTES_MAX: usize = 1 << 20;
/// Maximum length of a peer's error text that is passed on, in characters.
const ERROR_TEXT_MAX: usize = 300;

impl Gateway {
    /// Posts `form` to the inbox of a peer, with the ticket in `to`; returns the stored files.
    ///
    /// # Errors
    /// Returns `overloaded`; `unavailable` if the peer does not answer, or the transfer stalls for
    /// the configured time; or the peer's error.
    pub(crate) async fn forward<B>(
        &self,
        account: AccountId,
        to: &Provider,
        content_type: HeaderValue,
        form: B,
    ) -> Result<Uploaded, Problem>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _slot = self.slots.take(account)?;
        let unreachable = |_| {
            Problem::new(
                ErrorCode::Unavailable,
                format!("peer '{}' cannot be reached, or disconnected", to.peer),
            )
            .hint("try again when it is online")
        };
        let (form, progress) = ObservedBody::new(form);
        let posted = tokio::select! {
            posted = self.post(to, content_type, form) => posted.map_err(unreachable)?,
            () = progress.stalled(self.config.reader_timeout) => {
                return Err(stalled(progress.waits_for_sender(), to));
            }
            () = self.shutdown.cancelled() => return Err(unreachable(PeerUnreachable)),
        };
        let is_good = posted.status().is_success();
        let answer = Limited::new(posted.into_body(), RESPONSE_BYTES_MAX).collect();
        let answer = tokio::time::timeout(self.config.provider_timeout, answer).await;
        let answer = answer
            .map_err(|_| unreachable(PeerUnreachable))?
            .map_err(|_| unreachable(PeerUnreachable))?
            .to_bytes();
        if is_good {
            return serde_json::from_slice(&answer).map_err(|_| unreachable(PeerUnreachable));
        }
        let refused: ProblemDocument =
            serde_json::from_slice(&answer).map_err(|_| unreachable(PeerUnreachable))?;
        Err(refusal(&refused).unwrap_or_else(|| unreachable(PeerUnreachable)))
    }

    async fn post<B>(
        &self,
        to: &Provider,
        content_type: HeaderValue,
        form: B,
    ) -> Result<Response<Incoming>, PeerUnreachable>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let host = to.peer.certificate_name();
        let expected = match &self.tls {
            None => None,
            Some(config) => {
                Some(Expected::new(config.clone(), &host).map_err(|_| PeerUnreachable)?)
            }
        };
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", to.ticket)).map_err(|_| PeerUnreachable)?;
        bearer.set_sensitive(true);
        let dialled = connect_any(&to.addresses, expected.as_ref()).await;
        let (address, spoken) = dialled.map_err(|unanswered| {
            let problem = unanswered.problem;
            tracing::debug!(peer = %to.peer, "cannot dial: {problem}");
            PeerUnreachable
        })?;
        let scheme = if expected.is_some() { "https" } else { "http" };
        let request = match &spoken {
            Protocol::Http2(_) => Request::post(format!("{scheme}://{host}/upload")),
            Protocol::Http1 => Request::post("/upload").header(header::HOST, &host),
        };
        let request = request
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONTENT_TYPE, content_type)
            .body(form)
            .map_err(|_| PeerUnreachable)?;
        match spoken {
            Protocol::Http2(sender) => sender.oneshot(request).await.map_err(|_| PeerUnreachable),
            Protocol::Http1 => {
                let expected = expected.as_ref().map(Expected::http1_only);
                http1_request(&address, expected.as_ref(), request)
                    .await
                    .map_err(|_| PeerUnreachable)
            }
        }
    }
}

/// Returns the error for a stalled transfer.
fn stalled(waits_for_sender: bool, to: &Provider) -> Problem {
    let message = if waits_for_sender {
        "the form stopped arriving before its end".to_owned()
    } else {
        format!("peer '{}' stopped accepting the form", to.peer)
    };
    Problem::new(ErrorCode::Unavailable, message)
        .hint("try again; `convite put` resumes interrupted uploads")
}

/// The peer does not answer, or not completely.
struct PeerUnreachable;

/// Returns the peer's error if it concerns the sender, with its text shortened and escaped.
fn refusal(document: &ProblemDocument) -> Option<Problem> {
    let code: ErrorCode = document.code.parse().ok()?;
    let theirs = matches!(
        code,
        ErrorCode::InvalidArgument
            | ErrorCode::PermissionDenied
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::TooLarge
            | ErrorCode::NoSpace
            | ErrorCode::CorruptContents
            | ErrorCode::Overloaded
            | ErrorCode::TooManyRequests
    );
    let words = |text: &str| {
        let text: String = text.chars().take(ERROR_TEXT_MAX).collect();
        display::escape(&text).into_owned()
    };
    theirs.then(|| Problem {
        hint: document.hint.as_deref().map(words),
        ..Problem::new(code, words(&document.detail))
    })
}
