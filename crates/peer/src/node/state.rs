//! State shared by the tasks of a peer.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis, UserName};
use convite_net::origin::Hosts;
use convite_wire::v1::{ShareStatus, StatusReply};
use tokio_util::sync::CancellationToken;

use crate::announce::registration::Registration;
use crate::announce::tickets::TicketVerification;
use crate::inbox::{InboxOwner, InboxUsage};
use crate::serve::context::ServeContext;
use crate::serve::download::uploads::Uploads;
use crate::sharing::cache::Cache;
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::{Share, ShareList};

/// State shared by the tasks of a peer.
pub struct PeerState {
    /// The account that the peer belongs to.
    pub user: Option<UserName>,
    /// The shared files.
    pub files: Arc<SharedFiles>,
    /// The registration with the directory.
    pub registration: Arc<Registration>,
    /// Files that are being sent.
    pub uploads: Arc<Uploads>,
    /// The fill level of the inbox, if the peer has one.
    pub inbox: OnceLock<Arc<InboxUsage>>,
    /// The hash cache, once it is open.
    pub cache: OnceLock<Arc<Cache>>,
    /// The time of the start.
    pub started: UnixMillis,
    /// Stops the peer.
    pub stop: CancellationToken,
}

impl PeerState {
    /// Creates the state of a peer that has not started.
    pub fn new(
        id: PeerId,
        user: Option<UserName>,
        shares: ShareList,
        uploads: Arc<Uploads>,
        stop: CancellationToken,
        started: UnixMillis,
    ) -> Self {
        Self::of(Registration::new(id, stop), user, shares, uploads, started)
    }

    /// Creates the state of a peer with this registration.
    pub(crate) fn of(
        registration: Registration,
        user: Option<UserName>,
        shares: ShareList,
        uploads: Arc<Uploads>,
        started: UnixMillis,
    ) -> Self {
        let stop = registration.stop.clone();
        Self {
            user,
            files: Arc::new(SharedFiles::new(shares, stop.clone())),
            registration: Arc::new(registration),
            uploads,
            inbox: OnceLock::new(),
            cache: OnceLock::new(),
            started,
            stop,
        }
    }

    /// Returns what the handlers of requests need.
    pub fn serve_context(&self, cache: Arc<Cache>, gate: Arc<TicketVerification>) -> ServeContext {
        ServeContext {
            catalogue: self.files.catalogue.clone(),
            partial_files: self.files.partial_files.clone(),
            cache,
            gate,
            inbox: None,
            uploads: self.uploads.clone(),
            folder_layouts: Arc::default(),
            promises: Arc::default(),
            reports: Arc::default(),
            publish_queue: self.files.publish_queue.clone(),
            rescan: self.files.rescan.clone(),
            read_failures: self.files.read_failures.clone(),
            hosts: Hosts::new([self.registration.id.certificate_name()]),
            metrics: self.files.metrics.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Returns what an inbox of this peer needs.
    pub fn inbox_owner(&self, cache: Arc<Cache>) -> InboxOwner {
        InboxOwner {
            user: self.user.clone(),
            files: self.files.clone(),
            cache,
            meter: self.uploads.meter().clone(),
        }
    }

    /// Shares `path`, in `space` if one is named. Blocks for a write to disk.
    ///
    /// # Errors
    /// Same as [`SharedFiles::share`].
    pub fn share(&self, path: &Path, space: Option<SpaceName>) -> Result<ShareStatus, Problem> {
        let share = self.files.share(path, space)?;
        if let Some(space) = &share.space {
            // The space may be accepted now, and this request needs a fresh answer.
            self.registration.refused_spaces.forget(space);
            self.files
                .queue_files_in_spaces(|queued| *queued == **space);
        }
        Ok(self.share_status(&share))
    }

    /// Starts a full scan, retries files that the directory refused, and renews the certificate.
    /// Returns the started actions as messages for the user.
    pub fn reload(&self) -> Vec<String> {
        self.registration.retry_refused(&self.files);
        self.files.rescan.notify_one();
        self.registration.renew.notify_one();
        vec![
            "the shares are being scanned".to_owned(),
            "the certificate is being renewed".to_owned(),
        ]
    }

    /// Returns the status for the user.
    pub fn status(&self) -> StatusReply {
        let online = self.registration.state.borrow().clone();
        let (files, bytes) = self.files.catalogue.totals();
        let shares = self.files.shares();
        let publishing = self.files.publish_queue.progress().borrow().problem.clone();
        let trouble = online.problem.or(publishing);
        let hint = trouble.as_ref().and_then(|problem| problem.hint.clone());
        let mut uploads = self.uploads.transfers();
        for upload in &mut uploads {
            let hash = ContentHash::from_slice(&upload.hash).ok();
            let size = hash.and_then(|hash| self.files.catalogue.size_of(&hash));
            upload.size = size.unwrap_or_default();
        }
        StatusReply {
            id: self.registration.id.to_string(),
            user: self
                .user
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            url: self.registration.url.borrow().clone(),
            clock_ahead_ms: self.registration.clock.ahead().map(i64::wrapping_neg),
            online: online.is_listed,
            trouble: trouble.map_or_else(String::new, |p| p.message),
            hint: hint.unwrap_or_default(),
            since: online.since.map_or(0, UnixMillis::seconds),
            unpublished: self.files.publish_queue.count(),
            shares: shares.iter().map(|s| self.share_status(s)).collect(),
            files,
            bytes,
            to_hash: self.files.to_hash.load(Ordering::Relaxed),
            uploads,
            bytes_served: self.uploads.bytes_served(),
            started_at: self.started.seconds(),
            inbox: self.inbox.get().map(InboxUsage::status),
            read_failures: self.files.read_failures.status(),
            waiting: u32::try_from(*self.uploads.waiting().borrow()).unwrap_or(u32::MAX),
            notes: self
                .cache
                .get()
                .and_then(|cache| cache.damage_message())
                .into_iter()
                .collect(),
        }
    }

    fn share_status(&self, share: &Share) -> ShareStatus {
        let space = share.space.as_ref();
        let refused = space.and_then(|s| self.registration.refused_spaces.problem_for(s));
        self.files.share_status(share, refused)
    }
}
