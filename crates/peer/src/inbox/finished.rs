//! Finished uploads, remembered for a day. If the final reply was lost, the sender asks again and
//! gets the result instead of uploading the file twice.
//!
//! `INBOX/.convite-uploads/ID.done` is written before the file gets its name, and contains that
//! name. The upload counts as finished only if exactly that file exists under the name.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use convite_client::home::write_private;
use convite_core::{ContentHash, UserName};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::unfinished::{FOLDER, SUFFIX};
use crate::fs::identity::FileIdentity;

/// How long an interrupted upload and the result of a finished one are kept.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// A finished upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FinishedUpload {
    user: UserName,
    pub(super) hash: ContentHash,
    pub(super) size: u64,
    /// The path of the file.
    pub(super) placed: PathBuf,
    /// Identifies the file. The device number is omitted: it may change at a restart.
    inode: u64,
    modified_ns: i64,
    /// The change time; `None` in the first record, because renaming the file changes it. A second
    /// record contains it. Without it (after a kill between the two) the file is hashed to verify
    /// it.
    #[serde(default)]
    changed_ns: Option<i64>,
}

impl FinishedUpload {
    /// Describes a complete file that is about to get its name, or has it.
    pub(super) fn of(
        user: &UserName,
        hash: ContentHash,
        from: &Path,
        placed: &Path,
    ) -> io::Result<Self> {
        let identity = FileIdentity::at(from, &from.symlink_metadata()?)?;
        Ok(Self {
            user: user.clone(),
            hash,
            size: identity.size,
            placed: placed.to_owned(),
            inode: identity.inode,
            modified_ns: identity.modified_ns,
            changed_ns: (from == placed).then_some(identity.changed_ns),
        })
    }

    /// Returns whether the file exists and is unchanged.
    fn is_there(&self) -> bool {
        self.placed.symlink_metadata().is_ok_and(|metadata| {
            let identity = FileIdentity::at(&self.placed, &metadata);
            metadata.is_file()
                && identity.is_ok_and(|identity| {
                    (identity.inode, identity.size, identity.modified_ns)
                        == (self.inode, self.size, self.modified_ns)
                        && match self.changed_ns {
                            Some(changed) => identity.changed_ns == changed,
                            None => self.has_its_hash(),
                        }
                })
        })
    }

    fn has_its_hash(&self) -> bool {
        let mut hasher = blake3::Hasher::new();
        let read = fs::File::open(&self.placed).and_then(|file| {
            hasher.update_reader(file)?;
            Ok(())
        });
        read.is_ok() && ContentHash::from_bytes(*hasher.finalize().as_bytes()) == self.hash
    }
}

/// The finished uploads of an inbox.
pub(super) struct FinishedUploads {
    folder: PathBuf,
    /// The maximum number per account.
    most: usize,
    /// The account and time of each upload.
    known: Mutex<HashMap<String, (UserName, SystemTime)>>,
}

