//! The task that renews this replica's lease and updates the list of the other replicas.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::service::RENEWAL;

/// Renews the lease and updates the list periodically, and whenever a replica starts or stops;
/// removes this replica at `shutdown`. Returns immediately if the database is not shared.
pub(crate) async fn run_replicas(service: Arc<Service>, shutdown: CancellationToken) {
    if service.store().shared().is_none() {
        return;
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(RENEWAL) => {}
            () = service.replicas_changed() => {}
        }
        if let Err(problem) = service.renew_replica().await {
            tracing::warn!(error = %problem, "cannot renew the lease of this replica");
        }
    }
    if let Err(problem) = service.remove_replica().await {
        tracing::warn!(error = %problem, "cannot remove this replica from the list");
    }
}
