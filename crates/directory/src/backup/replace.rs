//! Replaces existing files with restored ones, using only renames: completely, or not at all.

use std::fs;
use std::path::{Component, Path, PathBuf};

use convite_core::Problem;

use super::folder::{failed, rename};

/// A sequence of renames that is undone in reverse order, unless it is committed.
#[derive(Default)]
pub(super) struct ReplaceTransaction {
    done: Vec<(PathBuf, PathBuf)>,
    spare: Option<PathBuf>,
}

impl ReplaceTransaction {
    /// Registers `path` for removal unless the transaction is committed; returns it.
    pub(super) fn remove_on_rollback(&mut self, path: PathBuf) -> PathBuf {
        self.spare = Some(path.clone());
        path
    }

    /// Renames `path` to `aside` if it exists; returns whether it did.
    pub(super) fn move_away(&mut self, path: &Path, aside: &Path) -> Result<bool, Problem> {
        if path.symlink_metadata().is_err() {
            return Ok(false);
        }
        self.rename(path, aside)?;
        Ok(true)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Problem> {
        // Replacing an existing file could not be undone.
        if to.symlink_metadata().is_ok() {
            let error = std::io::ErrorKind::AlreadyExists.into();
            return Err(failed("rename", from, &error));
        }
        // Recorded first: the rename can succeed and the sync after it fail.
        self.done.push((from.to_owned(), to.to_owned()));
        rename(from, to)
    }

    pub(super) fn commit(mut self) {
        self.done.clear();
        self.spare = None;
    }
}

impl Drop for ReplaceTransaction {
    fn drop(&mut self) {
        for (from, to) in self.done.drain(..).rev() {
            if from.symlink_metadata().is_err()
                && let Err(problem) = rename(&to, &from)
            {
                tracing::error!(error = %problem, "cannot undo a rename");
            }
        }
        if let Some(spare) = &self.spare {
            // It may not exist.
            let _ = fs::remove_file(spare);
        }
    }
}

/// Returns the path of `file` relative to `folder`, if it is inside, after resolving symbolic
/// links.
pub(super) fn relative_inside(folder: &Path, file: &Path) -> Option<PathBuf> {
    let below = resolved(file)
        .strip_prefix(resolved(folder))
        .ok()?
        .to_owned();
    let is_plain = |part| matches!(part, Component::Normal(_));
    (below.components().next().is_some() && below.components().all(is_plain)).then_some(below)
}

/// Resolves symbolic links in the existing part of a path.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|there| {
        let real = dunce::canonicalize(there).ok()?;
        let rest = path.strip_prefix(there).ok()?;
        // Joining an empty path would add a slash.
        Some(if rest.as_os_str().is_empty() {
            real
        } else {
            real.join(rest)
        })
    });
    real.unwrap_or(path)
}
