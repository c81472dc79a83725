//! `POST /upload`: uploads files to the inbox, from an HTML form or `curl -F file=@x`.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_metrics::catalogue::RECEIVED_BYTES;
use convite_net::min_rate::RateBudget;
use convite_wire::form_part::FormPart;
use convite_wire::rest::{Uploaded, UploadedFile};
use convite_wire::upload_ticket::UploadTicket;
use http::header::CONTENT_DISPOSITION;

use crate::inbox::{Inbox, UploadSlot};
use crate::serve::context::ServeContext;
use crate::serve::middleware::body_rate::UPLOAD_RATE;
use crate::serve::problem::problem_response;
use crate::serve::upload::form_body::{BoundedFrames, HeadBudget};
use crate::serve::upload::grpc::{authorize_upload, too_slow};

/// The maximum length of a text field in bytes.
const FIELD_MAX: usize = 200;
/// The maximum number of files in a form.
const FILES_MAX: usize = 1000;

/// Receives the files of a form. Each file is shared as soon as it is complete. A field `hash`
/// before a file is the content hash that it must have.
pub(crate) async fn post_upload(State(serving): State<ServeContext>, request: Request) -> Response {
    match receive_form(&serving, request).await {
        Ok(files) => Json(Uploaded { files }).into_response(),
        Err(problem) => problem_response(&problem, None),
    }
}

async fn receive_form(
    serving: &ServeContext,
    request: Request,
) -> Result<Vec<UploadedFile>, Problem> {
    let (inbox, ticket) = authorize_upload(serving, request.headers(), request.uri().query())?;
    // Before anything is parsed: this bounds the forms in memory.
    let turn = inbox.reserve_turn(&ticket)?;
    let budget = HeadBudget::default();
    let request =
        request.map(|body| axum::body::Body::new(BoundedFrames::new(body, budget.clone())));
    let fields = Multipart::from_request(request, &()).await.map_err(|e| {
        Problem::new(ErrorCode::UnsupportedMediaType, format!("not a form: {e}"))
            .hint("send `multipart/form-data` with a field `file`, as `curl -F file=@NAME` does")
    })?;
    let mut form = FormUpload {
        serving,
        inbox,
        ticket,
        turn,
        budget,
        rate: RateBudget::new(UPLOAD_RATE),
        fields,
    };
    form.receive().await
}

/// A form that is being received.
struct FormUpload<'a> {
    serving: &'a ServeContext,
    inbox: Arc<Inbox>,
    ticket: UploadTicket,
    turn: Arc<UploadSlot>,
    budget: HeadBudget,
    rate: RateBudget,
    fields: Multipart,
}

impl FormUpload<'_> {
    async fn receive(&mut self) -> Result<Vec<UploadedFile>, Problem> {
        let mut expected: Option<ContentHash> = None;
        let mut files = Vec::new();
        loop {
            self.budget.refill();
            let next = self.fields.next_field();
            let next = in_time(self.serving, &mut self.rate, next).await;
            let Some(mut field) = self.budget.replace_error(next)? else {
                break;
            };
            self.budget.suspend();
            let header = field.headers().get(CONTENT_DISPOSITION);
            let part = FormPart::parse(header.map_or(&[], |value| value.as_bytes()));
            match part.name.as_str() {
                "hash" if expected.is_some() => {
                    return Err(Problem::invalid(
                        "a 'hash' field of the form is not followed by a file",
                    ));
                }
                "hash" => {
                    let text = text(self.serving, &mut self.rate, &mut field).await?;
                    expected = Some(text.trim().parse()?);
                }
                "file" if files.len() >= FILES_MAX => return Err(too_many()),
                "file" => {
                    let name = file_name(part)?;
                    let upload = self
                        .inbox
                        .begin_unsized(&self.ticket, &name, self.turn.clone());
                    let mut upload = upload.await?;
                    while let Some(chunk) =
                        in_time(self.serving, &mut self.rate, field.chunk()).await?
                    {
                        self.rate.earn(chunk.len());
                        let bytes = chunk.len() as f64;
                        upload.take(chunk).await?;
                        self.serving.metrics.add(&RECEIVED_BYTES, &[], bytes);
                    }
                    let received = upload.finish(expected.take()).await?;
                    files.push(UploadedFile {
                        path: received.path,
                        hash: received.hash,
                        size: received.size,
                    });
                }
                _ => return Err(Problem::invalid("the form has an unexpected field")),
            }
        }
        if files.is_empty() {
            Err(Problem::invalid("the form has no field 'file'")
                .hint("send the file as in `curl -F file=@NAME`"))
        } else {
            Ok(files)
        }
    }
}

fn too_many() -> Problem {
    Problem::new(
        ErrorCode::TooLarge,
        format!("the form has more than {FILES_MAX} files"),
    )
    .hint("the files before are stored; send the others in another form")
}

/// Returns the file name of a part.
///
/// # Errors
/// Returns `invalid_argument` if the field is text, as when the `@` of `curl -F file=@NAME` is
/// missing, or if no file was chosen in a browser.
fn file_name(part: FormPart) -> Result<String, Problem> {
    match part.file_name {
        None => Err(
            Problem::invalid("the field 'file' contains text, not a file")
                .hint("with curl, put an @ before the name: -F file=@NAME"),
        ),
        Some(name) if name.is_empty() => {
            Err(Problem::invalid("the form has a file without a name")
                .hint("choose a file, or set a name: -F 'file=@PATH;filename=NAME'"))
        }
        Some(name) => Ok(name),
    }
}

async fn text(
    serving: &ServeContext,
    rate: &mut RateBudget,
    field: &mut Field<'_>,
) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(chunk) = in_time(serving, rate, field.chunk()).await? {
        text.extend_from_slice(&chunk);
        if text.len() > FIELD_MAX {
            return Err(Problem::invalid("a field of the form is too long"));
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn in_time<T>(
    serving: &ServeContext,
    rate: &mut RateBudget,
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, Problem> {
    let next = tokio::select! {
        next = rate.wait(next) => next,
        () = serving.stop.cancelled() => {
            return Err(Problem::new(ErrorCode::Unavailable, "this peer is shutting down"));
        }
    };
    match next {
        Some(next) => next.map_err(|e| Problem::invalid(format!("the form is incomplete: {e}"))),
        None => Err(too_slow()),
    }
}
