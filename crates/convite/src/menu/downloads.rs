//! The running downloads of the menu, one task each. A download can be paused, resumed and cancelled;
//! [`RunningDownloads::shutdown`] cancels all of them at shutdown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, EntryKind, ErrorCode, Problem, SearchScope};
use convite_net::task;
use convite_peer::download::{
    DownloadProgress, DownloadRequest, DownloadResult, Storage, Target, TransientPeer,
    download_with_handle,
};
use convite_peer::fs::names::numbered;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::model::{DownloadState, TransferId};
use crate::session::SessionContext;

/// The maximum number of finished downloads that keep serving other peers; older ones stop.
const SERVING_MAX: usize = 8;
/// The highest number appended to a file name that already exists.
const NAME_NUMBER_MAX: u32 = 999;
/// The time that cancelled downloads have at shutdown to save their state.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A file to download.
pub struct RequestedFile {
    pub hash: ContentHash,
    pub name: String,
    pub folder: PathBuf,
}

struct RunningDownload {
    cancel: CancellationToken,
    paused: watch::Sender<bool>,
    progress: watch::Receiver<DownloadProgress>,
}

/// All running downloads.
#[derive(Default)]
pub struct RunningDownloads {
    running: BTreeMap<TransferId, RunningDownload>,
    tasks: JoinSet<(TransferId, DownloadState, Option<TransientPeer>)>,
    members: Vec<TransientPeer>,
}

impl RunningDownloads {
    /// Starts a download.
    pub fn start(&mut self, id: TransferId, context: SessionContext, wanted: RequestedFile) {
        let (progress, seen) = watch::channel(DownloadProgress::default());
        let (paused, pause_requests) = watch::channel(false);
        let cancel = CancellationToken::new();
        let channels = DownloadChannels {
            cancel: cancel.clone(),
            paused: pause_requests,
            progress,
        };
        self.tasks.spawn(async move {
            match download_to_free_name(context, wanted, channels).await {
                Ok(Some(mut fetched)) => (id, done(&fetched), fetched.member.take()),
                Ok(None) => (id, DownloadState::Stopped, None),
                Err(mut problem) => {
                    if problem
                        .hint
                        .as_ref()
                        .is_some_and(|hint| hint.contains("-o PATH"))
                    {
                        // The menu has a key instead of the flag.
                        problem.hint = Some("press r to choose another folder".to_owned());
                    }
                    (id, DownloadState::Failed(problem), None)
                }
            }
        });
        self.running.insert(
            id,
            RunningDownload {
                cancel,
                paused,
                progress: seen,
            },
        );
    }

    pub fn pause(&self, id: TransferId, paused: bool) {
        if let Some(running) = self.running.get(&id) {
            running.paused.send_replace(paused);
        }
    }

    pub fn cancel(&self, id: TransferId) {
        if let Some(running) = self.running.get(&id) {
            running.cancel.cancel();
        }
    }

    /// Returns the progress of the downloads that changed since the last call.
    pub fn changed(&mut self) -> Vec<(TransferId, DownloadProgress)> {
        let mut moved = Vec::new();
        for (id, running) in &mut self.running {
            if running.progress.has_changed().unwrap_or(false) {
                moved.push((*id, running.progress.borrow_and_update().clone()));
            }
        }
        moved
    }

    /// Waits for the next download to end.
    pub async fn next(&mut self) -> (TransferId, DownloadState) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((id, state, member))) => {
                    self.running.remove(&id);
                    if let Some(member) = member {
                        self.members.push(member);
                    }
                    if self.members.len() > SERVING_MAX {
                        task::spawn("leaving", self.members.remove(0).leave());
                    }
                    return (id, state);
                }
                // The panic is already logged.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Cancels all downloads, keeping their parts, and stops serving other peers.
    pub async fn shutdown(mut self) {
        for running in self.running.values() {
            running.cancel.cancel();
        }
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((.., Some(member))) = ended {
                    self.members.push(member);
                }
            }
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, ended).await.is_err() {
            tracing::warn!("a download did not end in time");
        }
        let mut leaving = JoinSet::new();
        for member in self.members {
            leaving.spawn(member.leave());
        }
        leaving.join_all().await;
    }
}

fn done(fetched: &DownloadResult) -> DownloadState {
    DownloadState::Done {
        place: fetched.path.display().to_string(),
        took: fetched.took,
        providers: fetched.providers.len(),
        was_there: fetched.was_there,
    }
}

/// The channels between the menu and a download task.
struct DownloadChannels {
    cancel: CancellationToken,
    paused: watch::Receiver<bool>,
    progress: watch::Sender<DownloadProgress>,
}

/// Downloads a file under the first free name. Returns `None` if it was cancelled.
async fn download_to_free_name(
    context: SessionContext,
    wanted: RequestedFile,
    mut channels: DownloadChannels,
) -> Result<Option<DownloadResult>, Problem> {
    let file = tokio::select! {
        file = context.client.locate(&wanted.hash, Some(EntryKind::File)) => file?,
        () = channels.cancel.cancelled() => return Ok(None),
    };
    for number in 0..=NAME_NUMBER_MAX {
        let path = numbered(&wanted.folder, &wanted.name, number);
        match download_to(&context, file.clone(), path, &mut channels).await {
            Err(problem) if problem.code == ErrorCode::FileExists && number < NAME_NUMBER_MAX => {}
            ended => return ended,
        }
    }
    Ok(None)
}

async fn download_to(
    context: &SessionContext,
    file: LocatedFile,
    path: PathBuf,
    channels: &mut DownloadChannels,
) -> Result<Option<DownloadResult>, Problem> {
    let (handle, download) = download_with_handle(DownloadRequest {
        home: context.home.clone(),
        directory: context.client.clone(),
        authority: context.authority,
        file,
        within: SearchScope::Visible,
        target: Target { path, force: false },
        locality: true,
        download_limit: None,
        member: Some(context.member.clone()),
        storage: Storage::default(),
    });
    if *channels.paused.borrow_and_update() {
        handle.pause();
    }
    let mut progress = handle.progress();
    let mut is_cancelled = false;
    tokio::pin!(download);
    loop {
        tokio::select! {
            ended = &mut download => return ended,
            () = channels.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                handle.cancel();
            }
            Ok(()) = channels.paused.changed() => {
                if *channels.paused.borrow_and_update() {
                    handle.pause();
                } else {
                    handle.resume();
                }
            }
            Ok(()) = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                channels.progress.send_replace(now);
            }
        }
    }
}
