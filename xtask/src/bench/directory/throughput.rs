//! The number of calls per CPU second of the directory's process: the same call repeatedly over
//! several open connections. Compared with opentracker, which only keeps a list of peers in memory.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use convite_core::Problem;
use convite_core::activity::Activity;
use serde_json::{Value, json};

use super::mix::Caller;
use super::names;
use crate::Failure;
use crate::bench::netns::Host;
use crate::bench::others::{self, aria2};
use crate::bench::process;
use crate::bench::usage;
use crate::workspace;

const CONNECTIONS: usize = 16;
const DURATION: Duration = Duration::from_secs(5);

/// Measures locates, heartbeats, and opentracker's announces. Returns one row for each.
///
/// # Errors
/// Fails if the directory's process has ended. If the tracker is missing, its row says so.
pub async fn rows(
    process: u32,
    callers: &[Caller],
    files: usize,
    alone: bool,
    folder: &Path,
) -> Result<Vec<Value>, Failure> {
    let peers = callers.len();
    let locate = move |caller: Caller, number: usize| async move {
        match names::entry(number * 7_919 % files, files, peers) {
            Some(entry) => caller.client.locate(&entry.hash, None).await.map(|_| ()),
            None => Ok(()),
        }
    };
    let beat = |caller: Caller, _| async move {
        caller
            .client
            .heartbeat(&caller.peer, None, &Activity::default())
            .await
            .map(|_| ())
    };
    let mut rows = vec![
        saturate("locate", process, callers, locate).await?,
        saturate("heartbeat", process, callers, beat).await?,
    ];
    if !alone {
        rows.push(match opentracker(folder) {
            Ok(row) => row,
            Err(why) => json!({"call": "opentracker announce", "missing": why}),
        });
    }
    Ok(rows)
}

async fn saturate<F>(
    name: &str,
    process: u32,
    callers: &[Caller],
    call: impl Fn(Caller, usize) -> F + Clone + Send + 'static,
) -> Result<Value, Failure>
where
    F: Future<Output = Result<(), Problem>> + Send,
{
    let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let before = usage::cpu(process)?;
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let mut caller = callers[connection % callers.len()].clone();
        // A separate client has a separate connection.
        caller.client = convite_client::DirectoryClient::new(&caller.credentials)
            .map_err(|problem| problem.message)?;
        let (call, done, failed, over) = (call.clone(), done.clone(), failed.clone(), over.clone());
        tasks.push(tokio::spawn(async move {
            let mut number = connection;
            while !over.load(Ordering::Relaxed) {
                let counter = match call(caller.clone(), number).await {
                    Ok(()) => &done,
                    Err(_) => &failed,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                number += CONNECTIONS;
            }
        }));
    }
    tokio::time::sleep(DURATION).await;
    let (count, cpu) = (done.load(Ordering::Relaxed), usage::cpu(process)? - before);
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        let _ = task.await;
    }
    Ok(row(name, count, failed.load(Ordering::Relaxed), cpu))
}

fn row(name: &str, count: u64, failed: u64, cpu: f64) -> Value {
    json!({
        "call": name,
        "per_second": count as f64 / DURATION.as_secs_f64(),
        "per_cpu_second": count as f64 / cpu,
        "failed": failed,
    })
}

/// Measures announces of one torrent with wrk. Each announce uses a new connection, because
/// opentracker closes it.
fn opentracker(folder: &Path) -> Result<Value, Failure> {
    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";
    let wrk = others::programs::program("wrk")?;
    let port = process::free_port()?;
    let tracker = aria2::tracker(&Host::loopback(), port, HASH, folder)?;
    let before = usage::cpu(tracker.id())?;
    let hash: String = (0..20)
        .filter_map(|at| HASH.get(2 * at..2 * at + 2))
        .map(|byte| format!("%{byte}"))
        .collect();
    let url = format!(
        "http://127.0.0.1:{port}/announce?info_hash={hash}&peer_id=-XX0001-000000000000&port=6881&uploaded=0&downloaded=0&left=0&compact=1"
    );
    let said = workspace::output(
        Command::new(wrk)
            .args([
                "-t1",
                &format!("-c{CONNECTIONS}"),
                &format!("-d{}s", DURATION.as_secs()),
            ])
            .arg(url),
    )?;
    let cpu = usage::cpu(tracker.id())? - before;
    let count = said.lines().find_map(|line| {
        let (count, _) = line.trim().split_once(" requests in ")?;
        count.parse::<u64>().ok()
    });
    let count = count.ok_or("wrk reported no number of requests")?;
    Ok(row("opentracker announce", count, 0, cpu))
}
