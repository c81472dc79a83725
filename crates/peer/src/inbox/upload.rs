//! One file on its way in.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::upload_ticket::UploadTicket;
use tracing::Instrument;

use super::incoming::Incoming;
use super::level::Coming;
use super::quota::Reserved;
use super::turns::{Busy, Turn};
use super::unfinished::About;
use super::{Inbox, Received, on_blocking_thread, place, refused_by_disk};

/// A file on its way in. Dropped before its end it is kept, if its size is known, and else removed.
pub struct Upload {
    inbox: Arc<Inbox>,
    ticket: UploadTicket,
    incoming: Incoming,
    kind: Kind,
    coming: Coming,
    _turn: Turn,
}

/// What is known of a file before it comes.
pub(super) enum Kind {
    /// All of it: it can go on later.
    Known {
        upload: String,
        about: About,
        _busy: Arc<Busy>,
    },
    /// Its name.
    Unknown { name: String, reserved: Reserved },
}

impl Upload {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        ticket: UploadTicket,
        incoming: Incoming,
        kind: Kind,
        turn: Turn,
    ) -> Self {
        let (name, size) = match &kind {
            Kind::Known { about, .. } => (&about.name, about.size),
            Kind::Unknown { name, .. } => (name, 0),
        };
        let coming = inbox.level.comes(name, &ticket.user, size);
        coming.stands_at(incoming.len());
        Self {
            inbox,
            ticket,
            incoming,
            kind,
            coming,
            _turn: turn,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `invalid_argument` for more than was told; `too_large` beyond the quota; `no_space` and
    /// `internal` for the disk.
    pub async fn take(&mut self, bytes: Bytes) -> Result<(), Problem> {
        match &mut self.kind {
            Kind::Known { about, .. } => {
                if self.incoming.len() + bytes.len() as u64 > about.size {
                    return Err(Problem::invalid("more comes than the size that was told"));
                }
            }
            Kind::Unknown { reserved, .. } => {
                if reserved.grow(bytes.len() as u64)? {
                    place::check_room(&self.inbox.folder, 0)?;
                }
            }
        }
        self.inbox.state.uploads.meter().took(bytes.len() as u64);
        let taken = self.incoming.take(bytes).await;
        self.coming.stands_at(self.incoming.len());
        taken.map_err(|error| refused_by_disk(&error))
    }

    /// How many bytes are here, those of earlier attempts included.
    pub fn received(&self) -> u64 {
        self.incoming.len()
    }

    /// Nothing more comes: checks the file, syncs it and gives it its name.
    ///
    /// # Errors
    /// `unavailable` if not all came; `corrupt_contents` if it is not `expected`: nothing of it is
    /// kept then; those of the disk.
    pub async fn finish(self, expected: Option<ContentHash>) -> Result<Received, Problem> {
        // On its own: whoever goes before the answer finds it when asking again.
        let finishing = tokio::spawn(self.put_away(expected).in_current_span());
        finishing
            .await
            .unwrap_or_else(|error| Err(refused_by_disk(&io::Error::other(error))))
    }

    async fn put_away(self, expected: Option<ContentHash>) -> Result<Received, Problem> {
        let Self {
            inbox,
            ticket,
            incoming,
            kind,
            coming,
            _turn,
        } = self;
        let (name, modified_ns) = match &kind {
            Kind::Known { about, .. } if incoming.len() != about.size => {
                return Err(Problem::new(ErrorCode::Unavailable, "the upload broke off")
                    .hint("send it again: what came is kept for a day"));
            }
            Kind::Known { about, .. } => (about.name.clone(), about.modified_ns),
            Kind::Unknown { name, .. } => (name.clone(), 0),
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
                Kind::Known { upload, .. } => Some(upload.as_str()),
                Kind::Unknown { .. } => None,
            };
            let received = inbox.put_away(&name, &ticket, whole, upload)?;
            inbox.quota.keep(&ticket.user, received.size);
            coming.is_in(received.size);
            inbox.end(&kind);
            tracing::info!(
                user = ticket.user.as_str(),
                bytes = received.size,
                "took a file in"
            );
            Ok(received)
        })
        .await
    }
}

impl Inbox {
    /// Nothing is to be kept of an upload any more.
    fn end(&self, kind: &Kind) {
        if let Kind::Known { upload, .. } = kind {
            self.forget(upload);
        }
    }
}
