//! The record of a target: which file an earlier download placed there, or found there, with its
//! identity and content hash.
//!
//! It is a log in the home, `HOME/folders/KEY`, where the key follows from the path of the target. An
//! entry is appended when a file has its final name. A file whose identity is unchanged is not hashed
//! again. A damaged entry ends the log: what follows it is hashed again.
//!
//! ```text
//! entry   length of the rest (4 bytes) · CRC-32 of the rest (4) · flags (1) · content hash (32) ·
//!         device, inode, size, modification time, change time (8 each) · path
//! ```

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use convite_client::Home;
use convite_client::home::create_private_folder;
use convite_core::ContentHash;

use crate::fs::identity::FileIdentity;

/// The length of an entry without its path.
const FIXED_LEN: usize = 1 + 32 + 5 * 8;
/// The maximum length of an entry: a path has at most 4,095 bytes.
const ENTRY_MAX: usize = FIXED_LEN + 4096;
/// The flag of a file that a download placed.
const PLACED: u8 = 1;
/// The flag of a removed file.
const REMOVED: u8 = 2;

/// A recorded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordedFile {
    /// The content hash.
    pub(crate) hash: ContentHash,
    /// The identity of the file with these contents; its executable bit is not recorded.
    identity: FileIdentity,
    /// Whether a download placed the file. Otherwise it was there before.
    pub(crate) was_placed: bool,
}

impl RecordedFile {
    pub(crate) fn new(hash: ContentHash, identity: FileIdentity, was_placed: bool) -> Self {
        Self {
            hash,
            identity,
            was_placed,
        }
    }

    /// Returns whether the file at its path is the recorded one, unchanged. Where files have no change
    /// time, this is not known.
    pub(crate) fn is_unchanged(&self, now: &FileIdentity) -> bool {
        let recorded = FileIdentity {
            executable: now.executable,
            ..self.identity
        };
        recorded == *now && now.has_change_time()
    }
}

/// The record of one target.
pub(crate) struct Record {
    path: PathBuf,
    known: HashMap<Box<str>, RecordedFile>,
    log: Option<File>,
    /// Encoded entries that are not written yet.
    pending: Vec<u8>,
}

/// Returns the path of the record of the target at `target`, an absolute path.
fn path_of(home: &Home, target: &Path) -> PathBuf {
    let key = blake3::hash(target.as_os_str().as_encoded_bytes()).to_hex();
    home.root().join("folders").join(&key[..32])
}

/// Returns whether an earlier download into `target`, an absolute path, is recorded.
pub fn is_recorded(home: &Home, target: &Path) -> bool {
    path_of(home, target).is_file()
}

impl Record {
    /// Reads the record of the target at `target`, an absolute path. Writes nothing.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(crate) fn read(home: &Home, target: &Path) -> io::Result<Self> {
        let path = path_of(home, target);
        let known = match File::open(&path) {
            Ok(file) => read_entries(io::BufReader::new(file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            known,
            log: None,
            pending: Vec::new(),
        })
    }

    /// Opens the log for new entries, and writes the known ones without repetitions.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(crate) fn open_log(&mut self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path);
        create_private_folder(folder)?;
        let new = self.path.with_extension("new");
        let mut log = io::BufWriter::new(File::create(&new)?);
        let mut entry = Vec::with_capacity(ENTRY_MAX);
        for (path, file) in &self.known {
            entry.clear();
            encode(&mut entry, path, Some(file));
            log.write_all(&entry)?;
        }
        let log = log.into_inner().map_err(io::IntoInnerError::into_error)?;
        log.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.log = Some(log);
        Ok(())
    }

    /// Returns the recorded file at `path` inside the target, as it was when the record was read.
    pub(crate) fn get(&self, path: &str) -> Option<&RecordedFile> {
        self.known.get(path)
    }

    /// Returns all files that were recorded when the record was read.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &RecordedFile)> {
        self.known.iter().map(|(path, file)| (&**path, file))
    }

    /// Adds a file at `path`. It is written by [`Self::flush`].
    pub(crate) fn add(&mut self, path: &str, file: &RecordedFile) {
        encode(&mut self.pending, path, Some(file));
    }

    /// Removes the file at `path`. This is written by [`Self::flush`].
    pub(crate) fn remove(&mut self, path: &str) {
        encode(&mut self.pending, path, None);
    }

    /// Writes what was added. A failure is not an error: without an entry, a file is hashed again.
    pub(crate) fn flush(&mut self) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write_all(&self.pending)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot record downloaded files");
            self.log = None;
        }
        self.pending.clear();
    }
}

fn encode(into: &mut Vec<u8>, path: &str, file: Option<&RecordedFile>) {
    let len = FIXED_LEN + path.len();
    into.extend_from_slice(&(len as u32).to_le_bytes());
    let crc32 = into.len();
    into.extend_from_slice(&[0; 4]);
    let begin = into.len();
    match file {
        Some(RecordedFile {
            hash,
            identity,
            was_placed,
        }) => {
            into.push(if *was_placed { PLACED } else { 0 });
            into.extend_from_slice(hash.as_bytes());
            for number in [identity.device, identity.inode, identity.size] {
                into.extend_from_slice(&number.to_le_bytes());
            }
            for time in [identity.modified_ns, identity.changed_ns] {
                into.extend_from_slice(&time.to_le_bytes());
            }
        }
        None => {
            into.push(REMOVED);
            into.resize(begin + FIXED_LEN, 0);
        }
    }
    into.extend_from_slice(path.as_bytes());
    let sum = crc32fast::hash(&into[begin..]);
    into[crc32..begin].copy_from_slice(&sum.to_le_bytes());
}

