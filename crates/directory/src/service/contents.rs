//! File contents for readers that are not peers, for example browsers.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, EntryKind, Problem, SearchScope};
use convite_provider::{LookupFuture, ProviderLookup};
use convite_store::AccountId;

use super::{Caller, Service};
use crate::gateway::PreparedTransfer;

/// Returns the reader with its current permissions.
pub(super) type ReaderLookup = Pin<Box<dyn Future<Output = Result<Caller, Problem>> + Send>>;

/// A file that the reader may read; no provider has been contacted yet.
pub struct Contents {
    service: Arc<Service>,
    account: AccountId,
    file: LocatedFile,
    name: Option<String>,
    locate: ProviderLookup,
}

impl Contents {
    /// Returns the size that most providers claim, in bytes.
    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// Returns the requested name if it is one of the file's, else its most common name; the hash,
    /// if the file has no name.
    pub fn name(&self) -> String {
        let name = self.name.as_ref().or(self.file.names.first());
        name.map_or_else(|| self.file.hash.to_string(), Clone::clone)
    }

    /// Contacts the providers, and waits for the first bytes of the part that `wanted` returns for
    /// the size of the file. An empty part contacts no provider.
    ///
    /// # Errors
    /// Returns `overloaded` if the gateway is at its limit; `unavailable` if no provider sends the
    /// bytes; `corrupt_contents` if every provider sends wrong data.
    pub async fn open(
        self,
        wanted: impl Fn(u64) -> Range<u64> + Send + Sync,
    ) -> Result<PreparedTransfer, Problem> {
        let Self {
            service,
            account,
            file,
            name: _,
            locate,
        } = self;
        service.gateway.open(account, file, locate, &wanted).await
    }
}

impl Service {
    /// Returns a file that the caller may read through the directory, offered under `name` if that
    /// is one of its names. The permission is checked again during the transfer.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the file, or the caller may not see it;
    /// `invalid_argument` for a folder; `permission_denied` if the gateway of this directory is
    /// disabled.
    pub async fn contents(
        self: &Arc<Self>,
        caller: &Caller,
        hash: &ContentHash,
        name: Option<String>,
    ) -> Result<Contents, Problem> {
        let (service, session, from) = (Arc::clone(self), caller.session, caller.client_address);
        let again = move || -> ReaderLookup {
            let service = Arc::clone(&service);
            Box::pin(async move { service.caller_of_session(session, from).await })
        };
        self.contents_for(*hash, name, again).await
    }

    /// Returns a file for the reader that `asks` returns; `asks` is called again during the
    /// transfer.
    ///
    /// # Errors
    /// As [`Self::contents`], and those of `asks`.
    pub(super) async fn contents_for(
        self: &Arc<Self>,
        hash: ContentHash,
        name: Option<String>,
        asks: impl Fn() -> ReaderLookup + Send + Sync + 'static,
    ) -> Result<Contents, Problem> {
        self.gateway.must_be_enabled()?;
        let caller = asks().await?;
        let (kind, within) = (Some(EntryKind::File), SearchScope::Visible);
        let file = self.locate(&caller, &hash, kind, &within).await?;
        let name = match name {
            Some(name) if self.has_name(&caller.viewer, &hash, &name).await? => Some(name),
            _ => None,
        };
        let (service, asks) = (Arc::clone(self), Arc::new(asks));
        let locate: ProviderLookup = Arc::new(move || -> LookupFuture {
            let (service, asks) = (Arc::clone(&service), Arc::clone(&asks));
            Box::pin(async move {
                let caller = asks().await?;
                let (kind, within) = (Some(EntryKind::File), SearchScope::Visible);
                service.locate(&caller, &hash, kind, &within).await
            })
        });
        Ok(Contents {
            service: Arc::clone(self),
            account: caller.account,
            file,
            name,
            locate,
        })
    }
}
