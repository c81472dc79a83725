//! The manifests of a folder from the first provider that sends right ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem};
use convite_provider::{Loss, dial, fetch_manifests, no_provider_left};
use convite_swarm::ProviderFailure;
use tracing::warn;

use crate::folder_target::{FileAttributes, ReceivedFolder};

/// A folder, and the providers that sent wrong manifests.
pub(super) struct FetchedFolder {
    pub(super) folder: Arc<ReceivedFolder>,
    /// They are not used for the contents.
    pub(super) dishonest: BTreeSet<PeerId>,
}

/// Fetches the manifests of a folder from one of its providers, tried in order.
///
/// # Errors
/// Returns `corrupt_contents` if all providers sent wrong manifests, `too_large` if the folder exceeds
/// the limits, and otherwise why the providers were lost.
pub(super) async fn fetch(
    located: &LocatedFile,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<FetchedFolder, Problem> {
    let mut dishonest = BTreeSet::new();
    let mut losses = Vec::new();
    for provider in located.providers.iter().filter(|p| !p.partial) {
        let fetched = async {
            let connection = dial(provider, tls).await?;
            let mut attributes = FileAttributes::default();
            let tree = fetch_manifests(&connection, located.hash, |entries, part| {
                attributes.add(entries, &part.modified, &part.executable)
            });
            Ok::<_, Loss>(ReceivedFolder::new(tree.await?, attributes))
        };
        let loss = match fetched.await {
            Ok(folder) => {
                return Ok(FetchedFolder {
                    folder: Arc::new(folder),
                    dishonest,
                });
            }
            Err(loss) => loss,
        };
        if loss.reason.code == ErrorCode::TooLarge {
            return Err(loss.reason);
        }
        if loss.failure == ProviderFailure::Dishonest {
            let peer = &provider.peer;
            warn!(%peer, "a source sent wrong manifests and is not used");
            dishonest.insert(provider.peer.clone());
        }
        losses.push((provider.peer.clone(), loss.reason));
    }
    if !losses.is_empty() && losses.len() == dishonest.len() {
        return Err(all_dishonest(&located.hash));
    }
    Err(no_provider_left(&losses))
}

/// Returns the error if all providers sent wrong data.
pub(super) fn all_dishonest(hash: &ContentHash) -> Problem {
    Problem::new(
        ErrorCode::CorruptContents,
        format!("all sources of the folder {hash} sent wrong data"),
    )
    .hint("search again in a minute; no wrong data was kept")
}
