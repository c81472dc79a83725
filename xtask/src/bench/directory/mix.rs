//! The fixed mix of searches, locates, heartbeats, logins and changes. It is an open loop: each
//! kind of call has its own rate, independent of the directory's answers, and the time of a call
//! counts from the moment when it was due. So a slow answer delays no other call, and no delay is
//! hidden ("coordinated omission"). Calls arrive like those of independent users: as a Poisson
//! process, the same in every run.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient};
use convite_core::activity::Activity;
use convite_core::{PeerId, Problem, SearchQuery};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::names::{self, COMMON, RARE};
use crate::bench::report::quantile;
use crate::bench::system::PASSWORD;

/// The number of searches per second.
pub const SEARCHES: u32 = 100;
const LOCATES: u32 = 200;
const HEARTBEATS: u32 = 50;
const LOGINS: u32 = 1;
/// The number of publishes per second, of [`CHANGED`] files each: 1,000 changed files per second.
const PUBLISHES: u32 = 10;
const CHANGED: usize = 100;

/// The searches of the mix, used in turn.
pub const QUERIES: [(&str, &str); 6] = [
    ("search, rare word", RARE),
    ("search, common word", COMMON),
    ("search, prefix", "zepp"),
    ("search, short prefix", "zep"),
    ("search, two words", "report final"),
    ("search, one typo", "zeppelni"),
];

/// A caller of the directory.
#[derive(Clone)]
pub struct Caller {
    /// The client with a session.
    pub client: DirectoryClient,
    /// The credentials for further logins.
    pub credentials: Credentials,
    /// The peer of the session.
    pub peer: PeerId,
}

/// The durations of the calls of one kind, each from the moment when it was due.
#[derive(Default)]
struct Times {
    took: Vec<f64>,
    failed: usize,
    failure: Option<String>,
}

type Shared = Arc<Mutex<Times>>;

/// Returns the query for a search.
pub fn query(words: &str) -> SearchQuery {
    SearchQuery {
        limit: Some(20),
        ..SearchQuery::for_words(words)
    }
}

/// Runs the mix for `seconds`. Returns one row for each kind of call.
pub async fn run(callers: &[Caller], files: usize, seconds: u64) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut running = Vec::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    for (turn, (name, words)) in QUERIES.iter().enumerate() {
        let per_second = f64::from(SEARCHES) / QUERIES.len() as f64;
        let client = callers[turn % callers.len()].client.clone();
        let call = move |_| {
            let (client, words) = (client.clone(), *words);
            async move { client.search(query(words)).await.map(|_| ()) }
        };
        running.push(start(name, per_second, end, &mut rows, call));
    }
    let peers = callers.len();
    let all = callers.to_vec();
    let call = move |number: usize| {
        let client = all[number % all.len()].client.clone();
        let entry = names::entry(number * 7_919 % files, files, peers);
        async move {
            match entry {
                Some(entry) => client.locate(&entry.hash, None).await.map(|_| ()),
                None => Ok(()),
            }
        }
    };
    running.push(start("locate", f64::from(LOCATES), end, &mut rows, call));
    let all = callers.to_vec();
    let call = move |number: usize| {
        let caller = all[number % all.len()].clone();
        async move {
            caller
                .client
                .heartbeat(&caller.peer, None, &Activity::default())
                .await
                .map(|_| ())
        }
    };
    running.push(start(
        "heartbeat",
        f64::from(HEARTBEATS),
        end,
        &mut rows,
        call,
    ));
    let all = callers.to_vec();
    let call = move |number: usize| {
        let caller = all[number % all.len()].clone();
        async move { login(&caller).await }
    };
    running.push(start("login", f64::from(LOGINS), end, &mut rows, call));
    running.push(publish(callers, files, end, &mut rows));
    for task in running {
        // Calls of a failed task are missing in the results.
        let _ = task.await;
    }
    rows.into_iter()
        .map(|(name, times)| row(&name, &times))
        .collect()
}

type Rows = Vec<(String, Shared)>;

