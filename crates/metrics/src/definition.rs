//! What the catalogue says about a metric.

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricType {
    /// A total that only increases, from the start of the process.
    Counter,
    /// A current value.
    Gauge,
    /// Counts of measurements up to each of these bounds, in ascending order.
    Histogram(&'static [f64]),
}

impl MetricType {
    /// Returns the Prometheus name of the type.
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
pub struct MetricDefinition {
    /// Name, with its unit (`_seconds`, `_bytes`), and with `_total` for a counter.
    pub name: &'static str,
    /// Type of the metric.
    pub kind: MetricType,
    /// Names of its labels. Their values come from closed lists: never a path, a user or a file.
    pub labels: &'static [&'static str],
    /// Description.
    pub help: &'static str,
}
