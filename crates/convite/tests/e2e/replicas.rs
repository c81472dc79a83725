//! Three directories on one PostgreSQL database act as one: if any of them is killed, acknowledged
//! changes remain and no client gets an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Registering};
use convite_core::model::FileEntry;
use convite_core::{ContentHash, PeerId, Problem, SearchQuery};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::harness::{Directory, Home, contents, wait_until};

/// The number of publishing peers, and the publications of each between two events.
const PUBLISHERS: u64 = 4;
const PUBLISHED: u64 = 15;
/// The maximum duration of a call while replicas are killed and the machine is busy with other tests:
/// half of a client's response timeout.
const CALL_MAX: Duration = Duration::from_secs(15);

/// The clients that use the directory while replicas are killed and restarted.
struct Clients {
    runtime: Runtime,
    client: DirectoryClient,
    stop: Arc<AtomicBool>,
    /// The acknowledged publications of each publisher.
    acknowledged: Vec<Arc<AtomicU64>>,
    searched: Arc<AtomicU64>,
    /// The longest duration of a call in milliseconds.
    longest: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Result<(), Problem>>>,
}

fn publisher(number: usize) -> PeerId {
    format!("publisher-{number}").parse().unwrap()
}

fn file(number: usize, generation: u64) -> FileEntry {
    let path = format!("of-{number}/paper{generation}.pdf");
    FileEntry {
        modified: 7,
        ..FileEntry::file(path.parse().unwrap(), 5, ContentHash::of(path.as_bytes()))
    }
}

impl Clients {
    fn begin(home: &Home) -> Self {
        let home = convite_client::Home::open(home.root()).unwrap();
        let credentials = Credentials::load(&home).unwrap().unwrap();
        assert_eq!(credentials.addresses.len(), 3, "not all replicas are known");
        let count = || Arc::new(AtomicU64::new(0));
        let mut load = Self {
            runtime: Runtime::new().unwrap(),
            client: DirectoryClient::new(&credentials).unwrap(),
            stop: Arc::default(),
            acknowledged: (0..PUBLISHERS).map(|_| count()).collect(),
            searched: count(),
            longest: count(),
            tasks: Vec::new(),
        };
        for number in 0..load.acknowledged.len() {
            // Each has its own client, with its own connection and state of the replicas.
            let client = DirectoryClient::new(&credentials).unwrap();
            let publishing = publish(client, number, load.acknowledged[number].clone());
            load.go_on(publishing);
        }
        let client = DirectoryClient::new(&credentials).unwrap();
        load.go_on(search(client, load.searched.clone()));
        load
    }

    /// Starts a thread that repeats a step until the end of the load.
    fn go_on<S, F>(&mut self, mut step: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), Problem>> + Send,
    {
        let (stop, longest) = (self.stop.clone(), self.longest.clone());
        self.tasks.push(self.runtime.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let asked = Instant::now();
                step().await?;
                longest.fetch_max(asked.elapsed().as_millis() as u64, Ordering::SeqCst);
            }
            Ok(())
        }));
    }

    /// Waits until all clients have made progress.
    fn goes_on(&self, what: &str) {
        let all = || {
            let counts = self.acknowledged.iter().chain([&self.searched]);
            counts.map(|count| count.load(Ordering::SeqCst))
        };
        let wanted: Vec<u64> = all().map(|count| count + PUBLISHED).collect();
        wait_until(what, || {
            let ended = self.tasks.iter().any(JoinHandle::is_finished);
            (ended || all().zip(&wanted).all(|(count, wanted)| count >= *wanted)).then_some(())
        });
    }

    /// Ends the load; fails the test if a call failed or took too long.
    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            self.runtime.block_on(task).unwrap().unwrap();
        }
        let longest = Duration::from_millis(self.longest.load(Ordering::SeqCst));
        println!("the longest wait was {longest:?}");
        assert!(longest < CALL_MAX, "{longest:?}");
    }

    /// Fails the test unless all acknowledged files are found.
    fn is_found(&self) {
        for (number, count) in self.acknowledged.iter().enumerate() {
            let (peer, count) = (publisher(number), count.load(Ordering::SeqCst));
            let (mut found, mut cursor) = (std::collections::HashSet::new(), None);
            loop {
                let page = self.client.list_index(Some(&peer), 1_000, cursor);
                let page = self.runtime.block_on(page).unwrap();
                found.extend(page.items.into_iter().map(|entry| entry.file.path));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            for generation in 1..=count {
                let path = file(number, generation).path;
                assert!(found.contains(&path), "{path} was acknowledged and is lost");
            }
        }
    }
}

/// Publishes one more file with each call.
fn publish(
    client: DirectoryClient,
    number: usize,
    acknowledged: Arc<AtomicU64>,
) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>> + Send {
    move || {
        let (client, acknowledged) = (client.clone(), acknowledged.clone());
        Box::pin(async move {
            let (peer, base) = (publisher(number), acknowledged.load(Ordering::SeqCst));
            if base == 0 {
                client.register_peer(&Registering::new(&peer, 5001)).await?;
            }
            let files = vec![file(number, base + 1)];
            client
                .publish_index_change(&peer, base, base + 1, files, Vec::new())
                .await?;
            acknowledged.store(base + 1, Ordering::SeqCst);
            Ok(())
        })
    }
}

fn search(
    client: DirectoryClient,
    searched: Arc<AtomicU64>,
) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>> + Send {
    move || {
        let (client, searched) = (client.clone(), searched.clone());
        Box::pin(async move {
            let words = "paper1";
            client.search(SearchQuery::for_words(words)).await?;
            searched.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
}

#[test]
fn killed_replicas_cause_no_failed_call() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    // No lease expires during the test, because the publishers send no heartbeats.
    let args = format!("--lease 30m --database {}", cluster.database());
    let [first, second, third] = [(), (), ()].map(|()| Directory::with(&args));
    // The replica that starts last knows all others, and its invite link names them.
    let [ana, ben] = ["ana", "ben"].map(|user| third.member(user));
    ana.write("docs/plan.bin", &contents(71, 300_000));
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    let mut load = Clients::begin(&ana);
    load.goes_on("the load is running");

    let (dead, link) = (first.port, third.invite.clone());
    first.process.signal(Signal::KILL);
    load.goes_on("two of three run");
    ben.run("search plan").ok();
    let first = first.restart();
    assert_eq!(first.port, dead);

    second.process.signal(Signal::KILL);
    load.goes_on("the killed replica runs again");
    ben.run("search plan").ok();

    // A stopped process accepts connections but does not answer.
    third.process.signal(Signal::STOP);
    load.goes_on("one of three runs");
    ben.run("search plan").ok();
    // Its invite link also names the other replicas, after itself.
    let cleo = Home::new();
    cleo.run(&format!("join {link} --user cleo")).ok();
    third.process.signal(Signal::CONT);
    let second = second.restart();

    first.process.signal(Signal::KILL);
    load.goes_on("all replicas were restarted");
    load.end();
    load.is_found();
    ben.run("get plan.bin").ok();
    assert!(std::fs::read(ben.path("plan.bin")).unwrap() == contents(71, 300_000));
    assert_eq!(cleo.peers().iter().filter(|id| *id == "peer_1").count(), 1);
    drop(second);
    peer.stop().ok();
}
