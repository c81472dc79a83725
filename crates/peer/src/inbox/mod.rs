//! The inbox: where files go that others leave with this peer, each account's in a folder of its own.
//!
//! What comes in is hashed on its way and is nowhere to be seen before it is whole and synced. Then it
//! gets its name, never in the place of another, is put on the shelves and is told to the directory.
//! An upload whose size was told before (gRPC) is kept for a day when it breaks off, and goes on
//! from there; one of a form begins anew. For as long it is remembered how it ended.
//!
//! Rooms: `quota` (how much of whom), `unfinished` (what is kept of an upload), `finished`, `incoming` (bytes on
//! their way to the disk), `upload` (one file on its way in), `place` (names), `turns` (who may
//! work).

mod finished;
mod incoming;
mod level;
mod place;
mod quota;
mod turns;
mod unfinished;
mod upload;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use convite_core::path::local_file_name;
use convite_core::{Allowed, ContentHash, ErrorCode, PieceGeometry, PieceHash, Problem};
use convite_wire::upload_ticket::UploadTicket;

use crate::cache::Cache;
use crate::home;
use crate::private;
use crate::shares::Share;
use crate::shelving::{published, shelve};
use crate::state::PeerState;

use finished::{Finished, FinishedUploads};
use incoming::{Incoming, Whole};
pub use level::Level;
use quota::{Quota, Reserved};
use turns::Turns;
use unfinished::{About, Unfinished};
use upload::Kind;
pub use upload::Upload;

/// An upload that broke off is kept for so long, and how one ended is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Unfinished uploads of one account that are kept.
const UNFINISHED_MAX: usize = 100;

/// Finished uploads of one account that are remembered.
const FINISHED_MAX: usize = 1000;

/// Where the inbox is, and what may go there.
#[derive(Debug, Clone)]
pub struct InboxConfig {
    /// The folder.
    pub folder: PathBuf,
    /// The most bytes of one account in it, unfinished uploads included.
    pub quota: u64,
}

/// See the module.
pub struct Inbox {
    folder: PathBuf,
    allowed: Allowed,
    quota: Arc<Quota>,
    unfinished: Mutex<HashMap<String, Kept>>,
    finished: FinishedUploads,
    turns: Turns,
    level: Arc<Level>,
    state: Arc<PeerState>,
    cache: Arc<Cache>,
}

/// An unfinished upload.
struct Kept {
    about: About,
    touched: SystemTime,
    /// The hashes of its pieces that are here, as they were when it began last; none once a stream
    /// has taken them, because it may write something else there.
    held: Option<Vec<PieceHash>>,
    _reserved: Reserved,
}

/// An upload that may begin or go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// By which it is continued.
    pub upload: String,
    /// The hashes of the pieces that are here, from the first on; never of all.
    pub held: Vec<PieceHash>,
    /// The file, if it came in already: then nothing is to be sent.
    pub done: Option<Received>,
}

/// A file that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As it is published; below the inbox where nothing of it is shared.
    pub path: String,
    /// Its contents.
    pub hash: ContentHash,
    /// In bytes.
    pub size: u64,
}

