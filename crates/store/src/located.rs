//! Selection and ranking of the providers, sizes, names and paths that are shown for a content.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, EntryKind, PeerAddress, PeerId, UnixMillis};

use crate::error::DbResult;
use crate::{DOCUMENT_PATHS_MAX, SpaceKey};

/// Maximum number of names shown for a content.
const NAMES_MAX: usize = 10;
/// Maximum number of peers in a summary.
const PEERS_MAX: usize = 10;
/// Maximum number of paths per peer that are read for names.
const PATHS_OF_PEER_MAX: usize = 32;
/// Maximum number of paths of all peers that are read for names. Each peer has a share.
const PATHS_MAX: usize = 1024;
/// Maximum number of sizes returned for one hash. Each is backed by a different account.
const CLAIMS_MAX: usize = 256;
/// Time for which one draw decides between claims of equal rank, in milliseconds.
const DRAW: i64 = 60_000;

/// An online peer that shares a content.
pub(crate) struct Holder {
    pub(crate) key: i64,
    /// Account of the peer.
    pub(crate) account: i64,
    /// Visible spaces in which the peer shares the content.
    pub(crate) spaces: Vec<i64>,
    pub(crate) id: PeerId,
    /// Addresses in stored form.
    pub(crate) addresses: String,
}

impl Holder {
    pub(crate) fn addresses(&self) -> DbResult<Vec<PeerAddress>> {
        crate::stored::addresses(&self.addresses)
    }
}

/// A claim about a hash: its kind and size, and the number of files of a folder.
pub(crate) struct Claim {
    /// Number of the content.
    pub(crate) content: i64,
    pub(crate) kind: EntryKind,
    pub(crate) size: u64,
    /// Files below a folder; 0 for a file.
    pub(crate) files: u64,
    /// Online peers that claim this.
    pub(crate) holders: Vec<Holder>,
}

impl Claim {
    fn accounts(&self) -> usize {
        accounts(std::slice::from_ref(self))
    }
}

/// Returns the number of accounts behind some claims.
fn accounts(claims: &[Claim]) -> usize {
    let holders = claims.iter().flat_map(|claim| &claim.holders);
    let accounts: BTreeSet<i64> = holders.map(|holder| holder.account).collect();
    accounts.len()
}

/// Returns the claims of the kind that most accounts claim; of two equally common kinds, those of a
/// file.
///
/// No file has the hash of a folder, but anyone can claim any hash. A file and a folder with the same
/// hash are two contents here, of which at least one is a false claim. A caller that names the kind
/// is not misled by the number of false claims.
pub(crate) fn most_common_kind(claims: Vec<Claim>) -> Vec<Claim> {
    let of_kind = |kind| move |claim: &Claim| claim.kind == kind;
    let (files, folders): (Vec<_>, Vec<_>) = claims.into_iter().partition(of_kind(EntryKind::File));
    if accounts(&folders) > accounts(&files) {
        folders
    } else {
        files
    }
}

/// Returns the claims that count of those of one kind, best first: those of online peers, one per
/// account, ranked by the number of accounts. Of two equally ranked claims, the smaller size comes
/// first.
///
/// Only one size of a hash is true, and anyone can publish false ones. An account with many peers
/// and sizes has one vote. If more than [`CLAIMS_MAX`] remain, equally ranked claims take turns.
pub(crate) fn ranked(mut claims: Vec<Claim>, now: UnixMillis) -> Vec<Claim> {
    let rank = |claim: &Claim| (Reverse(claim.accounts()), claim.size, claim.files);
    claims.retain(|claim| !claim.holders.is_empty());
    claims.sort_by_cached_key(rank);
    let mut voted = BTreeMap::new();
    for claim in &mut claims {
        let vote = (claim.size, claim.files);
        claim
            .holders
            .retain(|holder| *voted.entry(holder.account).or_insert(vote) == vote);
    }
    claims.retain(|claim| !claim.holders.is_empty());
    if claims.len() > CLAIMS_MAX {
        let turn = now.0.div_euclid(DRAW);
        claims.sort_by_cached_key(|claim| {
            let draw = draw(turn, claim.content);
            (Reverse(claim.accounts()), draw)
        });
        claims.truncate(CLAIMS_MAX);
    }
    claims.sort_by_cached_key(rank);
    claims
}

