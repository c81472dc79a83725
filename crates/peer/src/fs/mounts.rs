//! The mount that contains a share. It is part of the share's identity: files found below the mount
//! point while nothing or another file system is mounted there do not belong to the share.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::volume::{Volume, VolumeId, device_of};

/// The file system that contained a share when it was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The mount point.
    pub point: PathBuf,
    /// The id of the file system; `None` if it has no id that is stable across mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
}

/// Whether a share's file system is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountState {
    /// It is mounted. The share's root may still be missing.
    Mounted,
    /// Nothing is mounted at the mount point.
    NotMounted(PathBuf),
    /// Another file system is mounted there.
    Replaced(PathBuf),
}

impl MountState {
    /// Returns a message for the user and a hint.
    pub fn explain(&self) -> Option<(String, &'static str)> {
        let shown = |point: &Path| {
            let point = point.to_string_lossy();
            convite_core::display::escape(&point).into_owned()
        };
        match self {
            Self::Mounted => None,
            Self::NotMounted(point) => Some((
                format!("its disk is not mounted at {}", shown(point)),
                "mount it; the share returns within 30 s and is not hashed again",
            )),
            Self::Replaced(point) => Some((
                format!("another file system is mounted at {}", shown(point)),
                "mount the original file system, or share the current one with `convite share DIR`",
            )),
        }
    }
}

impl Mount {
    /// Returns the mount that contains `path`.
    ///
    /// # Errors
    /// Fails as the system does.
    pub fn of(path: &Path) -> io::Result<Self> {
        let volume = Volume::of(path)?;
        let is_same = |above: &&Path| device_of(above).is_ok_and(|found| found == volume.device);
        let point = path.ancestors().take_while(is_same).last();
        Ok(Self {
            point: point.unwrap_or(path).to_owned(),
            volume: volume.id,
        })
    }

    /// Returns whether this mount is present, for a share at `root`. Accesses the disk.
    pub fn mount_state(&self, root: &Path) -> MountState {
        // The root may be missing on a file system that is mounted.
        let found = Self::of(root).or_else(|_| Self::of(&self.point));
        let Ok(found) = found else {
            return MountState::NotMounted(self.point.clone());
        };
        let is_another = match (self.volume, found.volume) {
            (Some(ours), Some(theirs)) if ours == theirs => return MountState::Mounted,
            (Some(_), Some(_)) => true,
            _ => false,
        };
        // The root file system may be restored or cloned, which changes its id, and is never
        // unmounted.
        let is_top = self.point.parent().is_none();
        if found.point == self.point && (is_top || !is_another) {
            return MountState::Mounted;
        }
        if self.point != found.point && self.point.starts_with(&found.point) {
            MountState::NotMounted(self.point.clone())
        } else {
            MountState::Replaced(found.point)
        }
    }
}

/// Returns a hash of the mount table entries that concern the shares at `roots`. It changes when a file system
/// is mounted or unmounted at, above or below a share, also if the same file system is mounted again
/// (since Linux 6.8; before, its mount may get the same number). Does not wait for the shares'
/// disks, which may be absent or asleep.
pub fn mount_table_hash(roots: &[&Path]) -> Option<blake3::Hash> {
    let table = std::fs::read(MOUNTS).ok()?;
    let mut hasher = blake3::Hasher::new();
    for line in table.split(|byte| *byte == b'\n') {
        // proc_pid_mountinfo(5): the fifth field is the mount point, its spaces escaped.
        let Some(field) = line.split(|byte| *byte == b' ').nth(4) else {
            continue;
        };
        let point = unescape(field);
        let concerns = |root: &&Path| {
            let root = root.as_os_str().as_encoded_bytes();
            is_at_or_below(root, &point) || is_at_or_below(&point, root)
        };
        if roots.iter().any(concerns) {
            hasher.update(line);
        }
    }
    for id in roots.iter().filter_map(|root| unique_mount_id(root)) {
        hasher.update(&id.to_le_bytes());
    }
    Some(hasher.finalize())
}

/// Returns the number of the mount that contains `path`, which no later mount gets (statx(2)).
#[cfg(target_os = "linux")]
fn unique_mount_id(path: &Path) -> Option<u64> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

    /// STATX_MNT_ID_UNIQUE, since Linux 6.8.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let found = statx(CWD, path, flags, UNIQUE).ok()?;
    (found.stx_mask & UNIQUE.bits() != 0).then_some(found.stx_mnt_id)
}

#[cfg(not(target_os = "linux"))]
fn unique_mount_id(_path: &Path) -> Option<u64> {
    None
}

/// Notices changes of the mount table.
pub struct MountWatch {
    #[cfg(target_os = "linux")]
    table: tokio::io::unix::AsyncFd<std::fs::File>,
}

impl MountWatch {
    /// Starts to watch. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// Fails as the system does.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Self> {
        let table = std::fs::File::open(MOUNTS)?;
        let priority = tokio::io::Interest::PRIORITY;
        #[expect(
            deprecated,
            reason = "a file keeps its descriptor open; the replacement needs unsafe code"
        )]
        let table = tokio::io::unix::AsyncFd::with_interest(table, priority)?;
        Ok(Self { table })
    }

    /// Waits until file systems were mounted or unmounted since the last call (proc_pid_mounts(5)).
    ///
    /// # Errors
    /// Fails as the system does.
    #[cfg(target_os = "linux")]
    pub async fn changed(&self) -> io::Result<()> {
        let mut ready = self.table.ready(tokio::io::Interest::PRIORITY).await?;
        ready.clear_ready();
        Ok(())
    }

    /// Fails with `Unsupported`: only Linux has the table.
    ///
    /// # Errors
    /// Always fails.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called, because no instance exists.
    ///
    /// # Errors
    /// Never fails.
    #[cfg(not(target_os = "linux"))]
    pub async fn changed(&self) -> io::Result<()> {
        std::future::pending().await
    }
}

const MOUNTS: &str = "/proc/self/mountinfo";

fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || above.ends_with(b"/"))
}

/// Decodes the octal escapes (`\040`) of a field.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 8).ok());
        (rest, _) = match byte {
            Some(byte) => (&after[3..], out.push(byte)),
            None => (after, out.push(*first)),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_parsed() {
        assert_eq!(unescape(br"/mnt/a\040b\134c"), br"/mnt/a b\c");
        assert_eq!(unescape(br"/mnt/\04"), br"/mnt/\04");
        assert!(is_at_or_below(b"/mnt/a", b"/"));
        assert!(is_at_or_below(b"/mnt/a", b"/mnt"));
        assert!(!is_at_or_below(b"/mnt/ab", b"/mnt/a"));
    }

    #[test]
    fn missing_share_folder_does_not_mean_unmounted() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mount = Mount::of(&root).unwrap();
        assert!(root.starts_with(&mount.point));
        assert_eq!(mount.mount_state(&root), MountState::Mounted);
        std::fs::remove_dir(&root).unwrap();
        assert_eq!(mount.mount_state(&root), MountState::Mounted);
        // The same as after unmounting the file system at `place`.
        let unmounted = Mount {
            point: place.path().to_owned(),
            volume: None,
        };
        let expected = MountState::NotMounted(place.path().to_owned());
        assert_eq!(unmounted.mount_state(&root), expected);
        assert!(expected.explain().is_some());
    }
}
