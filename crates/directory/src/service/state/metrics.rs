//! The registry of metrics, and cached totals.

use std::sync::Arc;
use std::time::Instant;

use convite_metrics::Registry;
use convite_metrics::catalogue::{DIRECTORY, PROCESS};
use convite_store::Totals;
use tokio::sync::Mutex;

/// The registry, and the last totals.
pub(crate) struct Metrics {
    pub(crate) registry: Arc<Registry>,
    pub(crate) totals: Mutex<Option<(Instant, Totals)>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Registry::new(&[DIRECTORY, PROCESS]),
            totals: Mutex::default(),
        }
    }
}