/// Returns a pseudo-random number that depends only on the two arguments and that accounts cannot
/// choose.
fn draw(one: i64, other: i64) -> [u8; 32] {
    let bytes = [one.to_le_bytes(), other.to_le_bytes()].concat();
    *ContentHash::of(&bytes).as_bytes()
}

/// Reorders `items` so that every prefix contains as many accounts as possible: the first item of
/// each account, then the second of each, and so on. The order of the accounts depends on `of`, not
/// on their age.
pub(crate) fn by_turns<T>(items: Vec<T>, of: i64, account: impl Fn(&T) -> i64) -> Vec<T> {
    let mut counts = HashMap::<i64, (usize, [u8; 32])>::new();
    let mut placed: Vec<_> = items
        .into_iter()
        .map(|item| {
            let account = account(&item);
            let (count, draw) = counts
                .entry(account)
                .or_insert_with(|| (0, draw(of, account)));
            *count += 1;
            ((*count, *draw), item)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, item)| item).collect()
}

/// Returns the peers that a summary shows, by key.
pub(crate) fn shown(content: i64, holders: &[Holder]) -> Vec<&Holder> {
    if holders.len() <= PEERS_MAX {
        return holders.iter().collect();
    }
    let mut some = by_turns(holders.iter().collect(), content, |holder| holder.account);
    some.truncate(PEERS_MAX);
    some.sort_by_key(|holder| holder.key);
    some
}

/// Sample of the places where the names of a content are read.
pub(crate) struct Sample {
    /// Account, peer and space of each place.
    pub(crate) places: Vec<(i64, i64, i64)>,
    /// Maximum number of paths per place.
    pub(crate) paths: usize,
}

impl Sample {
    /// Selects up to [`PATHS_MAX`] places, fairly among the accounts, and a number of paths for
    /// each.
    pub(crate) fn of(content: i64, holders: &[Holder]) -> Self {
        let places = holders.iter().flat_map(|holder| {
            let place = |space: &i64| (holder.account, holder.key, *space);
            holder.spaces.iter().map(place)
        });
        let mut places = by_turns(places.collect(), content, |(account, ..)| *account);
        places.truncate(PATHS_MAX);
        let share = PATHS_MAX / places.len().max(1);
        Self {
            places,
            paths: share.clamp(1, PATHS_OF_PEER_MAX),
        }
    }
}

/// Returns the last part of a path.
pub(crate) fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Returns the folder part of a path; empty if there is none.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Statistics of one file name of a content.
#[derive(Default)]
struct Named {
    /// Accounts that share the content under this name.
    accounts: BTreeSet<i64>,
    /// Lowest position of this name among the names of any account.
    place: usize,
    /// Alphabetically first folder that contains it.
    folder: String,
}

/// File names of a content, with the accounts that use each.
#[derive(Default)]
pub(crate) struct Names {
    names: HashMap<String, Named>,
    /// Number of names of each account.
    of_account: HashMap<i64, usize>,
}

impl Names {
    /// Counts the name at the end of `path` for an account.
    pub(crate) fn count(&mut self, account: i64, path: &str) {
        let (name, folder) = (name_of(path), folder_of(path));
        let places = self.of_account.entry(account).or_default();
        match self.names.entry(name) {
            Entry::Vacant(place) => drop(place.insert(Named {
                accounts: BTreeSet::from([account]),
                place: *places,
                folder: folder.to_owned(),
            })),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if !known.accounts.insert(account) {
                    *places -= 1;
                } else {
                    known.place = known.place.min(*places);
                }
                if folder < known.folder.as_str() {
                    folder.clone_into(&mut known.folder);
                }
            }
        }
        *places += 1;
    }

    /// Adds the counts of `other`.
    pub(crate) fn add(&mut self, other: Self) {
        for (name, named) in other.names {
            match self.names.entry(name) {
                Entry::Vacant(place) => drop(place.insert(named)),
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.accounts.extend(named.accounts);
                    known.place = known.place.min(named.place);
                    if named.folder < known.folder {
                        known.folder = named.folder;
                    }
                }
            }
        }
    }

    /// Returns the names, most common first, equally common ones in alphabetical order.
    pub(crate) fn most_common(self) -> Vec<String> {
        self.with_folders().0
    }

    /// Returns the names like [`Self::most_common`], and the folder of each. If there are too many
    /// equally common names, the first names of each account are kept.
    pub(crate) fn with_folders(self) -> (Vec<String>, Vec<String>) {
        let mut names: Vec<_> = self.names.into_iter().collect();
        names.sort_by(|(a, one), (b, other)| {
            let by_count = other.accounts.len().cmp(&one.accounts.len());
            by_count
                .then(one.place.cmp(&other.place))
                .then_with(|| a.cmp(b))
        });
        names.truncate(NAMES_MAX);
        names.sort_by(|(a, one), (b, other)| {
            let by_count = other.accounts.len().cmp(&one.accounts.len());
            by_count.then_with(|| a.cmp(b))
        });
        names
            .into_iter()
            .map(|(name, named)| (name, named.folder))
            .unzip()
    }
}

