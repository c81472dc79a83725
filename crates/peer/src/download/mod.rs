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
mod engine;
mod handle;
mod limit;
mod locality;
mod member;
mod partial;
pub(crate) mod place;
mod ranges;
mod receive;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, PeerId, PieceGeometry, PieceHashes, Problem, Within};
use convite_swarm::Outcome;
use convite_wire::invite::Fingerprint;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use engine::Ended;
use handle::Control;
use partial::Partial;

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
    let mut last = None;
    for size in claimed_sizes(&fetch.file) {
        let geometry = PieceGeometry::new(size).ok_or_else(|| {
            Problem::invalid(format!("{size} bytes are more than a file can have"))
        })?;
        let (target, within) = (&fetch.target, &fetch.within);
        let partial = Partial::open(&fetch.home, fetch.file.hash, geometry, target, within).await?;
        let ended = engine::run(&fetch, partial, started, &progress, &mut control).await?;
        match ended {
            Ended::Interrupted => return Ok(None),
            Ended::Complete(complete) => {
                let hashes = complete.partial.hashes();
                let path = complete.partial.put_in_place(&fetch.target).await?;
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
            Ended::Failed(Outcome::NoneHonest) => {
                last = Some(
                    Problem::new(
                        ErrorCode::CorruptContents,
                        "every provider sent bytes that are not the file",
                    )
                    .hint("ask those who share it to check their disks; nothing wrong was kept"),
                );
            }
            Ended::Failed(_) => {
                return Err(Problem::new(
                    ErrorCode::Unavailable,
                    "no provider of the file can be reached",
                )
                .hint("what was fetched is kept: run the same command again when one is back"));
            }
        }
    }
    Err(last.unwrap_or_else(|| Problem::not_found("nobody online has the file")))
}

/// The sizes that providers claim, the one that most claim first. Only one can be true, which its
/// last piece proves; a liar must not keep the honest from being asked.
fn claimed_sizes(file: &LocatedFile) -> Vec<u64> {
    let mut sizes = vec![file.size];
    for provider in &file.providers {
        if !sizes.contains(&provider.size) {
            sizes.push(provider.size);
        }
    }
    let claims = |size: u64| file.providers.iter().filter(|p| p.size == size).count();
    sizes.sort_by_key(|size| std::cmp::Reverse(claims(*size)));
    sizes
}
