//! Runs a download: one attempt for each claimed size of the file, then moves the file to its
//! target.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, PieceGeometry, Problem};
use convite_net::task::blocking;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::engine::{self, CompletedDownload, RunOutcome};
use super::handle::{self, DownloadControl, DownloadHandle};
use super::partial::{Opening, UnfinishedFile};
use super::request::{DownloadProgress, DownloadRequest, DownloadResult};
use super::sizes::SizeAttempts;
use super::unfinished::{self, UnfinishedDownload};
use crate::fs::identity::FileIdentity;

/// Downloads a file. If `interrupt` is cancelled, verified pieces are kept for a resume and the
/// result is `None`. [`download_with_handle`] does the same with a handle to pause it.
///
/// # Errors
/// Returns `file_exists` if another file is at the target, `no_space` if the disk or the quota is
/// full, `unavailable` if no provider can be reached, `corrupt_contents` if all providers sent
/// wrong data, `invalid_argument` for a folder, and `internal` for file system errors. Verified pieces are kept in all cases.
pub async fn download(
    request: DownloadRequest,
    progress: watch::Sender<DownloadProgress>,
    interrupt: CancellationToken,
) -> Result<Option<DownloadResult>, Problem> {
    run_sizes(request, progress, DownloadControl::unpaused(interrupt)).await
}

async fn run_sizes(
    fetch: DownloadRequest,
    progress: watch::Sender<DownloadProgress>,
    mut control: DownloadControl,
) -> Result<Option<DownloadResult>, Problem> {
    let started = tokio::time::Instant::now();
    if !fetch.file.kind.is_file() {
        return Err(Problem::invalid("this is a folder, not a file"));
    }
    if let Some(bytes) = already_there(&fetch).await? {
        return Ok(Some(DownloadResult {
            was_there: true,
            took: started.elapsed(),
            ..nothing_received(&fetch, bytes)
        }));
    }
    let mut sizes = SizeAttempts::of(&fetch.file);
    let mut kept = None;
    while let Some(attempt) = sizes.next() {
        let size = attempt.size;
        if !fetch.file.hash.allows_size(size) {
            sizes.record_wrong(attempt);
            continue;
        }
        let Some(geometry) = PieceGeometry::new(size) else {
            let problem = format!("{size} bytes exceed the maximum file size");
            sizes.record_no_space(attempt, Problem::invalid(problem));
            continue;
        };
        let _admitted = match fetch.storage.quota_check.as_ref().map(|admit| admit(size)) {
            Some(Err(problem)) => {
                sizes.record_no_space(attempt, problem);
                continue;
            }
            admitted => admitted,
        };
        let limits = sizes.limits(attempt);
        let opening = opening(&fetch, geometry, &progress, &control);
        let folder = opening.folder();
        let ran = async {
            let partial = UnfinishedFile::open(opening).await?;
            engine::run(&fetch, partial, started, &progress, &mut control, limits).await
        };
        let ended = ran.await;
        let is_complete = matches!(ended, Ok(RunOutcome::Complete(_)));
        if !is_complete && let Some(left) = kept_download(folder.clone()).await {
            kept = Some(left);
        }
        let ended = match ended {
            // Cancelled while it verified the pieces of an earlier run.
            Err(_) if control.is_cancelled() => RunOutcome::Interrupted,
            // There may be enough space for another size.
            Err(problem) if problem.code == ErrorCode::NoSpace => {
                sizes.record_no_space(attempt, problem);
                continue;
            }
            Err(problem) if problem.code == ErrorCode::InUse => return Err(problem),
            Err(problem) => return Err(with_resume_hint(problem, kept.as_ref())),
            Ok(ended) => ended,
        };
        match ended {
            RunOutcome::Interrupted => {
                progress.send_modify(|progress| progress.kept = kept);
                return Ok(None);
            }
            RunOutcome::Complete(complete) => {
                let placed = put_in_place(&fetch, *complete, size, folder).await?;
                return Ok(Some(DownloadResult {
                    took: started.elapsed(),
                    ..placed
                }));
            }
            RunOutcome::Failed(failed) => sizes.failed(attempt, failed),
        }
    }
    Err(with_resume_hint(sizes.problem(), kept.as_ref()))
}

