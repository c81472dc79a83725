//! Copies of a directory, made while it runs, and directories made of them.
//!
//! A backup is a folder that only its owner can open: the database as it was at one moment, the keys
//! that members and peers know the directory by, and a manifest with the BLAKE3 hash of each. It
//! appears under its name when it is whole. The search index is not in it: it is derived.
//!
//! After a restore from a backup that is older than what peers have published, no file goes missing:
//! a peer whose generation is another than the directory's sends all of its index. Sessions that
//! began later are not known any more, and their bearers are told to log in.

mod folder;
mod manifest;
mod swap;

use std::path::{Path, PathBuf};

use convite_core::display::escape;
use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_store::sqlite;

use self::folder::{Unfinished, copy_private, create_private, free_space, sync, write_private};
use self::manifest::{Entry, MANIFEST, Manifest};
use self::swap::{Swap, within};
use crate::DirectoryConfig;

/// The database's name in a backup.
const DATABASE: &str = "directory.db";
/// What members and peers know the directory by; of a directory without encryption not all are there.
const KEPT: [&str; 4] = ["authority.pem", "authority.key", "ticket.key", "invite"];

/// A backup that was made, or a directory that was restored from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// What they have together, in bytes.
    pub bytes: u64,
    /// When the backup was made.
    pub made: UnixMillis,
    /// Where what was there before is now, if something was.
    pub aside: Option<PathBuf>,
}

/// Copies the directory that `config` describes, running or not, to the new folder `target`.
/// Blocking; takes about as long as copying the database's file.
///
/// # Errors
/// `file_exists` if there is something at `target`; `no_space`; `not_found` if there is no directory;
/// `invalid_argument` if its database is none that can be copied so; `internal` for a failing disk.
pub fn backup(config: &DirectoryConfig, target: &Path, now: UnixMillis) -> Result<Copied, Problem> {
    let home = config.folder();
    let database = database_file(config)?;
    let size = std::fs::metadata(&database)
        .map(|found| found.len())
        .map_err(|_| {
            Problem::not_found(format!("there is no directory in {}", shown(&config.home))).hint(
                "name its home with --home, and its database with --database if it is elsewhere",
            )
        })?;
    must_be_free(target)?;
    let unfinished = Unfinished::beside(target)?;
    let place = unfinished.path();
    let free = free_space(place)?;
    if free < size {
        return Err(Problem::new(
            ErrorCode::NoSpace,
            format!("the backup takes up to {size} bytes, and {free} are free"),
        )
        .hint("choose a disk with more room"));
    }
    let copy = place.join(DATABASE);
    create_private(&copy)?;
    let schema = sqlite::copy(&database, &copy)?;
    sync(&copy)?;
    let mut files = vec![Entry::of(place, DATABASE)?];
    for name in KEPT {
        if home.join(name).exists() {
            copy_private(&home.join(name), &place.join(name))?;
            files.push(Entry::of(place, name)?);
        }
    }
    let manifest = Manifest::new(now, schema, files);
    write_private(&place.join(MANIFEST), &manifest.to_bytes()?)?;
    must_be_free(target)?;
    unfinished.finish(target)?;
    Ok(manifest.copied(target, None))
}

/// How a directory is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restoring {
    /// Puts aside what is there already, under another name.
    pub force: bool,
    /// Everybody has to log in again: also those who had logged out since the backup, whose
    /// sessions would otherwise be alive again.
    pub end_sessions: bool,
}

/// Makes of the backup at `source` the directory that `config` describes. What is wrong with the
/// backup shows before anything changes, and if a step fails all is as it was. Blocking.
///
/// # Errors
/// `file_exists` if there is a directory already (without `force`); `unavailable` if it runs;
/// `not_found` if `source` is no backup; `corrupt_contents` if it is damaged; `invalid_argument` if a
/// newer program made it; `no_space`; `internal` for a failing disk.
pub fn restore(
    config: &DirectoryConfig,
    source: &Path,
    how: Restoring,
    now: UnixMillis,
) -> Result<Copied, Problem> {
    let home = config.folder();
    let database = database_file(config)?;
    let manifest = Manifest::read(source, &[&[DATABASE], &KEPT[..]].concat())?;
    for place in [&home, &database] {
        if place.exists() && !how.force {
            return Err(Problem::new(
                ErrorCode::FileExists,
                format!("there is a directory already: {}", shown(place)),
            )
            .hint("restore into another --home, or put it aside with --force"));
        }
    }
    if database.exists() && sqlite::is_in_use(&database)? {
        return Err(
            Problem::new(ErrorCode::InUse, "the directory of this home is running")
                .hint("stop it, and restore then"),
        );
    }
    let unfinished = Unfinished::beside(&home)?;
    let place = unfinished.path();
    for entry in &manifest.files {
        copy_private(&source.join(&entry.name), &place.join(&entry.name))?;
        // Of the copy, so that the way here is checked too.
        if Entry::of(place, &entry.name)? != *entry {
            return Err(Problem::new(
                ErrorCode::CorruptContents,
                format!("{} is not what was backed up", entry.name),
            )
            .hint("use another backup"));
        }
    }
    let copy = place.join(DATABASE);
    sqlite::check(&copy)?;
    if how.end_sessions {
        sqlite::end_all_sessions(&copy)?;
    }
    let mut swap = Swap::default();
    let moved = match within(&home, &database) {
        Some(name) => {
            let inside = place.join(&name);
            if inside != copy {
                must_be_free(&inside)?;
                folder::make_parents(&inside)?;
                folder::rename(&copy, &inside)?;
            }
            None
        }
        None => {
            // Another disk, maybe: copied first, so that only renames are left.
            let moved = swap.spare(beside(&database, "restored", now));
            copy_private(&copy, &moved)?;
            std::fs::remove_file(&copy).map_err(|e| folder::failed("remove", &copy, &e))?;
            Some(moved)
        }
    };
    let aside = beside(&home, "before", now);
    let aside = swap.put_aside(&home, &aside)?.then_some(aside);
    if let Some(moved) = moved {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            let file = Path::new(&name);
            swap.put_aside(file, &beside(file, "before", now))?;
        }
        swap.rename(&moved, &database)?;
    }
    let finished = unfinished.finish(&home);
    // What came after the renaming cannot be undone, and need not.
    if finished.is_ok() || home.exists() {
        swap.keep();
    }
    finished?;
    Ok(manifest.copied(&home, aside))
}

/// The file of an SQLite database.
fn database_file(config: &DirectoryConfig) -> Result<PathBuf, Problem> {
    let url = config.database_url(&config.folder());
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(path.into()),
        Some(("postgres" | "postgresql", _)) => Err(Problem::invalid(
            "this directory's database is PostgreSQL, whose own tools back it up",
        )
        .hint(
            "pg_dump --format=custom --file=PATH \"$CONVITE_DATABASE\" (and pg_restore); \
             besides, keep a copy of the folder `directory` in the home, which has the keys",
        )),
        _ => Err(Problem::invalid("this is not a database that is known").hint("use sqlite:PATH")),
    }
}

fn must_be_free(target: &Path) -> Result<(), Problem> {
    // A link that leads nowhere is something too.
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::FileExists,
        format!("there is something at {} already", shown(target)),
    )
    .hint("name a path that does not exist yet"))
}

/// `PATH.what-TIME`.
fn beside(path: &Path, what: &str, now: UnixMillis) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(format!(".{what}-{}", now.0));
    name.into()
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).to_string()
}
