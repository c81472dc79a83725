//! `GetFolder`: the manifests of a folder and of all folders below it, depth first, each distinct
//! one once.
//!
//! They are generated from the layout of the folder while they are sent, at most at the rate of the
//! upload limits. A transfer takes an upload slot, and ends with `content_changed` if the folder
//! changes meanwhile.

use std::sync::Arc;

use axum::extract::{Request, State};
use bytes::Bytes;
use convite_core::manifest::ManifestEncoder;
use convite_core::{ContentHash, Problem};
use convite_net::ConnectionInfo;
use convite_net::task::{self, blocking};
use convite_wire::status::to_status;
use convite_wire::v1::{FolderPart, GetFolderRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::serve::context::ServeContext;
use crate::serve::download::contents;
use crate::serve::download::folder_layout::{FolderLayout, folder_changed};
use crate::serve::download::uploads::Upload;
use crate::sharing::catalogue::{FolderEntry, IndexedFolder};

/// The largest request in bytes.
const REQUEST_MAX: usize = 1024;
/// The size in bytes at which a part ends. With its last entry, the times and the bits, it stays far
/// below 1 MiB.
const PART_SIZE: usize = 512 << 10;
/// The size in bytes of the parts that are generated at once, and their number.
const BATCH_SIZE: usize = 512 << 10;
const BATCH_PARTS: usize = 1024;

/// The messages to one receiver.
type Messages = ReceiverStream<Result<FolderPart, Status>>;

/// Handles `GetFolder`.
pub async fn get_folder(
    State(serving): State<ServeContext>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<GetFolderRequest>| {
        let serving = serving.clone();
        async move {
            let messages = send_folder(&serving, &request).await;
            let reply = messages.map(tonic::Response::new);
            reply.map_err(|problem| to_status(&problem))
        }
    });
    let codec = convite_wire::codec::CountingCodec::<FolderPart, GetFolderRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .server_streaming(service, request)
        .await
}

async fn send_folder(
    serving: &ServeContext,
    request: &tonic::Request<GetFolderRequest>,
) -> Result<Messages, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.reader_ticket(&headers, None)?;
    let hash = ContentHash::from_slice(&request.get_ref().hash)?;
    let holders = contents::find_folders(serving, &ticket, &hash)?;
    let remote = request.extensions().get::<ConnectionInfo>();
    let remote = remote.map(|connection| connection.remote.ip());
    let name = holders.first().map_or("", |folder| folder.path.file_name());
    let size = holders.first().map_or(0, |folder| folder.size);
    let upload = serving
        .uploads
        .begin(name, hash, size, ticket.user.clone(), remote)
        .await?;
    let (folder, layout) = contents::open_folder(serving, &holders).await?;
    let (out, messages) = mpsc::channel(2);
    let sending = Sending {
        serving: serving.clone(),
        folder,
        upload,
        out,
    };
    task::spawn("manifests", sending.run(ManifestParts::new(layout)));
    Ok(ReceiverStream::new(messages))
}

/// The transfer of the manifests of a folder.
struct Sending {
    serving: ServeContext,
    folder: Arc<IndexedFolder>,
    upload: Upload,
    out: mpsc::Sender<Result<FolderPart, Status>>,
}

impl Sending {
    async fn run(self, parts: ManifestParts) {
        let stop = self.serving.stop.clone();
        tokio::select! {
            () = self.send(parts) => {}
            () = self.out.closed() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn send(&self, mut parts: ManifestParts) {
        loop {
            // A slow receiver must not occupy a thread: only generating is blocking.
            let Ok(place) = self.out.reserve().await else {
                return;
            };
            if !self.is_current() {
                place.send(Err(to_status(&folder_changed())));
                return;
            }
            drop(place);
            let generated = blocking(move || {
                let batch = parts.next_batch()?;
                Ok::<_, Problem>((parts, batch))
            });
            let batch = match generated.await {
                Ok((rest, batch)) => {
                    parts = rest;
                    batch
                }
                Err(problem) => {
                    // Fails if the receiver is gone.
                    let _ = self.out.send(Err(to_status(&problem))).await;
                    return;
                }
            };
            if batch.is_empty() {
                return;
            }
            for part in batch {
                let len = part.data.len();
                if let Some(pace) = self.upload.pace() {
                    pace.wait(len).await;
                }
                if self.out.send(Ok(part)).await.is_err() {
                    return;
                }
                self.upload.sent(len as u64);
            }
        }
    }

    /// Returns whether the folder is still shared, and in the same space.
    fn is_current(&self) -> bool {
        let now = self.serving.catalogue.folder_by_path(&self.folder.path);
        now.is_some_and(|now| now == self.folder)
    }
}

/// Generates the parts of all manifests of a folder.
struct ManifestParts {
    layout: Arc<FolderLayout>,
    /// The index of the current folder in the layout.
    level: usize,
    /// The current manifest and the number of its entries that are encoded.
    current: Option<(ManifestEncoder, usize)>,
}

impl ManifestParts {
    fn new(layout: Arc<FolderLayout>) -> Self {
        Self {
            layout,
            level: 0,
            current: None,
        }
    }

    /// Returns the next parts; none at the end.
    fn next_batch(&mut self) -> Result<Vec<FolderPart>, Problem> {
        let mut batch = Vec::new();
        let mut size = 0;
        while size < BATCH_SIZE
            && batch.len() < BATCH_PARTS
            && let Some(part) = self.next()?
        {
            size += part.data.len();
            batch.push(part);
        }
        Ok(batch)
    }

    fn next(&mut self) -> Result<Option<FolderPart>, Problem> {
        let layout = self.layout.clone();
        let rest = layout.levels().get(self.level..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(|level| level.is_first) else {
            return Ok(None);
        };
        self.level += skipped;
        let level = &rest[skipped];
        let entries = layout.entries_of(level);
        let (mut encoder, mut at) = match self.current.take() {
            Some(current) => current,
            None => (ManifestEncoder::new(entries.len())?, 0),
        };
        let first = at;
        while at < entries.len() && encoder.part_len() < PART_SIZE {
            encoder.push(entries[at].to_manifest())?;
            at += 1;
        }
        let last = at == entries.len();
        let data = if last {
            self.level += 1;
            let (data, summary) = encoder.finish()?;
            if summary.hash != level.folder.hash {
                return Err(folder_changed());
            }
            data
        } else {
            let data = encoder.take_part();
            self.current = Some((encoder, at));
            data
        };
        Ok(Some(part(data, &entries[first..at], last)))
    }
}

fn part(data: Vec<u8>, entries: &[FolderEntry], last: bool) -> FolderPart {
    let mut executable = vec![0; entries.len().div_ceil(8)];
    let mut modified = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let identity = match entry {
            FolderEntry::File(file) => Some(&file.identity),
            FolderEntry::Folder(_) => None,
        };
        modified.push(identity.map_or(0, |identity| identity.modified_seconds()));
        if identity.is_some_and(|identity| identity.executable) {
            executable[index / 8] |= 1 << (index % 8);
        }
    }
    FolderPart {
        data: data.into(),
        modified,
        executable: Bytes::from(executable),
        last,
    }
}
