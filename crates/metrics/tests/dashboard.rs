//! Checks that the dashboard uses only existing metrics and labels.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use convite_metrics::catalogue::{DIRECTORY, PEER, PROCESS};
use convite_metrics::{MetricDefinition, MetricType};
use serde_json::Value;

/// Labels added by the scraper and by the buckets of a histogram.
const ADDED: [&str; 3] = ["job", "instance", "le"];

fn dashboard() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/grafana/convite.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the queries with their legends.
fn queries(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match value {
        Value::Object(fields) => {
            for name in ["expr", "query"] {
                if let Some(query) = fields.get(name).and_then(Value::as_str) {
                    let legend = fields.get("legendFormat").and_then(Value::as_str);
                    found.push((query.to_owned(), legend.unwrap_or_default().to_owned()));
                }
            }
            found.extend(fields.values().flat_map(queries));
        }
        Value::Array(items) => found.extend(items.iter().flat_map(queries)),
        _ => {}
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn defined(name: &str) -> Option<&'static MetricDefinition> {
    [DIRECTORY, PEER, PROCESS]
        .into_iter()
        .flatten()
        .find(|metric| match metric.kind {
            MetricType::Histogram(_) => name.strip_suffix("_bucket") == Some(metric.name),
            _ => name == metric.name,
        })
}

#[test]
fn every_query_is_about_metrics_and_labels_that_exist() {
    let mut asked = BTreeSet::new();
    for (query, legend) in queries(&dashboard()) {
        let is_metric = |word: &&str| word.starts_with("convite_") || word.starts_with("process_");
        let metrics: Vec<_> = words(&query)
            .filter(is_metric)
            .map(|name| defined(name).unwrap_or_else(|| panic!("no {name} in: {query}")))
            .collect();
        asked.extend(metrics.iter().map(|metric| metric.name));
        let labels: BTreeSet<_> = metrics.iter().flat_map(|metric| metric.labels).collect();
        let by = query
            .split(" by (")
            .skip(1)
            .flat_map(|rest| rest.split(')').next());
        let shown = legend
            .split("{{")
            .skip(1)
            .flat_map(|rest| rest.split("}}").next());
        for label in by.flat_map(|list| list.split(", ")).chain(shown) {
            assert!(
                labels.contains(&label) || ADDED.contains(&label),
                "no label {label}: {query}"
            );
        }
        assert_eq!(
            query.matches('(').count(),
            query.matches(')').count(),
            "{query}"
        );
    }
    // The dashboard must show most of the metrics.
    assert!(asked.len() > 30, "{asked:?}");
}
