//! What was restored takes the place of what was there, by renaming alone: all of it, or nothing.

use std::fs;
use std::path::{Component, Path, PathBuf};

use convite_core::Problem;

use super::folder::{failed, rename};

/// Renames that are undone, the last one first, unless they are kept.
#[derive(Default)]
pub(super) struct Swap {
    done: Vec<(PathBuf, PathBuf)>,
    spare: Option<PathBuf>,
}

impl Swap {
    /// `path`, removed if nothing comes of it.
    pub(super) fn spare(&mut self, path: PathBuf) -> PathBuf {
        self.spare = Some(path.clone());
        path
    }

    /// Renames what is at `path`, if something is; whether there was.
    pub(super) fn put_aside(&mut self, path: &Path, aside: &Path) -> Result<bool, Problem> {
        if path.symlink_metadata().is_err() {
            return Ok(false);
        }
        self.rename(path, aside)?;
        Ok(true)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Problem> {
        // The one there would be gone, and nothing brought it back.
        if to.symlink_metadata().is_ok() {
            let error = std::io::ErrorKind::AlreadyExists.into();
            return Err(failed("rename", from, &error));
        }
        // Noted first: it may be done, and only its note on the disk fail.
        self.done.push((from.to_owned(), to.to_owned()));
        rename(from, to)
    }

    pub(super) fn keep(mut self) {
        self.done.clear();
        self.spare = None;
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        for (from, to) in self.done.drain(..).rev() {
            if from.symlink_metadata().is_err()
                && let Err(problem) = rename(&to, &from)
            {
                tracing::error!(error = %problem, "cannot undo");
            }
        }
        if let Some(spare) = &self.spare {
            // It may not have been made.
            let _ = fs::remove_file(spare);
        }
    }
}

/// The path of `file` below `folder`, if it lies there, by whatever name either is called.
pub(super) fn within(folder: &Path, file: &Path) -> Option<PathBuf> {
    let below = resolved(file)
        .strip_prefix(resolved(folder))
        .ok()?
        .to_owned();
    let is_plain = |part| matches!(part, Component::Normal(_));
    (below.components().next().is_some() && below.components().all(is_plain)).then_some(below)
}

/// Without links, as far as there is something.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|there| {
        let real = dunce::canonicalize(there).ok()?;
        let rest = path.strip_prefix(there).ok()?;
        // Joining nothing would add a slash.
        Some(match rest.as_os_str().is_empty() {
            true => real,
            false => real.join(rest),
        })
    });
    real.unwrap_or(path)
}