/// Makes `per_second` calls until `end`, without waiting for earlier ones.
fn start<C, F>(
    name: &str,
    per_second: f64,
    end: Instant,
    rows: &mut Rows,
    call: C,
) -> tokio::task::JoinHandle<()>
where
    C: Fn(usize) -> F + Send + 'static,
    F: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let times = Shared::default();
    rows.push((name.to_owned(), times.clone()));
    let mut arrivals = Arrivals::new(name, per_second);
    // A separate thread: the runtime's timers are late by a millisecond or two, which would count
    // as delay of the directory.
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0.. {
            let due = arrivals.next();
            if due >= end {
                break;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (call, times) = (call(number), times.clone());
            calls.spawn_on(async move { note(&times, due, call.await) }, &runtime);
        }
        runtime.block_on(async { while calls.join_next().await.is_some() {} });
    })
}

/// The times at which calls of one kind are due: a Poisson process, with exponentially distributed
/// pauses.
struct Arrivals {
    due: Instant,
    mean: f64,
    random: blake3::OutputReader,
}

impl Arrivals {
    /// Starts now, with `per_second` calls. The same `name` gives the same times in every run.
    fn new(name: &str, per_second: f64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(name.as_bytes());
        Self {
            due: Instant::now(),
            mean: 1.0 / per_second,
            random: hasher.finalize_xof(),
        }
    }

    fn next(&mut self) -> Instant {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        // In the range (0, 1].
        let even = (f64::from(u32::from_le_bytes(bytes)) + 1.0) / (f64::from(u32::MAX) + 1.0);
        self.due += Duration::from_secs_f64(-even.ln() * self.mean);
        self.due
    }
}

/// Each peer changes files in turn; the changes of one peer are consecutive generations.
fn publish(
    callers: &[Caller],
    files: usize,
    end: Instant,
    rows: &mut Rows,
) -> tokio::task::JoinHandle<()> {
    let times = Shared::default();
    rows.push((format!("publish of {CHANGED} files"), times.clone()));
    let callers = callers.to_vec();
    tokio::spawn(async move {
        let mut generations = Vec::new();
        for caller in &callers {
            let lease = caller
                .client
                .heartbeat(&caller.peer, None, &Activity::default())
                .await;
            generations.push(lease.map_or(0, |lease| lease.generation));
        }
        let began = Instant::now();
        let every = Duration::from_secs(1) / PUBLISHES;
        for number in 0.. {
            let due = began + every * number;
            if due >= end {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let at = number as usize % callers.len();
            let first = number as usize * CHANGED;
            let changed = (first..first + CHANGED).filter_map(|file| {
                let mut entry = names::entry(file * callers.len() + at, files, callers.len())?;
                entry.modified += 1 + i64::from(number);
                Some(entry)
            });
            let changed: Vec<_> = changed.collect();
            let caller = &callers[at];
            let next = generations[at] + 1;
            let told = caller
                .client
                .publish_index_change(&caller.peer, generations[at], next, changed, Vec::new())
                .await;
            if told.is_ok() {
                generations[at] = next;
            }
            note(&times, due, told.map(|_| ()));
        }
    })
}

async fn login(caller: &Caller) -> Result<(), Problem> {
    let Some(user) = &caller.credentials.user else {
        return Ok(());
    };
    let client = DirectoryClient::new(&caller.credentials)?;
    client.login(user, PASSWORD).await.map(|_| ())
}

fn note(times: &Shared, due: Instant, result: Result<(), Problem>) {
    let took = due.elapsed().as_secs_f64();
    let mut times = times.lock();
    match result {
        Ok(()) => times.took.push(took),
        Err(problem) => {
            times.failed += 1;
            times.failure.get_or_insert(problem.message);
        }
    }
}

fn row(name: &str, times: &Shared) -> Value {
    let times = times.lock();
    let at = |share| quantile(times.took.iter().copied(), share) * 1_000.0;
    json!({
        "call": name,
        "calls": times.took.len(),
        "failed": times.failed,
        "failure": times.failure,
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    })
}
