//! The list of what this peer offers: folders and files, in place, each under a name of its own.
//!
//! A share's name is the first part of the paths that are published for it. The list outlives the
//! process (`shares.json`), so that a peer that starts again offers the same.
//!
//! A share lies in one space or in that of everyone. Of shares inside one another the nearest to a
//! file decides who sees it: an outer share leaves out what an inner one of another space holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::home::write_private;
use convite_core::{Problem, SafePath, SpaceName, display};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{home, private, scan};

/// A folder or a file that this peer offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Unique among the shares of this peer, one part of a path.
    pub name: String,
    /// Absolute, without symbolic links when it was added.
    #[serde(
        rename = "folder",
        serialize_with = "write_root",
        deserialize_with = "read_root"
    )]
    pub root: Arc<Path>,
    /// Whose members may see it; none for everyone.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_space",
        deserialize_with = "read_space"
    )]
    pub space: Option<Arc<SpaceName>>,
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
    /// The published path of `inner` (relative to the root; empty if the root is a file).
    ///
    /// # Errors
    /// `invalid_argument` if a part is not UTF-8 or the path is too long.
    pub fn published(&self, inner: &Path) -> Result<SafePath, Problem> {
        SafePath::from_relative(&Path::new(&self.name).join(inner))
    }

    /// Whether a published path is of this share.
    pub fn holds(&self, path: &SafePath) -> bool {
        let first = path.as_str().split('/').next();
        first == Some(self.name.as_str())
    }

    /// Whether what is at `place` is for another of `shares` to show: one inside this share,
    /// nearer to the place, and of another space.
    pub fn leaves(&self, place: &Path, shares: &[Self]) -> bool {
        shares.iter().any(|other| {
            other.space != self.space
                && other.root != self.root
                && other.root.starts_with(&self.root)
                && place.starts_with(&other.root)
        })
    }
}

/// The shares of a peer, as they are on disk.
#[derive(Debug, Default)]
pub struct ShareList {
    /// Where it is kept; one of a peer that keeps nothing is nowhere.
    file: Option<PathBuf>,
    shares: Vec<Share>,
}

