//! The inbox of a peer: its finished and unfinished uploads.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use convite_core::path::local_file_name;
use convite_core::{
    AccessList, ContentHash, ErrorCode, PieceGeometry, PieceHash, Problem, UserName,
};
use convite_net::task::blocking;
use convite_wire::upload_ticket::UploadTicket;
use parking_lot::Mutex;

use crate::activity::TransferMeter;
use crate::fs::fallbacks::is_same_file;
use crate::fs::identity::FileIdentity;
use crate::fs::private_folders;
use crate::fs::stamp::FileStamp;
use crate::home;
use crate::sharing::cache::Cache;
use crate::sharing::ingest::{ReceivedContent, ingest, published};
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::Share;

use super::concurrency::{UploadSlot, UploadSlots};
use super::config::InboxConfig;
use super::disk::refused_by_disk;
use super::file_name;
use super::finished::{FinishedUpload, FinishedUploads, RETENTION};
use super::incoming::VerifiedUpload;
use super::quota::{InboxQuota, QuotaReservation};
use super::unfinished::{self, UnfinishedUpload, UploadRecord};
use super::usage::InboxUsage;

pub(super) const BEGIN_HINT: &str =
    "call `BeginUpload` before each attempt and send the id that it returns";
/// The maximum number of unfinished uploads per account.
const UNFINISHED_MAX: usize = 100;
/// The maximum number of remembered finished uploads per account.
const FINISHED_MAX: usize = 1000;

/// What an inbox needs of its peer.
#[derive(Clone)]
pub struct InboxOwner {
    /// The account that the peer belongs to.
    pub user: Option<UserName>,
    /// The shared files, to which received files are added.
    pub files: Arc<SharedFiles>,
    /// Stores the hashes of received files.
    pub cache: Arc<Cache>,
    /// Measures the transfers.
    pub meter: Arc<TransferMeter>,
}

/// The inbox of a peer.
pub struct Inbox {
    pub(super) folder: PathBuf,
    allowed: AccessList,
    pub(super) quota: Arc<InboxQuota>,
    unfinished: Mutex<HashMap<String, UnfinishedEntry>>,
    finished: FinishedUploads,
    pub(super) turns: UploadSlots,
    pub(super) level: Arc<InboxUsage>,
    pub(super) owner: InboxOwner,
}

/// An unfinished upload.
struct UnfinishedEntry {
    about: UploadRecord,
    touched: SystemTime,
    /// Pieces verified by the last `begin`; `None` once a stream took them: it may overwrite them.
    held: Option<VerifiedPieces>,
    _reserved: QuotaReservation,
}

/// Verified pieces, and the stamp of the file that contains them.
pub(super) struct VerifiedPieces {
    pub(super) hashes: Vec<PieceHash>,
    pub(super) stamp: Option<FileStamp>,
}

/// An upload that may begin or resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStart {
    /// The id for the stream.
    pub upload: String,
    /// The hashes of the pieces that the inbox has, from the first on; never of all pieces.
    pub held: Vec<PieceHash>,
    /// The result, if the upload is already finished. Nothing needs to be sent then.
    pub done: Option<ReceivedFile>,
}

/// A received file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFile {
    /// The published path; a path relative to the inbox if the file is not shared.
    pub path: String,
    /// The content hash.
    pub hash: ContentHash,
    /// The size in bytes.
    pub size: u64,
}

impl Inbox {
    /// Calls [`Self::open`] if an inbox is configured and some account may use it.
    ///
    /// # Errors
    /// Same as [`Self::open`].
    pub async fn open_if_any(
        config: Option<InboxConfig>,
        allowed: AccessList,
        owner: InboxOwner,
    ) -> Result<Option<Arc<Self>>, Problem> {
        let Some(config) = config.filter(|_| allowed != AccessList::Nobody) else {
            return Ok(None);
        };
        let inbox = blocking(move || Self::open(config, allowed, owner)).await?;
        Ok(Some(Arc::new(inbox)))
    }

