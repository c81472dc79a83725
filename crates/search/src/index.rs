//! The index on disk.
//!
//! There is one writer with little memory, and a reader that is reloaded after each commit, so that
//! applied changes are visible to the next search. Segments are merged by a low-priority thread of
//! the writer, and their files are deleted by the next commit.
//!
//! Each commit contains the identity of the database and the position reached in it, so that the
//! caller can continue after a restart. If a commit fails, the folder may be gone: the index is
//! then reopened as at the start, and searches use the previous reader until that is done.

use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem};
use parking_lot::{Mutex, RwLock};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError, Term};

use crate::document::{BEGINNINGS, Document, FOLDERS, Fields, SYMBOLS, WORDS};
use crate::progress::{Mark, Progress};
use crate::search::{Hits, Search, SearchRun};
use crate::tokens::{FolderWords, NameBeginnings, NameSymbols, NameWords};

/// The memory for uncommitted documents, in bytes.
const WRITER_MEMORY: usize = 32_000_000;
/// Segments with a larger share of deleted documents are rewritten.
const DELETED_RATIO_MAX: f32 = 0.3;
/// The nice value of the merge threads, from 0 to 19 (nice(2)).
#[cfg(target_os = "linux")]
const MERGE_NICENESS: i32 = 10;

/// A full-text index over the names of contents, in its own folder.
pub struct SearchIndex {
    folder: PathBuf,
    database: String,
    fields: Fields,
    current: RwLock<Current>,
    /// `None` after a failure, until it is reopened.
    writer: Mutex<Option<IndexWriter>>,
}

/// The state that is searched.
struct Current {
    reader: IndexReader,
    progress: Progress,
}

/// The reason why an index cannot be opened.
enum OpenFailure {
    /// Another process has it open.
    Busy,
    /// It is damaged or of another version, and must be rebuilt.
    Broken(TantivyError),
}

impl From<TantivyError> for OpenFailure {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(..) => Self::Busy,
            error => Self::Broken(error),
        }
    }
}

impl SearchIndex {
    /// Opens the index of the database with this identity in `folder`. Creates an empty index if
    /// there is none, if it cannot be used (damaged, another version), or if it belongs to another
    /// database. Blocks, and reads the whole index once to verify it.
    ///
    /// # Errors
    /// Returns `in_use` if another process has it open, and `internal` if it cannot be created.
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

    /// Returns the committed position.
    pub fn progress(&self) -> Progress {
        let current = self.current.read();
        current.progress
    }

    /// Returns the number of documents.
    pub fn len(&self) -> u64 {
        let current = self.current.read();
        current.reader.searcher().num_docs()
    }

    /// Returns whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the documents of contents, given by key (an empty list removes the content), and
    /// commits them with `progress`. On return they are on disk and visible to searches. If a key
    /// occurs twice, the last entry applies. Blocks for some milliseconds, and about 20 µs for each
    /// document.
    ///
    /// # Errors
    /// Returns `internal` if the index cannot be written; then nothing was applied. If the index
    /// was lost (see [`Self::progress`]), it is empty now and must be filled again.
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

    /// Removes all documents, so that the index can be filled again. Blocks.
    ///
    /// # Errors
    /// Returns `internal` if the index cannot be written; then it is unchanged, or lost as in
    /// [`Self::apply`].
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
        let mut writer = self.writer.lock();
        if writer.is_none() {
            self.reopen(&mut writer)?;
            // The position may differ now, and with it the changes to apply.
            return Err(reopened());
        }
        let outcome = match writer.as_mut() {
            Some(writer) => change(writer).and_then(|()| {
                let mut commit = writer.prepare_commit()?;
                commit.set_payload(&Mark::new(&self.database, progress).to_string());
                commit.commit()
            }),
            None => return Err(reopened()),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "cannot write the search index; reopening it");
            // A failed writer is unusable and holds the lock of the folder.
            *writer = None;
            self.reopen(&mut writer)?;
            return Err(reopened());
        }
        // Not under the lock that searches take: reloading opens files and may wait for the journal
        // of the file system.
        let reader = {
            let current = self.current.read();
            current.reader.clone()
        };
        reader.reload().map_err(|error| failed(&error))?;
        let mut current = self.current.write();
        current.progress = progress;
        Ok(())
    }

    fn reopen(&self, writer: &mut Option<IndexWriter>) -> Result<(), Problem> {
        let (current, new) = open(&self.folder, &self.database, &self.fields)?;
        *writer = Some(new);
        *self.current.write() = current;
        Ok(())
    }

    /// Returns a page of matches. Uses only the CPU: a few milliseconds; more if the results are
    /// sorted by another key than relevance and very many match (about 20 ns for each).
    ///
    /// # Errors
    /// Returns `internal` if the index cannot be read.
    pub fn search(&self, search: &Search<'_>) -> Result<Hits, Problem> {
        let searcher = {
            let current = self.current.read();
            current.reader.searcher()
        };
        SearchRun::new(search, &self.fields, &searcher)
            .page()
            .map_err(|error| failed(&error))
    }
}

