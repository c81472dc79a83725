//! Hears what other replicas on the same database tell, and wakes who waits for it here.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::Service;
use convite_store::News;

/// Passes on news until `shutdown`; ends at once where there are no replicas.
pub(crate) async fn run_news(service: Arc<Service>, shutdown: CancellationToken) {
    let Some(mut heard) = service.store().shared().map(|shared| shared.listen()) else {
        return;
    };
    loop {
        let news = tokio::select! {
            () = shutdown.cancelled() => return,
            news = heard.recv() => news,
        };
        match news {
            Ok(news) => service.hear(&news),
            // Too much at once: what exactly is not worth knowing.
            Err(RecvError::Lagged(_)) => service.hear(&News::Anything),
            Err(RecvError::Closed) => return,
        }
    }
}
