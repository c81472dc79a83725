//! The index on disk: opening it, feeding it, asking it.
//!
//! One writer with a small memory; a reader that is renewed by each commit, so that what was
//! applied is seen by whoever searches next. Old segments are merged on a thread of the writer's
//! that gives way to everything else, and their files deleted by the next commit.
//!
//! Each commit carries how far the index has come, and of which database, so that whoever opens it
//! knows whether it can go on. When a commit fails, the folder may be gone: it is opened anew, as
//! at the start, and what was searched before is searched on until there is something to search.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use convite_core::{ErrorCode, Problem};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError, Term};

use crate::document::{BEGINNINGS, Document, Fields, WORDS};
use crate::progress::{Mark, Progress};
use crate::search::{Hits, Search, Searching};
use crate::tokens::{NameBeginnings, NameWords};

/// Memory for documents not yet committed, in bytes.
const WRITER_MEMORY: usize = 32_000_000;
/// Segments in which more than this share is deleted are written anew.
const DELETED_MAX: f32 = 0.3;
/// How much the threads that merge give way, from 0 to 19 (nice(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// A full-text index over the names of contents, in a folder of its own.
pub struct SearchIndex {
    folder: PathBuf,
    database: String,
    fields: Fields,
    current: RwLock<Current>,
    /// None after a failure, until it is opened anew.
    writer: Mutex<Option<IndexWriter>>,
}

