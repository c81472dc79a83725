//! `convite up`: a directory and a peer in one process, and what to type on the other machine.

use std::net::SocketAddr;

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem};
use convite_directory::{DirectoryConfig, RunningDirectory};
use convite_peer::RunningPeer;
use convite_wire::invite::InviteLink;
use tokio_util::sync::CancellationToken;

use crate::cli::UpArgs;
use crate::commands::directory;
use crate::commands::peer::{Start, print_ready, remember_id, wait_until_published};
use crate::context::Context;
use crate::exit::Failed;
use crate::identity;
use crate::menu::entrance::{self, Entrance};
use crate::menu::{self, Invitation};
use crate::output::Output;
use crate::{password, stop};

/// How many ports after the wanted one are tried if that is taken.
const FURTHER_PORTS: u16 = 9;

/// Runs both until it is told to stop.
pub async fn run(
    mut context: Context,
    args: UpArgs,
    has_menu: bool,
    output: &Output,
) -> Result<(), Failed> {
    let stop = stop::on_signal();
    if !args.folder.exists() {
        return Err(Failed::Usage(
            Problem::not_found(format!("there is no folder {}", args.folder.display()))
                .hint("name the folder to share: `convite up DIR`"),
        ));
    }
    directory::warn_of_plaintext(&args.directory, output);
    let password = password::given(&args.password)?;
    let user = args.user.clone().unwrap_or_else(|| {
        let known = context.credentials.as_ref().and_then(|c| c.user.clone());
        known.unwrap_or_else(identity::user)
    });
    let settings = directory::settings(&context.home, args.directory);
    // The peer stops first, so that it can still leave the directory.
    let directory_stop = CancellationToken::new();
    let running = start_directory(settings, directory_stop.clone()).await?;

    let session = running
        .service
        .local_session(&user, password.as_deref())
        .await?;
    let link: InviteLink = running.invite.parse()?;
    let local = SocketAddr::new(loopback_of(running.address), running.address.port());
    let mut credentials = Credentials::from_invite(&link);
    credentials
        .addresses
        .retain(|address| *address != local.into());
    credentials.addresses.insert(0, local.into());
    credentials.peer = context.credentials.as_ref().and_then(|c| c.peer.clone());
    credentials.user = Some(session.user.clone());
    credentials.token = Some(session.token.clone());
    credentials.save(&context.home)?;
    context.credentials = Some(credentials.clone());

    let id = remember_id(&mut context, args.id)?;
    let start = Start {
        id: Some(id),
        bind: running.address.ip(),
        port: args.port,
        ports: args.ports,
        inbox: args.inbox,
        addresses: Vec::new(),
        metrics_listen: None,
        shares: vec![args.folder],
    };
    let client = DirectoryClient::new(&credentials)?.kept_in(&context.home, &credentials);
    let started = start.clone().start(&context, client.clone(), stop.clone());
    let ended = match started.await {
        Ok(peer) if has_menu => {
            let invitation = Invitation {
                link: running.invite.clone(),
                web: running.url.clone(),
            };
            let entrance = Entrance {
                home: context.home.root().to_path_buf(),
                start,
                stop: stop.clone(),
            };
            let session = entrance::session(&context, client, peer)?;
            menu::run(&context, entrance, Some(session), Some(invitation), stop).await
        }
        Ok(mut peer) => {
            directory::print_ready_unless_person(&running, output);
            if let Some(files) = wait_until_published(&mut peer, output).await {
                welcome(&running, &peer, files, output);
            }
            peer.finished().await
        }
        Err(problem) => Err(problem),
    };
    directory_stop.cancel();
    running.finished().await?;
    ended.map_err(Failed::from)
}

/// Starts the directory where it is wanted, or, if that port is taken, at one of the next: a
/// newcomer's first command should not fail for another program's sake.
async fn start_directory(
    settings: DirectoryConfig,
    stop: CancellationToken,
) -> Result<RunningDirectory, Problem> {
    let wanted = settings.listen;
    let mut attempt = 0;
    loop {
        let mut settings = settings.clone();
        settings
            .listen
            .set_port(wanted.port().saturating_add(attempt));
        match convite_directory::start(settings, stop.clone()).await {
            Err(problem)
                if problem.code == ErrorCode::InUse
                    && wanted.port() != 0
                    && attempt < FURTHER_PORTS
                    && is_taken(wanted, attempt).await =>
            {
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Whether it was the port that was in use, and not the home.
async fn is_taken(wanted: SocketAddr, attempt: u16) -> bool {
    let port = wanted.port().saturating_add(attempt);
    let listens = tokio::net::TcpListener::bind((wanted.ip(), port)).await;
    listens.is_err()
}

/// Where this machine itself reaches a listener.
fn loopback_of(address: SocketAddr) -> std::net::IpAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn welcome(running: &RunningDirectory, peer: &RunningPeer, files: u64, output: &Output) {
    if !output.is_for_a_person() {
        print_ready(peer, files, output);
        return;
    }
    let files = match files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    output.line(&format!("Sharing {files} as {}.\n", peer.id));
    output.line(&format!("Web address  {}", running.url));
    output.line(&format!("Invite link  {}\n", running.invite));
    output.line("On the other machine:");
    output.line(&format!("  convite join '{}' --user NAME", running.invite));
    output.line("  convite search WORDS");
    output.line("  convite get NAME\n");
    output.line("Or, without installing anything, in a browser:");
    output.line(&format!("  {}\n", running.web));
    output.line("Whoever has the link can join, so send it privately. Ctrl-C stops sharing.");
}