fn read_entries(mut from: impl Read) -> io::Result<HashMap<Box<str>, RecordedFile>> {
    let mut known = HashMap::new();
    let mut head = [0; 8];
    let mut entry = Vec::new();
    loop {
        if let Err(error) = from.read_exact(&mut head) {
            return if_at_end(error, known);
        }
        let (len, crc32) = head.split_at(4);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rfold(0u32, |n, byte| n << 8 | u32::from(*byte))
        };
        let len = number(len) as usize;
        if !(FIXED_LEN..=ENTRY_MAX).contains(&len) {
            return Ok(known);
        }
        entry.resize(len, 0);
        if let Err(error) = from.read_exact(&mut entry) {
            return if_at_end(error, known);
        }
        if crc32fast::hash(&entry) != number(crc32) {
            return Ok(known);
        }
        let Some((path, file)) = decode(&entry) else {
            return Ok(known);
        };
        match file {
            Some(file) => known.insert(path.into(), file),
            None => known.remove(path),
        };
    }
}

fn if_at_end<T>(error: io::Error, read: T) -> io::Result<T> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(read),
        _ => Err(error),
    }
}

fn decode(entry: &[u8]) -> Option<(&str, Option<RecordedFile>)> {
    let (flags, rest) = entry.split_first()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (numbers, path) = rest.split_first_chunk::<40>()?;
    let path = std::str::from_utf8(path).ok()?;
    if *flags == REMOVED {
        return Some((path, None));
    }
    let (numbers, _) = numbers.as_chunks::<8>();
    let identity = FileIdentity {
        device: u64::from_le_bytes(numbers[0]),
        inode: u64::from_le_bytes(numbers[1]),
        size: u64::from_le_bytes(numbers[2]),
        modified_ns: i64::from_le_bytes(numbers[3]),
        changed_ns: i64::from_le_bytes(numbers[4]),
        executable: false,
    };
    let hash = ContentHash::from_bytes(*hash);
    let file = RecordedFile::new(hash, identity, *flags == PLACED);
    Some((path, Some(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(number: u64) -> RecordedFile {
        let identity = FileIdentity {
            device: 1,
            inode: number,
            size: 3,
            modified_ns: -5,
            changed_ns: 1_700_000_000_123_456_789,
            executable: false,
        };
        let hash = ContentHash::of(&number.to_le_bytes());
        RecordedFile::new(hash, identity, number.is_multiple_of(2))
    }

    fn open(home: &Home, target: &Path) -> Record {
        let mut record = Record::read(home, target).unwrap();
        record.open_log().unwrap();
        record
    }

    #[test]
    fn record_survives_and_ends_at_damage() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::open(place.path().join("home")).unwrap();
        let target = place.path().join("target");
        assert!(!is_recorded(&home, &target));
        let mut record = open(&home, &target);
        for number in 0..4 {
            record.add(&format!("a/{number}"), &recorded(number));
        }
        record.add("a/1", &recorded(7));
        record.remove("a/2");
        record.flush();
        assert!(is_recorded(&home, &target));
        assert!(!is_recorded(&home, &place.path().join("other")));
        let again = open(&home, &target);
        let mut found: Vec<_> = again.files().map(|(path, file)| (path, *file)).collect();
        found.sort_unstable_by_key(|(path, _)| *path);
        let wanted = [
            ("a/0", recorded(0)),
            ("a/1", recorded(7)),
            ("a/3", recorded(3)),
        ];
        assert_eq!(found, wanted);

        let path = path_of(&home, &target);
        let whole = fs::read(&path).unwrap();
        for (len, damage) in [
            (whole.len() - 1, None),
            (whole.len(), Some(whole.len() - 30)),
        ] {
            let mut bytes = whole[..len].to_vec();
            if let Some(at) = damage {
                bytes[at] ^= 1;
            }
            fs::write(&path, bytes).unwrap();
            assert_eq!(Record::read(&home, &target).unwrap().files().count(), 2);
        }
        fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(Record::read(&home, &target).unwrap().files().count(), 0);
    }

    #[test]
    fn only_an_equal_identity_is_unchanged() {
        let file = recorded(1);
        let same = FileIdentity {
            executable: true,
            ..file.identity
        };
        assert!(file.is_unchanged(&same));
        let changed = FileIdentity {
            changed_ns: same.changed_ns + 1,
            ..same
        };
        assert!(!file.is_unchanged(&changed));
        // Without change times, a change may not show.
        let coarse = FileIdentity {
            modified_ns: 1_000_000_000,
            changed_ns: 1_000_000_000,
            ..same
        };
        assert!(!RecordedFile::new(file.hash, coarse, true).is_unchanged(&coarse));
    }
}
