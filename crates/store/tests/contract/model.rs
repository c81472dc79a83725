//! A few hundred random operations, compared with maps after every few of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convite_core::model::FileEntry;
use convite_core::{EntryKind, UnixMillis};
use convite_store::{AccountId, ContentDocument, ContentKey, FullSync, IndexChange, Store};

use crate::world::*;

/// SplitMix64 (Steele et al. 2014): sufficient to choose operations, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Few paths and fewer contents, so that they collide.
    fn file(&mut self, lie: u64) -> FileEntry {
        let mut file = file(&self.path(), &"x".repeat(self.below(6) as usize));
        // A peer claims only one kind and size per hash.
        if (file.size + lie / 100).is_multiple_of(4) {
            file.kind = EntryKind::Folder;
            file.files = file.size;
        }
        file.executable = self.below(4) == 0;
        file.modified = self.below(2) as i64;
        if file.size.is_multiple_of(3) {
            file.size += lie;
        }
        file
    }

    fn path(&mut self) -> String {
        format!("s{}/f{}", self.below(2), self.below(12))
    }

    fn files(&mut self, lie: u64) -> Vec<FileEntry> {
        (0..self.below(6)).map(|_| self.file(lie)).collect()
    }
}

struct Peer {
    id: String,
    account: AccountId,
    generation: u64,
    /// Amount by which the peer exaggerates the size of some files.
    lie: u64,
    lease: i64,
    departed: bool,
    /// A file with the attempt that last contained it.
    files: BTreeMap<String, (FileEntry, i64)>,
    sync: Option<FullSync>,
}

impl Peer {
    fn attempt(&self) -> i64 {
        self.sync.map_or(0, |sync| sync.attempt)
    }

    fn upsert(&mut self, files: Vec<FileEntry>) {
        let attempt = self.attempt();
        for file in files {
            self.files.insert(file.path.to_string(), (file, attempt));
        }
    }

    async fn step(&mut self, store: &Arc<dyn Store>, random: &mut Random, now: &mut i64) {
        let id = peer(&self.id);
        match random.below(10) {
            0..=3 => {
                let change = IndexChange {
                    upsert: random.files(self.lie),
                    remove: (0..random.below(4))
                        .map(|_| random.path().parse().unwrap())
                        .collect(),
                };
                publish(
                    store,
                    &self.id,
                    self.account,
                    self.generation,
                    change.clone(),
                )
                .await;
                self.generation += 1;
                for path in &change.remove {
                    self.files.remove(path.as_str());
                }
                self.upsert(change.upsert);
            }
            4 => self.sync = Some(store.begin_full(&id, self.account, NOW).await.unwrap()),
            5 | 6 => {
                if let Some(sync) = self.sync {
                    let files = random.files(self.lie);
                    store.add_full(sync, files.clone(), NOW).await.unwrap();
                    self.upsert(files);
                }
            }
            7 => {
                if let Some(sync) = self.sync {
                    self.generation += 1;
                    store.finish_full(sync, self.generation, NOW).await.unwrap();
                    self.files
                        .retain(|_, (_, attempt)| *attempt == sync.attempt);
                }
            }
            8 => {
                *now += random.below(20_000) as i64;
                let held = register(store, &self.id, self.account, at(*now)).await;
                assert_eq!(held, self.generation);
                (self.lease, self.departed) = (*now + LEASE, false);
            }
            _ => {
                store.leave(&id, self.account, at(*now)).await.unwrap();
                self.departed = true;
            }
        }
    }
}

async fn compare(store: &Arc<dyn Store>, peers: &[Peer], now: UnixMillis) {
    let online = |peer: &Peer| !peer.departed && NOW.0 + peer.lease > now.0;
    let shown = whole_index(store, 7, now).await;
    let shown: Vec<_> = shown
        .into_iter()
        .map(|e| (e.peer.to_string(), e.file))
        .collect();
    let mut expected = Vec::new();
    let mut contents: BTreeMap<_, (BTreeSet<String>, BTreeSet<&str>)> = BTreeMap::new();
    for peer in peers {
        for (file, _) in peer.files.values() {
            let content = contents
                .entry((file.hash, file.kind, file.size))
                .or_default();
            content.0.insert(file.path.to_string());
            content.1.insert(&peer.id);
            if online(peer) {
                expected.push((peer.id.clone(), file.clone()));
            }
        }
    }
    assert_eq!(shown, expected);
    for listed in store.peers(&anyone(), 100, None, now).await.unwrap().items {
        let peer = peers
            .iter()
            .find(|p| p.id == listed.summary.id.as_str())
            .unwrap();
        let files = peer.files.values().filter(|(file, _)| file.kind.is_file());
        assert_eq!(listed.summary.files, files.count() as u64);
    }

    let documents = store.contents(ContentKey(0), 10_000).await.unwrap();
    assert_eq!(documents.len(), contents.len());
    for document in &documents {
        let (paths, holders) = &contents[&(document.hash, document.kind, document.size)];
        assert_eq!(
            &document.paths.iter().cloned().collect::<BTreeSet<_>>(),
            paths
        );
        assert_eq!(document.peers.len(), holders.len());
    }
    for ((hash, kind, _), _) in contents {
        let is_it = |file: &FileEntry| (file.hash, file.kind) == (hash, kind);
        let holds = |peer: &&Peer| peer.files.values().any(|(file, _)| is_it(file));
        let holders = peers.iter().filter(|p| online(p)).filter(holds);
        let expected: Vec<_> = holders.map(|p| p.id.clone()).collect();
        let located = store
            .locate(&anyone(), &hash, Some(kind), now)
            .await
            .unwrap();
        let providers = located.map_or(Vec::new(), |located| located.providers);
        let seen: Vec<_> = providers.iter().map(|p| p.peer.to_string()).collect();
        assert_eq!(seen, expected);
    }
}

/// Removes modification times, because a changed time alone is not logged.
fn timeless(mut documents: Vec<ContentDocument>) -> Vec<ContentDocument> {
    documents
        .iter_mut()
        .for_each(|document| document.modified = 0);
    documents
}

/// Follows the log like the search index.
async fn follow(
    store: &Arc<dyn Store>,
    position: &mut i64,
    followed: &mut BTreeMap<ContentKey, Vec<ContentDocument>>,
) {
    let changes = store.changes(*position, 10_000).await.unwrap();
    assert!(!changes.lost);
    *position = changes.position;
    for (key, documents) in changes.contents {
        followed.insert(key, timeless(documents));
    }
    let walked = timeless(store.contents(ContentKey(0), 10_000).await.unwrap());
    assert!(
        followed.values().flatten().eq(&walked),
        "{followed:?} {walked:?}"
    );
}

pub async fn the_index_agrees_with_a_plain_map(store: Arc<dyn Store>) {
    let (mut position, mut followed) = (0, BTreeMap::new());
    let mut now = 0;
    let mut peers = Vec::new();
    // All seeds use one store: each starts with the state that the previous one left.
    for seed in 0..4 {
        let mut random = Random(seed);
        let id = format!("p{seed}");
        let account = account(&store, &id).await;
        register(&store, &id, account, at(now)).await;
        peers.push(Peer {
            id,
            account,
            generation: 0,
            lie: (seed % 2) * 100,
            lease: now + LEASE,
            departed: false,
            files: BTreeMap::new(),
            sync: None,
        });
        for step in 0..150 {
            let chosen = random.below(peers.len() as u64) as usize;
            peers[chosen].step(&store, &mut random, &mut now).await;
            if step % 5 == 0 {
                compare(&store, &peers, at(now)).await;
                follow(&store, &mut position, &mut followed).await;
            }
        }
    }
}
