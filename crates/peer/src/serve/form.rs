//! `POST /upload`: files for the inbox, as a form or `curl -F file=@x` sends them.

use axum::Json;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_metrics::catalogue::RECEIVED_BYTES;
use convite_wire::rest::{Uploaded, UploadedFile};

use super::Serving;
use super::http::problem_response;
use super::inbound::{admit, too_slow};
use super::patience::Patience;

/// The longest text of a field that is no file, in bytes.
const FIELD_MAX: usize = 200;
/// The most files of one form.
const FILES_MAX: usize = 1000;

/// Takes the files of a form in, each shared as soon as it came whole. A field `hash` before one is
/// what it has to be.
pub(super) async fn post_upload(State(serving): State<Serving>, request: Request) -> Response {
    match receive_form(&serving, request).await {
        Ok(files) => Json(Uploaded { files }).into_response(),
        Err(problem) => problem_response(&problem, None),
    }
}

async fn receive_form(serving: &Serving, request: Request) -> Result<Vec<UploadedFile>, Problem> {
    let (inbox, ticket) = admit(serving, request.headers(), request.uri().query())?;
    inbox.check(&ticket)?;
    let mut form = Multipart::from_request(request, &()).await.map_err(|e| {
        Problem::new(ErrorCode::UnsupportedMediaType, format!("not a form: {e}"))
            .hint("send `multipart/form-data` with a field `file`, as `curl -F file=@NAME` does")
    })?;
    let mut expected: Option<ContentHash> = None;
    let mut files = Vec::new();
    let mut patience = Patience::default();
    while let Some(mut field) = in_time(serving, &mut patience, form.next_field()).await? {
        match field.name() {
            Some("hash") => {
                expected = Some(
                    text(serving, &mut patience, &mut field)
                        .await?
                        .trim()
                        .parse()?,
                )
            }
            Some("file") if files.len() >= FILES_MAX => {
                return Err(Problem::new(
                    ErrorCode::TooLarge,
                    format!("the form has more than {FILES_MAX} files"),
                )
                .hint("those before are here: send the others in another form"));
            }
            Some("file") => {
                let name = field.file_name().unwrap_or_default().to_owned();
                let mut upload = inbox.receive(&ticket, &name).await?;
                while let Some(chunk) = in_time(serving, &mut patience, field.chunk()).await? {
                    patience.earn(chunk.len());
                    let bytes = chunk.len() as f64;
                    upload.take(chunk).await?;
                    serving.counted.add(&RECEIVED_BYTES, &[], bytes);
                }
                let received = upload.finish(expected.take()).await?;
                files.push(UploadedFile {
                    path: received.path,
                    hash: received.hash,
                    size: received.size,
                });
            }
            _ => return Err(Problem::invalid("the form has a field that is not 'file'")),
        }
    }
    match files.is_empty() {
        true => Err(Problem::invalid("the form has no field 'file'")
            .hint("send it as `curl -F file=@NAME` does")),
        false => Ok(files),
    }
}

async fn text(
    serving: &Serving,
    patience: &mut Patience,
    field: &mut Field<'_>,
) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(chunk) = in_time(serving, patience, field.chunk()).await? {
        text.extend_from_slice(&chunk);
        if text.len() > FIELD_MAX {
            return Err(Problem::invalid("a field of the form is too long"));
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn in_time<T>(
    serving: &Serving,
    patience: &mut Patience,
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, Problem> {
    let next = tokio::select! {
        next = patience.wait(next) => next,
        () = serving.stop.cancelled() => {
            return Err(Problem::new(ErrorCode::Unavailable, "this peer is leaving"));
        }
    };
    match next {
        Some(next) => next.map_err(|e| Problem::invalid(format!("the form broke off: {e}"))),
        None => Err(too_slow()),
    }
}
