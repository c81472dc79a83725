//! What this directory counts, and the page of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::Problem;
use convite_metrics::catalogue::*;
use convite_metrics::{Registry, observe_process};
use convite_store::Totals;
use tokio::sync::Mutex;

use super::Service;

/// For how long totals are taken to be what they were.
const TOTALS_CACHED: Duration = Duration::from_secs(10);

/// What is counted, and the totals as they were a moment ago.
pub(super) struct Metrics {
    pub(super) registry: Arc<Registry>,
    totals: Mutex<Option<(Instant, Totals)>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Registry::new(&[DIRECTORY, PROCESS]),
            totals: Mutex::default(),
        }
    }
}

impl Service {
    /// Where what happens in this directory is counted.
    pub fn counted(&self) -> &Arc<Registry> {
        &self.metrics.registry
    }

    /// Notes how something ended that can fail: `ok`, or the error's code.
    pub(super) fn count_outcome<T>(
        &self,
        metric: &convite_metrics::Definition,
        result: Result<T, Problem>,
    ) -> Result<T, Problem> {
        let outcome = result.as_ref().map_or_else(|p| p.code.name(), |_| "ok");
        self.counted().add(metric, &[outcome], 1.0);
        result
    }

    /// All metrics in Prometheus' text format. What cannot be asked of the database just now keeps
    /// its last value.
    pub async fn metrics(&self) -> String {
        let set = |metric, now| self.counted().set(metric, &[], now);
        match self.totals().await {
            Ok(totals) => {
                set(&ACCOUNTS, totals.accounts as f64);
                set(&SESSIONS, totals.sessions as f64);
                set(&PEERS_ONLINE, totals.peers as f64);
                set(&FILES, totals.files as f64);
            }
            Err(problem) => tracing::warn!(error = %problem, "totals cannot be counted"),
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
        set(&READY, f64::from(self.glance().await.is_ready()));
        observe_process(self.counted());
        self.counted().render()
    }

    async fn totals(&self) -> Result<Totals, Problem> {
        // Held while the database is asked, so that it is asked once.
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
