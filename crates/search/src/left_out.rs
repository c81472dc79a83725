//! Documents that are left out of others.
//!
//! Where a query leaves some documents out, tantivy 0.27 asks these for a place that may lie behind
//! the one where they stand (`Exclude::new` calls `seek_danger`), which a phrase takes for an error
//! in builds with assertions. Here it is asked only for what lies ahead.

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader};

/// What matches another query, for leaving it out.
#[derive(Debug)]
pub(crate) struct LeftOut(pub(crate) Box<dyn Query>);

impl Clone for LeftOut {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Query for LeftOut {
    fn weight(&self, enable_scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(LeftOutWeight(self.0.weight(enable_scoring)?)))
    }
}

struct LeftOutWeight(Box<dyn Weight>);

impl Weight for LeftOutWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(LeftOutScorer(self.0.scorer(reader, boost)?)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, doc)
    }
}

struct LeftOutScorer(Box<dyn Scorer>);

impl DocSet for LeftOutScorer {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    // `seek_danger` as the trait has it: it seeks only ahead.

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for LeftOutScorer {
    fn score(&mut self) -> Score {
        self.0.score()
    }
}
