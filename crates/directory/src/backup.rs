//! Backups of a running or stopped directory, and restoring from them.
//!
//! A backup is a folder that only its owner can read: a consistent copy of the database, the keys
//! that identify the directory to members and peers, and a manifest with the BLAKE3 hash of each
//! file. It gets its final name when it is complete. The search index is not included: it is
//! derived data.
//!
//! After restoring a backup that is older than the peers' last published state, no file is lost: a
//! peer whose generation differs from the directory's sends its whole index again. Sessions that
//! began after the backup are unknown; their clients are asked to log in.

mod folder;
mod manifest;
mod replace;

use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_store::sqlite;

use self::folder::{
    PartialFolder, copy_private, create_private, free_space, shown, sync, write_private,
};
use self::manifest::{MANIFEST, Manifest, ManifestEntry};
use self::replace::{ReplaceTransaction, relative_inside};
use crate::DirectoryConfig;

pub use self::manifest::BackupSummary;

/// The file name of the database in a backup.
const DATABASE: &str = "directory.db";
/// The files that identify the directory; without TLS, some do not exist.
const IDENTITY_FILES: [&str; 4] = ["authority.pem", "authority.key", "ticket.key", "invite"];

/// Copies the directory that `config` describes, running or not, to the new folder `target`. Blocks
/// for about the time of copying the database file.
///
/// # Errors
/// Returns `file_exists` if `target` exists; `no_space`; `not_found` if there is no directory;
/// `invalid_argument` if its database cannot be copied in this way; `internal` for a disk error.
pub fn backup(
    config: &DirectoryConfig,
    target: &Path,
    now: UnixMillis,
) -> Result<BackupSummary, Problem> {
    let home = config.folder();
    let database = database_file(config)?;
    let size = std::fs::metadata(&database)
        .map(|found| found.len())
        .map_err(|_| {
            Problem::not_found(format!("there is no directory in {}", shown(&config.home))).hint(
                "set its home with --home, and its database with --database if it is elsewhere",
            )
        })?;
    must_not_exist(target)?;
    let unfinished = PartialFolder::create_next_to(target)?;
    let place = unfinished.path();
    let free = free_space(place)?;
    if free < size {
        return Err(Problem::new(
            ErrorCode::NoSpace,
            format!("the backup needs up to {size} bytes, but only {free} are free"),
        )
        .hint("choose a disk with more free space"));
    }
    let copy = place.join(DATABASE);
    create_private(&copy)?;
    let schema = sqlite::copy(&database, &copy)?;
    sync(&copy)?;
    let mut files = vec![ManifestEntry::of(place, DATABASE)?];
    for name in IDENTITY_FILES {
        if home.join(name).exists() {
            copy_private(&home.join(name), &place.join(name))?;
            files.push(ManifestEntry::of(place, name)?);
        }
    }
    let manifest = Manifest::new(now, schema, files);
    write_private(&place.join(MANIFEST), &manifest.to_bytes()?)?;
    must_not_exist(target)?;
    unfinished.finish(target)?;
    Ok(manifest.summary(target, None))
}

/// Options of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// Renames an existing directory instead of refusing.
    pub force: bool,
    /// Ends all sessions. Otherwise sessions that had been logged out since the backup become valid
    /// again.
    pub end_sessions: bool,
}

