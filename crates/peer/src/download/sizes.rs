//! The sizes of a file claimed by providers, and the order in which they are tried.
//!
//! Only one size can be correct, which its last piece proves. A false size must neither prevent the
//! others from being tried nor delay them.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, PeerId, Problem};
use convite_provider::no_provider_left;
use convite_swarm::{DownloadLimits, DownloadOutcome};

/// The timeout without providers for one size while other sizes remain to be tried.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(5);

/// The sizes that remain to be tried.
pub(super) struct SizeAttempts {
    next: VecDeque<SizeAttempt>,
    /// Whether there were several sizes at the start.
    several: bool,
    /// The errors of failed attempts, each with its rank.
    failed: Vec<(SizeRank, Problem)>,
}

/// An attempt with one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeAttempt {
    pub(super) size: u64,
    /// The number of providers that claim it.
    claims: usize,
    is_brief: bool,
}

/// A failed attempt.
pub(super) struct FailedAttempt {
    pub(super) outcome: DownloadOutcome,
    /// Whether its last piece is verified, which proves its size.
    pub(super) is_proven: bool,
    /// The last error of each lost provider.
    pub(super) reasons: Vec<(PeerId, Problem)>,
}

/// The rank of a size, best first: by the number of providers that claim it, then whether it was
/// not found wrong.
type SizeRank = (Reverse<usize>, bool);

/// Returns the sizes that providers claim, the one with most claims first.
pub(super) fn claimed_sizes(file: &LocatedFile) -> Vec<u64> {
    let mut sizes = vec![file.size];
    for provider in &file.providers {
        if !sizes.contains(&provider.size) {
            sizes.push(provider.size);
        }
    }
    sizes.sort_by_key(|size| Reverse(claims(file, *size)));
    sizes
}

fn claims(file: &LocatedFile, size: u64) -> usize {
    file.providers.iter().filter(|p| p.size == size).count()
}

