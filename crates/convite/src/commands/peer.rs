//! `convite peer`.

use std::path::PathBuf;

use convite_core::{Problem, display};
use convite_peer::RunningPeer;
use convite_peer::sharing::shares::ShareList;
use serde_json::json;

use crate::cli::PeerArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::menu;
use crate::output::Output;
use crate::session::{PeerStart, SessionStart, choose_and_save_id};
use crate::{reload, signals};

/// Runs a peer until it is stopped.
pub async fn run(
    mut context: Context,
    args: PeerArgs,
    has_menu: bool,
    output: &Output,
) -> Result<(), CommandError> {
    let (stop, reload) = signals::cancel_or_reload();
    let mut start = PeerStart {
        id: args.peer_id.or(args.id),
        bind: args.bind,
        port: args.port_number.or(args.port),
        ports: args.ports,
        inbox: args.inbox,
        addresses: args.addresses,
        metrics_listen: args.metrics_listen,
        shares: args.folders.into_iter().chain(args.shares).collect(),
    };
    create_missing_folders(&context, &start.shares, output)?;
    if has_menu {
        let session = SessionStart {
            home: context.home.root().to_path_buf(),
            peer: start,
            stop: stop.clone(),
        };
        return Ok(menu::run(&context, session, None, None, stop).await?);
    }
    let client = context.client()?;
    start.id = Some(choose_and_save_id(&mut context, start.id)?);
    let peer = start.start(&context, client, stop).await?;
    let state = peer.state().clone();
    let reloading = reload::reload_on_signal(reload, &context.home, move || {
        let state = state.clone();
        async move { state.reload() }
    });
    tokio::select! {
        ended = run_until_stopped(peer, output) => ended,
        () = reloading => Ok(()),
    }
}

/// Creates missing folders that are to be shared, except existing shares, whose disk may be unmounted.
fn create_missing_folders(
    context: &Context,
    shares: &[PathBuf],
    output: &Output,
) -> Result<(), Problem> {
    let known = ShareList::load(context.home.peer().join("shares.json"))?;
    for folder in shares {
        let path = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let is_known = known.all().iter().any(|share| *share.root == *path);
        if is_known || folder.symlink_metadata().is_ok() {
            continue;
        }
        let shown = display::escape(&folder.to_string_lossy()).into_owned();
        std::fs::create_dir_all(folder).map_err(|error| {
            Problem::invalid(format!("cannot create the folder {shown}: {error}"))
                .hint("use a folder that exists or can be created")
        })?;
        output.note(&format!("created the folder {shown}"));
    }
    Ok(())
}

/// Prints the ready line when all files are hashed and published, then waits for the peer to stop.
async fn run_until_stopped(mut peer: RunningPeer, output: &Output) -> Result<(), CommandError> {
    let files = wait_until_published(&mut peer, output).await;
    if let Some(files) = files {
        print_ready(&peer, files, output);
    }
    peer.finished().await?;
    Ok(())
}

/// Waits until all files are published, also while the directory is unreachable. Returns the number of
/// files, or `None` if the peer was stopped before.
pub async fn wait_until_published(peer: &mut RunningPeer, output: &Output) -> Option<u64> {
    let mut told = None;
    loop {
        match peer.first_scan_done().await {
            Ok(files) => return Some(files),
            Err(_) if peer.is_stopping() => return None,
            Err(problem) => {
                if told.as_ref() != Some(&problem.message) {
                    output.note(&format!("not listed yet: {problem}; retrying"));
                    told = Some(problem.message);
                }
                peer.changed().await;
            }
        }
    }
}

/// Prints the ready line, for which scripts wait.
pub fn print_ready(peer: &RunningPeer, files: u64, output: &Output) {
    output.result(
        &format!("peer ready id={} url={} files={files}", peer.id, peer.url),
        || {
            json!({
                "event": "ready",
                "kind": "peer",
                "id": peer.id,
                "url": peer.url,
                "files": files,
            })
        },
    );
}
