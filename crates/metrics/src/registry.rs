//! The numbers of one directory or one peer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Definition, Kind};

/// The most sets of label values of one metric; what comes after them counts as one more, with
/// `other` for each value. Values come from closed lists: this is the wall behind that rule.
pub const LABEL_SETS_MAX: usize = 500;
const OTHER: &str = "other";

/// The metrics of some lists of the catalogue.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    definition: Definition,
    cells: Mutex<BTreeMap<Vec<String>, Cell>>,
}

#[derive(Debug)]
enum Cell {
    Number(f64),
    Histogram { buckets: Vec<u64>, sum: f64 },
}

impl Cell {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::Gauge => Self::Number(0.0),
            Kind::Histogram(bounds) => Self::Histogram {
                // The last is for what is above every bound.
                buckets: vec![0; bounds.len() + 1],
                sum: 0.0,
            },
        }
    }
}

impl Registry {
    /// Counts what is in `lists`. Metrics without labels are there from the start.
    pub fn new(lists: &[&[Definition]]) -> Arc<Self> {
        let family = |definition: &Definition| {
            let mut cells = BTreeMap::new();
            if definition.labels.is_empty() {
                cells.insert(Vec::new(), Cell::new(definition.kind));
            }
            Family {
                definition: Definition { ..*definition },
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

    /// Adds to a counter or a gauge. `values` are those of its labels, in the catalogue's order.
    pub fn add(&self, metric: &Definition, values: &[&str], amount: f64) {
        self.change(metric, values, |cell, _| {
            if let Cell::Number(number) = cell {
                *number += amount;
            }
        });
    }

    /// Sets a number that is counted elsewhere, or measured when it is asked for.
    pub fn set(&self, metric: &Definition, values: &[&str], now: f64) {
        self.change(metric, values, |cell, _| {
            if let Cell::Number(number) = cell {
                *number = now;
            }
        });
    }

    /// Takes a measurement into a histogram.
    pub fn measure(&self, metric: &Definition, values: &[&str], measured: f64) {
        self.change(metric, values, |cell, kind| {
            if let (Cell::Histogram { buckets, sum }, Kind::Histogram(bounds)) = (cell, kind) {
                buckets[bounds.partition_point(|bound| *bound < measured)] += 1;
                *sum += measured;
            }
        });
    }

    /// Counts one more in a gauge for as long as the result lives.
    pub fn in_flight(
        self: &Arc<Self>,
        metric: &'static Definition,
        value: Option<&'static str>,
    ) -> InFlight {
        self.add(metric, value.as_slice(), 1.0);
        InFlight {
            registry: self.clone(),
            metric,
            value,
        }
    }

    fn change(&self, metric: &Definition, values: &[&str], change: impl FnOnce(&mut Cell, Kind)) {
        let family = self
            .families
            .iter()
            .find(|f| f.definition.name == metric.name);
        let Some(family) = family else {
            debug_assert!(false, "{} is not counted here", metric.name);
            return;
        };
        debug_assert_eq!(values.len(), metric.labels.len(), "{}", metric.name);
        let mut key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut cells = lock(&family.cells);
        if cells.len() >= LABEL_SETS_MAX && !cells.contains_key(&key) {
            key.fill(OTHER.to_owned());
        }
        let kind = family.definition.kind;
        change(cells.entry(key).or_insert_with(|| Cell::new(kind)), kind);
    }

    /// All of it in Prometheus' text format, in the order of the catalogue.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for family in &self.families {
            family.render(&mut out);
        }
        out
    }
}

impl Family {
    /// Writing to a string cannot fail.
    fn render(&self, out: &mut String) {
        let Definition {
            name,
            kind,
            labels,
            help,
        } = &self.definition;
        let help = help.trim().replace('\\', "\\\\").replace('\n', " ");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        for (values, cell) in lock(&self.cells).iter() {
            let pairs = labels
                .iter()
                .copied()
                .zip(values.iter().map(String::as_str));
            let pairs: Vec<_> = pairs.collect();
            match (cell, kind) {
                (Cell::Histogram { buckets, sum }, Kind::Histogram(bounds)) => {
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
                (Cell::Number(number), _) => {
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

/// One more in a gauge, until it is dropped.
#[derive(Debug)]
pub struct InFlight {
    registry: Arc<Registry>,
    metric: &'static Definition,
    value: Option<&'static str>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.registry.add(self.metric, self.value.as_slice(), -1.0);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOES: Definition = Definition {
        name: "shoes_total",
        kind: Kind::Counter,
        labels: &["colour"],
        help: " Shoes.",
    };
    const WALK: Definition = Definition {
        name: "walk_seconds",
        kind: Kind::Histogram(&[0.5, 2.0]),
        labels: &[],
        help: " Walks.",
    };
    const FEET: Definition = Definition {
        name: "feet",
        kind: Kind::Gauge,
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
            registry.measure(&WALK, &[], walk);
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
        static FEET_NOW: Definition = FEET;
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
