//! `convite peer`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use convite_client::DirectoryClient;
use convite_core::{PeerAddress, PeerId, Problem};
use convite_peer::{PeerConfig, Ports, RunningPeer};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::{InboxArgs, PeerArgs, PortArgs};
use crate::context::Context;
use crate::exit::Failed;
use crate::identity;
use crate::menu::entrance::Entrance;
use crate::menu::{self};
use crate::output::Output;
use crate::stop;

/// Runs a peer until it is told to stop.
pub async fn run(
    mut context: Context,
    args: PeerArgs,
    has_menu: bool,
    output: &Output,
) -> Result<(), Failed> {
    let stop = stop::on_signal();
    let mut start = Start {
        id: args.peer_id.or(args.id),
        bind: args.bind,
        port: args.port_number.or(args.port),
        ports: args.ports,
        inbox: args.inbox,
        addresses: args.addresses,
        metrics_listen: args.metrics_listen,
        shares: args.folders.into_iter().chain(args.shares).collect(),
    };
    if has_menu {
        let entrance = Entrance {
            home: context.home.root().to_path_buf(),
            start,
            stop: stop.clone(),
        };
        return Ok(menu::run(&context, entrance, None, None, stop).await?);
    }
    let client = context.client()?;
    start.id = Some(remember_id(&mut context, start.id)?);
    let peer = start.start(&context, client, stop).await?;
    run_to_the_end(peer, output).await
}

/// How a peer is started, by `peer` and by `up`.
#[derive(Clone)]
pub struct Start {
    /// None for the last one, or USER-HOST.
    pub id: Option<PeerId>,
    pub bind: IpAddr,
    pub port: Option<u16>,
    pub ports: PortArgs,
    pub inbox: InboxArgs,
    pub addresses: Vec<PeerAddress>,
    pub metrics_listen: Option<SocketAddr>,
    pub shares: Vec<PathBuf>,
}

impl Start {
    /// Starts it.
    ///
    /// # Errors
    /// Those of [`convite_peer::start`].
    pub async fn start(
        self,
        context: &Context,
        client: DirectoryClient,
        stop: CancellationToken,
    ) -> Result<RunningPeer, Problem> {
        let known = context.joined()?.peer.clone();
        let id = self.id.or(known).unwrap_or_else(|| {
            let user = client.user().cloned();
            identity::peer(&user.unwrap_or_else(identity::user))
        });
        let config = PeerConfig {
            home: Some(context.home.root().to_path_buf()),
            id,
            bind: self.bind,
            ports: match self.port {
                None => Ports::FirstFree(self.ports.port_range),
                Some(0) => Ports::Any,
                Some(port) => Ports::Exactly(port),
            },
            addresses: self.addresses,
            shares: self.shares,
            rescan: self.ports.rescan,
            upload_limit: self.ports.upload_limit.filter(|limit| *limit > 0),
            upload_limit_per_peer: self.ports.upload_limit_per_peer.filter(|limit| *limit > 0),
            upload_slots: self.ports.upload_slots as usize,
            metrics_listen: self.metrics_listen,
            terms: self.inbox.terms(),
            downloads: self.inbox.downloads.clone(),
            inbox: Some(self.inbox.config(&context.home)),
        };
        convite_peer::start(config, client, stop).await
    }
}

/// The id to use: the one given, else the last one, else USER-HOST; kept for the next time.
///
/// # Errors
/// If the credentials cannot be written.
pub fn remember_id(context: &mut Context, given: Option<PeerId>) -> Result<PeerId, Problem> {
    let mut credentials = context.joined()?.clone();
    let user = credentials.user.clone().unwrap_or_else(identity::user);
    let id = given
        .or_else(|| credentials.peer.clone())
        .unwrap_or_else(|| identity::peer(&user));
    if credentials.peer.as_ref() != Some(&id) {
        credentials.peer = Some(id.clone());
        credentials.save(&context.home)?;
        context.credentials = Some(credentials);
    }
    Ok(id)
}

/// Prints the ready line once everything is hashed and published, and waits for the end.
async fn run_to_the_end(mut peer: RunningPeer, output: &Output) -> Result<(), Failed> {
    let files = wait_until_published(&mut peer, output).await;
    if let Some(files) = files {
        print_ready(&peer, files, output);
    }
    peer.finished().await?;
    Ok(())
}

/// The number of files served once all are published; none if the peer was stopped before. A
/// directory that cannot be reached is waited for.
pub async fn wait_until_published(peer: &mut RunningPeer, output: &Output) -> Option<u64> {
    let mut told = None;
    loop {
        match peer.first_scan_done().await {
            Ok(files) => return Some(files),
            Err(_) if peer.is_stopping() => return None,
            Err(problem) => {
                if told.as_ref() != Some(&problem.message) {
                    output.note(&format!("not listed yet: {problem}; trying on"));
                    told = Some(problem.message);
                }
                peer.changed().await;
            }
        }
    }
}

/// The line that scripts wait for.
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
