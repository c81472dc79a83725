//! The list of shares: folders and files that this peer offers in place, each with a unique name.
//!
//! A share's name is the first component of its published paths. The list is stored in
//! `shares.json`.
//!
//! A share is in one space or in the space of everyone. For nested shares the innermost one
//! decides: a share excludes the contents of a nested share in another space.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::home::write_private;
use convite_core::{ErrorCode, Problem, SafePath, SpaceName, display};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fs::mounts::{Mount, MountState};
use crate::fs::volume::Volume;
use crate::fs::{open_beneath, private_folders};
use crate::home;

/// A folder or file that this peer offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Unique among the shares of this peer; one path component.
    pub name: String,
    /// The absolute path, without symbolic links when it was added.
    #[serde(
        rename = "folder",
        serialize_with = "write_root",
        deserialize_with = "read_root"
    )]
    pub root: Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_space",
        deserialize_with = "read_space"
    )]
    pub space: Option<Arc<SpaceName>>,
    /// The mount that contained the root when it was added; `None` if it could not be determined.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_mount",
        deserialize_with = "read_mount"
    )]
    pub mount: Option<Arc<Mount>>,
}

fn write_mount<S: Serializer>(
    mount: &Option<Arc<Mount>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    mount.as_deref().serialize(serializer)
}

fn read_mount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Mount>>, D::Error> {
    Option::<Mount>::deserialize(deserializer).map(|mount| mount.map(Arc::new))
}

fn write_space<S: Serializer>(
    space: &Option<Arc<SpaceName>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    space.as_deref().serialize(serializer)
}

fn read_space<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<SpaceName>>, D::Error> {
    Option::<SpaceName>::deserialize(deserializer).map(|space| space.map(Arc::new))
}

fn write_root<S: Serializer>(root: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    root.serialize(serializer)
}

fn read_root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Path>, D::Error> {
    PathBuf::deserialize(deserializer).map(Into::into)
}

impl Share {
    /// Returns whether the file system is mounted. Accesses the disk.
    pub fn mount_state(&self) -> MountState {
        let mount = self.mount.as_deref();
        mount.map_or(MountState::Mounted, |mount| mount.mount_state(&self.root))
    }

    /// Returns the published path of `inner`, which is relative to the root, and empty if the root
    /// is a file.
    ///
    /// # Errors
    /// Returns `invalid_argument` if a component is not UTF-8 or the path is too long.
    pub fn published(&self, inner: &Path) -> Result<SafePath, Problem> {
        SafePath::from_relative(&Path::new(&self.name).join(inner))
    }

    /// Returns whether a published path belongs to this share.
    pub fn contains_path(&self, path: &SafePath) -> bool {
        let first = path.as_str().split('/').next();
        first == Some(self.name.as_str())
    }

    /// Returns whether `place` belongs to another of `shares`: one nested in this share that
    /// contains the place and is in another space.
    pub fn excludes(&self, place: &Path, shares: &[Self]) -> bool {
        shares.iter().any(|other| {
            other.space != self.space
                && other.root != self.root
                && other.root.starts_with(&self.root)
                && place.starts_with(&other.root)
        })
    }
}

/// Returns the part of a published path below the root of its share; empty if the root is the file
/// itself.
pub fn path_in_share(path: &SafePath) -> &str {
    path.as_str().split_once('/').map_or("", |(_, inner)| inner)
}

/// The list of shares and its file.
#[derive(Debug, Default)]
pub struct ShareList {
    /// The file of the list; `None` for a transient peer.
    file: Option<PathBuf>,
    shares: Vec<Share>,
}

