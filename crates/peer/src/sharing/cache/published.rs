//! What is published to the directory, so that only differences are sent.

use convite_core::model::FileEntry;
use convite_core::{Problem, SafePath, SpaceName};
use redb::{Durability, ReadableDatabase, ReadableTable};

use super::Cache;
use super::tables::{GENERATION, META, PUBLISHED, PUBLISHED_SPACES, published_row};

impl Cache {
    /// Returns the generation of the published index; 0 if nothing is published.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn generation(&self) -> Result<u64, Problem> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(META)?;
            Ok(table.get(GENERATION)?.map_or(0, |value| value.value()))
        })
    }

    /// Compares the desired entries of paths (`None`: not shared) with the published ones. Returns
    /// the entries to upsert and the paths to remove.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn diff_published(
        &self,
        wanted: Vec<(SafePath, Option<FileEntry>)>,
    ) -> Result<(Vec<FileEntry>, Vec<SafePath>), Problem> {
        self.read(|database| {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(PUBLISHED)?;
            let spaces = transaction.open_table(PUBLISHED_SPACES)?;
            let (mut upsert, mut remove) = (Vec::new(), Vec::new());
            for (path, entry) in wanted {
                let told = table.get(path.as_str())?;
                match (entry, told) {
                    (None, Some(_)) => remove.push(path),
                    (None, None) => {}
                    (Some(entry), told) => {
                        let space = spaces.get(path.as_str())?;
                        let space = space.as_ref().map(|space| space.value());
                        let is_told =
                            told.is_some_and(|told| told.value() == published_row(&entry));
                        if !is_told || entry.space.as_ref().map(SpaceName::as_str) != space {
                            upsert.push(entry);
                        }
                    }
                }
            }
            Ok((upsert, remove))
        })
    }

    /// Returns the published paths for which `is_shared` is false.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn published_paths_where_not(
        &self,
        is_shared: impl Fn(&str) -> bool,
    ) -> Result<Vec<SafePath>, Problem> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(PUBLISHED)?;
            let mut gone = Vec::new();
            for row in table.iter()? {
                let (path, _) = row?;
                if !is_shared(path.value())
                    && let Ok(path) = path.value().parse()
                {
                    gone.push(path);
                }
            }
            Ok(gone)
        })
    }

    /// Records what was published with `generation`.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn record_published(
        &self,
        generation: u64,
        upsert: &[FileEntry],
        remove: &[SafePath],
    ) -> Result<(), Problem> {
        // If a crash loses this, the directory's generation differs and the whole index is sent.
        self.write(Durability::None, |transaction| {
            let mut table = transaction.open_table(PUBLISHED)?;
            let mut spaces = transaction.open_table(PUBLISHED_SPACES)?;
            for path in remove {
                table.remove(path.as_str())?;
                spaces.remove(path.as_str())?;
            }
            for file in upsert {
                table.insert(file.path.as_str(), published_row(file))?;
                match &file.space {
                    Some(space) => spaces.insert(file.path.as_str(), space.as_str())?,
                    None => spaces.remove(file.path.as_str())?,
                };
            }
            transaction
                .open_table(META)?
                .insert(GENERATION, generation)?;
            Ok(())
        })
    }

    /// Clears the record before the whole index is sent. [`Self::record_published`] then records
    /// each batch with generation 0, and the real generation at the end.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn clear_published(&self) -> Result<(), Problem> {
        self.write(Durability::Immediate, |transaction| {
            transaction.delete_table(PUBLISHED)?;
            transaction.open_table(PUBLISHED)?;
            transaction.delete_table(PUBLISHED_SPACES)?;
            transaction.open_table(PUBLISHED_SPACES)?;
            transaction.open_table(META)?.insert(GENERATION, 0)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::{ContentHash, EntryKind};

    #[test]
    fn only_differences_are_published() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let cache = Cache::open(&path).unwrap();
        let entry = |name: &str, size| FileEntry {
            modified: 1,
            ..FileEntry::file(name.parse().unwrap(), size, ContentHash::of(b"x"))
        };
        cache
            .record_published(7, &[entry("a", 1), entry("b", 1), entry("c", 1)], &[])
            .unwrap();
        let wanted = vec![
            ("a".parse().unwrap(), Some(entry("a", 1))),
            ("b".parse().unwrap(), Some(entry("b", 2))),
            ("c".parse().unwrap(), None),
            ("d".parse().unwrap(), None),
            ("e".parse().unwrap(), Some(entry("e", 1))),
        ];
        let (upsert, remove) = cache.diff_published(wanted).unwrap();
        assert_eq!(upsert, [entry("b", 2), entry("e", 1)]);
        assert_eq!(remove, ["c".parse().unwrap()]);
        assert_eq!(cache.generation().unwrap(), 7);
        let gone = cache.published_paths_where_not(|path| path != "b").unwrap();
        assert_eq!(gone, ["b".parse().unwrap()]);

        // A file that moved between spaces, or out of all spaces, has changed.
        let of = |space: Option<&str>| FileEntry {
            space: space.map(|space| space.parse().unwrap()),
            ..entry("e", 1)
        };
        let mut before = None;
        for (generation, space) in [(8, Some("lab")), (9, Some("club")), (10, None)] {
            for (asked, differs) in [(before, false), (space, true)] {
                let wanted = vec![("e".parse().unwrap(), Some(of(asked)))];
                let (upsert, _) = cache.diff_published(wanted).unwrap();
                assert_eq!(!upsert.is_empty(), differs || generation == 8);
            }
            cache
                .record_published(generation, &[of(space)], &[])
                .unwrap();
            before = space;
        }

        // A file that became executable, or became a folder, has changed.
        let changed = [
            FileEntry {
                executable: true,
                ..entry("a", 1)
            },
            FileEntry {
                kind: EntryKind::Folder,
                files: 1,
                ..entry("a", 1)
            },
        ];
        for entry in changed {
            let wanted = vec![("a".parse().unwrap(), Some(entry))];
            assert_eq!(cache.diff_published(wanted).unwrap().0.len(), 1);
        }

        // An unfinished publication of the whole index leaves no record.
        cache.clear_published().unwrap();
        cache.record_published(0, &[entry("a", 1)], &[]).unwrap();
        drop(cache);
        let cache = Cache::open(&path).unwrap();
        assert_eq!(cache.published_paths_where_not(|_| false).unwrap(), []);
    }
}
