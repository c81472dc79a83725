//! Contents, for readers that are no peers: who may read a file, and what is told of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, Problem, Within};
use convite_store::AccountId;

use super::{Caller, Service};
use crate::relay::{Locate, Located, Opened};

/// Gives who reads, as he is now.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<Caller, Problem>> + Send>>;

/// A file that somebody may read, found but not asked for yet.
pub struct Contents {
    service: Arc<Service>,
    account: AccountId,
    file: LocatedFile,
    locate: Locate,
}

impl Contents {
    /// The size that most providers claim, in bytes.
    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// The name under which most share it; the hash, if it has none.
    pub fn name(&self) -> String {
        let name = self.file.names.first();
        name.map_or_else(|| self.file.hash.to_string(), Clone::clone)
    }

    /// Asks the providers.
    ///
    /// # Errors
    /// `overloaded` if too much is relayed just now; `unavailable` if no provider answers; `corrupt_contents`
    /// if all that answer lie.
    pub async fn open(self) -> Result<Opened, Problem> {
        let Self {
            service,
            account,
            file,
            locate,
        } = self;
        service.relay.open(account, file, locate).await
    }
}

impl Service {
    /// A file that the caller may read, through the directory. The right is looked at again while
    /// he reads.
    ///
    /// # Errors
    /// `not_found` if nobody online shares it, or the caller may not know of it;
    /// `permission_denied` if this directory relays nothing.
    pub async fn contents(
        self: &Arc<Self>,
        caller: &Caller,
        hash: &ContentHash,
    ) -> Result<Contents, Problem> {
        let (service, session, from) = (Arc::clone(self), caller.session, caller.from);
        let again = move || -> Asking {
            let service = Arc::clone(&service);
            Box::pin(async move { service.of_session(session, from).await })
        };
        self.contents_of(*hash, again).await
    }

    /// A file for whoever `asks`, who is asked for anew while it is read.
    ///
    /// # Errors
    /// As [`Self::contents`], and those of `asks`.
    pub(super) async fn contents_of(
        self: &Arc<Self>,
        hash: ContentHash,
        asks: impl Fn() -> Asking + Send + Sync + 'static,
    ) -> Result<Contents, Problem> {
        self.relay.must_be_enabled()?;
        let caller = asks().await?;
        let file = self.locate(&caller, &hash, &Within::Seen).await?;
        let (service, asks) = (Arc::clone(self), Arc::new(asks));
        let locate: Locate = Arc::new(move || -> Located {
            let (service, asks) = (Arc::clone(&service), Arc::clone(&asks));
            Box::pin(async move {
                let caller = asks().await?;
                service.locate(&caller, &hash, &Within::Seen).await
            })
        });
        Ok(Contents {
            service: Arc::clone(self),
            account: caller.account,
            file,
            locate,
        })
    }
}