impl ShareList {
    /// Reads the list. A missing file is an empty list.
    ///
    /// # Errors
    /// Returns `internal` if the file cannot be read, and `invalid_argument` if it is damaged.
    pub fn load(file: PathBuf) -> Result<Self, Problem> {
        let shares: Vec<Share> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Problem::invalid(format!("the list of shares is damaged: {error}")).hint(format!(
                    "remove {} and share the folders again with `convite share DIR`",
                    display::escape(&file.to_string_lossy())
                ))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(home::disk(&file, &error)),
        };
        Ok(Self {
            file: Some(file),
            shares,
        })
    }

    /// Returns the shares in the order in which they were added.
    pub fn all(&self) -> &[Share] {
        &self.shares
    }

    /// Returns whether a file of the share at `root` may be published as `path` in `space`.
    pub fn may_publish(&self, root: &Path, path: &SafePath, space: Option<&SpaceName>) -> bool {
        let of_root = self.shares.iter().find(|share| *share.root == *root);
        of_root.is_some_and(|share| {
            let place = match path_in_share(path) {
                "" => root.to_path_buf(),
                inner => root.join(inner),
            };
            share.space.as_deref() == space
                && share.contains_path(path)
                && !share.excludes(&place, &self.shares)
        })
    }

    /// Adds a share of `path` in `space`, or else in the space of everyone. If `path` is shared
    /// already, it moves to `space`; without `space` it stays where it is, so that nothing becomes
    /// visible to more accounts by default.
    ///
    /// # Errors
    /// Returns `not_found` if `path` does not exist, `invalid_argument` if it cannot be shared,
    /// `unavailable` if its file system is not mounted, and `internal` if the list cannot be
    /// written.
    pub fn add(&mut self, path: &Path, space: Option<SpaceName>) -> Result<Share, Problem> {
        let shown = path.to_string_lossy();
        let shown = display::escape(&shown);
        let root = dunce::canonicalize(path).map_err(|error| {
            Problem::not_found(format!("cannot share {shown}: {error}"))
                .hint("name a folder or file that exists and that you can read")
        })?;
        let space = space.map(Arc::new);
        if let Some(at) = self.shares.iter().position(|share| *share.root == *root) {
            if let presence @ MountState::NotMounted(_) = self.shares[at].mount_state() {
                return Err(not_mounted(&presence, &shown));
            }
            if space.is_some() && space != self.shares[at].space {
                let before = std::mem::replace(&mut self.shares[at].space, space);
                self.save()
                    .inspect_err(|_| self.shares[at].space = before)?;
            }
            return Ok(self.shares[at].clone());
        }
        if private_folders::is_private(&root) {
            return Err(Problem::invalid(format!(
                "{shown} is in a home of Convite, which cannot be shared"
            ))
            .hint("it holds keys and credentials; share another folder"));
        }
        self.check_mounted(&root)?;
        let kind = root.metadata().map_err(|error| home::disk(&root, &error))?;
        if !kind.is_dir() && !kind.is_file() {
            return Err(
                Problem::invalid(format!("{shown} is neither a folder nor a file"))
                    .hint("pipes, sockets and devices cannot be shared"),
            );
        }
        let volume = Volume::of(&root).map_err(|error| home::disk(&root, &error))?;
        if volume.is_pseudo {
            return Err(Problem::invalid(format!(
                "{shown} is on a file system of the kernel, not on a disk"
            ))
            .hint("copy the files to a folder on a disk and share that folder"));
        }
        if kind.is_file() {
            let (file, identity) =
                open_beneath::open(&root, "").map_err(|error| home::disk(&root, &error))?;
            open_beneath::check_size(&file, identity.size)
                .map_err(|error| Problem::invalid(format!("cannot share {shown}: {error}")))?;
        }
        if root.to_str().is_none() {
            return Err(
                Problem::invalid(format!("the name of {shown} is not valid UTF-8"))
                    .hint("rename it, then share it"),
            );
        }
        let wanted = root.file_name().and_then(|n| n.to_str()).unwrap_or("root");
        let share = Share {
            name: self.free_name(wanted),
            mount: Mount::of(&root).ok().map(Arc::new),
            root: root.into(),
            space,
        };
        self.shares.push(share.clone());
        self.save().inspect_err(|_| {
            self.shares.pop();
        })?;
        Ok(share)
    }

    /// Returns whether `path` is shared and its file system is not mounted. Accesses the disk.
    pub fn is_unmounted(&self, path: &Path) -> bool {
        let root = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let found = dunce::canonicalize(path).unwrap_or(root);
        let share = self.shares.iter().find(|share| *share.root == *found);
        share.is_some_and(|share| share.mount_state() != MountState::Mounted)
    }

    /// Updates the mount of the share at `root` to the file system that is mounted there now.
    ///
    /// # Errors
    /// Returns `internal` if the list cannot be written.
    pub fn update_mount(&mut self, root: &Path) -> Result<(), Problem> {
        let Some(at) = self.shares.iter().position(|share| *share.root == *root) else {
            return Ok(());
        };
        let now = Mount::of(root).ok().map(Arc::new);
        if now.is_none() || now == self.shares[at].mount {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.shares[at].mount, now);
        self.save().inspect_err(|_| self.shares[at].mount = before)
    }

    /// Refuses `place` if it is in a share, or below a share's mount point, with a file system that
    /// is not mounted, so that nothing is written below the mount point. Accesses the disk.
    ///
    /// # Errors
    /// Returns `unavailable` if the file system is not mounted.
    pub fn check_mounted(&self, place: &Path) -> Result<(), Problem> {
        let around = self.shares.iter().filter(|share| {
            let mount = share.mount.as_deref();
            let is_below =
                |mount: &Mount| mount.point.parent().is_some() && place.starts_with(&mount.point);
            place.starts_with(&share.root) || mount.is_some_and(is_below)
        });
        let away = around
            .map(Share::mount_state)
            .find(|presence| *presence != MountState::Mounted);
        match away {
            Some(presence) => Err(not_mounted(&presence, &place.to_string_lossy())),
            None => Ok(()),
        }
    }

    /// Removes a share, named by its path or by its name.
    ///
    /// # Errors
    /// Returns `not_found` if it is not shared, and `internal` if the list cannot be written.
    pub fn remove(&mut self, path: &Path) -> Result<Share, Problem> {
        // A folder that no longer exists can still be removed from the list.
        let root = dunce::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let at = self
            .shares
            .iter()
            .position(|share| *share.root == *root)
            .or_else(|| {
                self.shares
                    .iter()
                    .position(|share| Path::new(&share.name) == path)
            })
            .ok_or_else(|| {
                let shown = path.to_string_lossy();
                Problem::not_found(format!("{} is not shared", display::escape(&shown)))
                    .hint("`convite status` lists the shares")
            })?;
        let share = self.shares.remove(at);
        if let Err(problem) = self.save() {
            self.shares.insert(at, share);
            return Err(problem);
        }
        Ok(share)
    }

    fn free_name(&self, wanted: &str) -> String {
        let is_free = |name: &str| self.shares.iter().all(|share| share.name != name);
        if is_free(wanted) {
            return wanted.to_owned();
        }
        let (stem, extension) = match wanted.rfind('.') {
            Some(dot) if dot > 0 => wanted.split_at(dot),
            _ => (wanted, ""),
        };
        let mut number = 2u64;
        loop {
            let name = format!("{stem}-{number}{extension}");
            if is_free(&name) {
                return name;
            }
            number += 1;
        }
    }

    fn save(&self) -> Result<(), Problem> {
        let text = serde_json::to_vec_pretty(&self.shares)
            .map_err(|e| Problem::invalid(format!("cannot write the list of shares: {e}")))?;
        match &self.file {
            Some(file) => write_private(file, &text).map_err(|e| home::disk(file, &e)),
            None => Ok(()),
        }
    }
}

