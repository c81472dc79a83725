//! The values of the metrics of one directory or one peer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::definition::{MetricDefinition, MetricType};

/// The maximum number of label sets of one metric. Further ones are counted as one, with `other`
/// for each value. This is a safeguard, because label values come from closed lists.
pub const LABEL_SETS_MAX: usize = 500;
const OTHER: &str = "other";

/// The metrics of one or more lists of the catalogue.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    definition: MetricDefinition,
    cells: Mutex<BTreeMap<Vec<String>, MetricValue>>,
}

#[derive(Debug)]
enum MetricValue {
    Number(f64),
    Histogram { buckets: Vec<u64>, sum: f64 },
}

impl MetricValue {
    fn new(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter | MetricType::Gauge => Self::Number(0.0),
            MetricType::Histogram(bounds) => Self::Histogram {
                // The last bucket is for values above every bound.
                buckets: vec![0; bounds.len() + 1],
                sum: 0.0,
            },
        }
    }
}

impl Registry {
    /// Creates a registry of the metrics in `lists`. Metrics without labels exist from the start.
    pub fn new(lists: &[&[MetricDefinition]]) -> Arc<Self> {
        let family = |definition: &MetricDefinition| {
            let mut cells = BTreeMap::new();
            if definition.labels.is_empty() {
                cells.insert(Vec::new(), MetricValue::new(definition.kind));
            }
            Family {
                definition: MetricDefinition { ..*definition },
                cells: Mutex::new(cells),
            }
        };
        Arc::new(Self {
            families: lists
                .iter()
                .flat_map(|list| list.iter())
                .map(family)
                .collect(),
        })
    }

    /// Adds to a counter or a gauge. `values` are the label values, in the order of the catalogue.
    pub fn add(&self, metric: &MetricDefinition, values: &[&str], amount: f64) {
        self.update(metric, values, |cell, _| {
            if let MetricValue::Number(number) = cell {
                *number += amount;
            }
        });
    }

    /// Sets a value that is counted elsewhere or measured at the time of a scrape.
    pub fn set(&self, metric: &MetricDefinition, values: &[&str], now: f64) {
        self.update(metric, values, |cell, _| {
            if let MetricValue::Number(number) = cell {
                *number = now;
            }
        });
    }

    /// Adds a measurement to a histogram.
    pub fn observe(&self, metric: &MetricDefinition, values: &[&str], measured: f64) {
        self.update(metric, values, |cell, kind| {
            if let (MetricValue::Histogram { buckets, sum }, MetricType::Histogram(bounds)) =
                (cell, kind)
            {
                buckets[bounds.partition_point(|bound| *bound < measured)] += 1;
                *sum += measured;
            }
        });
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

    fn update(
        &self,
        metric: &MetricDefinition,
        values: &[&str],
        change: impl FnOnce(&mut MetricValue, MetricType),
    ) {
        let family = self
            .families
            .iter()
            .find(|f| f.definition.name == metric.name);
        let Some(family) = family else {
            debug_assert!(false, "{} is not in this registry", metric.name);
            return;
        };
        debug_assert_eq!(values.len(), metric.labels.len(), "{}", metric.name);
        let mut key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut cells = family.cells.lock();
        if cells.len() >= LABEL_SETS_MAX && !cells.contains_key(&key) {
            key.fill(OTHER.to_owned());
        }
        let kind = family.definition.kind;
        change(
            cells.entry(key).or_insert_with(|| MetricValue::new(kind)),
            kind,
        );
    }

    /// Renders all metrics in the Prometheus text format, in the order of the catalogue.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for family in &self.families {
            family.render(&mut out);
        }
        out
    }
}

impl Family {
    // Writing to a string cannot fail.
    fn render(&self, out: &mut String) {
        let MetricDefinition {
            name,
            kind,
            labels,
            help,
        } = &self.definition;
        let help = help.trim().replace('\\', "\\\\").replace('\n', " ");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        for (values, cell) in self.cells.lock().iter() {
            let pairs = labels
                .iter()
                .copied()
                .zip(values.iter().map(String::as_str));
            let pairs: Vec<_> = pairs.collect();
            match (cell, kind) {
                (MetricValue::Histogram { buckets, sum }, MetricType::Histogram(bounds)) => {
                    let bounds = bounds.iter().map(ToString::to_string);
                    let mut count = 0;
                    for (bound, inside) in bounds.chain(["+Inf".to_owned()]).zip(buckets) {
                        count += inside;
                        let mut pairs = pairs.clone();
                        pairs.push(("le", &bound));
                        let _ = writeln!(out, "{name}_bucket{} {count}", braces(&pairs));
                    }
                    let braces = braces(&pairs);
                    let _ = writeln!(
                        out,
                        "{name}_sum{braces} {sum}\n{name}_count{braces} {count}"
                    );
                }
                (MetricValue::Number(number), _) => {
                    let _ = writeln!(out, "{name}{} {number}", braces(&pairs));
                }
                _ => {}
            }
        }
    }
}

fn braces(pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let pair = |(name, value): &(&str, &str)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    let pairs: Vec<_> = pairs.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
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
            "# HELP shoes_total Shoes.\n# TYPE shoes_total counter\n\
             shoes_total{colour=\"re\\\"d\\\\\\n\"} 2\n\
             # HELP walk_seconds Walks.\n# TYPE walk_seconds histogram\n\
             walk_seconds_bucket{le=\"0.5\"} 1\nwalk_seconds_bucket{le=\"2\"} 2\n\
             walk_seconds_bucket{le=\"+Inf\"} 3\nwalk_seconds_sum 8.1\nwalk_seconds_count 3\n\
             # HELP feet Feet.\n# TYPE feet gauge\nfeet 1.5\n"
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
        assert!(registry.render().ends_with("feet 2\n"));
        drop(both);
        assert!(registry.render().ends_with("feet 0\n"));
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
        assert!(text.contains(&format!("shoes_total{{colour=\"other\"}} {rest}\n")));
    }
}
