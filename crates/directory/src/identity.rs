//! Checks that a database and the keys in a home belong to the same directory.
//!
//! The database records the keys that it belongs to. If the database is missing or empty, the
//! directory must not start as a new one by accident: the next user to join would become its
//! administrator. New keys must not be created beside an existing database either: every peer would
//! have to join again.

use std::path::{Path, PathBuf};

use convite_core::display::escape;
use convite_core::{ErrorCode, Problem};
use convite_store::Store;
use convite_wire::ticket::TicketSigner;

use crate::files;

/// Names of the marks in the database.
const TICKET_MARK: &str = "ticket";
const AUTHORITY_MARK: &str = "authority";
/// The file in the home that identifies a directory with a shared database.
const IDENTITY_FILE: &str = "identity";
/// The key files.
const TICKET_FILE: &str = "ticket.key";
const AUTHORITY_FILE: &str = "authority.pem";

/// Parts of the directory that may be missing and are created again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recreate {
    /// The database; accounts, invites and sessions are lost.
    pub database: bool,
    /// The keys; every peer has to join again.
    pub keys: bool,
}

fn missing_database(what: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, what).hint(
        "put it back, or run `convite directory restore PATH`; to start without it, use \
         --new-database: accounts, invites and sessions are lost",
    )
}

fn missing_keys(path: &Path) -> Problem {
    let message = format!(
        "the keys of this directory are missing: {}",
        escape(&path.to_string_lossy())
    );
    Problem::new(ErrorCode::NotFound, message).hint(
        "put them back, or run `convite directory restore PATH`; to create new ones, use \
         --new-keys: every peer has to join again",
    )
}

fn mismatched_directory() -> Problem {
    Problem::invalid("the database and the keys belong to different directories").hint(
        "set the database of this home with --database, or the home of this database with --home",
    )
}

/// Checks that the database at `database` is not missing beside the keys in `folder`. Called before
/// the database is opened, which would create it. Blocking.
///
/// # Errors
/// Returns `not_found`.
pub(crate) fn check_files(
    folder: &Path,
    database: Option<&PathBuf>,
    recreate: Recreate,
) -> Result<(), Problem> {
    let Some(database) = database.filter(|_| !recreate.database) else {
        return Ok(());
    };
    if !folder.join(TICKET_FILE).exists() {
        return Ok(());
    }
    let shown = database.to_string_lossy();
    match std::fs::metadata(database) {
        Ok(found) if found.len() > 0 => Ok(()),
        Ok(_) => Err(missing_database(&format!(
            "the database {} is empty, but the keys of a directory exist",
            escape(&shown)
        ))),
        Err(_) => Err(missing_database(&format!(
            "the database {} is missing, but the keys of a directory exist",
            escape(&shown)
        ))),
    }
}

/// Checks that the open database and the keys belong to the same directory.
///
/// # Errors
/// Returns `not_found` if one of them is missing; `invalid_argument` if they belong to different
/// directories.
pub(crate) async fn check(
    store: &dyn Store,
    folder: &Path,
    encrypted: bool,
    recreate: Recreate,
) -> Result<(), Problem> {
    if let Some(shared) = store.shared() {
        let kept = shared.secret(TICKET_FILE).await?;
        let kept = kept.map(|key| TicketSigner::from_bytes(&key)).transpose()?;
        let known = files::read(&folder.join(IDENTITY_FILE))?;
        return match (known, kept) {
            (None, _) => Ok(()),
            _ if recreate.database => Ok(()),
            (Some(_), None) => Err(missing_database(
                "the database is empty, but this home belongs to an existing directory",
            )),
            (Some(known), Some(signer)) if known == identity(&signer).into_bytes() => Ok(()),
            (Some(_), Some(_)) => Err(missing_database(
                "the database and this home belong to different directories",
            )),
        };
    }
    let key = files::read(&folder.join(TICKET_FILE))?;
    let signer = key.map(|key| TicketSigner::from_bytes(&key)).transpose()?;
    match (store.mark(TICKET_MARK).await?, signer) {
        (None, None) => {}
        (None, Some(_)) if recreate.database => {}
        (None, Some(_)) => {
            return Err(missing_database(
                "the database is empty, but the keys of a directory exist",
            ));
        }
        (Some(_), None) if recreate.keys => {}
        (Some(_), None) => return Err(missing_keys(&folder.join(TICKET_FILE))),
        (Some(noted), Some(signer)) if noted == signer.public_key() => {}
        (Some(_), Some(_)) => return Err(mismatched_directory()),
    }
    let authority = folder.join(AUTHORITY_FILE);
    let is_missing = encrypted && !authority.exists();
    if is_missing && !recreate.keys && store.mark(AUTHORITY_MARK).await?.is_some() {
        return Err(missing_keys(&authority));
    }
    Ok(())
}

/// Records in the database which keys it belongs to, and for a shared database, its identity in the
/// home.
///
/// # Errors
/// Returns `invalid_argument` if the database belongs to another authority; `internal` if nothing
/// can be written.
pub(crate) async fn record(
    store: &dyn Store,
    folder: &Path,
    signer: &TicketSigner,
    authority: Option<[u8; 32]>,
    recreate: Recreate,
) -> Result<(), Problem> {
    if store.shared().is_some() {
        let (path, identity) = (folder.join(IDENTITY_FILE), identity(signer));
        return if files::read(&path)? == Some(identity.clone().into_bytes()) {
            Ok(())
        } else {
            files::write_private(&path, identity.as_bytes())
        };
    }
    if store.mark(TICKET_MARK).await?.as_deref() != Some(signer.public_key().as_slice()) {
        store.set_mark(TICKET_MARK, &signer.public_key()).await?;
    }
    let Some(authority) = authority else {
        return Ok(());
    };
    match store.mark(AUTHORITY_MARK).await? {
        Some(noted) if noted == authority => Ok(()),
        Some(_) if !recreate.keys => Err(mismatched_directory()),
        _ => store.set_mark(AUTHORITY_MARK, &authority).await,
    }
}

fn identity(signer: &TicketSigner) -> String {
    data_encoding::HEXLOWER.encode(&signer.public_key())
}
