//! Where a directory's own secrets are kept: as files in its folder, or, if other directories may
//! share its database, in there, so that all of them are one to whoever asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_store::Store;
use convite_wire::ticket::TicketSigner;

use crate::authority::Authority;
use crate::files;
use crate::follower::blocking;

/// The names of the secrets, of files and in the database alike.
const TICKET_KEY: &str = "ticket.key";
const INVITE: &str = "invite";
const AUTHORITY: &str = "authority";

/// Keeps secrets.
pub(crate) struct Vault {
    folder: PathBuf,
    store: Arc<dyn Store>,
}

impl Vault {
    /// The vault of a directory with this folder, which is there, and this storage.
    pub(crate) fn new(folder: &Path, store: &Arc<dyn Store>) -> Self {
        Self {
            folder: folder.to_path_buf(),
            store: Arc::clone(store),
        }
    }

    /// The certificate authority, made if there is none.
    ///
    /// # Errors
    /// `internal` if it cannot be read or kept, or its parts do not belong together.
    pub(crate) async fn authority(&self, now: UnixMillis) -> Result<Authority, Problem> {
        let folder = self.folder.clone();
        let Some(shared) = self.store.shared() else {
            return blocking(move || Authority::open(&folder, now)).await;
        };
        let kept = match shared.secret(AUTHORITY).await? {
            Some(kept) => kept,
            None => {
                let made = blocking(move || Authority::make_pem(now)).await?;
                shared.keep_secret(AUTHORITY, None, made.as_bytes()).await?
            }
        };
        blocking(move || {
            let authority = Authority::from_pem(&kept)?;
            authority.write_certificate(&folder)?;
            Ok(authority)
        })
        .await
    }

    /// The key that tickets are signed with, made if there is none.
    ///
    /// # Errors
    /// `internal` if it cannot be read or kept.
    pub(crate) async fn ticket_signer(&self) -> Result<TicketSigner, Problem> {
        if let Some(kept) = self.read(TICKET_KEY).await? {
            return TicketSigner::from_bytes(&kept);
        }
        let made = TicketSigner::generate()?;
        let kept = self.keep(TICKET_KEY, None, made.secret_bytes()).await?;
        TicketSigner::from_bytes(&kept)
    }

    /// The code of the standing invite, if there is one.
    ///
    /// # Errors
    /// `internal` if it cannot be read.
    pub(crate) async fn invite(&self) -> Result<Option<String>, Problem> {
        let kept = self.read(INVITE).await?;
        Ok(kept.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Keeps the code of a new standing invite in the place of `old`; returns the one that is kept.
    ///
    /// # Errors
    /// `internal` if it cannot be kept.
    pub(crate) async fn keep_invite(
        &self,
        old: Option<&str>,
        new: &str,
    ) -> Result<String, Problem> {
        let kept = self
            .keep(INVITE, old.map(str::as_bytes), new.as_bytes())
            .await?;
        String::from_utf8(kept)
            .map_err(|_| Problem::new(ErrorCode::Internal, "the standing invite is damaged"))
    }

    async fn read(&self, name: &'static str) -> Result<Option<Vec<u8>>, Problem> {
        match self.store.shared() {
            Some(shared) => shared.secret(name).await,
            None => {
                let path = self.folder.join(name);
                blocking(move || files::read(&path)).await
            }
        }
    }

    async fn keep(
        &self,
        name: &'static str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        if let Some(shared) = self.store.shared() {
            return shared.keep_secret(name, old, new).await;
        }
        let (path, new) = (self.folder.join(name), new.to_vec());
        blocking(move || {
            files::write_private(&path, &new)?;
            Ok(new)
        })
        .await
    }
}
