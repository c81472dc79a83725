//! An in-memory directory that fails on demand.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use convite_client::{Lease, Published, Registered, Registering};
use convite_core::model::FileEntry;
use convite_core::{EntryKind, ErrorCode, PeerId, Problem, SafePath, SpaceName, UserName};
use convite_net::clock::DirectoryClock;
use convite_peer::announce::directory::Directory;
use convite_wire::ticket::TicketSigner;
use tokio::sync::mpsc;

#[derive(Default)]
pub(super) struct Held {
    pub(super) files: BTreeMap<String, FileEntry>,
    pub(super) folders: BTreeMap<String, FileEntry>,
    pub(super) generation: u64,
    pub(super) away: bool,
    pub(super) refusal: Option<ErrorCode>,
    /// Spaces that the account is not a member of.
    pub(super) closed: Vec<SpaceName>,
    /// Every file that was ever published, with its space.
    pub(super) ever: Vec<(String, Option<SpaceName>)>,
    pub(super) listed: bool,
    pub(super) registered: u32,
    pub(super) changes: u32,
    pub(super) wholes: u32,
    pub(super) beats: u32,
    /// Whether the last registration was transient.
    pub(super) transient: bool,
    /// For each registration, whether it was marked as the first of its process.
    pub(super) starts: Vec<bool>,
    /// The peer's address as the directory sees it.
    pub(super) observed: String,
    /// Issues certificates, if set.
    pub(super) authority: Option<Authority>,
    pub(super) certificate_life: Duration,
}

impl Held {
    pub(super) fn admit(&mut self, files: &[FileEntry]) -> Result<(), Problem> {
        let closed =
            |file: &&FileEntry| file.space.as_ref().is_some_and(|s| self.closed.contains(s));
        if files.iter().any(|file| closed(&file)) {
            return Err(Problem::new(ErrorCode::PermissionDenied, "not yours").hint("ask"));
        }
        let put = files
            .iter()
            .map(|file| (file.path.to_string(), file.space.clone()));
        self.ever.extend(put);
        Ok(())
    }

    pub(super) fn insert(&mut self, entries: impl IntoIterator<Item = FileEntry>) {
        for entry in entries {
            let rows = match entry.kind {
                EntryKind::File => &mut self.files,
                EntryKind::Folder => &mut self.folders,
            };
            rows.insert(entry.path.to_string(), entry);
        }
    }
}

pub(super) struct Authority {
    pub(super) issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(super) der: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = rcgen::Issuer::new(params, key);
        Self { issuer, der }
    }

    pub(super) fn sign(&self, request: &[u8]) -> Vec<u8> {
        let request = rcgen::CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        request.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) held: Mutex<Held>,
    pub(super) clock: DirectoryClock,
    pub(super) happened: tokio::sync::Notify,
}

impl Memory {
    pub(super) fn held(&self) -> Result<std::sync::MutexGuard<'_, Held>, Problem> {
        let held = self.held.lock().unwrap();
        if held.away {
            return Err(Problem::new(
                ErrorCode::Unavailable,
                "the directory cannot be reached",
            ));
        }
        Ok(held)
    }

    pub(super) fn set<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap())
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.set(|held| held.files.keys().cloned().collect())
    }

    /// Waits until `condition` holds; checks it after each call of the directory.
    pub(super) async fn until(&self, condition: impl Fn(&Held) -> bool) {
        let waiting = async {
            while !self.set(|held| condition(held)) {
                self.happened.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), waiting)
            .await
            .expect("the condition did not hold in time");
    }
}

#[async_trait]
impl Directory for Memory {
    async fn register_peer(&self, peer: &Registering<'_>) -> Result<Registered, Problem> {
        let mut held = self.held()?;
        if let Some(code) = held.refusal {
            return Err(Problem::new(code, "refused"));
        }
        held.listed = true;
        held.registered += 1;
        held.transient = peer.transient;
        held.starts.push(peer.is_starting);
        self.happened.notify_one();
        Ok(Registered {
            lease: Duration::from_millis(600),
            generation: held.generation,
            certificate: held
                .authority
                .as_ref()
                .map(|authority| authority.sign(peer.signing_request.unwrap())),
            authority: held
                .authority
                .as_ref()
                .map(|authority| authority.der.clone()),
            certificate_expires: self.clock.now().after(held.certificate_life),
            ticket_key: TicketSigner::generate().unwrap().public_key().to_vec(),
            addresses: peer.addresses.to_vec(),
        })
    }

    async fn heartbeat(
        &self,
        _id: &PeerId,
        _run: Option<[u8; 16]>,
        _activity: &convite_core::activity::Activity,
    ) -> Result<Lease, Problem> {
        let mut held = self.held()?;
        held.beats += 1;
        self.happened.notify_one();
        if !held.listed {
            return Err(Problem::not_found("no such peer"));
        }
        Ok(Lease {
            lease: Duration::from_millis(600),
            generation: held.generation,
            observed: held.observed.clone(),
        })
    }

    async fn leave(&self, _id: &PeerId) -> Result<(), Problem> {
        self.held()?.listed = false;
        Ok(())
    }

    async fn publish_change(
        &self,
        _peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem> {
        let mut held = self.held()?;
        if base != held.generation {
            return Err(Problem::new(ErrorCode::GenerationMismatch, "another"));
        }
        held.admit(&upsert)?;
        for path in &remove {
            held.files.remove(path.as_str());
            held.folders.remove(path.as_str());
        }
        let published = Published {
            generation,
            upserted: upsert.len() as u64,
            removed: remove.len() as u64,
        };
        held.insert(upsert);
        held.generation = generation;
        held.changes += 1;
        self.happened.notify_one();
        Ok(published)
    }

    async fn publish_index(
        &self,
        _peer: &PeerId,
        generation: u64,
        mut batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem> {
        drop(self.held()?);
        let mut entries: Vec<FileEntry> = Vec::new();
        while let Some(batch) = batches.recv().await {
            self.held()?.admit(&batch)?;
            entries.extend(batch);
        }
        assert!(
            entries.is_sorted_by(|a, b| a.path < b.path),
            "the index is not in path order"
        );
        let mut held = self.held()?;
        held.files.clear();
        held.folders.clear();
        held.insert(entries);
        held.generation = generation;
        held.wholes += 1;
        self.happened.notify_one();
        Ok(Published {
            generation,
            upserted: 0,
            removed: 0,
        })
    }

    fn clock(&self) -> DirectoryClock {
        self.clock.clone()
    }

    fn is_plaintext(&self) -> bool {
        self.set(|held| held.authority.is_none())
    }

    fn user(&self) -> Option<UserName> {
        Some("ana".parse().unwrap())
    }
}
