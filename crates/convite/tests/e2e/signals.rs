//! SIGHUP with and without a terminal, and the file size limit.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Directory, Home, Pair, Process, contents, wait_until};

/// Runs a command in a new session without a terminal.
fn without_terminal(command: &Command) -> Command {
    wrapped("setsid", &[], command)
}

/// Runs a command through another program.
pub fn wrapped(program: &str, args: &[&str], command: &Command) -> Command {
    let mut outer = beside(program, command);
    outer.args(args).arg(command.get_program());
    outer.args(command.get_args());
    outer
}

/// Returns another program with the folder and environment of a command. It does not inherit an
/// ignored SIGHUP: the tests may run under `nohup`.
fn beside(program: &str, command: &Command) -> Command {
    let mut other = Command::new("env");
    other.args(["--default-signal=HUP", program]);
    other.env_clear().stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        other.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// Returns the process id of the peer of a home.
fn pid_of(home: &Home) -> Pid {
    let running = std::fs::read(home.root().join("peer/running.json")).unwrap();
    let running: Value = serde_json::from_slice(&running).unwrap();
    Pid::from_raw(running["pid"].as_i64().unwrap() as i32).unwrap()
}

#[test]
fn a_peer_without_its_terminal_leaves_the_list() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let folder = pair.ana.path("docs");
    let peer = pair.ana.command(&format!(
        "peer peer_1 0 {} --bind 127.0.0.1 --no-menu",
        folder.display()
    ));
    let line: Vec<_> = std::iter::once(peer.get_program())
        .chain(peer.get_args())
        .map(|part| part.to_str().unwrap())
        .collect();
    let mut terminal = beside("script", &peer);
    terminal.args(["-qefc", &line.join(" "), "/dev/null"]);
    let terminal = Process::start(terminal);
    terminal.says("peer ready", |text| {
        text.contains("peer ready").then_some(())
    });
    assert_eq!(pair.ben.peers(), ["peer_1"]);
    let running = pair.ana.root().join("peer/running.json");
    // Closes the terminal.
    terminal.kill();
    wait_until("the peer has ended", || (!running.exists()).then_some(()));
    // Long before its lease of a minute expires.
    assert!(pair.ben.peers().is_empty());
}

#[test]
fn sighup_reloads_the_certificate_of_a_service() {
    let home = Home::new();
    let certificate = |home: &Home| {
        let made = rcgen::generate_simple_self_signed(["files.example".to_owned()]).unwrap();
        home.write("tls/cert.pem", made.cert.pem().as_bytes());
        home.write("tls/key.pem", made.signing_key.serialize_pem().as_bytes());
        made.cert.der().to_vec()
    };
    let first = certificate(&home);
    let command = home.command(&format!(
        "--json directory --listen 127.0.0.1:0 --tls-cert {} --tls-key {}",
        home.path("tls/cert.pem").display(),
        home.path("tls/key.pem").display()
    ));
    let directory = Process::start(without_terminal(&command));
    let url = crate::harness::text(&directory.ready(), "url");
    let address = url.strip_prefix("https://").unwrap();
    assert_eq!(shown(address), first);
    let second = certificate(&home);
    home.write("home/convite.toml", b"[directory]\nlease = \"9s\"\n");
    directory.signal(Signal::HUP);
    wait_until("the new certificate is presented", || {
        (shown(address) == second).then_some(())
    });
    wait_until("the log names the setting", || {
        directory.stderr().contains("directory.lease").then_some(())
    });
    // An invalid certificate is not used.
    home.write("tls/cert.pem", b"no certificate");
    directory.signal(Signal::HUP);
    wait_until("the log reports it", || {
        directory.stderr().contains("not reloaded").then_some(())
    });
    assert_eq!(shown(address), second);
    directory.stop().ok();
}

/// Returns the certificate presented at an address, as DER.
fn shown(address: &str) -> Vec<u8> {
    let asked = Command::new("openssl")
        .args([
            "s_client",
            "-servername",
            "files.example",
            "-connect",
            address,
        ])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE-----").unwrap();
    let end = text.find("-----END CERTIFICATE-----").unwrap();
    let lines = text[begin..end].lines().skip(1);
    let body: String = lines.collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap()
}

#[test]
fn sighup_rescans_a_service_and_is_ignored_with_nohup() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let folder = pair.ana.path("docs");
    let command = pair.ana.command(&format!(
        "-v --json peer peer_1 0 {} --bind 127.0.0.1 --no-menu",
        folder.display()
    ));
    let peer = Process::start(without_terminal(&command));
    peer.ready();
    kill_process(pid_of(&pair.ana), Signal::HUP).unwrap();
    wait_until("the peer reloads", || {
        peer.stderr()
            .contains("certificate is being renewed")
            .then_some(())
    });
    assert_eq!(pair.ben.peers(), ["peer_1"]);
    peer.stop().ok();

    let command = wrapped("nohup", &[], &command);
    let peer = Process::start(without_terminal(&command));
    peer.ready();
    kill_process(pid_of(&pair.ana), Signal::HUP).unwrap();
    let asked = Instant::now();
    pair.ben.run("get a.txt").ok();
    assert!(asked.elapsed() < Duration::from_secs(30));
    assert!(!peer.stderr().contains("SIGHUP"));
    peer.stop().ok();
}

#[test]
fn a_download_keeps_its_parts_after_sighup() {
    let directory = Directory::with("");
    let relay = crate::relay::Relay::open();
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("docs/big.bin", &contents(61, 12 << 20));
    let _peer = ana.peer_behind(&relay, "peer_1", &ana.path("docs"));
    relay.hold_after(4 << 20);
    let get = ben.command("--json get big.bin");
    let get = Process::start(wrapped("nice", &["-n", "0"], &get));
    relay.wait_until_held();
    get.signal(Signal::HUP);
    let ended = get.ended().ends(130);
    assert!(ended.stdout.contains("interrupted"), "{}", ended.stdout);
    relay.release();
    let done = ben.json("get big.bin").ok().event("done");
    assert_eq!(done["bytes"], 12 << 20);
}

#[test]
fn a_file_size_limit_is_reported_and_ends_no_process() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let folder = pair.ana.path("docs");
    let command = pair.ana.command(&format!(
        "--json peer peer_1 0 {} --bind 127.0.0.1 --no-menu --allow-uploads",
        folder.display()
    ));
    // 16 MiB, in units of 1 KiB.
    let limited = wrapped(
        "bash",
        &["-c", "ulimit -f 16384; exec \"$0\" \"$@\""],
        &command,
    );
    let peer = Process::start(limited);
    peer.ready();
    let big = pair.ben.write("big.bin", &contents(62, 24 << 20));
    let refused = pair.ben.json(&format!("put {} --to peer_1", big.display()));
    let refused = refused.ends(1).event("error");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("limit"), "{said}");
    // A download beyond its own limit reports it too.
    assert_eq!(pair.ben.peers(), ["peer_1"]);
    let small = pair.ben.write("small.bin", b"small");
    pair.ben
        .run(&format!("put {} --to peer_1", small.display()))
        .ok();
    peer.stop().ok();
}