impl FinishedUploads {
    /// Reads the finished uploads of an inbox, at most `most` per account. Damaged records are
    /// removed.
    pub(super) fn open(inbox: &Path, most: usize) -> io::Result<Self> {
        let folder = inbox.join(FOLDER);
        let mut known = HashMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(upload) = name.strip_suffix(SUFFIX) else {
                continue;
            };
            match read(&entry.path()) {
                Some(finished) => {
                    let since = entry.metadata()?.modified()?;
                    known.insert(upload.to_owned(), (finished.user, since));
                }
                None => fs::remove_file(entry.path())?,
            }
        }
        Ok(Self {
            folder,
            most,
            known: Mutex::new(known),
        })
    }

    fn path(&self, upload: &str) -> PathBuf {
        self.folder.join(format!("{upload}{SUFFIX}"))
    }

    /// Records the expected result of an upload. Removes the oldest of the account's records if it
    /// has too many.
    pub(super) fn note(&self, upload: &str, finished: &FinishedUpload) -> io::Result<()> {
        write_private(&self.path(upload), &serde_json::to_vec(finished)?)?;
        let mut known = self.known.lock();
        let now = SystemTime::now();
        known.insert(upload.to_owned(), (finished.user.clone(), now));
        let own = known.iter().filter(|(_, (user, _))| *user == finished.user);
        let oldest = if own.clone().count() > self.most {
            own.min_by_key(|(_, (_, since))| *since)
        } else {
            None
        };
        let oldest = oldest.map(|(upload, _)| upload.clone());
        drop(known);
        if let Some(oldest) = oldest {
            self.forget(&oldest);
        }
        Ok(())
    }

    /// Returns the result of an upload if it finished and the file still exists.
    pub(super) fn find(&self, upload: &str) -> Option<FinishedUpload> {
        if !self.known.lock().contains_key(upload) {
            return None;
        }
        let finished = read(&self.path(upload)).filter(FinishedUpload::is_there);
        if finished.is_none() {
            self.forget(upload);
        }
        finished
    }

    pub(super) fn forget(&self, upload: &str) {
        let known = self.known.lock().remove(upload);
        // If the record cannot be removed, lookups still check that the file exists.
        if known.is_some() {
            let _ = fs::remove_file(self.path(upload));
        }
    }

    pub(super) fn forget_expired(&self, now: SystemTime) {
        let is_old =
            |since: &SystemTime| now.duration_since(*since).unwrap_or_default() >= RETENTION;
        let known = self.known.lock();
        let old = known.iter().filter(|(_, (_, since))| is_old(since));
        let old: Vec<_> = old.map(|(upload, _)| upload.clone()).collect();
        drop(known);
        old.iter().for_each(|upload| self.forget(upload));
    }
}

fn read(path: &Path) -> Option<FinishedUpload> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_uploads_are_limited_and_expire() {
        let inbox = tempfile::tempdir().unwrap();
        let folder = inbox.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        let placed = inbox.path().join("x");
        fs::write(&placed, "x").unwrap();
        let user = |name: &str| name.parse::<UserName>().unwrap();
        let of = |name| {
            FinishedUpload::of(&user(name), ContentHash::of(b"x"), &placed, &placed).unwrap()
        };
        let uploads = FinishedUploads::open(inbox.path(), 10).unwrap();
        uploads.note("of-ben", &of("ben")).unwrap();
        for number in 0..=10 {
            uploads.note(&number.to_string(), &of("ana")).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 10 + 1);
        assert_eq!(
            (uploads.find("0"), uploads.find("of-ben")),
            (None, Some(of("ben")))
        );
        // Overwritten, with the modification time reset.
        let overwritten = of("ana");
        while FileIdentity::at(&placed, &placed.symlink_metadata().unwrap())
            .unwrap()
            .changed_too_recently(SystemTime::now())
        {
            std::thread::yield_now();
        }
        let modified = placed.metadata().unwrap().modified().unwrap();
        fs::write(&placed, "z").unwrap();
        let file = fs::File::options().write(true).open(&placed).unwrap();
        file.set_modified(modified).unwrap();
        assert!(!overwritten.is_there());
        let unnamed = FinishedUpload {
            changed_ns: None,
            ..overwritten.clone()
        };
        assert!(!unnamed.is_there());
        fs::write(&placed, "x").unwrap();
        file.set_modified(modified).unwrap();
        assert!(unnamed.is_there() && !overwritten.is_there());
        uploads.note("8", &of("ana")).unwrap();
        // Records survive a restart; damaged ones are ignored.
        fs::write(folder.join(format!("7{SUFFIX}")), "torn").unwrap();
        let uploads = FinishedUploads::open(inbox.path(), 10).unwrap();
        assert_eq!(
            (uploads.find("7"), uploads.find("8")),
            (None, Some(of("ana")))
        );
        // Another file with the same name is not the uploaded file.
        fs::remove_file(&placed).unwrap();
        fs::write(&placed, "y").unwrap();
        assert_eq!(uploads.find("8"), None);
        assert!(!folder.join(format!("8{SUFFIX}")).exists());
        uploads.forget_expired(SystemTime::now() + RETENTION / 2);
        assert!(folder.join(format!("9{SUFFIX}")).exists());
        uploads.forget_expired(SystemTime::now() + RETENTION * 2);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
