//! `convite load`: has other peers fetch a file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convite_client::DirectoryClient;
use convite_core::loads::{LoadId, LoadState, LoadSummary};
use convite_core::model::{LocatedFile, PeerSummary};
use convite_core::{ErrorCode, PeerId, Problem, display};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::get::find;
use crate::cli::LoadArgs;
use crate::context::Context;
use crate::exit::{self, Failed};
use crate::output::loads::{Board, object, stands};
use crate::output::{Output, Table};
use crate::stop;

/// Items of one page.
const PAGE: u32 = 1_000;
/// For how long the directory keeps an order for a peer that is away.
const PATIENCE: &str = "an hour";
/// How often it is asked how the loads stand.
const LOOK: Duration = Duration::from_millis(700);

/// Asks, and waits for the end.
pub async fn run(context: &Context, args: LoadArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        return list(&client, output).await;
    };
    let stop = stop::on_signal();
    let file = tokio::select! {
        file = find(&client, name, output) => file?,
        () = stop.cancelled() => return Err(Failed::Interrupted),
    };
    let online = online(&client).await?;
    let holders = holders(&file);
    let peers = match args.all {
        true => everybody(&online, &file, &holders, output)?,
        false => named(&online, &args.on)?,
    };
    let is_online = |peer: &&PeerId| online.iter().any(|other| other.id == **peer);
    let away: Vec<&PeerId> = peers.iter().filter(|peer| !is_online(peer)).collect();
    let mut asked = BTreeMap::new();
    let mut refused = None;
    for peer in &peers {
        match client.load_file(peer, &file.hash).await {
            Ok(load) => {
                if away.contains(&peer) {
                    output.note(&format!(
                        "{peer} is away: the order waits for it, for up to {PATIENCE}"
                    ));
                }
                asked.insert(load, peer.clone());
            }
            Err(problem) if peers.len() == 1 => return Err(problem.into()),
            Err(problem) => {
                output.error(&problem);
                refused = refused.or(Some(exit::of(problem.code)));
            }
        }
    }
    if asked.is_empty() {
        // Everybody has it, or refused.
    } else if args.no_wait {
        tell_asked(&client, &asked, output).await?;
    } else {
        let board = Board::new(output, holders);
        let failed = wait(&client, &asked, &stop, (board, output)).await?;
        refused = refused.or(failed.then_some(exit::FAILED));
    }
    match refused {
        Some(code) => Err(Failed::Said(code)),
        None => Ok(()),
    }
}

/// All peers that load for this account and do not have the file yet; those that do are told of.
fn everybody(
    online: &[PeerSummary],
    file: &LocatedFile,
    holders: &BTreeSet<PeerId>,
    output: &Output,
) -> Result<Vec<PeerId>, Failed> {
    let peers = online.iter().filter(|peer| peer.loads);
    let (have, lack): (Vec<_>, Vec<_>) = peers
        .map(|peer| peer.id.clone())
        .partition(|peer| holders.contains(peer));
    if lack.is_empty() && have.is_empty() {
        return Err(Problem::not_found("no peer online loads for you")
            .hint("start one of your own, or ask somebody to use `convite peer --allow-loads`")
            .into());
    }
    for peer in have {
        output.result(
            &format!("{peer}: has it already"),
            || json!({"event": "there", "peer": peer, "hash": file.hash, "size": file.size}),
        );
    }
    Ok(lack)
}

/// The peers of these names, each once, in the order given.
fn named(online: &[PeerSummary], names: &[String]) -> Result<Vec<PeerId>, Failed> {
    let mut peers: Vec<PeerId> = Vec::new();
    for name in names {
        let of_name = meant(online, name)?;
        let new = of_name.into_iter().filter(|peer| !peers.contains(peer));
        let new: Vec<_> = new.collect();
        peers.extend(new);
    }
    Ok(peers)
}