    /// Opens the inbox: creates its folder if needed, and shares it unless it is in a share
    /// already. Blocks.
    ///
    /// # Errors
    /// Returns `internal` if the folder cannot be created or read.
    pub fn open(
        config: InboxConfig,
        allowed: AccessList,
        owner: InboxOwner,
    ) -> Result<Self, Problem> {
        let failed = |error: io::Error| home::disk(&config.folder, &error);
        owner.files.check_mounted(&config.folder)?;
        fs::create_dir_all(config.folder.join(unfinished::FOLDER)).map_err(failed)?;
        let folder = dunce::canonicalize(&config.folder).map_err(failed)?;
        let is_shared = |place: &Path| {
            let shares = owner.files.shares();
            let shows = |share: &Share| {
                place.starts_with(&share.root) && !private_folders::is_excluded(&share.root, place)
            };
            shares.iter().any(shows)
        };
        if !is_shared(&folder) {
            owner.files.share(&folder, None)?;
        }
        let level = InboxUsage::new(folder.clone(), config.quota);
        let inbox = Self {
            level,
            quota: Arc::new(InboxQuota::new(folder.clone(), config.quota)),
            finished: FinishedUploads::open(&folder, FINISHED_MAX).map_err(failed)?,
            folder,
            allowed,
            unfinished: Mutex::default(),
            turns: UploadSlots::default(),
            owner,
        };
        for (upload, about, touched) in unfinished::all(&inbox.folder).map_err(failed)? {
            if inbox.finished.find(&upload).is_some() {
                // The process was killed just after the file had got its name.
                unfinished::remove(&inbox.folder, &upload);
                continue;
            }
            // Unfinished uploads count even if they exceed the current quota.
            let kept = UnfinishedEntry {
                _reserved: inbox.quota.reserve_unchecked(&about.user, about.size),
                about,
                touched,
                held: None,
            };
            inbox.unfinished.lock().insert(upload, kept);
        }
        inbox.forget_expired(SystemTime::now());
        Ok(inbox)
    }

    /// Returns the fill level.
    pub fn level(&self) -> &Arc<InboxUsage> {
        &self.level
    }

    /// Checks that the caller may upload.
    ///
    /// # Errors
    /// Returns `permission_denied` if the account of `ticket` may not upload, and `unavailable`
    /// while the disk of the inbox is not mounted.
    pub fn check_permission(&self, ticket: &UploadTicket) -> Result<(), Problem> {
        self.owner.files.check_mounted(&self.folder)?;
        let owner = self.owner.user.as_ref();
        if self.allowed.allows(owner, &ticket.user, &ticket.spaces) {
            Ok(())
        } else {
            Err(Problem::new(
                ErrorCode::PermissionDenied,
                "this peer does not accept uploads from you",
            )
            .hint("its owner can allow them with `--allow-uploads`"))
        }
    }

    /// Begins an upload, or finds the state of an earlier attempt. If the same file was uploaded
    /// within a day, returns that result, unless `anew` is set. Blocks to hash the pieces that the
    /// inbox has.
    ///
    /// # Errors
    /// Returns `permission_denied` if the account may not upload, `too_large` if the file exceeds
    /// the quota or the maximum file size, `no_space` if the disk is full, `unavailable` if the
    /// same upload is in progress, and `too_many_requests` if the account has too many unfinished
    /// uploads.
    pub fn begin(
        &self,
        ticket: &UploadTicket,
        name: &str,
        size: u64,
        modified_ns: i64,
        anew: bool,
    ) -> Result<UploadStart, Problem> {
        self.check_permission(ticket)?;
        let geometry = PieceGeometry::new(size).ok_or_else(too_large)?;
        let about = UploadRecord {
            user: ticket.user.clone(),
            name: local_file_name(name),
            size,
            modified_ns,
        };
        let upload = about.id();
        let _busy = self.turns.lock_upload(&upload)?;
        self.forget_expired(SystemTime::now());
        if anew {
            self.finished.forget(&upload);
        } else if let Some(finished) = self.finished.find(&upload) {
            self.forget(&upload);
            let done = ReceivedFile {
                path: self.published_path(&finished.placed),
                hash: finished.hash,
                size: finished.size,
            };
            return Ok(UploadStart {
                upload,
                held: Vec::new(),
                done: Some(done),
            });
        }
        if !self.unfinished.lock().contains_key(&upload) {
            self.create(&upload, about)?;
        }
        let (held, stamp) = UnfinishedUpload::open(&self.folder, &upload)
            .and_then(|unfinished| {
                let stamp = unfinished.stamp()?;
                Ok((unfinished.verified(&geometry)?, stamp))
            })
            .map_err(|error| refused_by_disk(&error))?;
        if let Some(kept) = self.unfinished.lock().get_mut(&upload) {
            kept.held = Some(VerifiedPieces {
                hashes: held.clone(),
                stamp,
            });
            kept.touched = SystemTime::now();
        }
        Ok(UploadStart {
            upload,
            held,
            done: None,
        })
    }

    /// Creates the upload `upload` of the file `about`.
    fn create(&self, upload: &str, about: UploadRecord) -> Result<(), Problem> {
        let own = |kept: &&UnfinishedEntry| kept.about.user == about.user;
        if self.unfinished.lock().values().filter(own).count() >= UNFINISHED_MAX {
            return Err(Problem::new(
                ErrorCode::TooManyRequests,
                format!("you have {UNFINISHED_MAX} unfinished uploads on this peer"),
            )
            .hint("finish one of them; each expires after a day"));
        }
        let reserved = self.quota.reserve(&about.user, about.size)?;
        file_name::check_disk_space(&self.folder, about.size)?;
        let made = UnfinishedUpload::create(&self.folder, upload, &about);
        made.map_err(|error| refused_by_disk(&error))?;
        let kept = UnfinishedEntry {
            about,
            touched: SystemTime::now(),
            held: None,
            _reserved: reserved,
        };
        self.unfinished.lock().insert(upload.to_owned(), kept);
        Ok(())
    }

