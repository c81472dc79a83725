//! `convite directory`.

use std::num::NonZeroU64;

use convite_client::Home;
use convite_directory::{DirectoryConfig, RelayConfig, RunningDirectory};
use serde_json::json;

use crate::cli::DirectoryArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::Output;
use crate::stop;

/// The variable with the password of the first administrator.
const ADMIN_PASSWORD: &str = "CONVITE_ADMIN_PASSWORD";

/// Runs a directory until it is told to stop.
pub async fn run(context: &Context, args: DirectoryArgs, output: &Output) -> Result<(), Failed> {
    let stop = stop::on_signal();
    warn_of_plaintext(&args, output);
    let directory = convite_directory::start(settings(&context.home, args), stop.clone()).await?;
    print_ready(&directory, output);
    directory.finished().await?;
    Ok(())
}

/// The settings of a directory in `home`.
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
        relay: RelayConfig {
            enabled: !args.no_relay,
            limit: args.relay_limit.and_then(NonZeroU64::new),
            relays_max: args.relays as usize,
            relays_per_account_max: args.relays.div_ceil(4) as usize,
            ..RelayConfig::default()
        },
        metrics_listen: args.metrics_listen,
        shutdown_delay: args.shutdown_delay,
        admin_password: std::env::var(ADMIN_PASSWORD).ok().filter(|p| !p.is_empty()),
        ..DirectoryConfig::new(home.root())
    }
}

/// Says loudly that nothing will be encrypted.
pub fn warn_of_plaintext(args: &DirectoryArgs, output: &Output) {
    if args.plaintext {
        output.note(
            "WARNING: --plaintext: passwords and files cross the network unencrypted, \
             and anyone on it can read and change them",
        );
    }
}

/// The line that scripts wait for.
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

/// The same, where a person does not get a friendlier text anyway.
pub fn print_ready_unless_person(directory: &RunningDirectory, output: &Output) {
    if !output.is_for_a_person() {
        print_ready(directory, output);
    }
}
