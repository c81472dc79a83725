//! What is counted, for Prometheus.
//!
//! One table ([`catalogue`]) names every metric; a [`Registry`] holds the numbers of one directory
//! or one peer and writes them as text. There is no global state: several directories in one
//! process count for themselves. What is not in the table cannot be counted, and the page about the
//! metrics (docs/metrics.md) is written from it.

pub mod catalogue;
mod page;
mod process;
mod registry;

pub use page::page;
pub use process::observe_process;
pub use registry::{InFlight, LABEL_SETS_MAX, Registry};

/// The media type of what [`Registry::render`] writes: Prometheus' text format, version 0.0.4.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from the start of the process on.
    Counter,
    /// As it is now.
    Gauge,
    /// How often a measurement was at most each of these bounds, in ascending order.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A row of the catalogue.
#[derive(Debug, PartialEq)]
pub struct Definition {
    /// Its name, with its unit (`_seconds`, `_bytes`) and `_total` for a counter.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels. Their values come from closed lists: never a path, a user or a file.
    pub labels: &'static [&'static str],
    /// What it says, in words.
    pub help: &'static str,
}
