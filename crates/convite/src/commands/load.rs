//! `convite load`: remote downloads on other peers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convite_client::DirectoryClient;
use convite_core::model::{LocatedFile, PeerSummary};
use convite_core::remote_fetch::{LoadId, LoadState, LoadSummary};
use convite_core::{ErrorCode, PeerId, Problem, display};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::resolve::{Resolved, resolve};
use crate::cli::LoadArgs;
use crate::context::Context;
use crate::exit::{self, CommandError};
use crate::outcomes::Outcomes;
use crate::output::Output;
use crate::output::remote_fetches::{RemoteFetchProgress, event_object, format_state_short};
use crate::output::table::Table;
use crate::signals;

/// The number of items requested per page.
const PAGE_SIZE: u32 = 1_000;
/// How long the directory keeps a request for an offline peer.
const REQUEST_LIFETIME: &str = "an hour";
/// The interval between requests for the state.
const POLL_INTERVAL: Duration = Duration::from_millis(700);

/// Requests remote downloads and waits until they end.
pub async fn run(context: &Context, args: LoadArgs, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        return list(&client, output).await;
    };
    let stop = signals::cancel_on_signal();
    let Resolved { file, name, .. } = tokio::select! {
        found = resolve(&client, name, output) => found?,
        () = stop.cancelled() => return Err(CommandError::Interrupted),
    };
    let online = online(&client).await?;
    let holders = holders(&file);
    let mut outcomes = Outcomes::new(args.on.len(), output);
    let peers = if args.all {
        all_willing_peers(&online, &file, &holders, output)?
    } else {
        peers_by_name(&online, &args.on, &mut outcomes)?
    };
    let is_online = |peer: &&PeerId| online.iter().any(|other| other.id == **peer);
    let away: Vec<&PeerId> = peers.iter().filter(|peer| !is_online(peer)).collect();
    let mut asked = BTreeMap::new();
    let mut refused = None;
    for peer in &peers {
        match client.load_file(peer, &file.hash, name.as_deref()).await {
            Ok(load) => {
                if away.contains(&peer) {
                    output.note(&format!(
                        "{peer} is offline: the request is kept for up to {REQUEST_LIFETIME}"
                    ));
                }
                asked.insert(load, peer.clone());
            }
            Err(problem) if peers.len() == 1 => return Err(problem.into()),
            Err(problem) => {
                output.error(&problem);
                refused = refused.or(Some(exit::code_of(problem.code)));
            }
        }
    }
    if asked.is_empty() {
        // All peers have the file or refused.
    } else if args.no_wait {
        print_requested(&client, &asked, output).await?;
    } else {
        let progress = RemoteFetchProgress::new(output, holders);
        let failed = wait(&client, &asked, &stop, (progress, output)).await?;
        refused = refused.or(failed.then_some(exit::FAILED));
    }
    match refused {
        Some(code) => Err(CommandError::Reported(code)),
        None => outcomes.finish(),
    }
}

/// Returns all online peers that accept remote downloads from this account and lack the file. Prints
/// the peers that have it.
fn all_willing_peers(
    online: &[PeerSummary],
    file: &LocatedFile,
    holders: &BTreeSet<PeerId>,
    output: &Output,
) -> Result<Vec<PeerId>, CommandError> {
    let peers = online.iter().filter(|peer| peer.loads);
    let (have, lack): (Vec<_>, Vec<_>) = peers
        .map(|peer| peer.id.clone())
        .partition(|peer| holders.contains(peer));
    if lack.is_empty() && have.is_empty() {
        return Err(Problem::not_found("no online peer accepts remote downloads from you")
            .hint("start a peer of your own, or ask a peer's owner to run `convite peer --allow-loads`")
            .into());
    }
    for peer in have {
        output.result(
            &format!("{peer}: already has the file"),
            || json!({"event": "there", "peer": peer, "hash": file.hash, "size": file.size}),
        );
    }
    Ok(lack)
}

/// Returns the peers with these names, each once, in the given order.
fn peers_by_name(
    online: &[PeerSummary],
    names: &[String],
    outcomes: &mut Outcomes<'_>,
) -> Result<Vec<PeerId>, CommandError> {
    let mut peers: Vec<PeerId> = Vec::new();
    for name in names {
        let of_name = match match_name(online, name) {
            Ok(of_name) => of_name,
            Err(failed) => {
                outcomes.record_failure(name, failed)?;
                continue;
            }
        };
        let new = of_name.into_iter().filter(|peer| !peers.contains(peer));
        let new: Vec<_> = new.collect();
        peers.extend(new);
    }
    Ok(peers)
}

/// Returns the peers that have the complete file.
fn holders(file: &LocatedFile) -> BTreeSet<PeerId> {
    let whole = file.providers.iter().filter(|provider| !provider.partial);
    whole.map(|provider| provider.peer.clone()).collect()
}

