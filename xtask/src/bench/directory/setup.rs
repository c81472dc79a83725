//! A directory filled with files: accounts, peers and their index.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Home, Registering};
use convite_core::activity::Activity;
use convite_core::{PeerId, Problem};

use super::mix::{Caller, query};
use super::names;
use crate::Failure;
use crate::bench::payload::Scratch;
use crate::bench::system::System;

/// The number of peers that publish.
pub const PEERS: usize = 4;
/// The number of files in one message.
pub const BATCH: usize = 5_000;
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Creates a home for each peer, with an account of the directory.
///
/// # Errors
/// Fails if the directory refuses an account.
pub fn homes(system: &System, scratch: &Scratch, invite: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut homes = Vec::new();
    for number in 0..PEERS {
        let home = format!("loader{number}");
        system.join(&home, invite)?;
        homes.push(scratch.path().join(home));
    }
    Ok(homes)
}

/// Starts the runtime of the load generator.
///
/// # Errors
/// Fails if the system does not start a thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))
}

/// Publishes `files` files as peers of these homes. Their leases are renewed while the runtime
/// runs.
///
/// # Errors
/// Fails if a call fails.
pub async fn fill(homes: Vec<PathBuf>, files: usize) -> Result<Vec<Caller>, Failure> {
    let mut callers = Vec::new();
    for (number, home) in homes.into_iter().enumerate() {
        callers.push(caller(home, number)?);
    }
    let mut publishing = Vec::new();
    for (number, caller) in callers.iter().enumerate() {
        publishing.push(tokio::spawn(publish(caller.clone(), number, files)));
    }
    for task in publishing {
        let done = task.await.map_err(|error| format!("publishing: {error}"))?;
        done.map_err(|problem| problem_text(&problem))?;
    }
    Ok(callers)
}

fn caller(home: PathBuf, number: usize) -> Result<Caller, Failure> {
    let home = Home::open(home).map_err(|problem| problem_text(&problem))?;
    let credentials = Credentials::load(&home).map_err(|problem| problem_text(&problem))?;
    let credentials = credentials.ok_or("`convite join` stored no credentials")?;
    let client = DirectoryClient::new(&credentials).map_err(|problem| problem_text(&problem))?;
    let peer = format!("loader-{number}").parse::<PeerId>();
    Ok(Caller {
        client,
        credentials,
        peer: peer.map_err(|problem| problem_text(&problem))?,
    })
}

fn problem_text(problem: &Problem) -> Failure {
    format!("{} ({})", problem.message, problem.code)
}

/// Publishes the files with the numbers `number` modulo [`PEERS`], and renews the lease.
async fn publish(caller: Caller, number: usize, files: usize) -> Result<(), Problem> {
    let Caller { client, peer, .. } = caller;
    let port = 6_000 + number as u16;
    let registered = client.register_peer(&Registering::new(&peer, port)).await?;
    let beating = (client.clone(), peer.clone());
    tokio::spawn(async move {
        let (client, peer) = beating;
        loop {
            tokio::time::sleep(registered.lease / 3).await;
            if client
                .heartbeat(&peer, None, &Activity::default())
                .await
                .is_err()
            {
                break;
            }
        }
    });
    let mine = files.saturating_sub(number).div_ceil(PEERS);
    let batches = (0..mine.div_ceil(BATCH)).map(move |batch| {
        let own = batch * BATCH..mine.min((batch + 1) * BATCH);
        own.filter_map(|index| names::entry(index * PEERS + number, files, PEERS))
            .collect()
    });
    let generation = registered.generation + 1;
    client
        .publish_index(&peer, generation, tokio_stream::iter(batches))
        .await?;
    Ok(())
}

/// Waits until the search index, which follows the database, contains all published files.
///
/// # Errors
/// Fails if a call fails, or after five minutes.
pub async fn wait_until_visible(client: &DirectoryClient) -> Result<(), Failure> {
    let deadline = Instant::now() + VISIBLE_TIMEOUT;
    loop {
        let found = client.search(query(names::LAST)).await;
        let found = found.map_err(|problem| problem_text(&problem))?.items.len();
        if found >= PEERS {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the published files cannot be found by a search".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
