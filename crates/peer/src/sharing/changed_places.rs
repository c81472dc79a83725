//! Changed places in the shares, as the system reports them: which must be scanned, and which files
//! keep changing. Pure: time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file without events for this time is scanned: it is probably not being written.
const QUIET_TIME: Duration = Duration::from_millis(500);
/// The maximum number of changed places. With more, a full scan replaces them.
const PLACES_MAX: usize = 100_000;
/// A file keeps changing while at most this time passes between two events.
const STREAK_GAP: Duration = Duration::from_secs(5);
/// A file that changed for this time keeps changing.
pub(crate) const CHANGING_TIME: Duration = Duration::from_secs(60);

/// The scope of a scan.
#[derive(Debug, PartialEq, Eq)]
pub enum ScanScope {
    /// All shares.
    All,
    /// These files and folders, each folder with everything below it.
    Places(BTreeSet<PathBuf>),
}

/// Changed places.
#[derive(Debug, Default)]
pub struct ChangedPlaces {
    /// The time of the last event of each place that is not scanned yet.
    touched: HashMap<PathBuf, Instant>,
    /// Whether events were missed, so that a full scan is needed.
    everything: bool,
    /// The places that are being scanned.
    scanning: BTreeSet<PathBuf>,
    /// Series of events of a place.
    streaks: HashMap<PathBuf, Streak>,
}

/// A series of events with at most [`STREAK_GAP`] between two of them.
#[derive(Debug, Clone, Copy)]
struct Streak {
    first: Instant,
    last: Instant,
}

impl ChangedPlaces {
    /// Notes an event.
    pub fn note(&mut self, path: PathBuf, now: Instant) {
        if let Some(streak) = self.streaks.get_mut(&path) {
            if now.saturating_duration_since(streak.last) > STREAK_GAP {
                streak.first = now;
            }
            streak.last = now;
        } else if self.streaks.len() < PLACES_MAX {
            let (first, last) = (now, now);
            self.streaks.insert(path.clone(), Streak { first, last });
        }
        if self.everything {
            return;
        }
        if self.touched.len() >= PLACES_MAX && !self.touched.contains_key(&path) {
            self.mark_missed();
            return;
        }
        self.touched.insert(path, now);
    }

    /// Notes that events were missed.
    pub fn mark_missed(&mut self) {
        self.everything = true;
        self.touched.clear();
    }

    /// Returns when the next places can be scanned; `None` if there are none.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        if self.everything {
            return Some(now);
        }
        self.touched
            .values()
            .min()
            .map(|touched| *touched + QUIET_TIME)
    }

    /// Takes the places without recent events; everything if events were missed. The places count
    /// as unscanned until [`Self::end_scan`].
    pub fn take(&mut self, now: Instant) -> ScanScope {
        if std::mem::take(&mut self.everything) {
            return ScanScope::All;
        }
        let mut places = BTreeSet::new();
        self.touched.retain(|path, touched| {
            let quiet = now.saturating_duration_since(*touched) >= QUIET_TIME;
            if quiet {
                places.insert(path.clone());
            }
            !quiet
        });
        self.scanning.clone_from(&places);
        ScanScope::Places(places)
    }

    /// Notes that no scan is running.
    pub fn end_scan(&mut self) {
        self.scanning.clear();
    }

    /// Returns the places with events that no scan has handled yet.
    pub fn unscanned(&self) -> impl Iterator<Item = &Path> {
        let scanning = self.scanning.iter().map(PathBuf::as_path);
        self.touched.keys().map(PathBuf::as_path).chain(scanning)
    }

    /// Returns the places that have been changing for a minute or longer, and forgets those that
    /// stopped changing.
    pub fn changing(&mut self, now: Instant) -> Vec<PathBuf> {
        self.forget_ended_streaks(now);
        let long = |streak: &Streak| streak.last.duration_since(streak.first) >= CHANGING_TIME;
        let streaks = self.streaks.iter();
        streaks
            .filter(|(_, streak)| long(streak))
            .map(|(path, _)| path.clone())
            .collect()
    }

    fn forget_ended_streaks(&mut self, now: Instant) {
        self.streaks
            .retain(|_, streak| now.saturating_duration_since(streak.last) <= STREAK_GAP);
    }

    /// Returns whether any place was changing recently.
    pub fn has_streaks(&self) -> bool {
        !self.streaks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(scope: ScanScope) -> Vec<PathBuf> {
        match scope {
            ScanScope::Places(places) => places.into_iter().collect(),
            ScanScope::All => panic!("everything"),
        }
    }

    #[test]
    fn files_being_written_wait_for_quiet() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut changed = ChangedPlaces::default();
        assert_eq!(changed.due(start), None);
        changed.note("a".into(), at(0));
        for ms in (0..2_000).step_by(100) {
            changed.note("busy".into(), at(ms));
        }
        assert_eq!(changed.due(at(600)), Some(at(500)));
        assert_eq!(places(changed.take(at(1_950))), [PathBuf::from("a")]);
        assert_eq!(changed.due(at(1_950)), Some(at(2_400)));
        assert!(places(changed.take(at(2_399))).is_empty());
        assert_eq!(places(changed.take(at(2_400))), [PathBuf::from("busy")]);
        assert_eq!(changed.due(at(9_000)), None);
        assert_eq!(changed.unscanned().collect::<Vec<_>>(), [Path::new("busy")]);
        changed.end_scan();
        assert_eq!(changed.unscanned().count(), 0);
    }

    #[test]
    fn too_many_changes_cause_a_full_scan() {
        let now = Instant::now();
        let mut changed = ChangedPlaces::default();
        for number in 0..=PLACES_MAX {
            changed.note(number.to_string().into(), now);
        }
        assert_eq!(changed.due(now), Some(now));
        assert_eq!(changed.take(now), ScanScope::All);
        assert_eq!(changed.due(now), None);
    }

    #[test]
    fn a_file_keeps_changing_until_it_rests() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut changed = ChangedPlaces::default();
        for second in (0..=60).step_by(5) {
            assert!(changed.changing(at(second)).is_empty(), "{second}");
            changed.note("log".into(), at(second));
            if second % 20 == 0 {
                changed.note("notes".into(), at(second));
            }
        }
        assert_eq!(changed.changing(at(61)), [PathBuf::from("log")]);
        assert_eq!(changed.changing(at(65)), [PathBuf::from("log")]);
        assert!(changed.changing(at(66)).is_empty());
        assert!(!changed.has_streaks());
        changed.note("log".into(), at(67));
        assert!(changed.changing(at(70)).is_empty());
    }
}
