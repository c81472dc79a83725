//! `convite directory`.

use std::num::NonZeroU64;

use convite_client::Home;
use convite_directory::identity::Recreate;
use convite_directory::{DirectoryConfig, GatewayConfig, Quotas, RunningDirectory, Settings};
use serde_json::json;

use crate::cli::DirectoryArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::{reload, signals};

/// The environment variable with the password of the first administrator.
const ADMIN_PASSWORD: &str = "CONVITE_ADMIN_PASSWORD";

/// Runs a directory until it is stopped.
pub async fn run(
    context: &Context,
    args: DirectoryArgs,
    output: &Output,
) -> Result<(), CommandError> {
    let (stop, reload) = signals::cancel_or_reload();
    warn_plaintext(&args, output);
    let directory = convite_directory::start(settings(&context.home, args), stop.clone()).await?;
    print_ready(&directory, output);
    let certificates = directory.certificates.clone();
    let reloading = reload::reload_on_signal(reload, &context.home, move || {
        let certificates = certificates.clone();
        async move { reload::reload_certificate(certificates).await }
    });
    tokio::select! {
        ended = directory.finished() => ended?,
        () = reloading => {}
    }
    Ok(())
}

/// Returns the configuration of a directory in `home`.
pub fn settings(home: &Home, args: DirectoryArgs) -> DirectoryConfig {
    DirectoryConfig {
        listen: args.listen,
        database: args.database,
        public_addresses: args.public_addresses,
        hosts: args.hosts,
        trusted_proxies: args.trusted_proxies,
        tls_cert: args.tls_cert,
        tls_key: args.tls_key,
        plaintext: args.plaintext,
        open_registration: args.open_registration,
        lease: args.lease,
        session_lifetime: args.session_lifetime,
        ticket_lifetime: args.ticket_lifetime,
        peer_certificate_lifetime: args.peer_certificate_lifetime,
        gateway: GatewayConfig {
            enabled: !args.no_gateway,
            limit: args.gateway_limit.and_then(NonZeroU64::new),
            transfers_max: args.gateway_transfers as usize,
            transfers_per_account_max: args.gateway_transfers.div_ceil(4) as usize,
            ..GatewayConfig::default()
        },
        metrics_listen: args.metrics_listen,
        shutdown_delay: args.shutdown_delay,
        store: Settings {
            quotas: Quotas {
                peers: args.account_peers,
                downloads: args.account_downloads,
                sessions: args.account_sessions,
                files: args.account_files,
                path_bytes: args.account_path_bytes,
                invites: args.account_invites,
            },
            disk_reserve: args.disk_reserve,
        },
        recreate: Recreate {
            database: args.new_database,
            keys: args.new_keys,
        },
        admin_password: std::env::var(ADMIN_PASSWORD).ok().filter(|p| !p.is_empty()),
        ..DirectoryConfig::new(home.root())
    }
}

/// Prints a warning if encryption is disabled.
pub fn warn_plaintext(args: &DirectoryArgs, output: &Output) {
    if args.plaintext {
        output.note(
            "WARNING: --plaintext sends passwords and files unencrypted; anyone on the network can \
             read and change them",
        );
    }
}

/// Prints the ready line, for which scripts wait.
pub fn print_ready(directory: &RunningDirectory, output: &Output) {
    output.result(
        &format!(
            "directory ready url={} invite={} web={}",
            directory.url, directory.invite, directory.web
        ),
        || {
            json!({
                "event": "ready",
                "kind": "directory",
                "url": directory.url,
                "invite": directory.invite,
                "web": directory.web,
            })
        },
    );
}

/// Prints the ready line, except on a terminal, where `up` prints a longer text.
pub fn print_ready_unless_interactive(directory: &RunningDirectory, output: &Output) {
    if !output.is_interactive() {
        print_ready(directory, output);
    }
}
