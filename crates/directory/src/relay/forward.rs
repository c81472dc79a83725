//! A form with files on its way to a peer's inbox: nothing of it is held here but what is in flight.
//!
//! It may take as long as its ends are fast, and is given up when it stands still (`progress`).

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ErrorCode, Problem, display};
use convite_net::dial::{Expected, Spoken, first_to_answer, http1_request};
use convite_store::AccountId;
use convite_wire::rest::Uploaded;
use convite_wire::status::ProblemDocument;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::Relay;
use super::progress::Watched;

/// The longest answer of a peer, in bytes.
const ANSWER_MAX: usize = 1 << 20;
/// How much of a peer's own words is handed on, in characters.
const WORDS_MAX: usize = 300;

impl Relay {
    /// Posts `form` to the inbox of a peer, with the ticket in `to`; returns what it took in.
    ///
    /// # Errors
    /// `overloaded`; `unavailable` if the peer does not answer, or nothing moves for as long as a
    /// reader's patience; what it refuses.
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
        let absent = |_| {
            Problem::new(
                ErrorCode::Unavailable,
                format!("peer '{}' cannot be reached, or broke off", to.peer),
            )
            .hint("try again when it is back")
        };
        let (form, progress) = Watched::new(form);
        let posted = tokio::select! {
            posted = self.post(to, content_type, form) => posted.map_err(absent)?,
            () = progress.stands_still(self.config.patience) => {
                return Err(stalled(progress.is_with_sender(), to));
            }
            () = self.shutdown.cancelled() => return Err(absent(Absent)),
        };
        let is_good = posted.status().is_success();
        let answer = Limited::new(posted.into_body(), ANSWER_MAX).collect();
        let answer = tokio::time::timeout(self.config.stall, answer).await;
        let answer = answer
            .map_err(|_| absent(Absent))?
            .map_err(|_| absent(Absent))?
            .to_bytes();
        if is_good {
            return serde_json::from_slice(&answer).map_err(|_| absent(Absent));
        }
        let refused: ProblemDocument =
            serde_json::from_slice(&answer).map_err(|_| absent(Absent))?;
        Err(refusal(&refused).unwrap_or_else(|| absent(Absent)))
    }

    async fn post<B>(
        &self,
        to: &Provider,
        content_type: HeaderValue,
        form: B,
    ) -> Result<Response<Incoming>, Absent>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let host = to.peer.certificate_name();
        let expected = match &self.tls {
            None => None,
            Some(config) => Some(Expected::new(config.clone(), &host).map_err(|_| Absent)?),
        };
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", to.ticket)).map_err(|_| Absent)?;
        bearer.set_sensitive(true);
        let dialled = first_to_answer(&to.addresses, expected.as_ref()).await;
        let (address, spoken) = dialled.map_err(|problem| {
            tracing::debug!(peer = %to.peer, "cannot dial: {problem}");
            Absent
        })?;
        let scheme = if expected.is_some() { "https" } else { "http" };
        let request = match &spoken {
            Spoken::Http2(_) => Request::post(format!("{scheme}://{host}/upload")),
            Spoken::Http1 => Request::post("/upload").header(header::HOST, &host),
        };
        let request = request
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONTENT_TYPE, content_type)
            .body(form)
            .map_err(|_| Absent)?;
        match spoken {
            Spoken::Http2(sender) => sender.oneshot(request).await.map_err(|_| Absent),
            Spoken::Http1 => {
                let expected = expected.as_ref().map(Expected::in_http1);
                http1_request(&address, expected.as_ref(), request)
                    .await
                    .map_err(|_| Absent)
            }
        }
    }
}

/// Nothing moves: because of who sends, or of the peer.
fn stalled(is_with_sender: bool, to: &Provider) -> Problem {
    let message = match is_with_sender {
        true => "the form stopped coming before its end".to_owned(),
        false => format!("peer '{}' stopped taking the form in", to.peer),
    };
    Problem::new(ErrorCode::Unavailable, message)
        .hint("try again; `convite put` goes on where it was interrupted")
}

/// Nobody answers as that peer, or not to the end.
struct Absent;

/// What a peer refused, if it is something that concerns the sender: in its words, as far as they
/// can be shown.
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
        let text: String = text.chars().take(WORDS_MAX).collect();
        display::escape(&text).into_owned()
    };
    theirs.then(|| Problem {
        hint: document.hint.as_deref().map(words),
        ..Problem::new(code, words(&document.detail))
    })
}
