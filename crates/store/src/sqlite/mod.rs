//! Store in a single SQLite file, the default. It needs no setup.
//!
//! One thread writes (`writer`), and a few connections read (`connections`). `database` implements
//! the interface for the operations that are written once. The operations on files and contents
//! (`publication`, `query`, `changes`, `listing`) have statements of their own.

mod backup;
mod changes;
mod connections;
mod database;
mod disk;
mod listing;
mod named;
mod partials;
mod publication;
mod query;
mod sizes;
mod spaces;
mod writer;

use std::path::Path;
use std::sync::Arc;

use convite_core::Problem;

use crate::error;
use crate::{Quotas, Settings, Shared, Sharing};
pub use backup::{check, copy, end_all_sessions, is_in_use};
use connections::Readers;
use disk::Disk;
use writer::Writer;

/// A store in one file. Dropping it waits for running changes.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    quotas: Quotas,
}

impl SqliteStore {
    /// Opens the database at `path` and applies pending migrations. Creates the file (readable by
    /// its owner only) and its folder if they do not exist. Blocking.
    ///
    /// # Errors
    /// Returns `internal` if the file cannot be opened, created or migrated, and `no_space` if the
    /// disk is full.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, Problem> {
        let connection = connections::open_writer(path)?;
        let disk = Arc::new(Disk::new(path, settings.disk_reserve));
        disk::reserve_log(path);
        disk::keep_reserve(&connection, &disk).map_err(|error| error::sqlite(&error))?;
        Ok(Self {
            writer: Writer::start(connection, Arc::clone(&disk))?,
            readers: Readers::new(path, disk),
            quotas: settings.quotas,
        })
    }
}

impl Sharing for SqliteStore {
    fn shared(&self) -> Option<&dyn Shared> {
        // A file belongs to one directory, which keeps its keys in files next to it.
        None
    }
}
