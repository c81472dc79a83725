//! `convite up`: a directory and a peer in one process, and the commands for the other machines.

use std::net::SocketAddr;

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem, UserName};
use convite_directory::{DirectoryConfig, RunningDirectory};
use convite_peer::RunningPeer;
use convite_wire::invite::{Fingerprint, InviteLink};
use tokio_util::sync::CancellationToken;

use crate::cli::UpArgs;
use crate::commands::directory;
use crate::commands::peer::{print_ready, wait_until_published};
use crate::context::Context;
use crate::exit::CommandError;
use crate::identity;
use crate::menu::{self, Invitation};
use crate::output::Output;
use crate::session::{PeerStart, RunningSession, SessionStart, choose_id, other_directory_error};
use crate::signals::{self, ReloadSignal};
use crate::{password, reload};

/// The number of following ports that are tried if the requested one is in use.
const EXTRA_PORTS: u16 = 9;

/// Runs the directory and the peer until they are stopped.
pub async fn run(
    mut context: Context,
    args: UpArgs,
    has_menu: bool,
    output: &Output,
) -> Result<(), CommandError> {
    let (stop, reload) = signals::cancel_or_reload();
    if !args.folder.exists() {
        return Err(CommandError::Usage(
            Problem::not_found(format!("there is no folder {}", args.folder.display()))
                .hint("give an existing folder: `convite up DIR`"),
        ));
    }
    directory::warn_plaintext(&args.directory, output);
    let password = password::read_configured(&args.password)?;
    let user = args.user.clone().unwrap_or_else(|| {
        let known = context.credentials.as_ref().and_then(|c| c.user.clone());
        known.unwrap_or_else(identity::default_user)
    });
    let settings = directory::settings(&context.home, args.directory);
    let relation = relation(&context, &settings)?;
    // The peer stops first, so that it can still leave the directory.
    let directory_stop = CancellationToken::new();
    let running = start_directory(settings, directory_stop.clone()).await?;
    let link: InviteLink = running.invite.parse()?;
    if let (DirectoryRelation::Unknown, Some(joined)) = (relation, &context.credentials)
        && !joined.same_directory(&link)
    {
        directory_stop.cancel();
        running.finished().await?;
        return Err(other_directory_error().into());
    }

    let mut credentials =
        local_credentials(&context, &running, &link, &user, password.as_deref()).await?;
    let id = choose_id(&credentials, args.id)?;
    credentials.peer = Some(id.clone());
    let joined_before = context.credentials.replace(credentials.clone());

    let start = PeerStart {
        id: Some(id),
        bind: args.bind.unwrap_or(running.address.ip()),
        port: args.port,
        ports: args.ports,
        inbox: args.inbox,
        addresses: args.addresses,
        metrics_listen: args.peer_metrics_listen,
        shares: std::iter::once(args.folder).chain(args.shares).collect(),
    };
    let client = DirectoryClient::new(&credentials)?.kept_in(&context.home, &credentials);
    let started = start.clone().start(&context, client.clone(), stop.clone());
    // Saved only after a successful start, so that a failure changes nothing in the home.
    let started = match started.await {
        Ok(peer) => credentials.save(&context.home).map(|()| peer),
        Err(problem) => Err(problem),
    };
    if started.is_err() {
        context.credentials = joined_before;
    }
    let ended = match started {
        Ok(peer) if has_menu => {
            let invitation = Invitation {
                link: running.invite.clone(),
                web: running.url.clone(),
            };
            let session_start = SessionStart {
                home: context.home.root().to_path_buf(),
                peer: start,
                stop: stop.clone(),
            };
            let session = Some(RunningSession::new(&context, client, peer)?);
            menu::run(&context, session_start, session, Some(invitation), stop).await
        }
        Ok(peer) => run_without_menu(&context, &running, peer, reload, output).await,
        Err(problem) => Err(problem),
    };
    directory_stop.cancel();
    running.finished().await?;
    ended.map_err(CommandError::from)
}

