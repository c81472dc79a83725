//! Three directories on one PostgreSQL are one directory: whichever is killed, what was acknowledged
//! is there, and nobody who uses them sees an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Query};
use convite_core::model::FileEntry;
use convite_core::{ContentHash, PeerId, Problem, Terms};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::harness::{Directory, Home, contents, until};

/// Peers that publish at once, and how often each has to between two events.
const PUBLISHERS: u64 = 4;
const PUBLISHED: u64 = 15;
/// No call takes longer, though replicas are killed and the machine is busy with other tests.
const ANSWERED: Duration = Duration::from_secs(5);

/// Those who use the directory while its replicas come and go.
struct Load {
    runtime: Runtime,
    client: DirectoryClient,
    stop: Arc<AtomicBool>,
    /// How often each publisher was acknowledged.
    acknowledged: Vec<Arc<AtomicU64>>,
    searched: Arc<AtomicU64>,
    /// The longest that anybody waited, in milliseconds.
    longest: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Result<(), Problem>>>,
}

fn publisher(number: usize) -> PeerId {
    format!("publisher-{number}").parse().unwrap()
}

fn file(number: usize, generation: u64) -> FileEntry {
    let path = format!("of-{number}/paper{generation}.pdf");
    FileEntry {
        hash: ContentHash::of(path.as_bytes()),
        path: path.parse().unwrap(),
        size: 5,
        modified: 7,
        space: None,
    }
}

impl Load {
    fn begin(home: &Home) -> Self {
        let home = convite_client::Home::open(home.root()).unwrap();
        let credentials = Credentials::load(&home).unwrap().unwrap();
        assert_eq!(credentials.addresses.len(), 3, "the directory told of all");
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
            // Each is a program of its own: with a connection, and with its own idea of who is up.
            let client = DirectoryClient::new(&credentials).unwrap();
            let publishing = publish(client, number, load.acknowledged[number].clone());
            load.go_on(publishing);
        }
        let client = DirectoryClient::new(&credentials).unwrap();
        load.go_on(search(client, load.searched.clone()));
        load
    }

    /// Repeats a step until the load is to end.
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

    /// Waits until everybody got so much further.
    fn goes_on(&self, what: &str) {
        let all = || {
            let counts = self.acknowledged.iter().chain([&self.searched]);
            counts.map(|count| count.load(Ordering::SeqCst))
        };
        let wanted: Vec<u64> = all().map(|count| count + PUBLISHED).collect();
        until(what, || {
            let ended = self.tasks.iter().any(JoinHandle::is_finished);
            (ended || all().zip(&wanted).all(|(count, wanted)| count >= *wanted)).then_some(())
        });
    }

    /// Ends it; fails the test if any call failed, or took too long.
    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            self.runtime.block_on(task).unwrap().unwrap();
        }
        let longest = Duration::from_millis(self.longest.load(Ordering::SeqCst));
        println!("the longest wait was {longest:?}");
        assert!(longest < ANSWERED, "{longest:?}");
    }

    /// Fails the test unless all that was acknowledged is there.
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

/// Publishes one file more each time.
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
                client
                    .register_peer(&peer, 5001, &[], None, false, &Terms::default())
                    .await?;
            }
            let files = vec![file(number, base + 1)];
            client
                .publish_change(&peer, base, base + 1, files, Vec::new())
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
            let words = "paper1".to_owned();
            let query = Query {
                words,
                ..Query::default()
            };
            client.search(query).await?;
            searched.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
}

#[test]
fn replicas_are_killed_under_load_and_nobody_notices() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let args = format!("--database {}", cluster.database());
    let [first, second, third] = [(), (), ()].map(|()| Directory::with(&args));
    // The last to start knows of all, and its link says so.
    let [ana, ben] = ["ana", "ben"].map(|user| third.member(user));
    ana.write("docs/plan.bin", &contents(71, 300_000));
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    let mut load = Load::begin(&ana);
    load.goes_on("the load is under way");

    let (dead, link) = (first.port, third.invite.clone());
    first.process.signal(Signal::KILL);
    load.goes_on("two of three go on");
    ben.run("search plan").ok();
    let first = first.again();
    assert_eq!(first.port, dead);

    second.process.signal(Signal::KILL);
    load.goes_on("the one that was killed is of use again");
    ben.run("search plan").ok();

    // Neither dead nor alive: it lets in, and says nothing.
    third.process.signal(Signal::STOP);
    load.goes_on("one of three goes on");
    ben.run("search plan").ok();
    // Its link leads to the others, though it leads to itself first.
    let cleo = Home::new();
    cleo.run(&format!("join {link} --user cleo")).ok();
    third.process.signal(Signal::CONT);
    let second = second.again();

    first.process.signal(Signal::KILL);
    load.goes_on("all were gone once");
    load.end();
    load.is_found();
    ben.run("get plan.bin").ok();
    assert!(std::fs::read(ben.path("plan.bin")).unwrap() == contents(71, 300_000));
    assert_eq!(cleo.peers().iter().filter(|id| *id == "peer_1").count(), 1);
    drop(second);
    peer.stop().ok();
}
