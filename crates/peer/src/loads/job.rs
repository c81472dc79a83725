//! One load: from being asked to having the file shared.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_core::loads::{LoadOrder, LoadReport, LoadState};
use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, PieceHashes, Problem, SpaceName, Within};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::telling::{Standing, tell, tell_the_end};
use super::{Loads, Shop, folders};
use crate::download::place::{numbered, on_blocking_thread};
use crate::download::{Fetch, Fetched, Member, MemberConfig, Target, begin};
use crate::home;
use crate::shelving::shelve;

/// Names that are tried where the wanted one is taken.
const NUMBERS: u32 = 999;
/// How long it is tried anew when nobody can be reached, from the last progress on.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(3);
/// What has been put in its place is noticed by then; else everything is looked at.
const NOTICED: Duration = Duration::from_secs(2);
/// How long to wait for a file that was there already to be found, while nothing is hashed; and for it
/// to be told to the directory.
const SHARED: Duration = Duration::from_secs(10 * 60);
const PUBLISHED: Duration = Duration::from_secs(30);

/// Does what is asked, and says how it goes; until `cancel`, which keeps what is fetched.
pub(super) async fn run_job(shop: Arc<Shop>, order: LoadOrder, cancel: CancellationToken) {
    let loads = &shop.loads;
    let (standing, seen) = watch::channel(Standing::default());
    let work = load(&shop, &order, &standing, &cancel);
    tokio::pin!(work);
    let done = tokio::select! {
        done = &mut work => done,
        () = tell(loads, order.load, seen) => {
            // It is of no use to anybody. What it provides meanwhile ends in good order.
            cancel.cancel();
            work.await
        }
    };
    let done = match done {
        Ok(None) => return,
        Ok(Some(bytes)) => Ok(bytes),
        Err(problem) => Err(problem),
    };
    let report = match &done {
        Ok(bytes) => {
            info!(load = %order.load, "loaded and shared");
            LoadReport {
                state: LoadState::Done,
                bytes: *bytes,
                rate: 0,
                message: String::new(),
            }
        }
        Err(problem) => {
            warn!(load = %order.load, "not loaded: {problem}");
            LoadReport {
                state: LoadState::Failed,
                bytes: standing.borrow().bytes,
                rate: 0,
                message: reason(problem).to_owned(),
            }
        }
    };
    tokio::select! {
        () = tell_the_end(loads, order.load, &report) => {}
        () = cancel.cancelled() => {}
    }
}

/// What whoever asked is told: nothing of this machine's folders.
fn reason(problem: &Problem) -> &'static str {
    match problem.code {
        ErrorCode::NoSpace => "the peer has no room for it",
        ErrorCode::NotFound => "nobody who is online shares it any more",
        ErrorCode::Unavailable => "the peer reached nobody who has it",
        ErrorCode::CorruptContents => "everybody who has it sent bytes that are not the file",
        ErrorCode::PermissionDenied => "the peer does not load for you",
        _ => "the peer could not keep it",
    }
}

/// Returns the size of the file once it is shared; none if it was cancelled.
async fn load(
    shop: &Shop,
    order: &LoadOrder,
    standing: &watch::Sender<Standing>,
    cancel: &CancellationToken,
) -> Result<Option<u64>, Problem> {
    let loads = &shop.loads;
    if !lets(loads, order) {
        return Err(Problem::new(
            ErrorCode::PermissionDenied,
            format!("'{}' is not on the list of those who may ask", order.user),
        ));
    }
    let stopped = cancel.cancelled();
    let turn = async {
        let alone = shop.alone_with(order.hash).await;
        (alone, shop.slots.acquire().await)
    };
    let _turn = tokio::select! {
        turn = turn => turn,
        () = stopped => return Ok(None),
    };
    if let Some(size) = is_shared(loads, order) {
        return Ok(Some(size));
    }
    let folder = on_blocking_thread({
        let (state, base) = (Arc::clone(&loads.state), loads.folder.clone());
        let space = order.space.clone();
        move || folders::for_space(&state, &base, space.as_ref())
    })
    .await?;
    let Some(mut fetched) = persist(loads, order, &folder, standing, cancel).await? else {
        return Ok(None);
    };
    put_on_shelves(loads, fetched.path.clone(), fetched.hashes.clone()).await;
    let shared = tokio::select! {
        shared = shared(loads, order) => shared,
        () = cancel.cancelled() => Ok(()),
    };
    if let Some(member) = fetched.member.take() {
        Member::leave(member).await;
    }
    shared.map(|()| Some(fetched.bytes))
}

/// Whether this peer does this for who asks: the directory has decided so, but only its word stands
/// for that.
fn lets(loads: &Loads, order: &LoadOrder) -> bool {
    let owner = loads.state.user.as_ref();
    owner.is_some_and(|owner| {
        *owner == order.user
            || loads
                .allowed
                .lets(Some(owner), &order.user, &order.user_spaces)
    })
}