impl ShareList {
    /// Reads the list; an absent file is an empty list.
    ///
    /// # Errors
    /// `internal` if it cannot be read, `invalid_argument` if it is damaged.
    pub fn load(file: PathBuf) -> Result<Self, Problem> {
        let shares: Vec<Share> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Problem::invalid(format!("the list of shares is damaged: {error}")).hint(format!(
                    "repair or remove {}",
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

    /// The shares in the order they were added.
    pub fn all(&self) -> &[Share] {
        &self.shares
    }

    /// Whether a file of the share at `root` may be shown under `path` to the members of `space`.
    pub fn admits(&self, root: &Path, path: &SafePath, space: Option<&SpaceName>) -> bool {
        let of_root = self.shares.iter().find(|share| *share.root == *root);
        of_root.is_some_and(|share| {
            let place = match scan::inner(path) {
                "" => root.to_path_buf(),
                inner => root.join(inner),
            };
            share.space.as_deref() == space
                && share.holds(path)
                && !share.leaves(&place, &self.shares)
        })
    }

    /// Shares `path` from now on, with the members of `space` or else with everyone. What is shared
    /// already moves to `space`, if one is named, and else stays where it is: nothing is shown to
    /// more people by naming no space.
    ///
    /// # Errors
    /// `not_found` if there is no such folder or file, `invalid_argument` if it cannot be shared,
    /// `internal` if the list cannot be written.
    pub fn add(&mut self, path: &Path, space: Option<SpaceName>) -> Result<Share, Problem> {
        let shown = path.to_string_lossy();
        let shown = display::escape(&shown);
        let root = dunce::canonicalize(path).map_err(|error| {
            Problem::not_found(format!("cannot share {shown}: {error}"))
                .hint("name a folder or file that exists and that you may read")
        })?;
        let space = space.map(Arc::new);
        if let Some(at) = self.shares.iter().position(|share| *share.root == *root) {
            if space.is_some() && space != self.shares[at].space {
                let before = std::mem::replace(&mut self.shares[at].space, space);
                self.save()
                    .inspect_err(|_| self.shares[at].space = before)?;
            }
            return Ok(self.shares[at].clone());
        }
        if private::is_private(&root) {
            return Err(Problem::invalid(format!(
                "{shown} is the inside of a home of Convite, which nobody else may see"
            ))
            .hint("it holds keys and passwords of this machine; share another folder"));
        }
        let kind = root.metadata().map_err(|error| home::disk(&root, &error))?;
        if !kind.is_dir() && !kind.is_file() {
            return Err(Problem::invalid(format!(
                "{shown} is neither a folder nor a file"
            )));
        }
        if root.to_str().is_none() {
            return Err(Problem::invalid(format!("{shown} is not named in UTF-8"))
                .hint("rename it to share it"));
        }
        let wanted = root.file_name().and_then(|n| n.to_str()).unwrap_or("root");
        let share = Share {
            name: self.free_name(wanted),
            root: root.into(),
            space,
        };
        self.shares.push(share.clone());
        self.save().inspect_err(|_| {
            self.shares.pop();
        })?;
        Ok(share)
    }

    /// Shares the folder or file no more; it is named by its path or by its share's name.
    ///
    /// # Errors
    /// `not_found` if it is not shared, `internal` if the list cannot be written.
    pub fn remove(&mut self, path: &Path) -> Result<Share, Problem> {
        // What is gone from the disk can still be taken off the list.
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
                    .hint("`convite status` lists what is")
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

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ErrorCode;
    use std::fs;

    #[test]
    fn shares_have_unique_names_and_outlive_the_process() {
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
    fn what_does_not_exist_is_not_shared() {
        let home = tempfile::tempdir().unwrap();
        let mut list = ShareList::load(home.path().join("shares.json")).unwrap();
        let refused = list.add(&home.path().join("nothing"), None).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound);
        assert!(list.all().is_empty());
    }

    #[test]
    fn the_nearest_share_decides_and_naming_no_space_widens_nothing() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("shares.json");
        fs::create_dir_all(home.path().join("a/b/c")).unwrap();
        let outer = dunce::canonicalize(home.path().join("a")).unwrap();
        let space = |name: &str| Some(name.parse::<SpaceName>().unwrap());
        let mut list = ShareList::load(file.clone()).unwrap();
        list.add(&outer, None).unwrap();
        list.add(&outer.join("b"), space("lab")).unwrap();
        list.add(&outer.join("b/c"), space("lab")).unwrap();
        let admits = |list: &ShareList, root: &Path, path: &str, name: &str| {
            list.admits(root, &path.parse().unwrap(), space(name).as_ref())
        };
        let everyone = |list: &ShareList, root: &Path, path: &str| {
            list.admits(root, &path.parse().unwrap(), None)
        };
        assert!(everyone(&list, &outer, "a/x"));
        assert!(everyone(&list, &outer, "a/bb"));
        assert!(!everyone(&list, &outer, "a/b/x"));
        assert!(!everyone(&list, &outer, "a/b/c/x"));
        assert!(!everyone(&list, &outer, "other/x"));
        assert!(!everyone(&list, &outer.join("b"), "b/x"));
        assert!(!admits(&list, &outer.join("b"), "b/x", "club"));
        // Of two of one space both show it.
        assert!(admits(&list, &outer.join("b"), "b/c/x", "lab"));
        assert!(admits(&list, &outer.join("b/c"), "c/x", "lab"));

        let again = list.add(&outer.join("b"), None).unwrap();
        assert_eq!(again.space.as_deref(), space("lab").as_ref());
        let moved = list.add(&outer.join("b"), space("club")).unwrap();
        assert_eq!(moved.space.as_deref(), space("club").as_ref());
        assert!(!admits(&list, &outer.join("b"), "b/c/x", "club"));
        assert_eq!(ShareList::load(file).unwrap().all(), list.all());
    }
}
