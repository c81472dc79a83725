//! Metrics of this directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::Problem;
use convite_metrics::catalogue::*;
use convite_metrics::{Registry, observe_process};
use convite_store::Totals;

use super::Service;

/// How long the totals are reused.
const TOTALS_CACHED: Duration = Duration::from_secs(10);

impl Service {
    /// Returns the registry of this directory's metrics.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.metrics.registry
    }

    /// Counts a result in `metric`, labelled `ok` or with the error code.
    pub(super) fn count_outcome<T>(
        &self,
        metric: &convite_metrics::MetricDefinition,
        result: Result<T, Problem>,
    ) -> Result<T, Problem> {
        let outcome = result.as_ref().map_or_else(|p| p.code.name(), |_| "ok");
        self.registry().add(metric, &[outcome], 1.0);
        result
    }

    /// Returns all metrics in Prometheus' text format. Values that the database cannot provide now
    /// keep their last value.
    pub async fn metrics(&self) -> String {
        let set = |metric, now| self.registry().set(metric, &[], now);
        match self.totals().await {
            Ok(totals) => {
                set(&ACCOUNTS, totals.accounts as f64);
                set(&SESSIONS, totals.sessions as f64);
                set(&PEERS_ONLINE, totals.peers as f64);
                set(&FILES, totals.files as f64);
            }
            Err(problem) => tracing::warn!(error = %problem, "cannot count the totals"),
        }
        set(&CONTENTS, self.search_index().len() as f64);
        if let Ok(lag) = self.search_lag().await {
            set(&INDEX_LAG_CHANGES, lag.changes as f64);
            set(&INDEX_LAG_SECONDS, lag.time.as_secs_f64());
        }
        let load = self.store().load();
        set(&DATABASE_QUEUE, load.queued as f64);
        set(&DATABASE_TRANSACTIONS, load.transactions as f64);
        let time = load.transaction_time.as_secs_f64();
        set(&DATABASE_TRANSACTION_SECONDS, time);
        set(&DATABASE_CONNECTIONS, load.connections as f64);
        set(&DATABASE_CONNECTIONS_BUSY, load.busy as f64);
        set(
            &READY,
            f64::from(self.readiness_without_write().await.is_ready()),
        );
        observe_process(self.registry());
        self.registry().render()
    }

    async fn totals(&self) -> Result<Totals, Problem> {
        // Held during the query, so that concurrent calls cause one query.
        let mut cached = self.metrics.totals.lock().await;
        match *cached {
            Some((at, totals)) if at.elapsed() < TOTALS_CACHED => Ok(totals),
            _ => {
                let asked = Instant::now();
                let totals = self.store().totals(self.now()).await?;
                *cached = Some((asked, totals));
                Ok(totals)
            }
        }
    }
}