/// Restores the backup at `source` to the directory that `config` describes. The backup is checked
/// before anything changes, and if a step fails, the previous state is restored. Blocking.
///
/// # Errors
/// Returns `file_exists` if there is a directory already (without `force`); `in_use` if it is
/// running; `not_found` if `source` is no backup; `corrupt_contents` if it is damaged;
/// `invalid_argument` if a newer program created it; `no_space`; `internal` for a disk error.
pub fn restore(
    config: &DirectoryConfig,
    source: &Path,
    how: RestoreOptions,
    now: UnixMillis,
) -> Result<BackupSummary, Problem> {
    let home = config.folder();
    let database = database_file(config)?;
    let manifest = Manifest::read(source, &[&[DATABASE], &IDENTITY_FILES[..]].concat())?;
    for place in [&home, &database] {
        if place.exists() && !how.force {
            return Err(Problem::new(
                ErrorCode::FileExists,
                format!("a directory already exists: {}", shown(place)),
            )
            .hint("restore to another --home, or use --force to keep the existing one under another name"));
        }
    }
    if database.exists() && sqlite::is_in_use(&database)? {
        return Err(
            Problem::new(ErrorCode::InUse, "the directory of this home is running")
                .hint("stop it first"),
        );
    }
    let unfinished = PartialFolder::create_next_to(&home)?;
    copy_checked(&manifest, source, unfinished.path())?;
    let copy = unfinished.path().join(DATABASE);
    sqlite::check(&copy)?;
    if how.end_sessions {
        sqlite::end_all_sessions(&copy)?;
    }
    let mut replacement = ReplaceTransaction::default();
    let moved = place_database(&home, &database, &copy, &mut replacement, now)?;
    let aside = sibling_path(&home, "before", now);
    let aside = replacement.move_away(&home, &aside)?.then_some(aside);
    if let Some(moved) = moved {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            let file = Path::new(&name);
            replacement.move_away(file, &sibling_path(file, "before", now))?;
        }
        replacement.rename(&moved, &database)?;
    }
    let finished = unfinished.finish(&home);
    // After the rename, an error cannot be undone, and does not have to be.
    if finished.is_ok() || home.exists() {
        replacement.commit();
    }
    finished?;
    Ok(manifest.summary(&home, aside))
}

/// Copies the files of a backup to `place`, and checks the copies.
fn copy_checked(manifest: &Manifest, source: &Path, place: &Path) -> Result<(), Problem> {
    for entry in &manifest.files {
        copy_private(&source.join(&entry.name), &place.join(&entry.name))?;
        // Check the copy, so that copying errors are detected too.
        if ManifestEntry::of(place, &entry.name)? != *entry {
            return Err(Problem::new(
                ErrorCode::CorruptContents,
                format!("{} differs from the file that was backed up", entry.name),
            )
            .hint("use another backup"));
        }
    }
    Ok(())
}

/// Moves the restored database, `copy`, to its place in the restored home. If the database is
/// outside the home, copies it next to its place, and returns the path of this copy.
fn place_database(
    home: &Path,
    database: &Path,
    copy: &Path,
    replacement: &mut ReplaceTransaction,
    now: UnixMillis,
) -> Result<Option<PathBuf>, Problem> {
    if let Some(name) = relative_inside(home, database) {
        let inside = copy.with_file_name(name);
        if inside != copy {
            must_not_exist(&inside)?;
            folder::make_parents(&inside)?;
            folder::rename(copy, &inside)?;
        }
        return Ok(None);
    }
    // This may be another disk: copy first, so that only renames remain.
    let moved = replacement.remove_on_rollback(sibling_path(database, "restored", now));
    copy_private(copy, &moved)?;
    std::fs::remove_file(copy).map_err(|e| folder::failed("remove", copy, &e))?;
    Ok(Some(moved))
}

/// Returns the file of an SQLite database.
fn database_file(config: &DirectoryConfig) -> Result<PathBuf, Problem> {
    let url = config.database_url(&config.folder());
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(path.into()),
        Some(("postgres" | "postgresql", _)) => Err(Problem::invalid(
            "the database of this directory is PostgreSQL; back it up with PostgreSQL's own tools",
        )
        .hint(
            "pg_dump --format=custom --file=PATH \"$CONVITE_DATABASE\" (restore with pg_restore); \
             the dump contains the directory's private keys, so keep it secret",
        )),
        _ => Err(Problem::invalid("unknown type of database").hint("use sqlite:PATH")),
    }
}

fn must_not_exist(target: &Path) -> Result<(), Problem> {
    // A dangling symbolic link counts as existing.
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::FileExists,
        format!("{} already exists", shown(target)),
    )
    .hint("choose a path that does not exist"))
}

/// Returns `PATH.what-TIME`.
fn sibling_path(path: &Path, what: &str, now: UnixMillis) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(format!(".{what}-{}", now.0));
    name.into()
}