impl SizeAttempts {
    pub(super) fn of(file: &LocatedFile) -> Self {
        let sizes = claimed_sizes(file);
        let several = sizes.len() > 1;
        let attempt = |size| SizeAttempt {
            size,
            claims: claims(file, size),
            is_brief: several,
        };
        Self {
            next: sizes.into_iter().map(attempt).collect(),
            several,
            failed: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Option<SizeAttempt> {
        self.next.pop_front()
    }

    /// Returns the timeouts of an attempt, and whether its size must be proven.
    pub(super) fn limits(&self, attempt: SizeAttempt) -> DownloadLimits {
        let mut limits = DownloadLimits {
            prove_size: self.several,
            ..DownloadLimits::default()
        };
        if attempt.is_brief {
            limits.give_up_after = BRIEF_TIMEOUT;
            limits.give_up_after_busy = BRIEF_TIMEOUT;
            limits.report_timeout = BRIEF_TIMEOUT;
        }
        limits
    }

    /// Records a failed attempt, with the last errors of its providers.
    pub(super) fn failed(&mut self, attempt: SizeAttempt, failed: FailedAttempt) {
        let is_wrong = failed.outcome == DownloadOutcome::AllDishonest;
        if failed.is_proven {
            self.next.clear();
            self.failed.clear();
        }
        if attempt.is_brief && !is_wrong && !self.next.iter().any(|next| !next.is_brief) {
            // After all sizes were tried, wait for the first one that may be correct.
            self.next.push_back(SizeAttempt {
                is_brief: false,
                ..attempt
            });
            return;
        }
        if is_wrong {
            self.record_wrong(attempt);
        } else {
            let problem = no_provider_left(&failed.reasons);
            self.record(attempt, false, problem);
        }
    }

    /// Records that a file of this size has another hash, or that the sources sent another one.
    pub(super) fn record_wrong(&mut self, attempt: SizeAttempt) {
        let problem = Problem::new(ErrorCode::CorruptContents, "all sources sent wrong data").hint(
            "the error was reported to them; search again in a minute; no wrong data was kept",
        );
        self.record(attempt, true, problem);
    }

    /// Records that a file of this size cannot be stored.
    pub(super) fn record_no_space(&mut self, attempt: SizeAttempt, problem: Problem) {
        self.record(attempt, false, problem);
    }

    fn record(&mut self, attempt: SizeAttempt, is_wrong: bool, problem: Problem) {
        self.failed
            .push(((Reverse(attempt.claims), is_wrong), problem));
    }

    /// Returns the error of the best-ranked size, when no size remains to be tried.
    pub(super) fn problem(self) -> Problem {
        let best = self
            .failed
            .into_iter()
            .min_by_key(|(standing, _)| *standing);
        best.map_or_else(
            || Problem::not_found("no online peer has the file"),
            |(_, problem)| problem,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::model::Provider;
    use convite_core::{ContentHash, EntryKind};

    /// Creates a file with providers that claim these sizes.
    fn file(sizes: &[u64]) -> LocatedFile {
        let provider = |size: &u64| Provider {
            peer: "peer".parse().unwrap(),
            addresses: Vec::new(),
            size: *size,
            ticket: String::new(),
            partial: false,
        };
        LocatedFile {
            hash: ContentHash::of(b"x"),
            kind: EntryKind::File,
            files: None,
            size: sizes[0],
            names: Vec::new(),
            providers: sizes.iter().map(provider).collect(),
        }
    }

    fn ended(outcome: DownloadOutcome, is_proven: bool) -> FailedAttempt {
        FailedAttempt {
            outcome,
            is_proven,
            reasons: Vec::new(),
        }
    }

    fn no_space() -> Problem {
        Problem::new(ErrorCode::NoSpace, "no space")
    }

    #[test]
    fn most_claimed_size_is_tried_first_and_reported() {
        let mut sizes = SizeAttempts::of(&file(&[1 << 50, 7, 7]));
        let true_one = sizes.next().unwrap();
        assert_eq!(true_one.size, 7);
        sizes.record_no_space(true_one, no_space());
        let false_one = sizes.next().unwrap();
        sizes.failed(false_one, ended(DownloadOutcome::AllDishonest, false));
        assert!(sizes.next().is_none());
        assert_eq!(sizes.problem().code, ErrorCode::NoSpace);

        let mut sizes = SizeAttempts::of(&file(&[1 << 50, 7, 7]));
        let true_one = sizes.next().unwrap();
        sizes.failed(true_one, ended(DownloadOutcome::AllDishonest, false));
        let false_one = sizes.next().unwrap();
        sizes.record_no_space(false_one, no_space());
        assert_eq!(sizes.problem().code, ErrorCode::CorruptContents);
    }

    #[test]
    fn wrong_size_does_not_hide_another_size() {
        let mut sizes = SizeAttempts::of(&file(&[1, 7]));
        let false_one = sizes.next().unwrap();
        sizes.failed(false_one, ended(DownloadOutcome::AllDishonest, false));
        let true_one = sizes.next().unwrap();
        sizes.record_no_space(true_one, no_space());
        assert_eq!(sizes.problem().code, ErrorCode::NoSpace);
    }

    #[test]
    fn first_round_uses_brief_timeouts() {
        let give_up_after = DownloadLimits::default().give_up_after;
        let mut sizes = SizeAttempts::of(&file(&[1, 2, 3]));
        let mut tried = Vec::new();
        while let Some(attempt) = sizes.next() {
            let limits = sizes.limits(attempt);
            assert!(limits.prove_size);
            tried.push((attempt.size, limits.give_up_after == give_up_after));
            sizes.failed(attempt, ended(DownloadOutcome::NoProviders, false));
        }
        assert_eq!(tried, [(1, false), (2, false), (3, false), (1, true)]);
        assert_eq!(sizes.problem().code, ErrorCode::Unavailable);

        let mut only = SizeAttempts::of(&file(&[1]));
        let attempt = only.next().unwrap();
        let limits = only.limits(attempt);
        assert!(!limits.prove_size && limits.give_up_after == give_up_after);
    }

    #[test]
    fn proven_size_ends_the_search() {
        let mut sizes = SizeAttempts::of(&file(&[1, 2]));
        let attempt = sizes.next().unwrap();
        sizes.failed(attempt, ended(DownloadOutcome::NoProviders, true));
        let again = sizes.next().unwrap();
        assert_eq!((again.size, again.is_brief), (1, false));
        sizes.failed(again, ended(DownloadOutcome::NoProviders, true));
        assert!(sizes.next().is_none());
        assert_eq!(sizes.problem().code, ErrorCode::Unavailable);
    }
}
