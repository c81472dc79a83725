//! Files and folders in a share that are not shared or not watched, by reason: counted and named,
//! so that the owner can see why a file is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use convite_wire::v1::SkippedFiles;

/// The number of paths stored for each reason; further paths are only counted.
const NAMED_MAX: usize = 1000;
/// The number of paths shown for each reason.
const SHOWN: usize = 5;

/// The reason why something is not shared or not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// The name begins with a dot. A hidden folder counts as one.
    Hidden,
    /// The name is not UTF-8. A folder counts as one.
    NotUtf8,
    /// The name or path is too long to be published.
    BadName,
    /// Permission to read it is denied. A folder counts as one.
    Unreadable,
    /// It changes whenever it is read.
    Changing,
    /// It is a symbolic link, a pipe, a socket or a device, or is on a file system without stored
    /// files (`/proc`).
    NotRegular,
    /// It yields more or fewer bytes than its size.
    WrongSize,
    /// It is larger than the largest file allowed.
    TooLarge,
    /// This folder is being downloaded. Its files are shared, but not the folder.
    Unfinished,
    /// This folder exceeds the limits of a folder. Its files are shared, but neither the folder nor
    /// those that contain it.
    TooManyFiles,
    /// Changes in this folder are found only by periodic scans.
    Unwatched,
}

impl SkipReason {
    /// Returns the reason's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::NotUtf8 => "not_utf8",
            Self::BadName => "bad_name",
            Self::Unreadable => "unreadable",
            Self::Changing => "changing",
            Self::NotRegular => "not_regular",
            Self::WrongSize => "wrong_size",
            Self::TooLarge => "too_large",
            Self::Unfinished => "unfinished",
            Self::TooManyFiles => "too_many_files",
            Self::Unwatched => "unwatched",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    count: u64,
    /// The first paths found, relative to the root of the share.
    paths: BTreeSet<String>,
}

/// The skipped files and folders of one share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedPaths(BTreeMap<SkipReason, Group>);

impl SkippedPaths {
    /// Records a path relative to the root of the share.
    pub fn note(&mut self, reason: SkipReason, inner: &Path) {
        let group = self.0.entry(reason).or_default();
        let path = inner.to_string_lossy();
        let is_new = if group.paths.len() < NAMED_MAX {
            group.paths.insert(path.into_owned())
        } else {
            !group.paths.contains(&*path)
        };
        group.count += u64::from(is_new);
    }

    /// Adds the result of another scan.
    pub fn merge(&mut self, other: Self) {
        for (reason, group) in other.0 {
            let unnamed = group.count - group.paths.len() as u64;
            for path in &group.paths {
                self.note(reason, Path::new(path));
            }
            self.0.entry(reason).or_default().count += unnamed;
        }
    }

    /// Returns whether any path was recorded for `reason`.
    pub fn has(&self, reason: SkipReason) -> bool {
        self.0.contains_key(&reason)
    }

    /// Removes the paths at and below a place that is scanned again.
    pub fn forget_below(&mut self, inner: &Path) {
        for (reason, group) in &mut self.0 {
            if *reason == SkipReason::Unwatched {
                continue;
            }
            let before = group.paths.len();
            group
                .paths
                .retain(|path| !Path::new(path).starts_with(inner));
            group.count -= (before - group.paths.len()) as u64;
        }
        self.0.retain(|_, group| group.count > 0);
    }

    /// Removes one path, which is now shared.
    pub fn forget(&mut self, inner: &str) {
        for group in self.0.values_mut() {
            group.count -= u64::from(group.paths.remove(inner));
        }
        self.0.retain(|_, group| group.count > 0);
    }

    /// Returns the message for the commands of this home.
    pub fn to_wire(&self) -> Vec<SkippedFiles> {
        let groups = self.0.iter().filter(|(_, group)| group.count > 0);
        let told = groups.map(|(reason, group)| SkippedFiles {
            reason: reason.name().to_owned(),
            count: group.count,
            paths: group.paths.iter().take(SHOWN).cloned().collect(),
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(skipped: &SkippedPaths) -> Vec<(String, u64, usize)> {
        let told = skipped.to_wire().into_iter();
        told.map(|group| (group.reason, group.count, group.paths.len()))
            .collect()
    }

    #[test]
    fn skipped_paths_are_counted_once_and_some_named() {
        let mut skipped = SkippedPaths::default();
        for number in 0..2_000 {
            skipped.note(SkipReason::Hidden, Path::new(&format!("sub/.{number:04}")));
        }
        skipped.note(SkipReason::Hidden, Path::new("sub/.0000"));
        skipped.note(SkipReason::Changing, Path::new("log"));
        assert_eq!(
            told(&skipped),
            [
                ("hidden".to_owned(), 2_000, 5),
                ("changing".to_owned(), 1, 1)
            ]
        );
        skipped.forget("log");
        skipped.note(SkipReason::Changing, Path::new("deep/log"));
        skipped.forget_below(Path::new("deep"));
        let mut again = SkippedPaths::default();
        again.note(SkipReason::Unreadable, Path::new("sub/.0000"));
        skipped.merge(again);
        assert_eq!(
            told(&skipped),
            [
                ("hidden".to_owned(), 2_000, 5),
                ("unreadable".to_owned(), 1, 1)
            ]
        );
    }
}