/// Returns the searchable paths of a content in one space. `of_peers` has the account and the paths
/// of each peer. If there are too many, each account has a share, independent of its age and of the
/// number of its paths.
pub(crate) fn searchable(content: i64, of_peers: Vec<(i64, Vec<String>)>) -> Vec<String> {
    let all = of_peers.into_iter().flat_map(|(account, paths)| {
        let with_account = move |path| (account, path);
        paths.into_iter().map(with_account)
    });
    let mut seen = HashSet::new();
    let mut distinct: Vec<_> = all.filter(|(_, path)| seen.insert(path.clone())).collect();
    if distinct.len() > DOCUMENT_PATHS_MAX {
        distinct = by_turns(distinct, content, |(account, _)| *account);
        distinct.truncate(DOCUMENT_PATHS_MAX);
    }
    distinct.into_iter().map(|(_, path)| path).collect()
}

/// Returns the peers whose paths are read for [`searchable`], and the number of paths per peer.
pub(crate) fn searched(content: i64, peers: Vec<(i64, i64)>) -> (Vec<(i64, i64)>, usize) {
    let mut some = if peers.len() > DOCUMENT_PATHS_MAX {
        by_turns(peers, content, |(account, _)| *account)
    } else {
        peers
    };
    some.truncate(DOCUMENT_PATHS_MAX);
    let share = PATHS_MAX / some.len().max(1);
    (some, share.clamp(1, DOCUMENT_PATHS_MAX))
}

/// Returns the spaces in which peers share a content; empty if one of them shares it with everyone.
pub(crate) fn only_in<'a>(holders: impl IntoIterator<Item = &'a Vec<i64>>) -> BTreeSet<i64> {
    let spaces: BTreeSet<i64> = holders.into_iter().flatten().copied().collect();
    if spaces.contains(&SpaceKey::EVERYONE.0) {
        BTreeSet::new()
    } else {
        spaces
    }
}

/// A partial provider with the account of its peer.
pub(crate) type Partial = (i64, Provider);

/// Builds the location of a content of a kind from its claims (see [`ranked`]) and its partial
/// providers (by id).
pub(crate) fn located(
    hash: &ContentHash,
    kind: EntryKind,
    names: Names,
    claims: Vec<Claim>,
    mut partial: Vec<Partial>,
) -> DbResult<Option<LocatedFile>> {
    let first = claims.first();
    let (size, files) = first.map(|claim| (claim.size, claim.files)).unzip();
    // A peer that claims several sizes counts once, with the best-ranked size.
    let mut providers = BTreeMap::new();
    for Claim { size, holders, .. } in claims {
        for holder in holders {
            let addresses = holder.addresses()?;
            providers.entry(holder.id.clone()).or_insert(Provider {
                peer: holder.id,
                addresses,
                size,
                ticket: String::new(),
                partial: false,
            });
        }
    }
    // A peer that shares the file has all of it, so it is not a partial provider.
    partial.retain(|(_, provider)| !providers.contains_key(&provider.peer));
    let Some(size) = size.or_else(|| most_common_size(&partial)) else {
        return Ok(None);
    };
    let partial = partial.into_iter().map(|(_, provider)| provider);
    Ok(Some(LocatedFile {
        hash: *hash,
        kind,
        size,
        files: kind.files(files.unwrap_or(0)),
        names: names.most_common(),
        providers: providers.into_values().chain(partial).collect(),
    }))
}

/// Returns the size that most accounts claim; of two equally common sizes, the smaller.
fn most_common_size(providers: &[Partial]) -> Option<u64> {
    let mut accounts = BTreeMap::<u64, BTreeSet<i64>>::new();
    for (account, provider) in providers {
        accounts.entry(provider.size).or_default().insert(*account);
    }
    let most = accounts
        .into_iter()
        .rev()
        .max_by_key(|(_, accounts)| accounts.len());
    most.map(|(size, _)| size)
}

#[cfg(test)]
mod tests;
