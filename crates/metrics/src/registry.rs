//! The values of the metrics of one directory or one peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Encoder;

use crate::definition::{MetricDefinition, MetricType};

/// The maximum number of label sets of one metric. Further ones are counted as one, with `other`
/// for each value. This is a safeguard, because label values come from closed lists.
pub const LABEL_SETS_MAX: usize = 500;
const OTHER: &str = "other";

type FloatCounter = Counter<f64, AtomicU64>;
type FloatGauge = Gauge<f64, AtomicU64>;
/// Label names and values, in the order of the catalogue.
type Labels = Vec<(&'static str, String)>;

/// The metrics of one or more lists of the catalogue.
#[derive(Debug)]
pub struct Registry {
    metrics: Vec<Metric>,
    encoder: Encoder,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    labels: &'static [&'static str],
    values: Values,
}

/// The values of a metric.
#[derive(Debug)]
enum Values {
    /// Of a metric without labels.
    One(Instrument),
    Counters(Family<Labels, FloatCounter>, SetCount),
    Gauges(Family<Labels, FloatGauge>, SetCount),
    Histograms(Family<Labels, Histogram, Bounds>, SetCount),
}

/// A value, which is shared by its clones.
#[derive(Debug, Clone)]
enum Instrument {
    Counter(FloatCounter),
    Gauge(FloatGauge),
    Histogram(Histogram),
}

/// The bounds of a histogram.
#[derive(Debug, Clone, Copy)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Registry {
    /// Creates a registry of the metrics in `lists`. Metrics without labels exist from the start.
    pub fn new(lists: &[&[MetricDefinition]]) -> Arc<Self> {
        let mut encoder = Encoder::default();
        let metrics = lists.iter().copied().flatten();
        let metrics = metrics.map(|definition| Metric {
            name: definition.name,
            labels: definition.labels,
            values: Values::register(definition, &mut encoder),
        });
        Arc::new(Self {
            metrics: metrics.collect(),
            encoder,
        })
    }

    /// Adds to a counter or a gauge. `values` are the label values, in the order of the catalogue.
    pub fn add(&self, metric: &MetricDefinition, values: &[&str], amount: f64) {
        match self.find(metric, values) {
            Some(Instrument::Counter(counter)) => {
                counter.inc_by(amount);
            }
            Some(Instrument::Gauge(gauge)) => {
                gauge.inc_by(amount);
            }
            _ => {}
        }
    }

    /// Sets a value that is counted elsewhere or measured at the time of a scrape.
    pub fn set(&self, metric: &MetricDefinition, values: &[&str], now: f64) {
        match self.find(metric, values) {
            Some(Instrument::Counter(counter)) => {
                counter.inner().store(now.to_bits(), Ordering::Relaxed);
            }
            Some(Instrument::Gauge(gauge)) => {
                gauge.set(now);
            }
            _ => {}
        }
    }

    /// Adds a measurement to a histogram.
    pub fn observe(&self, metric: &MetricDefinition, values: &[&str], measured: f64) {
        if let Some(Instrument::Histogram(histogram)) = self.find(metric, values) {
            histogram.observe(measured);
        }
    }

    /// Increments a gauge until the returned guard is dropped.
    pub fn in_flight(
        self: &Arc<Self>,
        metric: &'static MetricDefinition,
        value: Option<&'static str>,
    ) -> InFlightGuard {
        self.add(metric, value.as_slice(), 1.0);
        InFlightGuard {
            registry: self.clone(),
            metric,
            value,
        }
    }

    /// Returns the value of a metric with these label values.
    fn find(&self, definition: &MetricDefinition, values: &[&str]) -> Option<Instrument> {
        let metric = self.metrics.iter().find(|m| m.name == definition.name);
        debug_assert!(metric.is_some(), "{} is not registered", definition.name);
        let metric = metric?;
        debug_assert_eq!(values.len(), metric.labels.len(), "{}", metric.name);
        let values = values.iter().map(|value| (*value).to_owned());
        let labels: Labels = metric.labels.iter().copied().zip(values).collect();
        Some(match &metric.values {
            Values::One(instrument) => instrument.clone(),
            Values::Counters(family, sets) => Instrument::Counter(sets.get(family, labels)),
            Values::Gauges(family, sets) => Instrument::Gauge(sets.get(family, labels)),
            Values::Histograms(family, sets) => Instrument::Histogram(sets.get(family, labels)),
        })
    }

    /// Renders all metrics in the OpenMetrics text format, in the order of the catalogue.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &self.encoder);
        out
    }
}

