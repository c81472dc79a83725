//! A content, its providers, and a directory that names them.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, EntryKind, PieceGeometry, Problem};
use convite_provider::{
    ContentReader, FileContent, LookupFuture, ProviderLookup, ReadError, ReaderConfig,
};
use convite_swarm::DownloadLimits;
use tonic::Status;

use crate::fake_provider::{Behaviour, Peer, contents};

/// The size of the window in the tests.
pub const WINDOW: u64 = 2 << 20;
/// The time limit of a test on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A content with providers.
pub struct World {
    pub bytes: Bytes,
    /// The size that the providers claim.
    pub size: u64,
    pub peers: Vec<Arc<Peer>>,
    pub limits: DownloadLimits,
    directory: Arc<Directory>,
}

/// The directory: what it answers, and the tickets that are valid.
#[derive(Default)]
struct Directory {
    /// The number of the current tickets.
    issue: AtomicUsize,
    /// The number of the first ticket that providers accept.
    valid_from: AtomicUsize,
    queries: AtomicUsize,
    refusal: Mutex<Option<Problem>>,
}

impl Directory {
    fn check(&self, ticket: &str) -> Result<String, Status> {
        let issue: usize = ticket.parse().unwrap();
        if issue < self.valid_from.load(Ordering::SeqCst) {
            return Err(Status::permission_denied("the ticket has expired"));
        }
        Ok("ana".to_owned())
    }
}

impl World {
    /// Creates a content of `size` bytes with a provider for each behaviour.
    pub async fn new(size: usize, manners: &[Behaviour]) -> Self {
        let bytes = contents(size);
        let directory = Arc::<Directory>::default();
        let mut peers = Vec::new();
        for (number, manner) in manners.iter().enumerate() {
            let tickets = directory.clone();
            let check = Box::new(move |ticket: &str, _: &ContentHash| tickets.check(ticket));
            peers.push(Peer::start(&format!("p-{number}"), &bytes, *manner, check).await);
        }
        Self {
            size: bytes.len() as u64,
            bytes,
            peers,
            limits: DownloadLimits {
                give_up_after: Duration::from_secs(2),
                give_up_after_busy: Duration::from_secs(2),
                stall_timeout: Duration::from_secs(1),
                ..DownloadLimits::default()
            },
            directory,
        }
    }

    fn located(&self) -> LocatedFile {
        let ticket = self.directory.issue.load(Ordering::SeqCst).to_string();
        let provider = |peer: &Arc<Peer>| Provider {
            peer: peer.id.clone(),
            addresses: vec![format!("127.0.0.1:{}", peer.port).parse().unwrap()],
            size: self.size,
            ticket: ticket.clone(),
            partial: false,
        };
        LocatedFile {
            hash: ContentHash::of(&self.bytes),
            kind: EntryKind::File,
            files: None,
            size: self.size,
            names: Vec::new(),
            providers: self.peers.iter().map(provider).collect(),
        }
    }

    /// Starts a reader.
    pub fn reader(&self, range: Range<u64>) -> ContentReader {
        let geometry = PieceGeometry::new(self.size).unwrap();
        let located = self.located();
        let config = ReaderConfig {
            content: Arc::new(FileContent::new(located.hash, geometry, None)),
            layout: geometry.into(),
            window: WINDOW,
            limits: self.limits.clone(),
            lookup: self.lookup(located.clone()),
            located,
            tls: None,
        };
        ContentReader::start(config, range).unwrap()
    }

    fn lookup(&self, mut located: LocatedFile) -> ProviderLookup {
        let directory = self.directory.clone();
        for provider in &mut located.providers {
            provider.ticket.clear();
        }
        Arc::new(move || -> LookupFuture {
            let (directory, mut located) = (directory.clone(), located.clone());
            Box::pin(async move {
                directory.queries.fetch_add(1, Ordering::SeqCst);
                if let Some(problem) = directory.refusal.lock().unwrap().clone() {
                    return Err(problem);
                }
                for provider in &mut located.providers {
                    provider.ticket = directory.issue.load(Ordering::SeqCst).to_string();
                }
                Ok(located)
            })
        })
    }

    /// Makes further queries fail with this problem.
    pub fn refuse(&self, problem: Option<Problem>) {
        *self.directory.refusal.lock().unwrap() = problem;
    }

    /// Issues new tickets from the next query on. Returns their number.
    pub fn issue_tickets(&self) -> usize {
        self.directory.issue.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Makes providers refuse tickets before this number.
    pub fn expire_tickets_before(&self, issue: usize) {
        self.directory.valid_from.store(issue, Ordering::SeqCst);
    }

    /// Returns the number of queries so far.
    pub fn queries(&self) -> usize {
        self.directory.queries.load(Ordering::SeqCst)
    }

    /// Reads to the end of the reader's range.
    pub async fn read(&self, reader: &mut ContentReader) -> (Vec<u8>, Option<ReadError>) {
        let mut all = Vec::new();
        loop {
            match tokio::time::timeout(DEADLINE, reader.next()).await.unwrap() {
                Ok(Some(bytes)) => all.extend_from_slice(&bytes),
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error)),
            }
        }
    }
}

/// Polls a condition until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polling = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, polling).await;
    assert!(ended.is_ok(), "timeout: {what}");
}
