//! The settings of a home's peer, and of the transient peer of a download.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use convite_client::{Credentials, DirectoryClient};
use convite_core::{PeerAddress, PeerId, Problem};
use convite_peer::download::TransientPeerConfig;
use convite_peer::{PeerConfig, Ports, RunningPeer};
use tokio_util::sync::CancellationToken;

use crate::cli::{InboxArgs, PortArgs};
use crate::context::Context;
use crate::identity;

/// The settings with which `peer` and `up` start a peer.
#[derive(Clone)]
pub struct PeerStart {
    /// `None` for the id saved in the home.
    pub id: Option<PeerId>,
    pub bind: IpAddr,
    pub port: Option<u16>,
    pub ports: PortArgs,
    pub inbox: InboxArgs,
    pub addresses: Vec<PeerAddress>,
    pub metrics_listen: Option<SocketAddr>,
    pub shares: Vec<PathBuf>,
}

impl PeerStart {
    /// Starts the peer.
    ///
    /// # Errors
    /// As [`convite_peer::start`].
    pub async fn start(
        self,
        context: &Context,
        client: DirectoryClient,
        stop: CancellationToken,
    ) -> Result<RunningPeer, Problem> {
        let id = choose_id(context.require_credentials()?, self.id)?;
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
            load_quota: self.inbox.load_quota,
            download_retention: self.inbox.keep_downloads,
            inbox: Some(self.inbox.config(&context.home)),
        };
        convite_peer::start(config, client, stop).await
    }
}

/// Returns the peer id to use: the given one, else the last one used, else a new one for this home.
///
/// # Errors
/// Returns `internal` if the system has no random numbers.
pub fn choose_id(credentials: &Credentials, given: Option<PeerId>) -> Result<PeerId, Problem> {
    match given.or_else(|| credentials.peer.clone()) {
        Some(id) => Ok(id),
        None => identity::new_peer_id(
            &credentials
                .user
                .clone()
                .unwrap_or_else(identity::default_user),
        ),
    }
}

/// Returns the peer id to use, as [`choose_id`], and saves it in the home.
///
/// # Errors
/// Fails if the credentials cannot be written.
pub fn choose_and_save_id(context: &mut Context, given: Option<PeerId>) -> Result<PeerId, Problem> {
    let mut credentials = context.require_credentials()?.clone();
    let id = choose_id(&credentials, given)?;
    if credentials.peer.as_ref() != Some(&id) {
        credentials.peer = Some(id.clone());
        credentials.save(&context.home)?;
        context.credentials = Some(credentials);
    }
    Ok(id)
}

/// Returns the IP address to listen on: the loopback address if the directory is only reachable there,
/// else all addresses.
fn listen_ip(directory: &[PeerAddress]) -> IpAddr {
    let is_local = |address: &PeerAddress| address.ip().is_some_and(|ip| ip.is_loopback());
    if directory.iter().all(is_local) {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// Returns the configuration of a download's transient peer.
///
/// # Errors
/// Returns `unauthenticated` if the home has not joined a directory.
pub fn transient_peer_config(
    context: &Context,
    bind: Option<IpAddr>,
    upload_limit: Option<u64>,
) -> Result<TransientPeerConfig, Problem> {
    let credentials = context.require_credentials()?;
    let user = credentials
        .user
        .clone()
        .unwrap_or_else(identity::default_user);
    Ok(TransientPeerConfig {
        name: credentials
            .peer
            .clone()
            .unwrap_or_else(|| identity::user_at_host(&user)),
        bind: bind.unwrap_or_else(|| listen_ip(&credentials.addresses)),
        addresses: Vec::new(),
        upload_limit,
        stay_after_download: false,
    })
}