/// The peers that have all of a file.
fn holders(file: &LocatedFile) -> BTreeSet<PeerId> {
    let whole = file.providers.iter().filter(|provider| !provider.partial);
    whole.map(|provider| provider.peer.clone()).collect()
}

/// The peer of that id, or those of the account of that name that load for who asks. One that is not
/// online may be a peer that is away, which the directory knows.
fn meant(online: &[PeerSummary], name: &str) -> Result<Vec<PeerId>, Failed> {
    let id: PeerId = name.parse().map_err(Failed::Usage)?;
    if online.iter().any(|peer| peer.id == id) {
        return Ok(vec![id]);
    }
    let user = name.to_ascii_lowercase();
    let of_user = online.iter().filter(|peer| peer.user.as_str() == user);
    let (may, may_not): (Vec<_>, Vec<_>) = of_user.partition(|peer| peer.loads);
    if may.is_empty() && !may_not.is_empty() {
        return Err(Problem::new(
            ErrorCode::PermissionDenied,
            format!("no peer of {user} loads for you"),
        )
        .hint("its owner says for whom it loads, with --allow-loads")
        .into());
    }
    match may.is_empty() {
        true => Ok(vec![id]),
        false => Ok(may.iter().map(|peer| peer.id.clone()).collect()),
    }
}

async fn online(client: &DirectoryClient) -> Result<Vec<PeerSummary>, Problem> {
    let (mut peers, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.peers(PAGE, cursor).await?;
        peers.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(peers);
        }
    }
}

/// How those of these loads stand that the directory knows.
async fn standing(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
) -> Result<Vec<LoadSummary>, Problem> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.loads(PAGE, cursor).await?;
        let own = page.items.into_iter();
        found.extend(own.filter(|load| asked.contains_key(&load.load)));
        cursor = page.next_cursor;
        if cursor.is_none() || found.len() == asked.len() {
            return Ok(found);
        }
    }
}

/// Says what was asked of whom.
async fn tell_asked(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
    output: &Output,
) -> Result<(), Failed> {
    for load in standing(client, asked).await? {
        let name = display::escape(&load.name);
        let line = format!("{}: asked to load {name} ({})", load.peer, load.load);
        output.result(&line, || object("asked", &load));
    }
    output.note("`convite load --list` shows how it goes");
    Ok(())
}

/// Shows how the loads go until all are over. Whether one failed.
async fn wait(
    client: &DirectoryClient,
    asked: &BTreeMap<LoadId, PeerId>,
    stop: &CancellationToken,
    (mut board, output): (Board<'_>, &Output),
) -> Result<bool, Failed> {
    loop {
        let loads = tokio::select! {
            loads = standing(client, asked) => loads?,
            () = stop.cancelled() => return left(board, output),
        };
        for load in &loads {
            board.show(load);
        }
        if loads.iter().all(|load| load.state.is_over()) {
            board.end();
            let forgotten = loads.len() < asked.len();
            if forgotten {
                output.note("a peer was removed, and what it was to load with it");
            }
            let failed = loads.iter().any(|load| load.state == LoadState::Failed);
            return Ok(failed || forgotten);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return left(board, output),
        }
    }
}

fn left(board: Board<'_>, output: &Output) -> Result<bool, Failed> {
    board.end();
    output.note("the peers go on; `convite load --list` shows how");
    Err(Failed::Interrupted)
}

/// The loads of this account, newest first.
async fn list(client: &DirectoryClient, output: &Output) -> Result<(), Failed> {
    let mut table = Table::new(&["load", "peer", "name", ">size", "state"]);
    let mut cursor = None;
    loop {
        let page = client.loads(PAGE, cursor).await?;
        for load in page.items {
            output.event(&object("load", &load));
            table.row([
                load.load.to_string(),
                load.peer.to_string(),
                load.name.clone(),
                display::bytes(load.size),
                stands(&load),
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
    fn a_peer_goes_before_an_account_of_the_same_name() {
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
            let peers = meant(&online, name).ok()?;
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
