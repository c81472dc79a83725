//! An upload in progress.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::path::local_file_name;
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_net::task;
use convite_wire::upload_ticket::UploadTicket;
use tracing::Instrument;

use super::concurrency::{UploadLock, UploadSlot};
use super::disk::{on_blocking_thread, refused_by_disk};
use super::file_name;
use super::incoming::UploadWriter;
use super::quota::QuotaReservation;
use super::store::{BEGIN_HINT, Inbox, ReceivedFile, VerifiedPieces};
use super::unfinished::{UnfinishedUpload, UploadRecord};
use super::usage::ListedUpload;

/// An upload in progress. If it is dropped before its end, the received part is kept if the size of
/// the file is known, and removed otherwise.
pub struct InboxUpload {
    inbox: Arc<Inbox>,
    ticket: UploadTicket,
    incoming: UploadWriter,
    kind: UploadKind,
    coming: ListedUpload,
    _turn: Arc<UploadSlot>,
}

/// What is known of the file before its contents.
enum UploadKind {
    /// All metadata: the upload can resume.
    Known {
        upload: String,
        about: UploadRecord,
        _busy: Arc<UploadLock>,
    },
    /// Only the name.
    Unknown {
        name: String,
        reserved: QuotaReservation,
    },
}

impl InboxUpload {
    fn new(
        inbox: Arc<Inbox>,
        ticket: UploadTicket,
        incoming: UploadWriter,
        kind: UploadKind,
        turn: Arc<UploadSlot>,
    ) -> Self {
        let (name, size) = match &kind {
            UploadKind::Known { about, .. } => (&about.name, about.size),
            UploadKind::Unknown { name, .. } => (name, 0),
        };
        let coming = inbox.level.begin_upload(name, &ticket.user, size);
        coming.set_received(incoming.len());
        Self {
            inbox,
            ticket,
            incoming,
            kind,
            coming,
            _turn: turn,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Returns `invalid_argument` if there are more bytes than announced, `too_large` if the quota
    /// is exceeded, `no_space` if the disk is full, and `internal` if it fails.
    pub async fn take(&mut self, bytes: Bytes) -> Result<(), Problem> {
        match &mut self.kind {
            UploadKind::Known { about, .. } => {
                if self.incoming.len() + bytes.len() as u64 > about.size {
                    return Err(Problem::invalid(
                        "the upload has more bytes than its announced size",
                    ));
                }
            }
            UploadKind::Unknown { reserved, .. } => {
                if reserved.grow(bytes.len() as u64)? {
                    file_name::check_disk_space(&self.inbox.folder, 0)?;
                }
            }
        }
        self.inbox.owner.meter.add_unattributed(bytes.len() as u64);
        let taken = self.incoming.take(bytes).await;
        self.coming.set_received(self.incoming.len());
        taken.map_err(|error| refused_by_disk(&error))
    }

    /// Returns the number of bytes received, including those of earlier attempts.
    pub fn received(&self) -> u64 {
        self.incoming.len()
    }

    /// Ends the upload: verifies the file, syncs it and gives it its name.
    ///
    /// # Errors
    /// Returns `unavailable` if the file is incomplete, and `corrupt_contents` if its hash is not
    /// `expected`; in that case the received bytes are removed. Fails otherwise as the disk does.
    pub async fn finish(self, expected: Option<ContentHash>) -> Result<ReceivedFile, Problem> {
        // In its own task: if the caller disconnects now, it gets the result when it asks again.
        let finishing = task::spawn("upload end", self.store(expected).in_current_span());
        finishing
            .await
            .unwrap_or_else(|error| Err(refused_by_disk(&io::Error::other(error))))
    }

    async fn store(self, expected: Option<ContentHash>) -> Result<ReceivedFile, Problem> {
        let Self {
            inbox,
            ticket,
            incoming,
            kind,
            coming,
            _turn,
        } = self;
        let (name, modified_ns) = match &kind {
            UploadKind::Known { about, .. } if incoming.len() != about.size => {
                return Err(
                    Problem::new(ErrorCode::Unavailable, "the upload was interrupted")
                        .hint("send it again; the received part is kept for a day"),
                );
            }
            UploadKind::Known { about, .. } => (about.name.clone(), about.modified_ns),
            UploadKind::Unknown { name, .. } => (name.clone(), 0),
        };
        let finished = incoming.finish(expected, modified_ns).await;
        let whole = match finished.map_err(|error| refused_by_disk(&error))? {
            Ok(whole) => whole,
            Err(problem) => {
                inbox.end(&kind);
                return Err(problem);
            }
        };
        on_blocking_thread(move || {
            let upload = match &kind {
                UploadKind::Known { upload, .. } => Some(upload.as_str()),
                UploadKind::Unknown { .. } => None,
            };
            let received = inbox.store(&name, &ticket, whole, upload)?;
            inbox.quota.keep(&ticket.user, received.size);
            coming.complete(received.size);
            inbox.end(&kind);
            tracing::info!(
                user = ticket.user.as_str(),
                bytes = received.size,
                "received a file"
            );
            Ok(received)
        })
        .await
    }
}

impl Inbox {
    /// Starts to receive the bytes of an upload from `offset` on. Each attempt must call `begin`
    /// first: writing invalidates the pieces that were verified then.
    ///
    /// # Errors
    /// Returns `not_found` if the upload did not begin or belongs to another account than `ticket`,
    /// `invalid_argument` if the offset does not match, `unavailable` if the upload is in progress,
    /// `overloaded` if too many uploads are in progress, and `internal` if the disk fails.
    pub async fn resume(
        self: &Arc<Self>,
        ticket: &UploadTicket,
        upload: &str,
        offset: u64,
    ) -> Result<InboxUpload, Problem> {
        let turn = self.reserve_turn(ticket)?;
        let busy = self.turns.lock_upload(upload)?;
        let (about, geometry, held) = self.take_held(ticket, upload, offset)?;
        let (folder, id) = (self.folder.clone(), upload.to_owned());
        let alone = busy.clone();
        let incoming = on_blocking_thread(move || {
            let unfinished = UnfinishedUpload::open(&folder, &id)?;
            let VerifiedPieces { hashes, stamp } = held;
            // Pieces verified by `begin` are verified again if the file may have changed since.
            let is_same = stamp.is_some() && unfinished.stamp()? == stamp;
            if !is_same && !unfinished.verified(&geometry)?.starts_with(&hashes) {
                let problem = Problem::not_found("the received part of the upload has changed");
                return Err(io::Error::other(problem.hint(BEGIN_HINT)));
            }
            UploadWriter::resume(&unfinished, &geometry, hashes, alone)
        })
        .await?;
        let kind = UploadKind::Known {
            upload: upload.to_owned(),
            about,
            _busy: busy,
        };
        Ok(InboxUpload::new(
            self.clone(),
            ticket.clone(),
            incoming,
            kind,
            turn,
        ))
    }

    /// Starts to receive a file of unknown size.
    ///
    /// # Errors
    /// Returns `no_space` if the disk is full, and `internal` if it fails.
    pub async fn begin_unsized(
        self: &Arc<Self>,
        ticket: &UploadTicket,
        name: &str,
        turn: Arc<UploadSlot>,
    ) -> Result<InboxUpload, Problem> {
        let (inbox, user) = (self.clone(), ticket.user.clone());
        let (incoming, reserved) = on_blocking_thread(move || {
            file_name::check_disk_space(&inbox.folder, 0).map_err(io::Error::other)?;
            let reserved = inbox.quota.reserve(&user, 0).map_err(io::Error::other)?;
            Ok((UploadWriter::begin(&inbox.folder)?, reserved))
        })
        .await?;
        let kind = UploadKind::Unknown {
            name: local_file_name(name),
            reserved,
        };
        Ok(InboxUpload::new(
            self.clone(),
            ticket.clone(),
            incoming,
            kind,
            turn,
        ))
    }

    /// Releases the state of an upload that has ended.
    fn end(&self, kind: &UploadKind) {
        if let UploadKind::Known { upload, .. } = kind {
            self.forget(upload);
        }
    }
}
