//! Runs a folder's download: manifests, target, transfer, completion.

use std::io;
use std::path::Path;
use std::sync::Arc;

use convite_core::{ErrorCode, Problem};
use convite_net::task::blocking;
use convite_net::tls;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine::{Fetching, Received};
use super::manifests;
use super::request::{FolderDownload, FolderProgress, FolderRequest, FolderResult};
use crate::download::target::disk_problem;
use crate::folder_target::{FolderTarget, TargetOpening, plan};

/// Downloads a folder. If `interrupt` is cancelled, what was received is kept in the target, and the
/// same download resumes it.
///
/// # Errors
/// Returns `invalid_argument` for a file, or if the file system of the target cannot store the names;
/// `file_exists` if files in the target differ or are in the way; `in_use` if another process fills the
/// target; `no_space` if the disk is full; `unavailable` if no provider can be reached;
/// `corrupt_contents` if all providers sent wrong data; and `internal` for file system errors. What was
/// received is kept in all cases.
pub async fn download_folder(
    request: FolderRequest,
    progress: watch::Sender<FolderProgress>,
    interrupt: CancellationToken,
) -> Result<FolderDownload, Problem> {
    let started = Instant::now();
    if request.folder.kind.is_file() {
        return Err(Problem::invalid("this is a file, not a folder"));
    }
    let clock = request.directory.clock();
    let tls = request
        .authority
        .map(|pin| tls::peer_client_config(pin.0, &clock));
    let fetched = tokio::select! {
        fetched = manifests::fetch(&request.folder, tls.as_ref()) => fetched?,
        () = interrupt.cancelled() => return Ok(FolderDownload::Interrupted),
    };
    let opening = TargetOpening {
        home: request.home.clone(),
        path: request.target.clone(),
        place: request.place.clone(),
        folder: fetched.folder,
        options: request.options.clone(),
        stop: interrupt.clone(),
    };
    if request.dry_run {
        let planned = blocking(move || plan(&opening)).await;
        return interruptible(planned, &interrupt, FolderDownload::Planned);
    }
    let opened = blocking(move || FolderTarget::open(opening).map(Arc::new)).await;
    let target = match opened {
        Err(_) if interrupt.is_cancelled() => return Ok(FolderDownload::Interrupted),
        opened => opened?,
    };
    let fetching = Fetching {
        request: &request,
        target,
        tls,
        dishonest: Arc::new(fetched.dishonest),
        progress: &progress,
    };
    let received = match fetching.target.verified().is_full() {
        true => Received {
            bytes: 0,
            providers: Vec::new(),
            is_complete: true,
        },
        false => fetching.run(&interrupt).await?,
    };
    if !received.is_complete {
        return Ok(FolderDownload::Interrupted);
    }
    let result = finish(&request, fetching.target, received, started).await?;
    Ok(FolderDownload::Done(Box::new(result)))
}

fn interruptible<T>(
    ended: Result<T, Problem>,
    interrupt: &CancellationToken,
    wrap: impl FnOnce(T) -> FolderDownload,
) -> Result<FolderDownload, Problem> {
    match ended {
        Err(_) if interrupt.is_cancelled() => Ok(FolderDownload::Interrupted),
        ended => ended.map(wrap),
    }
}

async fn finish(
    request: &FolderRequest,
    target: Arc<FolderTarget>,
    received: Received,
    started: Instant,
) -> Result<FolderResult, Problem> {
    let finishing = target.clone();
    let removed = blocking(move || {
        finishing
            .finish()
            .map_err(|error| arrival_problem(finishing.path(), &error))
    })
    .await?;
    let (files, bytes) = target.totals();
    Ok(FolderResult {
        path: target.path().to_owned(),
        hash: request.folder.hash,
        bytes,
        files,
        placed: target.placed(),
        received: received.bytes,
        resumed: target.bytes_before(),
        providers: received.providers,
        took: started.elapsed(),
        kept_others: target.kept_others(),
        removed,
    })
}

/// Returns the error for the user when the target at `path` could not be written.
pub(super) fn arrival_problem(path: &Path, error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Problem::new(ErrorCode::FileExists, error.to_string())
            .hint("run the same command again; --update keeps a copy of files that differ");
    }
    disk_problem("write to", path, error)
}
