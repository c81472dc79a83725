//! The model of the required state: the acknowledged changes, the existing contents, and the
//! accounts that may see them.
//!
//! Under faults the outcome of a change may be unknown. So the model answers two questions: what
//! may be true at some moment of a time span (for results under faults), and what is settled (for
//! the checks in a calm, when all outcomes are known).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::contents::Contents;

/// Time since the start of the run.
pub type Moment = Duration;

/// A folder that a peer shares: the number of the peer, and the folder's name.
pub type Place = (usize, &'static str);

/// The name of a space; none means everyone.
pub type Space = Option<&'static str>;

/// A time span in which something may be true; without an end, it may still be true.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Moment,
    until: Option<Moment>,
}

/// The known facts about some contents.
#[derive(Debug, Default, Clone)]
struct ContentFacts {
    /// The folders that had them.
    places: BTreeSet<Place>,
    /// The spaces to which they were copied.
    copies: BTreeSet<Space>,
    /// The names of files that had them.
    names: BTreeSet<String>,
}

/// The space with which a folder is shared.
#[derive(Debug, Default, Clone)]
struct Sharing {
    /// The spaces that are possible since the last calm.
    possible: BTreeSet<Space>,
    /// The space that was acknowledged last; none if the folder is not shared.
    settled: Option<Space>,
    /// Whether the outcome of the last change is unknown.
    unknown: bool,
}

/// The model.
#[derive(Debug, Default)]
pub struct Model {
    accounts: BTreeSet<String>,
    members: BTreeMap<(&'static str, usize), Vec<Span>>,
    sharing: BTreeMap<Place, Sharing>,
    known: BTreeMap<String, ContentFacts>,
    files: BTreeMap<(Place, String), Contents>,
    uncertain: BTreeSet<(Place, String)>,
}

impl Model {
    /// Records that an account was created.
    pub fn account_made(&mut self, name: &str) {
        self.accounts.insert(name.to_owned());
    }

    /// Returns the acknowledged accounts.
    pub fn accounts(&self) -> &BTreeSet<String> {
        &self.accounts
    }

    /// Records that `account` may be a member of `space` from `at` on.
    pub fn may_be_member(&mut self, space: &'static str, account: usize, at: Moment) {
        let spans = self.members.entry((space, account)).or_default();
        if spans.last().is_none_or(|span| span.until.is_some()) {
            spans.push(Span {
                from: at,
                until: None,
            });
        }
    }

    /// Records that the directory acknowledged at `at` that `account` is not a member of `space`.
    pub fn member_removed(&mut self, space: &'static str, account: usize, at: Moment) {
        let spans = self.members.entry((space, account)).or_default();
        for span in spans.iter_mut().filter(|span| span.until.is_none()) {
            span.until = Some(at);
        }
    }

    /// Returns whether `account` may have been a member of `space` at some moment from `from` to
    /// `until`.
    pub fn was_member(
        &self,
        space: &'static str,
        account: usize,
        from: Moment,
        until: Moment,
    ) -> bool {
        let spans = self.members.get(&(space, account));
        spans.into_iter().flatten().any(|span| {
            let is_over = span.until.is_some_and(|end| end < from);
            span.from <= until && !is_over
        })
    }

    /// Returns whether `account` is a member of `space`, in a calm.
    pub fn is_member(&self, space: &'static str, account: usize) -> bool {
        let spans = self.members.get(&(space, account));
        spans.is_some_and(|spans| spans.last().is_some_and(|span| span.until.is_none()))
    }

    /// Returns the members of `space`, in a calm.
    pub fn members(&self, space: &'static str) -> BTreeSet<usize> {
        let all = self.members.keys().filter(|(of, _)| *of == space);
        all.map(|(_, account)| *account)
            .filter(|account| self.is_member(space, *account))
            .collect()
    }

    /// Records that a folder will be shared with `space`.
    pub fn sharing_begins(&mut self, place: Place, space: Space) {
        let sharing = self.sharing.entry(place).or_default();
        sharing.possible.insert(space);
        sharing.unknown = true;
    }

    /// Records an acknowledged change of a folder: the space with which it is shared, or none if it
    /// is not shared.
    pub fn sharing_settled(&mut self, place: Place, terms: Option<Space>) {
        let sharing = self.sharing.entry(place).or_default();
        sharing.possible.extend(terms);
        sharing.settled = terms;
        sharing.unknown = false;
    }

    /// Records that a change of a folder failed, so its outcome is unknown.
    pub fn sharing_unknown(&mut self, place: Place) {
        self.sharing.entry(place).or_default().unknown = true;
    }

    /// Returns the acknowledged space of a folder; none if it is not shared.
    pub fn terms(&self, place: Place) -> Option<Space> {
        self.sharing.get(&place).and_then(|sharing| sharing.settled)
    }

    /// Records that a file will have these contents.
    pub fn file_begins(&mut self, place: Place, name: &str, hash: &str) {
        let known = self.known.entry(hash.to_owned()).or_default();
        known.places.insert(place);
        known.names.insert(name.to_owned());
        self.uncertain.insert((place, name.to_owned()));
    }

    /// Records that a file has these contents, or was removed.
    pub fn file_settled(&mut self, place: Place, name: &str, contents: Option<Contents>) {
        let key = (place, name.to_owned());
        self.uncertain.remove(&key);
        match contents {
            Some(contents) => self.files.insert(key, contents),
            None => self.files.remove(&key),
        };
    }

