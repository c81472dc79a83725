//! Keeps this directory on the list of its replicas, and itself up to date about the others.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::service::RENEWAL;

/// Renews, and asks for the others, from time to time and whenever one comes or goes; takes this one
/// off the list at `shutdown`. Ends at once where there are no replicas.
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
            tracing::warn!(error = %problem, "cannot say that this replica is up");
        }
    }
    if let Err(problem) = service.remove_replica().await {
        tracing::warn!(error = %problem, "cannot say that this replica stops");
    }
}