impl Values {
    fn register(definition: &MetricDefinition, encoder: &mut Encoder) -> Self {
        // The library appends `_total` to counters and a full stop to descriptions.
        let name = definition.name.trim_end_matches("_total");
        let help = definition.help.trim().trim_end_matches('.');
        macro_rules! registered {
            ($values:expr) => {{
                let values = $values;
                encoder.register(name, help, values.clone());
                values
            }};
        }
        let sets = SetCount::default();
        match (definition.kind, definition.labels.is_empty()) {
            (MetricType::Counter, true) => {
                Self::One(Instrument::Counter(registered!(Counter::default())))
            }
            (MetricType::Counter, false) => Self::Counters(registered!(Family::default()), sets),
            (MetricType::Gauge, true) => {
                Self::One(Instrument::Gauge(registered!(Gauge::default())))
            }
            (MetricType::Gauge, false) => Self::Gauges(registered!(Family::default()), sets),
            (MetricType::Histogram(bounds), true) => Self::One(Instrument::Histogram(registered!(
                Bounds(bounds).new_metric()
            ))),
            (MetricType::Histogram(bounds), false) => Self::Histograms(
                registered!(Family::new_with_constructor(Bounds(bounds))),
                sets,
            ),
        }
    }
}

/// The number of label sets of a metric.
#[derive(Debug, Default)]
struct SetCount(Mutex<usize>);

impl SetCount {
    /// Returns the value with these labels, or the value `other` if there are too many label sets.
    fn get<M, C>(&self, family: &Family<Labels, M, C>, mut labels: Labels) -> M
    where
        M: Clone,
        C: MetricConstructor<M>,
    {
        let known = |labels: &Labels| family.get(labels).map(|value| value.clone());
        if let Some(value) = known(&labels) {
            return value;
        }
        let mut sets = self.0.lock();
        if let Some(value) = known(&labels) {
            return value;
        }
        if *sets < LABEL_SETS_MAX {
            *sets += 1;
        } else {
            for (_, value) in &mut labels {
                OTHER.clone_into(value);
            }
        }
        family.get_or_create_owned(&labels)
    }
}

/// A guard that keeps a gauge incremented until it is dropped.
#[derive(Debug)]
pub struct InFlightGuard {
    registry: Arc<Registry>,
    metric: &'static MetricDefinition,
    value: Option<&'static str>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.registry.add(self.metric, self.value.as_slice(), -1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOES: MetricDefinition = MetricDefinition {
        name: "shoes_total",
        kind: MetricType::Counter,
        labels: &["colour"],
        help: " Shoes.",
    };
    const WALK: MetricDefinition = MetricDefinition {
        name: "walk_seconds",
        kind: MetricType::Histogram(&[0.5, 2.0]),
        labels: &[],
        help: " Walks.",
    };
    const FEET: MetricDefinition = MetricDefinition {
        name: "feet",
        kind: MetricType::Gauge,
        labels: &[],
        help: " Feet.",
    };

    fn registry() -> Arc<Registry> {
        Registry::new(&[&[SHOES, WALK], &[FEET]])
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let registry = registry();
        registry.add(&SHOES, &["re\"d\\\n"], 2.0);
        for walk in [0.5, 0.6, 7.0] {
            registry.observe(&WALK, &[], walk);
        }
        registry.set(&FEET, &[], 1.5);
        assert_eq!(
            registry.render(),
            "# HELP shoes Shoes.\n# TYPE shoes counter\n\
             shoes_total{colour=\"re\\\"d\\\\\\n\"} 2.0\n\
             # HELP walk_seconds Walks.\n# TYPE walk_seconds histogram\n\
             walk_seconds_sum 8.1\nwalk_seconds_count 3\n\
             walk_seconds_bucket{le=\"0.5\"} 1\nwalk_seconds_bucket{le=\"2.0\"} 2\n\
             walk_seconds_bucket{le=\"+Inf\"} 3\n\
             # HELP feet Feet.\n# TYPE feet gauge\nfeet 1.5\n# EOF\n"
        );
    }

    #[test]
    fn what_is_in_flight_is_counted_while_it_lives() {
        let registry = registry();
        static FEET_NOW: MetricDefinition = FEET;
        let both = (
            registry.in_flight(&FEET_NOW, None),
            registry.in_flight(&FEET_NOW, None),
        );
        assert!(registry.render().contains("\nfeet 2.0\n"));
        drop(both);
        assert!(registry.render().contains("\nfeet 0.0\n"));
    }

    #[test]
    fn label_values_without_end_become_one() {
        let registry = registry();
        for number in 0..10 * LABEL_SETS_MAX {
            registry.add(&SHOES, &[&number.to_string()], 1.0);
        }
        let text = registry.render();
        let lines = text.lines().filter(|line| line.starts_with("shoes_total{"));
        assert_eq!(lines.count(), LABEL_SETS_MAX + 1);
        let rest = 9 * LABEL_SETS_MAX;
        assert!(text.contains(&format!("shoes_total{{colour=\"other\"}} {rest}.0\n")));
    }
}
