//! The watched contents, and the number of watchers per session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use convite_core::model::Provider;
use convite_core::{ContentHash, EntryKind};
use convite_net::permits::KeyedPermits;
use convite_store::{SecretHash, Viewer};
use tokio::sync::watch;

/// The watched contents, and the number of watchers per session.
#[derive(Default)]
pub(crate) struct ProviderWatchers {
    pub(crate) topics: KeyedPermits<ContentHash, Arc<Topic>>,
    pub(crate) sessions: KeyedPermits<SecretHash>,
}

/// A watched content.
#[derive(Default)]
pub(crate) struct Topic {
    /// Incremented when its providers may have changed.
    pub(crate) changes: watch::Sender<u64>,
    /// The last result per viewer and kind: different viewers see different providers.
    pub(crate) latest: tokio::sync::Mutex<HashMap<(Viewer, Option<EntryKind>), CachedProviders>>,
}

/// The providers of a content, as last queried.
pub(crate) struct CachedProviders {
    /// The counter before the query.
    pub(crate) change: u64,
    pub(crate) asked: Instant,
    pub(crate) providers: Arc<Vec<Provider>>,
}

impl ProviderWatchers {
    /// Reports that the providers of these contents may have changed.
    pub(crate) fn touch<'a>(&self, hashes: impl IntoIterator<Item = &'a ContentHash>) {
        if self.topics.is_empty() {
            return;
        }
        for hash in hashes {
            if let Some(topic) = self.topics.value(hash) {
                topic.changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Reports that the providers of any content may have changed.
    pub(crate) fn touch_all(&self) {
        for topic in self.topics.values() {
            topic.changes.send_modify(|count| *count += 1);
        }
    }
}
