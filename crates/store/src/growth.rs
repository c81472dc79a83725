//! Growth of the counts of a peer's files during a publication.

use std::collections::BTreeMap;

use convite_core::EntryKind;

/// Numbers by which the counts of a peer in a space grow. Negative if files were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) files: i64,
    pub(crate) folders: i64,
    /// Total bytes of the paths of both.
    pub(crate) bytes: i64,
}

/// The growth of each space.
#[derive(Debug, Default)]
pub(crate) struct Growth(BTreeMap<i64, Counts>);

impl Growth {
    /// Counts one file or folder more (`by` is 1) or less (-1) in a space, with the bytes of its
    /// path.
    pub(crate) fn count(&mut self, space: i64, kind: EntryKind, by: i64, path_bytes: i64) {
        let counts = self.0.entry(space).or_default();
        match kind {
            EntryKind::File => counts.files += by,
            EntryKind::Folder => counts.folders += by,
        }
        counts.bytes += by * path_bytes;
    }

    /// Returns the spaces with changed counts.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (i64, Counts)> {
        let all = self.0.iter().map(|(space, counts)| (*space, *counts));
        all.filter(|(_, counts)| *counts != Counts::default())
    }

    /// Returns whether the account of the peer may have exceeded its quota: there are more rows, or
    /// more bytes of paths.
    pub(crate) fn uses_quota(&self) -> bool {
        let all = || self.changed().map(|(_, counts)| counts);
        let rows = all()
            .map(|counts| counts.files + counts.folders)
            .sum::<i64>();
        rows > 0 || all().map(|counts| counts.bytes).sum::<i64>() > 0
    }
}
