//! Tests of the search from the user's point of view.
#![allow(clippy::unwrap_used)]

mod finding;
mod hostile;
mod keeping;
mod ordering;
mod seeing;

use std::collections::HashSet;

use convite_core::EntryKind;
use convite_core::sort::{Order, Sort};
use convite_search::{Document, Filter, Hits, Progress, Query, Search, SearchIndex};

const ANA: i64 = 1;
const BEA: i64 = 2;
const EVERYONE: i64 = 0;

fn document(key: i64, paths: &[&str]) -> Document {
    Document {
        key,
        kind: EntryKind::File,
        space: EVERYONE,
        size: key as u64 * 100,
        modified: key * 1000,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        peers: vec![ANA],
    }
}

/// Creates an index with one document for each list of paths, with keys from 1.
fn index(documents: &[&[&str]]) -> (SearchIndex, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    let documents = documents.iter().zip(1..).map(|(p, key)| document(key, p));
    put(&index, documents.collect());
    (index, folder)
}

/// Applies documents; those of one content must be adjacent.
fn put(index: &SearchIndex, documents: Vec<Document>) {
    let mut changes: Vec<(i64, Vec<Document>)> = Vec::new();
    for document in documents {
        match changes.last_mut() {
            Some((key, of_key)) if *key == document.key => of_key.push(document),
            _ => changes.push((document.key, vec![document])),
        }
    }
    index.apply(changes, Progress::At(1)).unwrap();
}

/// The parameters of a search, with defaults.
struct Asked<'a> {
    query: &'a str,
    /// If not empty, used instead of `query`.
    any: &'a [&'a str],
    filter: Filter,
    spaces: &'a [i64],
    online: HashSet<i64>,
    sort: Sort,
    order: Order,
    limit: u32,
}

impl<'a> Asked<'a> {
    fn new(query: &'a str) -> Self {
        Self {
            query,
            any: &[],
            filter: Filter::default(),
            spaces: &[EVERYONE],
            online: HashSet::from([ANA]),
            sort: Sort::Relevance,
            order: Order::Descending,
            limit: 100,
        }
    }

    fn page(&self, index: &SearchIndex, after: Option<convite_search::Place>) -> Hits {
        let query = match self.any {
            [] => Query::parse(self.query).unwrap(),
            any => Query::any(any.iter().copied()).unwrap(),
        };
        let search = Search {
            query: &query,
            filter: &self.filter,
            spaces: self.spaces,
            online: &self.online,
            sort: self.sort,
            order: self.order,
            after,
            limit: self.limit,
        };
        index.search(&search).unwrap()
    }

    /// Returns the keys of all pages and calls `between` after each.
    fn pages(&self, index: &SearchIndex, mut between: impl FnMut()) -> Vec<i64> {
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(index, after);
            assert!(page.hits.len() <= self.limit as usize);
            keys.extend(page.hits.iter().map(|hit| hit.key));
            after = page.next;
            if after.is_none() {
                return keys;
            }
            assert!(!page.hits.is_empty());
            between();
        }
    }

    fn found(&self, index: &SearchIndex) -> Vec<i64> {
        self.pages(index, || {})
    }
}

fn found_with(index: &SearchIndex, query: &str, filter: &Filter) -> Vec<i64> {
    let asked = Asked {
        filter: filter.clone(),
        ..Asked::new(query)
    };
    asked.found(index)
}

fn found(index: &SearchIndex, query: &str) -> Vec<i64> {
    Asked::new(query).found(index)
}