/// Returns the peer with that id, or the peers of that account that accept remote downloads from the
/// caller. An unknown name is returned as an id: the directory may know it as an offline peer.
fn match_name(online: &[PeerSummary], name: &str) -> Result<Vec<PeerId>, CommandError> {
    let id: PeerId = name.parse().map_err(CommandError::Usage)?;
    if online.iter().any(|peer| peer.id == id) {
        return Ok(vec![id]);
    }
    let user = name.to_ascii_lowercase();
    let of_user = online.iter().filter(|peer| peer.user.as_str() == user);
    let (may, may_not): (Vec<_>, Vec<_>) = of_user.partition(|peer| peer.loads);
    if may.is_empty() && !may_not.is_empty() {
        return Err(Problem::new(
            ErrorCode::PermissionDenied,
            format!("no peer of {user} accepts remote downloads from you"),
        )
        .hint("its owner can allow it with --allow-loads")
        .into());
    }
    if may.is_empty() {
        Ok(vec![id])
    } else {
        Ok(may.iter().map(|peer| peer.id.clone()).collect())
    }
}

async fn online(client: &DirectoryClient) -> Result<Vec<PeerSummary>, Problem> {
    let (mut peers, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.peers(PAGE_SIZE, cursor).await?;
        peers.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(peers);
        }
    }
}

/// Returns the state of those of these remote downloads that the directory knows.
async fn fetch_states(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
) -> Result<Vec<LoadSummary>, Problem> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.loads(PAGE_SIZE, cursor).await?;
        let own = page.items.into_iter();
        found.extend(own.filter(|load| asked.contains_key(&load.load)));
        cursor = page.next_cursor;
        if cursor.is_none() || found.len() == asked.len() {
            return Ok(found);
        }
    }
}

/// Prints the requested remote downloads.
async fn print_requested(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
    output: &Output,
) -> Result<(), CommandError> {
    for load in fetch_states(client, asked).await? {
        let name = display::escape(&load.name);
        let line = format!("{}: requested {name} ({})", load.peer, load.load);
        output.result(&line, || event_object("asked", &load));
    }
    output.note("`convite load --list` shows the progress");
    Ok(())
}

/// Shows the progress until all remote downloads have ended. Returns whether one failed.
async fn wait(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
    stop: &CancellationToken,
    (mut progress, output): (RemoteFetchProgress<'_>, &Output),
) -> Result<bool, CommandError> {
    loop {
        let loads = tokio::select! {
            loads = fetch_states(client, asked) => loads?,
            () = stop.cancelled() => return stop_waiting(progress, output),
        };
        for load in &loads {
            progress.show(load);
        }
        if loads.iter().all(|load| load.state.is_final()) {
            progress.end();
            let forgotten = loads.len() < asked.len();
            if forgotten {
                output.note("a peer was removed, and its remote downloads with it");
            }
            let failed = loads.iter().any(|load| load.state == LoadState::Failed);
            return Ok(failed || forgotten);
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = stop.cancelled() => return stop_waiting(progress, output),
        }
    }
}

fn stop_waiting(progress: RemoteFetchProgress<'_>, output: &Output) -> Result<bool, CommandError> {
    progress.end();
    output.note("the remote downloads continue; `convite load --list` shows the progress");
    Err(CommandError::Interrupted)
}

/// Lists the remote downloads of this account, newest first.
async fn list(client: &DirectoryClient, output: &Output) -> Result<(), CommandError> {
    let mut table = Table::new(&["id", "peer", "name", ">size", "state"]);
    let mut cursor = None;
    loop {
        let page = client.loads(PAGE_SIZE, cursor).await?;
        for load in page.items {
            output.json_event(&event_object("load", &load));
            table.row([
                load.load.to_string(),
                load.peer.to_string(),
                load.name.clone(),
                display::format_bytes(load.size),
                format_state_short(&load),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if !output.is_json() {
        table.print(output);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_precedes_an_account_name() {
        let peer = |id: &str, user: &str, loads| PeerSummary {
            id: id.parse().unwrap(),
            user: user.parse().unwrap(),
            addresses: Vec::new(),
            files: 0,
            since: 0,
            uploads: false,
            loads,
            sent_rate: 0,
            received_rate: 0,
        };
        let online = [
            peer("ana", "ben", false),
            peer("ana-1", "ana", true),
            peer("ben-1", "ben", true),
            peer("ben-2", "ben", true),
            peer("carl-1", "carl", false),
        ];
        let ids = |name: &str| {
            let peers = match_name(&online, name).ok()?;
            Some(peers.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(ids("ana").unwrap(), ["ana"]);
        assert_eq!(ids("Ben").unwrap(), ["ben-1", "ben-2"]);
        assert_eq!(ids("carl-1").unwrap(), ["carl-1"]);
        assert_eq!(ids("away").unwrap(), ["away"]);
        assert!(ids("carl").is_none());
        assert!(ids("no/name").is_none());
    }
}
