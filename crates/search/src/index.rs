//! The index on disk: opening it, feeding it, asking it.
//!
//! One writer with a small memory; a reader that is renewed by each commit, so that what was
//! applied is seen by whoever searches next. Old segments are merged on a thread of the writer's,
//! and their files deleted by the next commit.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convite_core::{ErrorCode, Problem};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError, Term};

use crate::document::{Document, Fields, Filter, Hits, TOKENIZER};
use crate::query;
use crate::ranking::{Best, Peers};
use crate::words::NameTokenizer;

/// The folder inside the one that the caller names: a new layout gets a new number, and the file
/// system keeps nothing of ours beside what we may delete.
const LAYOUT: &str = "names-1";
/// Memory for documents not yet committed, in bytes.
const WRITER_MEMORY: usize = 32_000_000;
/// Segments in which more than this share is deleted are written anew.
const DELETED_MAX: f32 = 0.3;

/// A full-text index over the names of contents, in a folder of its own.
pub struct SearchIndex {
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    position: Mutex<Option<i64>>,
}

/// Why an index cannot be opened.
enum Unusable {
    /// Someone else has it open.
    Busy,
    /// Damage, or another version: to be made anew.
    Broken(TantivyError),
}

impl From<TantivyError> for Unusable {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(..) => Self::Busy,
            error => Self::Broken(error),
        }
    }
}

impl SearchIndex {
    /// Opens the index in `folder`, making a new one if there is none or it cannot be read (another
    /// version, damage). Blocking; reads the whole index once to check it.
    ///
    /// # Errors
    /// `unavailable` if another process has it open; `internal` if it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let folder = folder.join(LAYOUT);
        create(&folder)?;
        match Self::open_as_it_is(&folder) {
            Ok(index) => return Ok(index),
            Err(Unusable::Busy) => return Err(busy()),
            Err(Unusable::Broken(error)) => {
                tracing::warn!(%error, "the search index cannot be read and is made anew");
            }
        }
        std::fs::remove_dir_all(&folder).map_err(|error| unwritable(&error))?;
        create(&folder)?;
        Self::open_as_it_is(&folder).map_err(|unusable| match unusable {
            Unusable::Busy => busy(),
            Unusable::Broken(error) => failed(&error),
        })
    }

    fn open_as_it_is(folder: &Path) -> Result<Self, Unusable> {
        let fields = Fields::new();
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let index = Index::open_or_create(directory, fields.schema.clone())?;
        index.tokenizers().register(TOKENIZER, NameTokenizer);
        // The lock first: what another process is writing now is not damaged.
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_MEMORY)
            .build();
        let writer = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(DELETED_MAX);
        writer.set_merge_policy(Box::new(policy));
        if let Some(path) = index.validate_checksum()?.into_iter().next() {
            let text = format!("{} is damaged", path.display());
            return Err(TantivyError::InternalError(text).into());
        }
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let payload = index.load_metas()?.payload;
        Ok(Self {
            fields,
            reader,
            writer: Mutex::new(writer),
            position: Mutex::new(payload.and_then(|text| text.parse().ok())),
        })
    }

    /// The position in the change log up to which documents were applied and committed; none for a
    /// new index.
    pub fn position(&self) -> Option<i64> {
        *lock(&self.position)
    }

    /// Replaces (`Some`) or drops (`None`) documents, by key, and commits them with `position`.
    /// When it returns they are on disk and found. Of a key that occurs twice the last counts.
    /// Blocking: some milliseconds, and about 10 µs for each document.
    ///
    /// # Errors
    /// `internal` if it cannot be written; then nothing was applied.
    pub fn apply(
        &self,
        changes: Vec<(i64, Option<Document>)>,
        position: Option<i64>,
    ) -> Result<(), Problem> {
        self.write(position, |writer| {
            for (key, document) in &changes {
                writer.delete_term(Term::from_field_i64(self.fields.key, *key));
                if let Some(document) = document {
                    writer.add_document(self.fields.document(document))?;
                }
            }
            Ok(())
        })
    }

    /// Empties it, to be filled anew; the position becomes none. Blocking.
    ///
    /// # Errors
    /// `internal` if it cannot be written; then it is as it was.
    pub fn clear(&self) -> Result<(), Problem> {
        self.write(None, |writer| writer.delete_all_documents().map(drop))
    }

    fn write(
        &self,
        position: Option<i64>,
        change: impl FnOnce(&mut IndexWriter) -> tantivy::Result<()>,
    ) -> Result<(), Problem> {
        let mut writer = lock(&self.writer);
        let outcome = change(&mut writer).and_then(|()| {
            let mut commit = writer.prepare_commit()?;
            if let Some(position) = position {
                commit.set_payload(&position.to_string());
            }
            commit.commit()
        });
        if let Err(error) = outcome {
            // Or else the next commit would hold half of this one.
            if let Err(error) = writer.rollback() {
                tracing::error!(%error, "the search index cannot be taken back to its last state");
            }
            return Err(failed(&error));
        }
        *lock(&self.position) = position;
        self.reader.reload().map_err(|error| failed(&error))
    }

    /// Ranked matches that at least one peer in `online` holds: those with all words of `query`
    /// (the first 16), best first; all there are, newest first, if it has none. Pure CPU, a few ms
    /// at most; `online` holds peer keys.
    ///
    /// # Errors
    /// `internal` if the index cannot be read. No query is an error.
    pub fn search(
        &self,
        query: &str,
        filter: &Filter,
        online: &HashSet<i64>,
        offset: u64,
        limit: u32,
    ) -> Result<Hits, Problem> {
        let peers = match filter.peer {
            None => Peers::new(online.iter().copied()),
            Some(peer) => Peers::new(online.get(&peer).copied().into_iter()),
        };
        let limit = limit.max(1) as usize;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let words = query::words(query);
        let best = Best {
            // One more, to know whether there are more.
            count: skip.saturating_add(limit).saturating_add(1),
            online: Arc::new(peers),
            min_size: filter.min_size.unwrap_or(0),
            max_size: filter.max_size.unwrap_or(u64::MAX),
            by_words: !words.is_empty(),
        };
        let query = query::build(&self.fields, &words, filter.extension.as_deref());
        let searcher = self.reader.searcher();
        let mut hits = searcher
            .search(&*query, &best)
            .map_err(|error| failed(&error))?;
        hits.drain(..skip.min(hits.len()));
        let more = hits.len() > limit;
        hits.truncate(limit);
        Ok(Hits {
            next_offset: more.then(|| offset.saturating_add(limit as u64)),
            hits,
        })
    }
}

/// For the owner alone: it holds names of files.
fn create(folder: &Path) -> Result<(), Problem> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unwritable(&error))
}

/// A panic elsewhere left nothing half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: &TantivyError) -> Problem {
    tracing::error!(%error, "the search index failed");
    Problem::new(ErrorCode::Internal, "the search index failed")
        .hint("the log of the directory has the cause; the index can be deleted at any time")
}

fn unwritable(error: &std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the folder of the search index cannot be written: {error}"),
    )
}

fn busy() -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        "the search index is open in another process",
    )
    .hint("one directory at a time can use a home")
}
