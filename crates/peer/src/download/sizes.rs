//! The sizes that providers claim of a file, and in which order they are tried.
//!
//! Only one can be true, which its last piece proves. A false one must neither keep the others from
//! being tried, whatever comes of it, nor be waited for where another may be true.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, Problem};
use convite_swarm::{Limits, Outcome};

/// How long nobody may be there for one size while another is to be tried.
const BRIEFLY: Duration = Duration::from_secs(5);

/// The sizes that are still to be tried.
pub(super) struct Sizes {
    next: VecDeque<Attempt>,
    /// Whether there were several at first.
    several: bool,
    /// What came of those that were tried, with how much there is to be said for each.
    failed: Vec<(Standing, Problem)>,
}

/// A size that is to be tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) size: u64,
    /// How many providers claim it.
    claims: usize,
    is_brief: bool,
}

/// What there is to be said for a size, more for the lesser: how many claim it, and that it was
/// not found wrong.
type Standing = (Reverse<usize>, bool);

/// The sizes that providers claim, the one that most claim first.
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

impl Sizes {
    pub(super) fn of(file: &LocatedFile) -> Self {
        let sizes = claimed_sizes(file);
        let several = sizes.len() > 1;
        let attempt = |size| Attempt {
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

    pub(super) fn next(&mut self) -> Option<Attempt> {
        self.next.pop_front()
    }

    /// With what patience, and whether the size has to be proved.
    pub(super) fn limits(&self, attempt: Attempt) -> Limits {
        let mut limits = Limits {
            prove_size: self.several,
            ..Limits::default()
        };
        if attempt.is_brief {
            limits.patience = BRIEFLY;
            limits.patience_with_others = BRIEFLY;
            limits.say = BRIEFLY;
        }
        limits
    }

    /// A download did not come to its end.
    pub(super) fn failed(&mut self, attempt: Attempt, outcome: Outcome, is_proven: bool) {
        let is_wrong = outcome == Outcome::NoneHonest;
        if is_proven {
            self.next.clear();
            self.failed.clear();
        }
        if attempt.is_brief && !is_wrong && !self.next.iter().any(|next| !next.is_brief) {
            // The first of those that may be right is waited for, when all have been tried.
            self.next.push_back(Attempt {
                is_brief: false,
                ..attempt
            });
            return;
        }
        let problem = if is_wrong {
            Problem::new(
                ErrorCode::CorruptContents,
                "every provider sent bytes that are not the file",
            )
            .hint("ask those who share it to check their disks; nothing wrong was kept")
        } else {
            Problem::new(
                ErrorCode::Unavailable,
                "no provider of the file can be reached",
            )
            .hint("what was fetched is kept: run the same command again when one is back")
        };
        self.failed
            .push(((Reverse(attempt.claims), is_wrong), problem));
    }

    /// A file of that size cannot be kept here.
    pub(super) fn refused(&mut self, attempt: Attempt, problem: Problem) {
        self.failed
            .push(((Reverse(attempt.claims), false), problem));
    }

    /// What to say when nothing is left to be tried: what came of the size for which most is to
    /// be said.
    pub(super) fn problem(self) -> Problem {
        let best = self
            .failed
            .into_iter()
            .min_by_key(|(standing, _)| *standing);
        best.map_or_else(
            || Problem::not_found("nobody online has the file"),
            |(_, problem)| problem,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;
    use convite_core::model::Provider;

    /// A file of which providers claim these sizes.
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
            size: sizes[0],
            names: Vec::new(),
            providers: sizes.iter().map(provider).collect(),
        }
    }

    fn no_space() -> Problem {
        Problem::new(ErrorCode::NoSpace, "no room")
    }

    #[test]
    fn what_most_claim_is_tried_first_and_told_of_at_the_end() {
        let mut sizes = Sizes::of(&file(&[1 << 50, 7, 7]));
        let true_one = sizes.next().unwrap();
        assert_eq!(true_one.size, 7);
        sizes.refused(true_one, no_space());
        let false_one = sizes.next().unwrap();
        sizes.failed(false_one, Outcome::NoneHonest, false);
        assert!(sizes.next().is_none());
        assert_eq!(sizes.problem().code, ErrorCode::NoSpace);

        let mut sizes = Sizes::of(&file(&[1 << 50, 7, 7]));
        let true_one = sizes.next().unwrap();
        sizes.failed(true_one, Outcome::NoneHonest, false);
        let false_one = sizes.next().unwrap();
        sizes.refused(false_one, no_space());
        assert_eq!(sizes.problem().code, ErrorCode::CorruptContents);
    }

    #[test]
    fn one_that_was_found_wrong_hides_no_other_that_as_many_claim() {
        let mut sizes = Sizes::of(&file(&[1, 7]));
        let false_one = sizes.next().unwrap();
        sizes.failed(false_one, Outcome::NoneHonest, false);
        let true_one = sizes.next().unwrap();
        sizes.refused(true_one, no_space());
        assert_eq!(sizes.problem().code, ErrorCode::NoSpace);
    }

    #[test]
    fn nobody_is_waited_for_long_until_all_were_tried() {
        let patience = Limits::default().patience;
        let mut sizes = Sizes::of(&file(&[1, 2, 3]));
        let mut tried = Vec::new();
        while let Some(attempt) = sizes.next() {
            let limits = sizes.limits(attempt);
            assert!(limits.prove_size);
            tried.push((attempt.size, limits.patience == patience));
            sizes.failed(attempt, Outcome::NoProviders, false);
        }
        assert_eq!(tried, [(1, false), (2, false), (3, false), (1, true)]);
        assert_eq!(sizes.problem().code, ErrorCode::Unavailable);

        let mut only = Sizes::of(&file(&[1]));
        let attempt = only.next().unwrap();
        let limits = only.limits(attempt);
        assert!(!limits.prove_size && limits.patience == patience);
    }

    #[test]
    fn after_a_size_is_proved_no_other_is_tried() {
        let mut sizes = Sizes::of(&file(&[1, 2]));
        let attempt = sizes.next().unwrap();
        sizes.failed(attempt, Outcome::NoProviders, true);
        let again = sizes.next().unwrap();
        assert_eq!((again.size, again.is_brief), (1, false));
        sizes.failed(again, Outcome::NoProviders, true);
        assert!(sizes.next().is_none());
        assert_eq!(sizes.problem().code, ErrorCode::Unavailable);
    }
}
