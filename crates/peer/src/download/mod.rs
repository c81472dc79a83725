//! Getting a file: from all its providers at once, each piece verified before it is written, and
//! put in place only when all of it is there.
//!
//! [`fetch`] owns one [`convite_swarm::Download`] and does what it says: dials providers
//! (`connection`), follows what they hold (`availability`), receives and checks pieces
//! (`receive`; from providers that speak only HTTP/1.1, `ranges`), writes them (`contents`) and
//! keeps them on disk for a resume (`partial`), and at the end moves the file to where it was wanted (`place`). From its first
//! verified piece on it provides what it has to the others who fetch the file (`member`). A
//! download that is interrupted, at whatever instant, resumes from what is on disk.

mod availability;
mod company;
pub(crate) mod connection;
mod ending;
mod engine;
mod handle;
mod limit;
mod locality;
mod member;
mod partial;
pub(crate) mod place;
mod ranges;
mod receive;
mod sizes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, PeerId, PieceGeometry, PieceHashes, Problem, Within};
use convite_wire::invite::Fingerprint;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use engine::Ended;
use handle::Control;
use partial::Partial;
use sizes::Sizes;

pub use handle::{DownloadHandle, begin};
pub use member::{Member, MemberConfig};
pub(crate) use place::rename_new;
pub use place::{Target, numbered};

/// What to fetch, and where to.
pub struct Fetch {
    /// Where unfinished downloads are kept.
    pub home: Home,
    /// The directory, in a session.
    pub directory: DirectoryClient,
    /// The authority that peers' certificates are under; none if they speak plaintext.
    pub authority: Option<Fingerprint>,
    /// The file, as the directory just located it,
    pub file: LocatedFile,
    /// and where it is looked for: it comes from nobody who holds it elsewhere only.
    pub within: Within,
    /// Where the file goes.
    pub target: Target,
    /// Whether near providers come before far ones.
    pub locality: bool,
    /// The most bytes a second to receive.
    pub download_limit: Option<u64>,
    /// How to provide to others what has been fetched; none to provide nothing.
    pub member: Option<MemberConfig>,
}

/// How a download stands; sent on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes verified and written, those of earlier runs included.
    pub verified: u64,
    /// Bytes that were there when this run began.
    pub resumed: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// How many providers can be asked now.
    pub providers: usize,
    /// Whether it is paused.
    pub paused: bool,
}

/// A download that ended well.
pub struct Fetched {
    /// Where the file is.
    pub path: PathBuf,
    /// Its content hash.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes that came over the network in this run.
    pub received: u64,
    /// Who sent verified pieces.
    pub providers: Vec<PeerId>,
    /// From the start to the file being in place.
    pub took: Duration,
    /// From the start to the first piece verified; none if no piece had to be fetched.
    pub first_verified: Option<Duration>,
    /// Its piece hashes; none if it was in place already.
    pub hashes: Option<Arc<PieceHashes>>,
    /// Whether the very file was in place already.
    pub was_there: bool,
    /// Still provides the file to others, until it is stopped; none if it never did.
    pub member: Option<Member>,
}

/// Fetches a file. When `interrupt` is cancelled, what was fetched is kept for a resume and the
/// result is none. [`begin`] is the same for whoever may want to pause it.
///
/// # Errors
/// `file_exists`, `no_space`, `unavailable` (nobody could be reached), `corrupt_contents`
/// (everybody sent wrong bytes), and those of the file system as `internal`. What was verified is
/// kept in every case.
pub async fn fetch(
    fetch: Fetch,
    progress: watch::Sender<Progress>,
    interrupt: CancellationToken,
) -> Result<Option<Fetched>, Problem> {
    controlled(fetch, progress, Control::unpaused(interrupt)).await
}

async fn controlled(
    fetch: Fetch,
    progress: watch::Sender<Progress>,
    mut control: Control,
) -> Result<Option<Fetched>, Problem> {
    let started = tokio::time::Instant::now();
    if let Some(there) = fetch.target.already_there(&fetch.file.hash).await? {
        return Ok(Some(Fetched {
            path: fetch.target.path.clone(),
            hash: fetch.file.hash,
            bytes: there,
            received: 0,
            providers: Vec::new(),
            took: started.elapsed(),
            first_verified: None,
            hashes: None,
            was_there: true,
            member: None,
        }));
    }
    let mut sizes = Sizes::of(&fetch.file);
    while let Some(attempt) = sizes.next() {
        let size = attempt.size;
        let Some(geometry) = PieceGeometry::new(size) else {
            let problem = format!("{size} bytes are more than a file can have");
            sizes.refused(attempt, Problem::invalid(problem));
            continue;
        };
        let limits = sizes.limits(attempt);
        let ran = async {
            let (hash, target, within) = (fetch.file.hash, &fetch.target, &fetch.within);
            let partial = Partial::open(&fetch.home, hash, geometry, target, within).await?;
            engine::run(&fetch, partial, started, &progress, &mut control, limits).await
        };
        let ended = match ran.await {
            // There may be room for another size.
            Err(problem) if problem.code == ErrorCode::NoSpace => {
                sizes.refused(attempt, problem);
                continue;
            }
            ended => ended?,
        };
        match ended {
            Ended::Interrupted => return Ok(None),
            Ended::Complete(complete) => {
                let hashes = complete.partial.hashes();
                let path = match complete.partial.put_in_place(&fetch.target).await {
                    Ok(path) => path,
                    Err(problem) => {
                        if let Some(member) = complete.member {
                            member.leave().await;
                        }
                        return Err(problem);
                    }
                };
                return Ok(Some(Fetched {
                    path,
                    hash: fetch.file.hash,
                    bytes: size,
                    received: complete.received,
                    providers: complete.providers,
                    took: started.elapsed(),
                    first_verified: complete.first_verified,
                    hashes,
                    was_there: false,
                    member: complete.member,
                }));
            }
            Ended::Failed { outcome, is_proven } => sizes.failed(attempt, outcome, is_proven),
        }
    }
    Err(sizes.problem())
}
