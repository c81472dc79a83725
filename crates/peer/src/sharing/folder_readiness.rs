//! Decides which folders are computed and published now. Pure: time is an argument.
//!
//! A folder is ready when nothing below it is unknown, and when the changes below it have settled.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use convite_core::SafePath;

use crate::sharing::catalogue::{ChangeTimes, with_ancestors};

/// Changes of a folder have settled when none follows for this time...
pub(crate) const SETTLE_TIME: Duration = Duration::from_millis(500);
/// ...and are published after this time at the latest, while others follow.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(5);
/// The time between two checks while something is unknown.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// When folders are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// When their changes have settled.
    Settled,
    /// At once: a scan has just found everything.
    Now,
}

/// The folders that are computed now, and when to look again.
#[derive(Debug)]
pub struct ReadyFolders<'a> {
    ready: HashSet<&'a str>,
    /// When more folders may be ready; `None` if nothing is waiting.
    pub next: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Changes {
    times: ChangeTimes,
    is_blocked: bool,
}

impl<'a> ReadyFolders<'a> {
    /// Decides from the folders with changed entries and the folders with unknown entries. Both
    /// concern all folders that contain them.
    pub fn new(
        changed: &'a HashMap<SafePath, ChangeTimes>,
        blocked: &HashSet<String>,
        now: Instant,
        urgency: Urgency,
    ) -> Self {
        let mut below: HashMap<&'a str, Changes> = HashMap::with_capacity(changed.len());
        for (path, times) in changed {
            for folder in with_ancestors(path.as_str()) {
                let change = Changes {
                    times: *times,
                    is_blocked: false,
                };
                let known = below.entry(folder).or_insert(change);
                known.times.merge(*times);
            }
        }
        for path in blocked {
            for folder in with_ancestors(path) {
                if let Some(known) = below.get_mut(folder) {
                    known.is_blocked = true;
                }
            }
        }
        let mut ready = HashSet::new();
        let mut next: Option<Instant> = None;
        for (folder, change) in below {
            let due = match (change.is_blocked, urgency) {
                (true, _) => now + CHECK_INTERVAL,
                (false, Urgency::Now) => now,
                (false, Urgency::Settled) => {
                    let ChangeTimes { first, last } = change.times;
                    (last + SETTLE_TIME).min(first + SETTLE_MAX)
                }
            };
            if due <= now {
                ready.insert(folder);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Self { ready, next }
    }

    /// Returns whether a folder is computed now: it is ready, or a folder that contains it is.
    pub fn contains(&self, folder: &str) -> bool {
        with_ancestors(folder).any(|path| self.ready.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        start: Instant,
        changed: HashMap<SafePath, ChangeTimes>,
        blocked: HashSet<String>,
    }

    impl World {
        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn change(&mut self, path: &str, first: u64, last: u64) {
            let (first, last) = (self.at(first), self.at(last));
            self.changed
                .insert(path.parse().unwrap(), ChangeTimes { first, last });
        }

        fn ready(&self, ms: u64, urgency: Urgency) -> Vec<&str> {
            let ready = ReadyFolders::new(&self.changed, &self.blocked, self.at(ms), urgency);
            let asked = ["s", "s/a", "s/a/x", "s/b", "s/b/y", "t"];
            asked
                .into_iter()
                .filter(|path| ready.contains(path))
                .collect()
        }
    }

    #[test]
    fn folders_are_ready_when_everything_below_has_settled() {
        let mut world = World {
            start: Instant::now(),
            changed: HashMap::new(),
            blocked: HashSet::new(),
        };
        world.change("s/a/x", 0, 0);
        world.change("s/b/y", 0, 400);
        assert!(world.ready(499, Urgency::Settled).is_empty());
        assert_eq!(world.ready(500, Urgency::Settled), ["s/a", "s/a/x"]);
        let all = ["s", "s/a", "s/a/x", "s/b", "s/b/y"];
        assert_eq!(world.ready(900, Urgency::Settled), all);
        assert_eq!(world.ready(0, Urgency::Now), all);

        // Files below `s/b` are being hashed.
        world.blocked.insert("s/b/other".to_owned());
        assert_eq!(world.ready(900, Urgency::Now), ["s/a", "s/a/x", "s/b/y"]);
        assert_eq!(
            world.ready(900, Urgency::Settled),
            ["s/a", "s/a/x", "s/b/y"]
        );

        // Constant changes do not delay forever.
        world.blocked.clear();
        world.change("s/b/y", 0, 4_999);
        assert_eq!(world.ready(4_999, Urgency::Settled), ["s/a", "s/a/x"]);
        assert_eq!(world.ready(5_000, Urgency::Settled), all);
    }

    #[test]
    fn the_next_check_is_when_something_may_be_ready() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let times = |first, last| ChangeTimes {
            first: at(first),
            last: at(last),
        };
        let changed = HashMap::from([("s/a".parse().unwrap(), times(0, 4_800))]);
        let next = |blocked: &[&str], now| {
            let blocked = blocked.iter().map(|path| (*path).to_owned()).collect();
            ReadyFolders::new(&changed, &blocked, at(now), Urgency::Settled).next
        };
        assert_eq!(next(&[], 4_900), Some(at(5_000)));
        assert_eq!(next(&["s/a"], 4_900), Some(at(5_400)));
        assert_eq!(next(&[], 5_000), None);
    }
}