/// Returns the result of a download of `bytes` bytes that received nothing.
fn nothing_received(fetch: &DownloadRequest, bytes: u64) -> DownloadResult {
    DownloadResult {
        path: fetch.target.path.clone(),
        hash: fetch.file.hash,
        bytes,
        received: 0,
        providers: Vec::new(),
        took: Duration::ZERO,
        first_verified: None,
        hashes: None,
        crc32: None,
        identity: None,
        was_there: false,
        member: None,
    }
}

/// Moves the file of a completed download to its target. `folder` contains its state.
async fn put_in_place(
    fetch: &DownloadRequest,
    complete: CompletedDownload,
    size: u64,
    folder: PathBuf,
) -> Result<DownloadResult, Problem> {
    let hashes = complete.partial.hashes();
    let crc32 = complete.partial.contents().crc32();
    match complete.partial.put_in_place(&fetch.target).await {
        Ok(placed) => Ok(DownloadResult {
            received: complete.received,
            providers: complete.providers,
            first_verified: complete.first_verified,
            hashes,
            crc32,
            identity: FileIdentity::of(&placed).ok(),
            member: complete.member,
            ..nothing_received(fetch, size)
        }),
        Err(problem) => {
            if let Some(member) = complete.member {
                member.leave().await;
            }
            let kept = kept_download(folder).await;
            Err(with_resume_hint(problem, kept.as_ref()))
        }
    }
}

/// Returns the size if the same file is in place already. In that case earlier attempts are
/// removed.
async fn already_there(fetch: &DownloadRequest) -> Result<Option<u64>, Problem> {
    let there = fetch.target.already_there(&fetch.file.hash).await?;
    if there.is_some() {
        let (home, hash) = (fetch.home.clone(), fetch.file.hash);
        let path = fetch.target.path.clone();
        blocking(move || {
            unfinished::remove_completed(&home, &hash, &path);
            Ok::<_, Problem>(())
        })
        .await?;
    }
    Ok(there)
}

fn opening(
    fetch: &DownloadRequest,
    geometry: PieceGeometry,
    progress: &watch::Sender<DownloadProgress>,
    control: &DownloadControl,
) -> Opening {
    let progress = progress.clone();
    progress.send_modify(|progress| {
        progress.size = geometry.file_size();
        progress.verified = 0;
    });
    Opening {
        home: fetch.home.clone(),
        hash: fetch.file.hash,
        geometry,
        target: fetch.target.clone(),
        within: fetch.within.clone(),
        name: fetch.file.names.first().cloned().unwrap_or_default(),
        retention: fetch.storage.retention,
        headroom: fetch.storage.headroom,
        stop: control.cancelled(),
        found: Arc::new(move |bytes| progress.send_modify(|now| now.verified += bytes)),
    }
}

/// Returns the unfinished download with its state in `folder`, if it has verified pieces.
async fn kept_download(folder: PathBuf) -> Option<UnfinishedDownload> {
    let kept = blocking(move || Ok::<_, Problem>(UnfinishedDownload::at(&folder)));
    let kept = kept.await.ok().flatten();
    kept.filter(|kept| kept.verified > 0)
}

/// Adds to the hint where the unfinished download is kept and how to resume it.
fn with_resume_hint(problem: Problem, kept: Option<&UnfinishedDownload>) -> Problem {
    let Some(kept) = kept else {
        return problem;
    };
    let hint = match &problem.hint {
        Some(hint) => format!("{hint}; {}", kept.describe()),
        None => kept.describe(),
    };
    problem.hint(hint)
}

/// Same as [`download`], with a handle. The download runs while the future is polled.
pub fn download_with_handle(
    wanted: DownloadRequest,
) -> (
    DownloadHandle,
    impl Future<Output = Result<Option<DownloadResult>, Problem>> + Send,
) {
    let (sender, progress) = watch::channel(DownloadProgress::default());
    let (handle, control) = handle::handle(progress);
    (handle, run_sizes(wanted, sender, control))
}
