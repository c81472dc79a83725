//! What is shown of a content, put together from what the database has of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, PeerAddress, PeerId};

use crate::SpaceKey;

/// Names shown of a content.
const NAMES_MAX: usize = 10;
/// Peers shown in a summary.
pub(crate) const PEERS_MAX: usize = 10;
/// Paths of one peer that are looked at for names,
pub(crate) const PATHS_OF_PEER_MAX: u32 = 32;
/// and of all peers together.
pub(crate) const PATHS_MAX: usize = 1024;

/// Sizes of one hash that are looked at, of those that the viewer may see,
pub(crate) const CLAIMS_MAX: u32 = 64;
/// and in all. The first known ones are, so that later lies hide no honest size.
pub(crate) const CLAIMS_LOOKED_AT_MAX: u32 = 1024;

/// The last part of a path.
pub(crate) fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The folder above the last part of a path; empty if there is none.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// File names, counted, and for each the first folder that it lies in, by alphabet.
#[derive(Default)]
pub(crate) struct Names {
    counts: HashMap<String, (u64, String)>,
    looked_at: usize,
}

impl Names {
    /// Whether no more paths need to be looked at.
    pub(crate) fn are_enough(&self) -> bool {
        self.looked_at >= PATHS_MAX
    }

    /// Counts the last part of a path.
    pub(crate) fn count(&mut self, path: &str) {
        self.see(name_of(path), 1, folder_of(path));
        self.looked_at += 1;
    }

    /// Counts what another has counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        for (name, (count, folder)) in other.counts {
            self.see(name, count, &folder);
        }
    }

    fn see(&mut self, name: String, times: u64, folder: &str) {
        match self.counts.entry(name) {
            Entry::Vacant(place) => drop(place.insert((times, folder.to_owned()))),
            Entry::Occupied(mut known) => {
                let (count, first) = known.get_mut();
                *count += times;
                if folder < first.as_str() {
                    folder.clone_into(first);
                }
            }
        }
    }

    /// The most common first; of equally common ones in alphabetical order.
    pub(crate) fn most_common(self) -> Vec<String> {
        self.with_folders().0
    }

    /// The same, and for each the folder that it lies in.
    pub(crate) fn with_folders(self) -> (Vec<String>, Vec<String>) {
        let mut names: Vec<_> = self.counts.into_iter().collect();
        names.sort_by(|(a, (a_count, _)), (b, (b_count, _))| {
            b_count.cmp(a_count).then_with(|| a.cmp(b))
        });
        names.truncate(NAMES_MAX);
        let folders = |(name, (_, folder))| (name, folder);
        names.into_iter().map(folders).unzip()
    }
}

/// The spaces in which the holders of a content share it; none if one shares it with everyone.
pub(crate) fn only_in<'a>(holders: impl IntoIterator<Item = &'a Vec<i64>>) -> BTreeSet<i64> {
    let spaces: BTreeSet<i64> = holders.into_iter().flatten().copied().collect();
    match spaces.contains(&SpaceKey::EVERYONE.0) {
        true => BTreeSet::new(),
        false => spaces,
    }
}

/// A peer online that shares a content as a file.
pub(crate) struct Sharer {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<PeerAddress>,
}

/// Who holds the content of a hash, from those online who share it with each size that is claimed
/// (holders by key) and its partial providers (by id).
pub(crate) fn located(
    hash: &ContentHash,
    names: Names,
    mut claimed: Vec<(u64, Vec<Sharer>)>,
    mut partial: Vec<Provider>,
) -> Option<LocatedFile> {
    // Most providers first; of two that tie the smaller size wins.
    claimed.sort_by_key(|(size, holders)| (std::cmp::Reverse(holders.len()), *size));
    let most_claimed = claimed.first().filter(|(_, holders)| !holders.is_empty());
    let size = most_claimed.map(|(size, _)| *size);
    // A peer that claims several sizes counts once, with the most believed of them.
    let mut providers = BTreeMap::new();
    for (size, holders) in claimed {
        for Sharer { peer, addresses } in holders {
            providers.entry(peer.clone()).or_insert(Provider {
                peer,
                addresses,
                size,
                ticket: String::new(),
                partial: false,
            });
        }
    }
    // What shares the content as a file has all of it.
    partial.retain(|provider| !providers.contains_key(&provider.peer));
    let size = size.or_else(|| most_common_size(&partial))?;
    Some(LocatedFile {
        hash: *hash,
        size,
        names: names.most_common(),
        providers: providers.into_values().chain(partial).collect(),
    })
}

/// The size that most claim; of two that tie the smaller.
fn most_common_size(providers: &[Provider]) -> Option<u64> {
    let mut counts = BTreeMap::<u64, usize>::new();
    for provider in providers {
        *counts.entry(provider.size).or_default() += 1;
    }
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map(|(size, _)| size)
}
