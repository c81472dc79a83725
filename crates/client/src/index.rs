//! Publishing a peer's index, and listing the files of peers.

use std::time::Duration;

use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{PeerId, Problem, SafePath};
use convite_wire::convert;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use convite_wire::v1::{self, IndexHeader, PublishIndexRequest};
use tokio_stream::{Stream, StreamExt};

use crate::answers::Published;
use crate::calls::{ANSWER_TIMEOUT, again, answered};
use crate::convert::all;
use crate::directory::DirectoryClient;
use crate::liveness::LivenessTimeout;

/// Time limit for publishing a full index, which may have millions of files.
const ANSWER_INDEX: Duration = Duration::from_secs(30 * 60);
/// Files per message: below 4 MiB with the longest paths that occur.
const BATCH: usize = 1_000;
/// Approximate size of a file entry without its path, in bytes.
const FILE_BYTES: usize = 64;

impl DirectoryClient {
    /// Publishes a change of a peer's index, from generation `base` to `generation`.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if the directory does not hold generation `base`. Publish the
    /// full index then.
    pub async fn publish_index_change(
        &self,
        peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem> {
        let header = IndexHeader {
            peer: peer.to_string(),
            generation,
            base: Some(base),
        };
        let names = upsert.iter().map(|file| &file.path).chain(&remove);
        let bytes: usize = names.map(|path| path.as_str().len() + FILE_BYTES).sum();
        let liveness = LivenessTimeout::for_bytes(bytes as u64);
        // Each attempt has its own stream. Repeating it applies the change only once.
        let messages = change_messages(header, &upsert, &remove);
        again(|| {
            self.send_index(
                tokio_stream::iter(messages.clone()),
                ANSWER_TIMEOUT,
                liveness,
            )
        })
        .await
    }

    /// Publishes a peer's full index.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if another publication overtook this one.
    pub async fn publish_index(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: impl Stream<Item = Vec<FileEntry>> + Send + 'static,
    ) -> Result<Published, Problem> {
        let header = PublishIndexRequest {
            header: Some(IndexHeader {
                peer: peer.to_string(),
                generation,
                base: None,
            }),
            ..PublishIndexRequest::default()
        };
        let files = batches.map(|files| PublishIndexRequest {
            upsert: files.iter().map(Into::into).collect(),
            ..PublishIndexRequest::default()
        });
        let messages = tokio_stream::once(header).chain(files);
        self.send_index(messages, ANSWER_INDEX, LivenessTimeout::longest())
            .await
    }

    async fn send_index(
        &self,
        messages: impl Stream<Item = PublishIndexRequest> + Send + 'static,
        limit: Duration,
        liveness: LivenessTimeout,
    ) -> Result<Published, Problem> {
        let mut stub = self.stub.clone();
        let (request, state) = self.request(messages, liveness);
        let answer = answered(limit, stub.publish_index(request)).await;
        let reply = self.heed(answer, &state)?;
        Ok(Published {
            generation: reply.generation,
            upserted: reply.upserted,
            removed: reply.removed,
        })
    }

    /// Returns a page of the files of the online peers, or of one peer.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
    pub async fn list_index(
        &self,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<IndexEntry>, Problem> {
        let message = v1::ListIndexRequest {
            peer: peer.map(ToString::to_string).unwrap_or_default(),
            limit,
            cursor: cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.list_index(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.entries)?,
            next_cursor: convert::some_text(reply.next_cursor),
        })
    }
}

fn change_messages(
    header: IndexHeader,
    upsert: &[FileEntry],
    remove: &[SafePath],
) -> Vec<PublishIndexRequest> {
    let mut messages = vec![PublishIndexRequest {
        header: Some(header),
        ..PublishIndexRequest::default()
    }];
    messages.extend(upsert.chunks(BATCH).map(|files| PublishIndexRequest {
        upsert: files.iter().map(Into::into).collect(),
        ..PublishIndexRequest::default()
    }));
    messages.extend(remove.chunks(BATCH).map(|paths| PublishIndexRequest {
        remove: paths.iter().map(ToString::to_string).collect(),
        ..PublishIndexRequest::default()
    }));
    messages
}