/// What is searched.
struct Current {
    reader: IndexReader,
    progress: Progress,
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
    /// Opens the index of the database with this identity in `folder`. It is made anew, empty, if
    /// there is none, it cannot be read (another version, damage), or it is of another database.
    /// Blocking; reads the whole index once to check it.
    ///
    /// # Errors
    /// `in_use` if another process has it open; `internal` if it cannot be made.
    pub fn open(folder: &Path, database: &str) -> Result<Self, Problem> {
        let fields = Fields::new();
        let (current, writer) = open(folder, database, &fields)?;
        Ok(Self {
            folder: folder.to_owned(),
            database: database.to_owned(),
            fields,
            current: RwLock::new(current),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// How far it has come: what was applied and committed.
    pub fn progress(&self) -> Progress {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.progress
    }

    /// How many documents are found.
    pub fn len(&self) -> u64 {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.reader.searcher().num_docs()
    }

    /// Whether there is nothing to be found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the documents of contents in the place of those that it has of them, by key (none for
    /// one that is gone), and commits them with `progress`. When it returns they are on disk and
    /// found. Of a key that occurs twice the last counts. Blocking: some milliseconds, and about
    /// 20 µs for each document.
    ///
    /// # Errors
    /// `internal` if it cannot be written; then nothing was applied. If the index was lost (see
    /// [`Self::progress`]) it is empty now and to be filled anew.
    pub fn apply(
        &self,
        changes: Vec<(i64, Vec<Document>)>,
        progress: Progress,
    ) -> Result<(), Problem> {
        self.write(progress, |writer| {
            for (key, documents) in &changes {
                writer.delete_term(Term::from_field_i64(self.fields.key, *key));
                for document in documents {
                    writer.add_document(self.fields.document(document))?;
                }
            }
            Ok(())
        })
    }

    /// Empties it, to be filled anew. Blocking.
    ///
    /// # Errors
    /// `internal` if it cannot be written; then it is as it was, or lost as in [`Self::apply`].
    pub fn clear(&self) -> Result<(), Problem> {
        self.write(Progress::New, |writer| {
            writer.delete_all_documents().map(drop)
        })
    }

    fn write(
        &self,
        progress: Progress,
        change: impl FnOnce(&mut IndexWriter) -> tantivy::Result<()>,
    ) -> Result<(), Problem> {
        let mut writer = lock(&self.writer);
        if writer.is_none() {
            self.open_anew(&mut writer)?;
            // What to apply follows from how far it has come, which may be another now.
            return Err(opened_anew());
        }
        let outcome = match writer.as_mut() {
            Some(writer) => change(writer).and_then(|()| {
                let mut commit = writer.prepare_commit()?;
                commit.set_payload(&Mark::new(&self.database, progress).to_string());
                commit.commit()
            }),
            None => return Err(opened_anew()),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "the search index cannot be written and is opened anew");
            // A writer that failed is of no use any more, and holds the lock of the folder.
            *writer = None;
            self.open_anew(&mut writer)?;
            return Err(opened_anew());
        }
        // Not under the lock that whoever searches takes: it opens files, and waits while the file
        // system writes its journal.
        let reader = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.reader.clone()
        };
        reader.reload().map_err(|error| failed(&error))?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.progress = progress;
        Ok(())
    }

    fn open_anew(&self, writer: &mut Option<IndexWriter>) -> Result<(), Problem> {
        let (current, new) = open(&self.folder, &self.database, &self.fields)?;
        *writer = Some(new);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// A page of matches. Pure CPU: a few milliseconds, more where it is sorted by something else
    /// than relevance and very many match (about 20 ns for each).
    ///
    /// # Errors
    /// `internal` if the index cannot be read.
    pub fn search(&self, search: &Search<'_>) -> Result<Hits, Problem> {
        let searcher = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.reader.searcher()
        };
        Searching::new(search, &self.fields, &searcher)
            .page()
            .map_err(|error| failed(&error))
    }
}

fn open(folder: &Path, database: &str, fields: &Fields) -> Result<(Current, IndexWriter), Problem> {
    create(folder)?;
    match open_as_it_is(folder, database, fields) {
        Ok(opened) => return Ok(opened),
        Err(Unusable::Busy) => return Err(busy()),
        Err(Unusable::Broken(error)) => {
            tracing::warn!(%error, "the search index cannot be used and is made anew");
        }
    }
    std::fs::remove_dir_all(folder).map_err(|error| unwritable(&error))?;
    create(folder)?;
    open_as_it_is(folder, database, fields).map_err(|unusable| match unusable {
        Unusable::Busy => busy(),
        Unusable::Broken(error) => failed(&error),
    })
}

fn open_as_it_is(
    folder: &Path,
    database: &str,
    fields: &Fields,
) -> Result<(Current, IndexWriter), Unusable> {
    let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
    let index = Index::open_or_create(directory, fields.schema.clone())?;
    index.tokenizers().register(WORDS, NameWords);
    index.tokenizers().register(BEGINNINGS, NameBeginnings);
    // The lock first: what another process is writing now is not damaged.
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(WRITER_MEMORY)
        .build();
    let writer = giving_way(|| index.writer_with_options(options))?;
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(DELETED_MAX);
    writer.set_merge_policy(Box::new(policy));
    let unusable = |text: String| Unusable::Broken(TantivyError::InternalError(text));
    if let Some(path) = index.validate_checksum()?.into_iter().next() {
        return Err(unusable(format!("{} is damaged", path.display())));
    }
    let metas = index.load_metas()?;
    let progress = match metas.payload {
        // Nothing was committed yet.
        None if metas.segments.is_empty() => Progress::New,
        None => return Err(unusable("it does not say how far it has come".to_owned())),
        Some(text) => Mark::progress_of(&text, database).map_err(|why| unusable(why.to_owned()))?,
    };
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()?;
    Ok((Current { reader, progress }, writer))
}

/// Runs `start` so that the threads it starts have the processor only when nobody else wants it:
/// merging large segments takes a core for a minute, and searches wait for it on a small machine.
fn giving_way<T: Send>(start: impl FnOnce() -> tantivy::Result<T> + Send) -> tantivy::Result<T> {
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            // Of the calling thread alone, and of those that it starts; elsewhere it would be of
            // the whole process. Without it all is only slower.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(None, NICE);
            start()
        });
        let panicked = |_| TantivyError::InternalError("the writer could not be started".into());
        starting.join().map_err(panicked)?
    })
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

fn opened_anew() -> Problem {
    Problem::new(
        ErrorCode::Internal,
        "the search index could not be written and was opened anew",
    )
}

fn unwritable(error: &std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the folder of the search index cannot be written: {error}"),
    )
}

fn busy() -> Problem {
    Problem::new(
        ErrorCode::InUse,
        "a directory already runs on this home",
    )
    .hint("`convite invite` prints a link into it, `convite status` says what it does; give this one a home of its own: `--home DIR`")
}
