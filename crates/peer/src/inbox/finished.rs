//! Uploads that came to an end, remembered for a day: whoever did not hear so asks again, and is told
//! instead of having the file taken in a second time.
//!
//! `INBOX/.convite-uploads/ID.done` is written before the file gets its name, with that name. Only
//! where the very file is found under it did the upload come to its end.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use convite_client::home::write_private;
use convite_core::{ContentHash, UserName};
use serde::{Deserialize, Serialize};

use super::unfinished::FOLDER;
use super::{KEPT, lock};
use crate::beneath::Identity;

/// Ends the names of the files in which they are remembered.
pub(super) const ENDING: &str = ".done";
/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finished {
    user: UserName,
    pub(super) hash: ContentHash,
    pub(super) size: u64,
    /// Where the file is.
    pub(super) placed: PathBuf,
    /// By which it is known there. Its device is left out: some have another number after a restart.
    inode: u64,
    modified_ns: i64,
}

impl Finished {
    /// A whole file that is about to get its name.
    pub(super) fn of(
        user: &UserName,
        hash: ContentHash,
        from: &Path,
        placed: &Path,
    ) -> io::Result<Self> {
        let identity = Identity::at(from, &from.symlink_metadata()?)?;
        Ok(Self {
            user: user.clone(),
            hash,
            size: identity.size,
            placed: placed.to_owned(),
            inode: identity.inode,
            modified_ns: identity.modified_ns,
        })
    }

    /// Whether the file is there, and has not changed.
    fn is_there(&self) -> bool {
        self.placed.symlink_metadata().is_ok_and(|metadata| {
            let identity = Identity::at(&self.placed, &metadata);
            metadata.is_file()
                && identity.is_ok_and(|identity| {
                    (identity.inode, identity.size, identity.modified_ns)
                        == (self.inode, self.size, self.modified_ns)
                })
        })
    }
}

/// See the module.
pub(super) struct FinishedUploads {
    folder: PathBuf,
    /// The most of one account.
    most: usize,
    /// Whose each is, and since when.
    known: Mutex<HashMap<String, (UserName, SystemTime)>>,
}

impl FinishedUploads {
    /// Those of an inbox, at most so many of one account; what is damaged is removed.
    pub(super) fn open(inbox: &Path, most: usize) -> io::Result<Self> {
        let folder = inbox.join(FOLDER);
        let mut known = HashMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(upload) = name.strip_suffix(ENDING) else {
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
        self.folder.join(format!("{upload}{ENDING}"))
    }

    /// Notes how an upload is about to end. The oldest of an account with too many is forgotten.
    pub(super) fn note(&self, upload: &str, finished: &Finished) -> io::Result<()> {
        write_private(&self.path(upload), &serde_json::to_vec(finished)?)?;
        let mut known = lock(&self.known);
        let now = SystemTime::now();
        known.insert(upload.to_owned(), (finished.user.clone(), now));
        let own = known.iter().filter(|(_, (user, _))| *user == finished.user);
        let oldest = match own.clone().count() > self.most {
            true => own.min_by_key(|(_, (_, since))| *since),
            false => None,
        };
        let oldest = oldest.map(|(upload, _)| upload.clone());
        drop(known);
        if let Some(oldest) = oldest {
            self.forget(&oldest);
        }
        Ok(())
    }

    /// How an upload ended, if it did and the file is still there.
    pub(super) fn find(&self, upload: &str) -> Option<Finished> {
        if !lock(&self.known).contains_key(upload) {
            return None;
        }
        let finished = read(&self.path(upload)).filter(Finished::is_there);
        if finished.is_none() {
            self.forget(upload);
        }
        finished
    }

    pub(super) fn forget(&self, upload: &str) {
        let known = lock(&self.known).remove(upload);
        // Nothing else removes it; if the disk refuses, the file it tells of is looked for anyway.
        if known.is_some() {
            let _ = fs::remove_file(self.path(upload));
        }
    }

    pub(super) fn forget_expired(&self, now: SystemTime) {
        let is_old = |since: &SystemTime| now.duration_since(*since).unwrap_or_default() >= KEPT;
        let known = lock(&self.known);
        let old = known.iter().filter(|(_, (_, since))| is_old(since));
        let old: Vec<_> = old.map(|(upload, _)| upload.clone()).collect();
        drop(known);
        old.iter().for_each(|upload| self.forget(upload));
    }
}

fn read(path: &Path) -> Option<Finished> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_remembered_for_so_long_and_only_while_the_file_is_there() {
        let inbox = tempfile::tempdir().unwrap();
        let folder = inbox.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        let placed = inbox.path().join("x");
        fs::write(&placed, "x").unwrap();
        let user = |name: &str| name.parse::<UserName>().unwrap();
        let of = |name| Finished::of(&user(name), ContentHash::of(b"x"), &placed, &placed).unwrap();
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
        // After a restart too; what is damaged is nothing.
        fs::write(folder.join(format!("7{ENDING}")), "torn").unwrap();
        let uploads = FinishedUploads::open(inbox.path(), 10).unwrap();
        assert_eq!(
            (uploads.find("7"), uploads.find("8")),
            (None, Some(of("ana")))
        );
        // Another file of that name is another file.
        fs::remove_file(&placed).unwrap();
        fs::write(&placed, "y").unwrap();
        assert_eq!(uploads.find("8"), None);
        assert!(!folder.join(format!("8{ENDING}")).exists());
        uploads.forget_expired(SystemTime::now() + KEPT / 2);
        assert!(folder.join(format!("9{ENDING}")).exists());
        uploads.forget_expired(SystemTime::now() + KEPT * 2);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