/// The size of the file, if it is shared already with those who are to see the copy.
fn is_shared(loads: &Loads, order: &LoadOrder) -> Option<u64> {
    let held = loads.state.catalogue.by_hash(&order.hash);
    let seen = |space: Option<&SpaceName>| space.is_none() || space == order.space.as_ref();
    let file = held.iter().find(|file| seen(file.space.as_deref()))?;
    Some(file.identity.size)
}

/// Fetches, and tries anew for a while when nobody can be reached.
async fn persist(
    loads: &Loads,
    order: &LoadOrder,
    folder: &Path,
    standing: &watch::Sender<Standing>,
    cancel: &CancellationToken,
) -> Result<Option<Fetched>, Problem> {
    let (mut moved, mut bytes) = (Instant::now(), 0);
    loop {
        standing.send_modify(|standing| standing.runs = true);
        let problem = match attempt(loads, order, folder, standing, cancel).await {
            Err(problem) => problem,
            ended => return ended,
        };
        let now = standing.borrow().bytes;
        if now > bytes {
            (moved, bytes) = (Instant::now(), now);
        }
        if problem.code != ErrorCode::Unavailable || moved.elapsed() >= PATIENCE {
            return Err(problem);
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = cancel.cancelled() => return Ok(None),
        }
    }
}

/// Fetches under the first name that is free.
async fn attempt(
    loads: &Loads,
    order: &LoadOrder,
    folder: &Path,
    standing: &watch::Sender<Standing>,
    cancel: &CancellationToken,
) -> Result<Option<Fetched>, Problem> {
    // From nobody but who holds it where the copy is to lie.
    let within = Within::lying_in(order.space.as_ref());
    let file = tokio::select! {
        file = loads.directory.locate_within(&order.hash, &within) => file?,
        () = cancel.cancelled() => return Ok(None),
    };
    let fallback = order.hash.to_string();
    let name = match order.name.is_empty() {
        true => &fallback,
        false => &order.name,
    };
    for number in 0..=NUMBERS {
        let path = numbered(folder, name, number);
        match to(loads, file.clone(), within.clone(), path, standing, cancel).await {
            Err(problem) if problem.code == ErrorCode::FileExists && number < NUMBERS => {}
            ended => return ended,
        }
    }
    Ok(None)
}

async fn to(
    loads: &Loads,
    file: LocatedFile,
    within: Within,
    path: PathBuf,
    standing: &watch::Sender<Standing>,
    cancel: &CancellationToken,
) -> Result<Option<Fetched>, Problem> {
    let (handle, download) = begin(Fetch {
        home: loads.home.clone(),
        directory: loads.directory.clone(),
        authority: loads.directory.authority(),
        file,
        within,
        target: Target { path, force: false },
        locality: true,
        download_limit: None,
        member: Some(MemberConfig {
            name: loads.state.id.clone(),
            bind: loads.bind,
            addresses: Vec::new(),
            upload_limit: loads.upload_limit,
        }),
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

/// Shares what was fetched at once: its hashes are known, so that it need not wait behind all that the
/// peer has to hash. What cannot be is found by looking.
async fn put_on_shelves(loads: &Loads, path: PathBuf, hashes: Option<Arc<PieceHashes>>) {
    let Some(hashes) = hashes.map(Arc::unwrap_or_clone) else {
        return;
    };
    let (state, cache) = (loads.state.clone(), loads.cache.clone());
    let shelved = on_blocking_thread(move || {
        shelve(&state, &cache, &path, hashes).map_err(|error| home::disk(&path, &error))
    });
    if let Err(problem) = shelved.await {
        warn!("{problem}");
    }
}

/// Waits until the file is on the shelves and the directory knows of it.
async fn shared(loads: &Loads, order: &LoadOrder) -> Result<(), Problem> {
    let state = &loads.state;
    let mut changes = state.catalogue.changes();
    let on_shelves = async {
        while is_shared(loads, order).is_none() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(on_shelves);
    if timeout(NOTICED, &mut on_shelves).await.is_err() {
        // Not all places can be watched.
        state.rescan.notify_one();
        while timeout(SHARED, &mut on_shelves).await.is_err() {
            // What waits for its turn to be hashed is not lost.
            if state.to_hash.load(Ordering::Relaxed) == 0 {
                return Err(Problem::new(
                    ErrorCode::Internal,
                    "the loaded file was not found again",
                ));
            }
        }
    }
    let mut publishing = state.pending.progress();
    let published = publishing.wait_for(|progress| progress.settled);
    // A directory that is away will hear of it.
    let _ = timeout(PUBLISHED, published).await;
    Ok(())
}