/// Returns the credentials of a new session with the directory in this process.
async fn local_credentials(
    context: &Context,
    running: &RunningDirectory,
    link: &InviteLink,
    user: &UserName,
    password: Option<&str>,
) -> Result<Credentials, Problem> {
    let session = running.service.local_session(user, password).await?;
    let local = SocketAddr::new(loopback_of(running.address), running.address.port());
    let mut credentials = Credentials::from_invite(link);
    credentials
        .addresses
        .retain(|address| *address != local.into());
    credentials.addresses.insert(0, local.into());
    credentials.peer = context.credentials.as_ref().and_then(|c| c.peer.clone());
    credentials.user = Some(session.user.clone());
    credentials.token = Some(session.token.clone());
    Ok(credentials)
}

/// Prints the welcome when all files are published, and runs until the peer ends.
async fn run_without_menu(
    context: &Context,
    running: &RunningDirectory,
    mut peer: RunningPeer,
    reload: ReloadSignal,
    output: &Output,
) -> Result<(), Problem> {
    directory::print_ready_unless_interactive(running, output);
    let (state, certificates) = (peer.state().clone(), running.certificates.clone());
    let reloading = reload::reload_on_signal(reload, &context.home, move || {
        let (state, certificates) = (state.clone(), certificates.clone());
        async move {
            let mut done = reload::reload_certificate(certificates).await;
            done.extend(state.reload());
            done
        }
    });
    let until_stopped = async {
        if let Some(files) = wait_until_published(&mut peer, output).await {
            print_welcome(running, &peer, files, output);
        }
        peer.finished().await
    };
    tokio::select! {
        ended = until_stopped => ended,
        () = reloading => Ok(()),
    }
}

/// The relation of this home's session to the directory in this home.
enum DirectoryRelation {
    /// There is no session, or it belongs to this directory.
    Own,
    /// Unknown until the directory runs: its certificate authority is in a database server.
    Unknown,
}

/// Checks whether this home can use its own directory.
///
/// # Errors
/// Returns `permission_denied` if the home has joined another directory, whose session must not be
/// overwritten.
fn relation(context: &Context, config: &DirectoryConfig) -> Result<DirectoryRelation, Problem> {
    let joined = context.credentials.as_ref();
    let Some(joined) = joined.filter(|joined| joined.token.is_some()) else {
        return Ok(DirectoryRelation::Own);
    };
    let kept = convite_directory::stored_fingerprint(&config.folder())?;
    let is_own = match (joined.authority, kept) {
        (Some(Fingerprint(joined)), Some(kept)) => joined == kept,
        // A directory without TLS has no authority that identifies it.
        (None, _) => config.folder().is_dir(),
        (Some(_), None) => false,
    };
    match (is_own, &config.database) {
        (true, _) => Ok(DirectoryRelation::Own),
        (false, Some(_)) => Ok(DirectoryRelation::Unknown),
        (false, None) => Err(other_directory_error()),
    }
}

/// Starts the directory at the requested port, or at one of the next [`EXTRA_PORTS`] if that port is
/// in use, so that a user's first command does not fail because of another program.
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
                    && attempt < EXTRA_PORTS
                    && is_port_in_use(wanted, attempt).await =>
            {
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Returns whether the port is in use, as opposed to the home.
async fn is_port_in_use(wanted: SocketAddr, attempt: u16) -> bool {
    let port = wanted.port().saturating_add(attempt);
    let listens = tokio::net::TcpListener::bind((wanted.ip(), port)).await;
    listens.is_err()
}

/// Returns the address at which this machine reaches a listener.
fn loopback_of(address: SocketAddr) -> std::net::IpAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn print_welcome(running: &RunningDirectory, peer: &RunningPeer, files: u64, output: &Output) {
    if !output.is_interactive() {
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
    output.line("  convite join --user NAME     (it asks for the invite link)");
    output.line("  convite search WORDS");
    output.line("  convite get NAME\n");
    output.line("Or in a browser, without installing anything:");
    output.line(&format!("  {}\n", running.web));
    output.line("Anyone with this link can join; send it privately. Ctrl-C stops sharing.");
}
