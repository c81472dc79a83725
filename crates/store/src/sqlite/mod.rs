//! The directory's tables in one SQLite file: the default, with nothing to set up.
//!
//! One thread writes (`writer`), a few connections read (`connections`). Each noun has a room
//! with its statements, at the end of which stands its trait: that says which of them read, which
//! read for long, and which write.

mod accounts;
mod audit;
mod backup;
mod changes;
mod connections;
mod failure;
mod invites;
mod links;
mod listing;
mod loads;
mod partials;
mod peers;
mod publish;
mod query;
mod removals;
mod sessions;
mod sizes;
mod spaces;
mod upkeep;
mod writer;

use std::path::Path;

use convite_core::Problem;

use crate::{Shared, Sharing};
pub use backup::{check, copy, end_all_sessions, is_in_use};
use connections::Readers;
use writer::Writer;

/// A directory's tables in one file. Dropping it waits for changes under way.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database at `path`, making it (readable by its owner only) and its folder if they
    /// do not exist, and brings its tables up to date. Blocking.
    ///
    /// # Errors
    /// `internal` if it cannot be opened, made or migrated.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        Ok(Self {
            writer: Writer::start(connections::open_writer(path)?)?,
            readers: Readers::new(path),
        })
    }
}

impl Sharing for SqliteStore {
    fn shared(&self) -> Option<&dyn Shared> {
        // A file has one directory: its keys are files beside it.
        None
    }
}
