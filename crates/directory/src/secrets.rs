//! Storage of a directory's secrets: files in its folder or, if replicas may share its database,
//! rows in the database, so that all replicas use the same secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_store::Store;
use convite_wire::ticket::TicketSigner;

use crate::authority::Authority;
use crate::files;
use crate::index_sync::spawn_blocking_work;

/// The names of the secrets, both as files and in the database.
const TICKET_KEY: &str = "ticket.key";
const INVITE: &str = "invite";
const AUTHORITY: &str = "authority";

/// The store of secrets.
pub(crate) struct SecretStore {
    folder: PathBuf,
    store: Arc<dyn Store>,
}

impl SecretStore {
    /// Returns the store for a directory with this existing folder and this database.
    pub(crate) fn new(folder: &Path, store: &Arc<dyn Store>) -> Self {
        Self {
            folder: folder.to_path_buf(),
            store: Arc::clone(store),
        }
    }

    /// Returns the certificate authority; creates it if necessary.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be read or stored, or its key and certificate do not match.
    pub(crate) async fn authority(&self, now: UnixMillis) -> Result<Authority, Problem> {
        let folder = self.folder.clone();
        let Some(shared) = self.store.shared() else {
            return spawn_blocking_work(move || Authority::open(&folder, now)).await;
        };
        let kept = match shared.secret(AUTHORITY).await? {
            Some(kept) => kept,
            None => {
                let made = spawn_blocking_work(move || Authority::create_pem(now)).await?;
                shared.keep_secret(AUTHORITY, None, made.as_bytes()).await?
            }
        };
        spawn_blocking_work(move || {
            let authority = Authority::from_pem(&kept)?;
            authority.write_certificate(&folder)?;
            Ok(authority)
        })
        .await
    }

    /// Returns the signing key for tickets; creates it if necessary.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be read or stored.
    pub(crate) async fn ticket_signer(&self) -> Result<TicketSigner, Problem> {
        if let Some(kept) = self.read(TICKET_KEY).await? {
            return TicketSigner::from_bytes(&kept);
        }
        let made = TicketSigner::generate()?;
        let kept = self
            .store_secret(TICKET_KEY, None, made.secret_bytes())
            .await?;
        TicketSigner::from_bytes(&kept)
    }

    /// Returns the code of the ready line's invite, if there is one.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be read.
    pub(crate) async fn invite(&self) -> Result<Option<String>, Problem> {
        let kept = self.read(INVITE).await?;
        Ok(kept.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Stores the code of a new ready line invite in place of `old`; returns the stored one, which
    /// may be another replica's.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be stored.
    pub(crate) async fn store_invite(
        &self,
        old: Option<&str>,
        new: &str,
    ) -> Result<String, Problem> {
        let kept = self
            .store_secret(INVITE, old.map(str::as_bytes), new.as_bytes())
            .await?;
        String::from_utf8(kept)
            .map_err(|_| Problem::new(ErrorCode::Internal, "the stored invite is damaged"))
    }

    async fn read(&self, name: &'static str) -> Result<Option<Vec<u8>>, Problem> {
        match self.store.shared() {
            Some(shared) => shared.secret(name).await,
            None => {
                let path = self.folder.join(name);
                spawn_blocking_work(move || files::read(&path)).await
            }
        }
    }

    async fn store_secret(
        &self,
        name: &'static str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        if let Some(shared) = self.store.shared() {
            return shared.keep_secret(name, old, new).await;
        }
        let (path, new) = (self.folder.join(name), new.to_vec());
        spawn_blocking_work(move || {
            files::write_private(&path, &new)?;
            Ok(new)
        })
        .await
    }
}