    /// Takes the hashes of the pieces before `offset`. No other stream gets them until the next
    /// `begin`.
    pub(super) fn take_held(
        &self,
        ticket: &UploadTicket,
        upload: &str,
        offset: u64,
    ) -> Result<(UploadRecord, PieceGeometry, VerifiedPieces), Problem> {
        let mut unfinished = self.unfinished.lock();
        let kept = unfinished.get_mut(upload);
        let kept = kept.filter(|kept| kept.about.user == ticket.user && kept.held.is_some());
        let Some(UnfinishedEntry { about, held, .. }) = kept else {
            return Err(Problem::not_found(
                "you have no such unfinished upload on this peer, or it did not begin",
            )
            .hint(BEGIN_HINT));
        };
        let geometry = PieceGeometry::new(about.size).ok_or_else(too_large)?;
        let pieces = usize::try_from(offset / geometry.piece_size()).unwrap_or(usize::MAX);
        let most = held.as_ref().map_or(0, |held| held.hashes.len());
        if !offset.is_multiple_of(geometry.piece_size()) || pieces > most {
            return Err(Problem::invalid(
                "the upload must begin at a piece that this peer has or at the next one",
            ));
        }
        let mut held = held.take().unwrap_or(VerifiedPieces {
            hashes: Vec::new(),
            stamp: None,
        });
        held.hashes.truncate(pieces);
        Ok((about.clone(), geometry, held))
    }

    /// Reserves capacity for one upload of the account of `ticket`, until the turn is dropped.
    ///
    /// # Errors
    /// Returns `permission_denied` if the account may not upload, and `overloaded` if too many
    /// uploads are in progress.
    pub fn reserve_turn(&self, ticket: &UploadTicket) -> Result<Arc<UploadSlot>, Problem> {
        self.check_permission(ticket)?;
        self.turns.turn(&ticket.user).map(Arc::new)
    }

    fn forget_expired(&self, now: SystemTime) {
        self.finished.forget_expired(now);
        self.unfinished.lock().retain(|upload, kept| {
            let age = now.duration_since(kept.touched).unwrap_or_default();
            let stays = age < RETENTION || self.turns.is_busy(upload);
            if !stays {
                unfinished::remove(&self.folder, upload);
            }
            stays
        });
    }

    pub(super) fn forget(&self, upload: &str) {
        if self.unfinished.lock().remove(upload).is_some() {
            unfinished::remove(&self.folder, upload);
        }
    }

    /// Gives a received file its name, and records the result for an `upload` that can be queried
    /// again.
    pub(super) fn store(
        &self,
        name: &str,
        ticket: &UploadTicket,
        whole: VerifiedUpload,
        upload: Option<&str>,
    ) -> io::Result<ReceivedFile> {
        let hash = whole.hashes.content();
        let size = whole.hashes.geometry().file_size();
        let folder = file_name::folder_of(&self.folder, &ticket.user);
        let from = whole.path();
        let swapped = || io::Error::other("another program replaced an upload");
        if !is_same_file(&whole.file, from) {
            return Err(swapped());
        }
        let placed = file_name::move_into(from, &folder, name, |to| match upload {
            Some(upload) => {
                let finished = FinishedUpload::of(&ticket.user, hash, from, to)?;
                self.finished.note(upload, &finished)
            }
            None => Ok(()),
        })?;
        if !is_same_file(&whole.file, &placed) {
            return Err(swapped());
        }
        if let Some(upload) = upload {
            let finished = FinishedUpload::of(&ticket.user, hash, &placed, &placed)?;
            self.finished.note(upload, &finished)?;
        }
        let identity = FileIdentity::of(&whole.file)?;
        ingest(
            &self.owner.files,
            &self.owner.cache,
            &placed,
            ReceivedContent {
                identity,
                pieces: whole.hashes,
                crc32: whole.crc32,
            },
        )?;
        Ok(ReceivedFile {
            path: self.published_path(&placed),
            hash,
            size,
        })
    }

    /// Returns the published path of a file of the inbox; a path relative to the inbox if it is not
    /// shared.
    fn published_path(&self, placed: &Path) -> String {
        let inner = placed.strip_prefix(&self.folder).unwrap_or(placed);
        published(&self.owner.files, placed).map_or_else(
            || inner.to_string_lossy().into_owned(),
            |path| path.to_string(),
        )
    }
}

fn too_large() -> Problem {
    Problem::new(
        ErrorCode::TooLarge,
        "the file exceeds the maximum file size",
    )
}