fn open(folder: &Path, database: &str, fields: &Fields) -> Result<(Current, IndexWriter), Problem> {
    create(folder)?;
    match open_existing(folder, database, fields) {
        Ok(opened) => return Ok(opened),
        Err(OpenFailure::Busy) => return Err(busy()),
        Err(OpenFailure::Broken(error)) => {
            tracing::warn!(%error, "cannot use the search index; rebuilding it");
        }
    }
    std::fs::remove_dir_all(folder).map_err(|error| unwritable(&error))?;
    create(folder)?;
    open_existing(folder, database, fields).map_err(|unusable| match unusable {
        OpenFailure::Busy => busy(),
        OpenFailure::Broken(error) => failed(&error),
    })
}

fn open_existing(
    folder: &Path,
    database: &str,
    fields: &Fields,
) -> Result<(Current, IndexWriter), OpenFailure> {
    let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
    let index = Index::open_or_create(directory, fields.schema.clone())?;
    index.tokenizers().register(WORDS, NameWords);
    index.tokenizers().register(BEGINNINGS, NameBeginnings);
    index.tokenizers().register(FOLDERS, FolderWords);
    index.tokenizers().register(SYMBOLS, NameSymbols);
    // Lock first: an index that another process is writing is not damaged.
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(WRITER_MEMORY)
        .build();
    let writer = with_low_priority(|| index.writer_with_options(options))?;
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
    writer.set_merge_policy(Box::new(policy));
    let unusable = |text: String| OpenFailure::Broken(TantivyError::InternalError(text));
    if let Some(path) = index.validate_checksum()?.into_iter().next() {
        return Err(unusable(format!("{} is damaged", path.display())));
    }
    let metas = index.load_metas()?;
    let progress = match metas.payload {
        // Nothing has been committed yet.
        None if metas.segments.is_empty() => Progress::New,
        None => return Err(unusable("it has no position".to_owned())),
        Some(text) => Mark::progress_of(&text, database).map_err(|why| unusable(why.to_owned()))?,
    };
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()?;
    Ok((Current { reader, progress }, writer))
}

/// Runs `start` so that the threads it starts have low priority. Merging large segments takes a
/// core for a minute, and would delay searches on a small machine.
fn with_low_priority<T: Send>(
    start: impl FnOnce() -> tantivy::Result<T> + Send,
) -> tantivy::Result<T> {
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            // On Linux this applies to the calling thread and the threads it starts, elsewhere to
            // the whole process. If it fails, searches are only slower.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(None, MERGE_NICENESS);
            start()
        });
        let panicked = |_| TantivyError::InternalError("cannot start the writer".into());
        starting.join().map_err(panicked)?
    })
}

/// Creates a folder that only its owner can access, because the index contains file names.
fn create(folder: &Path) -> Result<(), Problem> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unwritable(&error))
}

fn failed(error: &TantivyError) -> Problem {
    tracing::error!(%error, "the search index failed");
    Problem::new(ErrorCode::Internal, "the search index failed")
        .hint("see the log of the directory for the cause; the index can be deleted at any time")
}

fn reopened() -> Problem {
    Problem::new(
        ErrorCode::Internal,
        "the search index could not be written and was reopened",
    )
}

fn unwritable(error: &std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot write the folder of the search index: {error}"),
    )
}

fn busy() -> Problem {
    Problem::new(
        ErrorCode::InUse,
        "a directory already runs on this home",
    )
    .hint("`convite invite` prints an invite link for it, `convite status` shows its state; for a second directory use another home: `--home DIR`")
}
