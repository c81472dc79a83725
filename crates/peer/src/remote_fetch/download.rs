//! Downloads the file of a remote fetch into its folder, under the first free name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::remote_fetch::RemoteFetch;
use convite_core::{EntryKind, ErrorCode, Problem, SearchScope};
use convite_net::task::blocking;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::context::RemoteFetches;
use super::report::FetchProgress;
use crate::download::{
    DownloadRequest, DownloadResult, Headroom, QuotaCheck, Storage, Target, TransientPeerConfig,
    download_with_handle, unfinished,
};
use crate::fs::names::numbered;

/// The highest number tried as a suffix if a name is in use.
const NAME_ATTEMPTS: u32 = 999;
/// How long to retry without progress while no provider can be reached.
const RETRY_TIME: Duration = Duration::from_secs(2 * 60);
/// The delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// A remote fetch and its target.
pub(super) struct FetchTarget<'a> {
    pub(super) loads: &'a RemoteFetches,
    pub(super) order: &'a RemoteFetch,
    pub(super) folder: &'a Path,
    /// The quota check, for requests of other accounts.
    pub(super) quota_check: Option<QuotaCheck>,
}

impl FetchTarget<'_> {
    /// Downloads the file, with retries while no provider can be reached.
    pub(super) async fn download_with_retry(
        &self,
        standing: &watch::Sender<FetchProgress>,
        cancel: &CancellationToken,
    ) -> Result<Option<DownloadResult>, Problem> {
        let (mut moved, mut bytes) = (Instant::now(), 0);
        loop {
            standing.send_modify(|standing| standing.is_running = true);
            let problem = match self.attempt(standing, cancel).await {
                Err(problem) => problem,
                ended => return ended,
            };
            let now = standing.borrow().bytes;
            if now > bytes {
                (moved, bytes) = (Instant::now(), now);
            }
            if problem.code != ErrorCode::Unavailable || moved.elapsed() >= RETRY_TIME {
                return Err(problem);
            }
            tokio::select! {
                () = sleep(RETRY_DELAY) => {}
                () = cancel.cancelled() => return Ok(None),
            }
        }
    }

    /// Returns the search scope: only providers that share the file in the space of the copy.
    fn within(&self) -> SearchScope {
        SearchScope::of_space(self.order.space.as_ref())
    }

    async fn attempt(
        &self,
        standing: &watch::Sender<FetchProgress>,
        cancel: &CancellationToken,
    ) -> Result<Option<DownloadResult>, Problem> {
        let (order, directory) = (self.order, &self.loads.directory);
        let (kind, within) = (Some(EntryKind::File), self.within());
        let file = tokio::select! {
            file = directory.locate_within(&order.hash, kind, &within) => file?,
            () = cancel.cancelled() => return Ok(None),
        };
        let fallback = order.hash.to_string();
        let name = if order.name.is_empty() {
            &fallback
        } else {
            &order.name
        };
        for number in 0..=NAME_ATTEMPTS {
            let path = numbered(self.folder, name, number);
            match self.to(file.clone(), path, standing, cancel).await {
                Err(problem) if problem.code == ErrorCode::FileExists && number < NAME_ATTEMPTS => {
                }
                ended => return ended,
            }
        }
        Ok(None)
    }

    async fn to(
        &self,
        file: LocatedFile,
        path: PathBuf,
        standing: &watch::Sender<FetchProgress>,
        cancel: &CancellationToken,
    ) -> Result<Option<DownloadResult>, Problem> {
        let loads = self.loads;
        let (handle, download) = download_with_handle(DownloadRequest {
            home: loads.home.clone(),
            directory: loads.directory.clone(),
            authority: loads.directory.authority(),
            file,
            within: self.within(),
            target: Target { path, force: false },
            locality: true,
            download_limit: None,
            member: Some(TransientPeerConfig {
                name: loads.state.registration.id.clone(),
                bind: loads.bind,
                addresses: Vec::new(),
                upload_limit: loads.upload_limit,
                stay_after_download: false,
            }),
            storage: Storage {
                retention: loads.retention,
                headroom: Headroom::KeepSome,
                quota_check: self.quota_check.clone(),
                is_shared: true,
            },
        });
        let mut progress = handle.progress();
        let mut is_cancelled = false;
        tokio::pin!(download);
        loop {
            tokio::select! {
                ended = &mut download => return ended,
                () = cancel.cancelled(), if !is_cancelled => {
                    is_cancelled = true;
                    handle.cancel();
                }
                Ok(()) = progress.changed() => {
                    let bytes = progress.borrow_and_update().verified;
                    standing.send_modify(|standing| standing.bytes = bytes);
                }
            }
        }
    }

    /// Removes the unfinished download.
    pub(super) async fn forget(&self) {
        let (home, hash) = (self.loads.home.clone(), self.order.hash);
        let folder = self.folder.to_owned();
        // What cannot be removed expires later.
        let _ = blocking(move || {
            unfinished::remove_ended_in(&home, &hash, &folder);
            Ok::<_, Problem>(())
        })
        .await;
    }
}