impl Inbox {
    /// [`Self::open`], if there is to be one and somebody may use it.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_if_any(
        config: Option<InboxConfig>,
        allowed: Allowed,
        state: &Arc<PeerState>,
        cache: &Arc<Cache>,
    ) -> Result<Option<Arc<Self>>, Problem> {
        let Some(config) = config.filter(|_| allowed != Allowed::Nobody) else {
            return Ok(None);
        };
        let (state, cache) = (state.clone(), cache.clone());
        let opened = tokio::task::spawn_blocking(move || Self::open(config, allowed, state, cache));
        let inbox = opened
            .await
            .map_err(|_| Problem::new(ErrorCode::Internal, "the inbox could not be opened"))??;
        Ok(Some(Arc::new(inbox)))
    }

    /// Opens the inbox, makes its folder if need be, and shares it, unless it lies in what is shared
    /// already. Blocks.
    ///
    /// # Errors
    /// `internal` if the folder cannot be made or read.
    pub fn open(
        config: InboxConfig,
        allowed: Allowed,
        state: Arc<PeerState>,
        cache: Arc<Cache>,
    ) -> Result<Self, Problem> {
        let failed = |error: io::Error| home::disk(&config.folder, &error);
        fs::create_dir_all(config.folder.join(unfinished::FOLDER)).map_err(failed)?;
        let folder = dunce::canonicalize(&config.folder).map_err(failed)?;
        let is_shared = |place: &Path| {
            let shares = state.shares();
            let shows = |share: &Share| {
                place.starts_with(&share.root) && !private::is_left_out(&share.root, place)
            };
            shares.iter().any(shows)
        };
        if !is_shared(&folder) {
            state.share(&folder, None)?;
        }
        let level = Level::new(folder.clone(), config.quota);
        // Only one that is opened a second time finds another there.
        let _ = state.inbox.set(level.clone());
        let inbox = Self {
            level,
            quota: Arc::new(Quota::new(folder.clone(), config.quota)),
            finished: FinishedUploads::open(&folder, FINISHED_MAX).map_err(failed)?,
            folder,
            allowed,
            unfinished: Mutex::default(),
            turns: Turns::default(),
            state,
            cache,
        };
        for (upload, about, touched) in unfinished::all(&inbox.folder).map_err(failed)? {
            if inbox.finished.find(&upload).is_some() {
                // Killed when it had just got its name.
                unfinished::remove(&inbox.folder, &upload);
                continue;
            }
            // What an account has left unfinished counts, even beyond what it may have by now.
            let kept = Kept {
                _reserved: inbox.quota.reserve_anyway(&about.user, about.size),
                about,
                touched,
                held: None,
            };
            lock(&inbox.unfinished).insert(upload, kept);
        }
        inbox.forget_expired(SystemTime::now());
        Ok(inbox)
    }

    /// # Errors
    /// `permission_denied` if the bearer of `ticket` may not upload.
    pub fn check(&self, ticket: &UploadTicket) -> Result<(), Problem> {
        let owner = self.state.user.as_ref();
        match self.allowed.lets(owner, &ticket.user, &ticket.spaces) {
            true => Ok(()),
            false => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "this peer takes no uploads from you",
            )
            .hint("its owner names who may with `--allow-uploads`")),
        }
    }

    /// Begins an upload, or finds out how far an earlier one came. One of the same file that ended
    /// within a day is told, unless it is to come `anew`. Blocks for as long as it takes to hash what
    /// is here.
    ///
    /// # Errors
    /// `permission_denied`; `too_large` beyond the quota or for no file at all; `no_space`;
    /// `unavailable` if the same upload is under way; `too_many_requests` with too many unfinished.
    pub fn begin(
        &self,
        ticket: &UploadTicket,
        name: &str,
        size: u64,
        modified_ns: i64,
        anew: bool,
    ) -> Result<Begun, Problem> {
        self.check(ticket)?;
        let geometry = PieceGeometry::new(size).ok_or_else(too_large)?;
        let about = About {
            user: ticket.user.clone(),
            name: local_file_name(name),
            size,
            modified_ns,
        };
        let upload = about.id();
        let _busy = self.turns.occupy(&upload)?;
        self.forget_expired(SystemTime::now());
        if anew {
            self.finished.forget(&upload);
        } else if let Some(finished) = self.finished.find(&upload) {
            self.forget(&upload);
            let done = Received {
                path: self.shown(&finished.placed),
                hash: finished.hash,
                size: finished.size,
            };
            return Ok(Begun {
                upload,
                held: Vec::new(),
                done: Some(done),
            });
        }
        let known = lock(&self.unfinished).contains_key(&upload);
        if !known {
            let own = |kept: &&Kept| kept.about.user == about.user;
            if lock(&self.unfinished).values().filter(own).count() >= UNFINISHED_MAX {
                return Err(Problem::new(
                    ErrorCode::TooManyRequests,
                    format!("{UNFINISHED_MAX} uploads of yours are unfinished here"),
                )
                .hint("finish one of them; each is forgotten after a day"));
            }
            let reserved = self.quota.reserve(&about.user, size)?;
            place::check_room(&self.folder, size)?;
            let made = Unfinished::create(&self.folder, &upload, &about);
            made.map_err(|error| refused_by_disk(&error))?;
            let kept = Kept {
                about,
                touched: SystemTime::now(),
                held: None,
                _reserved: reserved,
            };
            lock(&self.unfinished).insert(upload.clone(), kept);
        }
        let held = Unfinished::open(&self.folder, &upload)
            .and_then(|unfinished| unfinished.verified(&geometry))
            .map_err(|error| refused_by_disk(&error))?;
        if let Some(kept) = lock(&self.unfinished).get_mut(&upload) {
            kept.held = Some(held.clone());
            kept.touched = SystemTime::now();
        }
        Ok(Begun {
            upload,
            held,
            done: None,
        })
    }

    /// Takes the bytes of an upload that began, from `offset` on. Each time it has to begin anew: what
    /// is written now is not what was verified then.
    ///
    /// # Errors
    /// `not_found` if it did not begin, or not by the bearer of `ticket`; `invalid_argument` for an
    /// offset that does not fit; `unavailable` if it is under way; `overloaded`; `internal` for the
    /// disk.
    pub async fn resume(
        self: &Arc<Self>,
        ticket: &UploadTicket,
        upload: &str,
        offset: u64,
    ) -> Result<Upload, Problem> {
        self.check(ticket)?;
        let turn = self.turns.turn(&ticket.user)?;
        let busy = self.turns.occupy(upload)?;
        let (about, geometry, held) = self.take_held(ticket, upload, offset)?;
        let (folder, id) = (self.folder.clone(), upload.to_owned());
        let alone = busy.clone();
        let incoming = on_blocking_thread(move || {
            let unfinished = Unfinished::open(&folder, &id)?;
            Incoming::resume(&unfinished, &geometry, held, alone)
        })
        .await?;
        let kind = Kind::Known {
            upload: upload.to_owned(),
            about,
            _busy: busy,
        };
        Ok(Upload::new(
            self.clone(),
            ticket.clone(),
            incoming,
            kind,
            turn,
        ))
    }

    /// The hashes of the pieces before `offset`, which nobody else gets until it begins anew.
    fn take_held(
        &self,
        ticket: &UploadTicket,
        upload: &str,
        offset: u64,
    ) -> Result<(About, PieceGeometry, Vec<PieceHash>), Problem> {
        let mut unfinished = lock(&self.unfinished);
        let kept = unfinished.get_mut(upload);
        let kept = kept.filter(|kept| kept.about.user == ticket.user && kept.held.is_some());
        let Some(Kept { about, held, .. }) = kept else {
            return Err(Problem::not_found(
                "no such upload of yours is unfinished here, or it did not begin",
            )
            .hint("begin with `BeginUpload` each time, and send the id that it answers"));
        };
        let geometry = PieceGeometry::new(about.size).ok_or_else(too_large)?;
        let pieces = usize::try_from(offset / geometry.piece_size()).unwrap_or(usize::MAX);
        let most = held.as_ref().map_or(0, Vec::len);
        if !offset.is_multiple_of(geometry.piece_size()) || pieces > most {
            return Err(Problem::invalid(
                "the upload does not begin at a piece that is here or the next",
            ));
        }
        let mut held = held.take().unwrap_or_default();
        held.truncate(pieces);
        Ok((about.clone(), geometry, held))
    }

    /// Takes the bytes of a file whose size is not known.
    ///
    /// # Errors
    /// `permission_denied`, `overloaded`, `no_space`, `internal`.
    pub async fn receive(
        self: &Arc<Self>,
        ticket: &UploadTicket,
        name: &str,
    ) -> Result<Upload, Problem> {
        self.check(ticket)?;
        let turn = self.turns.turn(&ticket.user)?;
        let (inbox, user) = (self.clone(), ticket.user.clone());
        let (incoming, reserved) = on_blocking_thread(move || {
            place::check_room(&inbox.folder, 0).map_err(io::Error::other)?;
            let reserved = inbox.quota.reserve(&user, 0).map_err(io::Error::other)?;
            Ok((Incoming::begin(&inbox.folder)?, reserved))
        })
        .await?;
        let kind = Kind::Unknown {
            name: local_file_name(name),
            reserved,
        };
        Ok(Upload::new(
            self.clone(),
            ticket.clone(),
            incoming,
            kind,
            turn,
        ))
    }

    fn forget_expired(&self, now: SystemTime) {
        self.finished.forget_expired(now);
        lock(&self.unfinished).retain(|upload, kept| {
            let age = now.duration_since(kept.touched).unwrap_or_default();
            let stays = age < KEPT || self.turns.is_busy(upload);
            if !stays {
                unfinished::remove(&self.folder, upload);
            }
            stays
        });
    }

    fn forget(&self, upload: &str) {
        if lock(&self.unfinished).remove(upload).is_some() {
            unfinished::remove(&self.folder, upload);
        }
    }

    /// Puts a file that came in where its owner and others find it; of an `upload` that can be asked
    /// for again it is remembered where.
    fn put_away(
        &self,
        name: &str,
        ticket: &UploadTicket,
        whole: Whole,
        upload: Option<&str>,
    ) -> io::Result<Received> {
        let hash = whole.hashes.content();
        let size = whole.hashes.geometry().file_size();
        let folder = place::folder_of(&self.folder, &ticket.user);
        let from = whole.path();
        let placed = place::put(from, &folder, name, |to| match upload {
            Some(upload) => {
                let finished = Finished::of(&ticket.user, hash, from, to)?;
                self.finished.note(upload, &finished)
            }
            None => Ok(()),
        })?;
        shelve(&self.state, &self.cache, &placed, whole.hashes)?;
        Ok(Received {
            path: self.shown(&placed),
            hash,
            size,
        })
    }

    /// A file of the inbox as it is published; below the inbox where nothing of it is shared.
    fn shown(&self, placed: &Path) -> String {
        let inner = placed.strip_prefix(&self.folder).unwrap_or(placed);
        published(&self.state, placed).map_or_else(
            || inner.to_string_lossy().into_owned(),
            |path| path.to_string(),
        )
    }
}

fn too_large() -> Problem {
    Problem::new(ErrorCode::TooLarge, "the file is larger than files can be")
}

/// What an uploader is told when the disk here refuses: nothing of the owner's folders.
fn refused_by_disk(error: &io::Error) -> Problem {
    if let Some(problem) = error.get_ref().and_then(|e| e.downcast_ref::<Problem>()) {
        return problem.clone();
    }
    tracing::warn!(%error, "the inbox cannot be written");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(ErrorCode::NoSpace, "this peer's disk is full")
        }
        _ => Problem::new(ErrorCode::Internal, "this peer's disk refuses the file"),
    }
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| refused_by_disk(&error))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