    /// Returns the expected contents of a file; none if it should not exist, or if that is unknown.
    pub fn file(&self, place: Place, name: &str) -> Option<Contents> {
        let key = (place, name.to_owned());
        if self.uncertain.contains(&key) {
            None
        } else {
            self.files.get(&key).copied()
        }
    }

    /// Returns whether the contents of a file are unknown.
    pub fn is_uncertain(&self, place: Place, name: &str) -> bool {
        self.uncertain.contains(&(place, name.to_owned()))
    }

    /// Returns the files of a folder with their expected contents.
    pub fn files(&self, place: Place) -> BTreeMap<String, Contents> {
        let all = self.files.iter().filter(|((of, _), _)| *of == place);
        all.filter(|(key, _)| !self.uncertain.contains(*key))
            .map(|((_, name), contents)| (name.clone(), *contents))
            .collect()
    }

    /// Records that contents will be copied to a place that is visible to `spaces`.
    pub fn copied(&mut self, hash: &str, spaces: impl IntoIterator<Item = Space>) {
        let known = self.known.entry(hash.to_owned()).or_default();
        known.copies.extend(spaces);
    }

    /// Returns the spaces from which these contents may be copied.
    pub fn spaces_of(&self, hash: &str) -> BTreeSet<Space> {
        let Some(known) = self.known.get(hash) else {
            return BTreeSet::new();
        };
        let sharing = known.places.iter().filter_map(|at| self.sharing.get(at));
        let of_places = sharing.flat_map(|sharing| sharing.possible.iter());
        of_places.chain(&known.copies).copied().collect()
    }

    /// Returns whether this run ever created these contents.
    pub fn is_known(&self, hash: &str) -> bool {
        self.known.contains_key(hash)
    }

    /// Returns whether a file with this name ever had these contents.
    pub fn had_name(&self, hash: &str, name: &str) -> bool {
        let known = self.known.get(hash);
        known.is_some_and(|known| known.names.contains(name))
    }

    /// Returns whether `account` may see the contents at some moment from `from` to `until`.
    pub fn may_see(&self, account: usize, hash: &str, from: Moment, until: Moment) -> bool {
        let own = |place: &Place| place.0 == account;
        let Some(known) = self.known.get(hash) else {
            return false;
        };
        known.places.iter().any(own)
            || self.spaces_of(hash).into_iter().any(|space| match space {
                None => true,
                Some(space) => self.was_member(space, account, from, until),
            })
    }

    /// Returns whether `account` sees files that `owner` shares with the space `terms`, in a calm.
    pub fn sees(&self, account: usize, owner: usize, terms: Space) -> bool {
        match terms {
            None => true,
            Some(space) => self.is_member(space, account) && self.is_member(space, owner),
        }
    }

    /// Records a calm: from now on, only the settled spaces of the folders are possible.
    pub fn calm(&mut self) {
        for sharing in self.sharing.values_mut().filter(|one| !one.unknown) {
            sharing.possible = sharing.settled.into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    #[test]
    fn a_member_sees_from_the_first_attempt_to_the_acknowledged_end() {
        let mut model = Model::default();
        let place = (0, "lab");
        model.sharing_settled(place, Some(Some("s")));
        model.file_begins(place, "a", "hash");
        let see = |model: &Model, from, until| model.may_see(1, "hash", at(from), at(until));
        assert!(!see(&model, 0, 9));
        model.may_be_member("s", 1, at(10));
        assert!(!see(&model, 0, 9) && see(&model, 0, 10) && see(&model, 99, 99));
        model.member_removed("s", 1, at(20));
        assert!(see(&model, 20, 30) && !see(&model, 21, 30));
        assert!(!model.is_member("s", 1));
        // The owner sees it, independent of members; an unknown content is visible to no account.
        assert!(model.may_see(0, "hash", at(0), at(0)));
        assert!(!model.may_see(0, "other", at(0), at(0)));
    }

    #[test]
    fn earlier_policies_hold_until_the_next_calm() {
        let mut model = Model::default();
        let place = (0, "extra");
        model.sharing_settled(place, Some(None));
        model.file_begins(place, "a", "hash");
        model.sharing_settled(place, None);
        assert!(model.may_see(1, "hash", at(0), at(0)));
        model.calm();
        assert!(!model.may_see(1, "hash", at(0), at(0)));
        model.sharing_begins(place, None);
        model.calm();
        assert!(model.may_see(1, "hash", at(0), at(0)));
    }

    #[test]
    fn a_file_is_uncertain_between_its_begin_and_its_end() {
        let mut model = Model::default();
        let (place, contents) = (
            (0, "open"),
            Contents {
                seed: 1,
                len: 2,
                damage: 0,
            },
        );
        model.file_begins(place, "a", "hash");
        assert!(model.is_uncertain(place, "a") && model.files(place).is_empty());
        model.file_settled(place, "a", Some(contents));
        assert_eq!(model.file(place, "a"), Some(contents));
        model.file_settled(place, "a", None);
        assert_eq!(model.file(place, "a"), None);
        assert!(model.had_name("hash", "a") && !model.had_name("hash", "b"));
    }
}
