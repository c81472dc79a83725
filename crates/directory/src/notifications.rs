//! The task that receives notifications from other replicas on the same database.

use std::sync::Arc;

use convite_store::News;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::Service;

/// Passes notifications to the service until `shutdown`. Returns immediately if the database is not
/// shared.
pub(crate) async fn run_notifications(service: Arc<Service>, shutdown: CancellationToken) {
    let Some(mut heard) = service.store().shared().map(|shared| shared.listen()) else {
        return;
    };
    loop {
        let news = tokio::select! {
            () = shutdown.cancelled() => return,
            news = heard.recv() => news,
        };
        match news {
            Ok(news) => service.handle_replica_event(&news),
            // Some notifications were dropped: assume that anything may have changed.
            Err(RecvError::Lagged(_)) => service.handle_replica_event(&News::Anything),
            Err(RecvError::Closed) => return,
        }
    }
}
