//! Prometheus metrics.
//!
//! One table ([`catalogue`]) defines every metric. A [`Registry`] holds the values of one directory
//! or one peer and renders them as text. There is no global state, so several directories in one
//! process count separately. A metric that is not in the table cannot be counted; docs/metrics.md
//! is generated from the table.

pub mod catalogue;
mod definition;
mod docs;
mod process;
mod registry;

pub use definition::{MetricDefinition, MetricType};
pub use docs::metrics_page;
pub use process::observe_process;
pub use registry::{InFlightGuard, LABEL_SETS_MAX, Registry};

/// The media type of the output of [`Registry::render`]: the OpenMetrics text format, version 1.0.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