fn not_mounted(presence: &MountState, shown: &str) -> Problem {
    let (what, hint) = presence.explain().unwrap_or_default();
    let shown = display::escape(shown);
    Problem::new(
        ErrorCode::Unavailable,
        format!("{shown} is not available: {what}"),
    )
    .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn share_names_are_unique_and_persistent() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("shares.json");
        for folder in ["a/music", "b/music", "c"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        fs::write(home.path().join("c/music"), "a file").unwrap();
        let mut list = ShareList::load(file.clone()).unwrap();
        let names: Vec<_> = ["a/music", "b/music", "c/music", "a/../a/music"]
            .map(|path| list.add(&home.path().join(path), None).unwrap().name)
            .into();
        assert_eq!(names, ["music", "music-2", "music-3", "music"]);

        let mut again = ShareList::load(file.clone()).unwrap();
        assert_eq!(again.all(), list.all());
        fs::remove_dir(home.path().join("b/music")).unwrap();
        again.remove(&home.path().join("b/music")).unwrap();
        again.remove(Path::new("music-3")).unwrap();
        assert_eq!(ShareList::load(file).unwrap().all().len(), 1);
        let gone = again.remove(&home.path().join("b/music")).unwrap_err();
        assert_eq!(gone.code, ErrorCode::NotFound);
    }

    #[test]
    fn missing_path_cannot_be_shared() {
        let home = tempfile::tempdir().unwrap();
        let mut list = ShareList::load(home.path().join("shares.json")).unwrap();
        let refused = list.add(&home.path().join("nothing"), None).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound);
        assert!(list.all().is_empty());
    }

    #[test]
    fn innermost_share_decides_the_space() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("shares.json");
        fs::create_dir_all(home.path().join("a/b/c")).unwrap();
        let outer = dunce::canonicalize(home.path().join("a")).unwrap();
        let space = |name: &str| Some(name.parse::<SpaceName>().unwrap());
        let mut list = ShareList::load(file.clone()).unwrap();
        list.add(&outer, None).unwrap();
        list.add(&outer.join("b"), space("lab")).unwrap();
        list.add(&outer.join("b/c"), space("lab")).unwrap();
        let may_publish = |list: &ShareList, root: &Path, path: &str, name: &str| {
            list.may_publish(root, &path.parse().unwrap(), space(name).as_ref())
        };
        let everyone = |list: &ShareList, root: &Path, path: &str| {
            list.may_publish(root, &path.parse().unwrap(), None)
        };
        assert!(everyone(&list, &outer, "a/x"));
        assert!(everyone(&list, &outer, "a/bb"));
        assert!(!everyone(&list, &outer, "a/b/x"));
        assert!(!everyone(&list, &outer, "a/b/c/x"));
        assert!(!everyone(&list, &outer, "other/x"));
        assert!(!everyone(&list, &outer.join("b"), "b/x"));
        assert!(!may_publish(&list, &outer.join("b"), "b/x", "club"));
        // Two nested shares of one space both contain the file.
        assert!(may_publish(&list, &outer.join("b"), "b/c/x", "lab"));
        assert!(may_publish(&list, &outer.join("b/c"), "c/x", "lab"));

        let again = list.add(&outer.join("b"), None).unwrap();
        assert_eq!(again.space.as_deref(), space("lab").as_ref());
        let moved = list.add(&outer.join("b"), space("club")).unwrap();
        assert_eq!(moved.space.as_deref(), space("club").as_ref());
        assert!(!may_publish(&list, &outer.join("b"), "b/c/x", "club"));
        assert_eq!(ShareList::load(file).unwrap().all(), list.all());
    }
}
