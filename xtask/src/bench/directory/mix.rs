//! The fixed mix: searches, locates, heartbeats, logins and changes, each at its own pace whatever
//! the directory does, so that a slow answer delays none of the next calls and its own delay
//! counts from the moment it was due (an open loop: "coordinated omission" hides nothing).
//! Calls come as those of people who know nothing of each other do: as a Poisson process, the same
//! in every run.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Query};
use convite_core::activity::Activity;
use convite_core::{PeerId, Problem};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::names::{self, COMMON, RARE};
use crate::bench::report::quantile;
use crate::bench::system::PASSWORD;

/// Searches a second.
pub const SEARCHES: u32 = 100;
const LOCATES: u32 = 200;
const HEARTBEATS: u32 = 50;
const LOGINS: u32 = 1;
/// Publishes a second, of [`CHANGED`] files each: 1,000 changed files a second.
const PUBLISHES: u32 = 10;
const CHANGED: usize = 100;

/// Every search of the mix, in turn.
pub const QUERIES: [(&str, &str); 6] = [
    ("search, rare word", RARE),
    ("search, common word", COMMON),
    ("search, prefix", "zepp"),
    ("search, short prefix", "zep"),
    ("search, two words", "report final"),
    ("search, one typo", "zeppelni"),
];

/// Who calls, and with what.
#[derive(Clone)]
pub struct Caller {
    /// A session.
    pub client: DirectoryClient,
    /// What logs in again.
    pub credentials: Credentials,
    /// A peer of that session.
    pub peer: PeerId,
}

/// How long each call of one kind took, from when it was due.
#[derive(Default)]
struct Times {
    took: Vec<f64>,
    failed: usize,
    said: Option<String>,
}

type Shared = Arc<Mutex<Times>>;

/// A search.
pub fn query(words: &str) -> Query {
    Query {
        words: words.to_owned(),
        limit: 20,
        ..Query::default()
    }
}

/// Drives the mix for `seconds`; one row for each kind of call.
pub async fn drive(callers: &[Caller], files: usize, seconds: u64) -> Vec<Value> {
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
                Some(entry) => client.locate(&entry.hash).await.map(|_| ()),
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
                .heartbeat(&caller.peer, &Activity::default())
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
        // A task that failed shows as calls that are missing.
        let _ = task.await;
    }
    rows.into_iter()
        .map(|(name, times)| row(&name, &times))
        .collect()
}

type Rows = Vec<(String, Shared)>;

/// Makes a call `per_second` until `end`, never waiting for the one before.
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
    // A thread of its own: the runtime's timers are only good to a millisecond or two, which would
    // count as the directory's.
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

/// When the calls of one kind are due: a Poisson process, whose pauses are distributed exponentially.
struct Arrivals {
    due: Instant,
    mean: f64,
    random: blake3::OutputReader,
}

impl Arrivals {
    /// From now on, so many a second; by `name` the same ones in every run.
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
        // In (0, 1].
        let even = (f64::from(u32::from_le_bytes(bytes)) + 1.0) / (f64::from(u32::MAX) + 1.0);
        self.due += Duration::from_secs_f64(-even.ln() * self.mean);
        self.due
    }
}

/// Each peer changes files in turn: changes of one peer are generations, one after the other.
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
                .heartbeat(&caller.peer, &Activity::default())
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
                .publish_change(&caller.peer, generations[at], next, changed, Vec::new())
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
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(()) => times.took.push(took),
        Err(problem) => {
            times.failed += 1;
            times.said.get_or_insert(problem.message);
        }
    }
}

fn row(name: &str, times: &Shared) -> Value {
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let at = |share| quantile(times.took.iter().copied(), share) * 1_000.0;
    json!({
        "call": name,
        "calls": times.took.len(),
        "failed": times.failed,
        "failure": times.said,
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    })
}
