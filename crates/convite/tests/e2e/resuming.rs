//! Downloads that are interrupted, and go on from there.

use rustix::process::Signal;

use crate::harness::{Directory, Home, Process, contents};
use crate::relay::Relay;

const SIZE: usize = 8 << 20;
/// Held there, a good part has come.
const HELD: usize = 3 << 20;

/// A download that is held in mid-file.
struct Midway {
    relay: Relay,
    _peer: Process,
    _ana: Home,
    ben: Home,
    directory: Directory,
    bytes: Vec<u8>,
    get: Process,
    /// Bytes verified by now, at least.
    verified: u64,
}

fn midway(seed: u64) -> Midway {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(seed, SIZE);
    ana.write("data/big.bin", &bytes);
    let relay = Relay::holding_after(HELD);
    let peer = ana.peer_behind(&relay, "peer_1", &ana.path("data"));
    let get = ben.start("--json get big.bin");
    relay.wait_until_held();
    let progress = get.object("a part is verified", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(1 << 20)
    });
    let verified = progress["bytes"].as_u64().unwrap();
    assert!(!ben.path("big.bin").exists(), "shown before it was whole");
    Midway {
        relay,
        _peer: peer,
        _ana: ana,
        ben,
        directory,
        bytes,
        get,
        verified,
    }
}

fn goes_on(ben: &Home, relay: &Relay, bytes: &[u8], verified: u64) {
    assert!(!ben.path("big.bin").exists(), "shown before it was whole");
    relay.release();
    let done = ben.json("get big.bin").ok().event("done");
    let received = done["received"].as_u64().unwrap();
    assert!(
        received <= SIZE as u64 - verified,
        "{received} after {verified}"
    );
    let got = std::fs::read(ben.path("big.bin")).unwrap();
    assert!(got == bytes, "it is not what was shared");
    let left = std::fs::read_dir(ben.root().join("downloads")).unwrap();
    assert_eq!(left.count(), 0, "the state of the download is left");
}

#[test]
fn a_download_killed_in_mid_file_goes_on_from_there() {
    let midway = midway(21);
    midway.get.kill();
    goes_on(&midway.ben, &midway.relay, &midway.bytes, midway.verified);
}

#[test]
fn a_download_that_is_interrupted_says_that_it_is_kept_and_goes_on_from_there() {
    let midway = midway(22);
    midway.get.signal(Signal::INT);
    let interrupted = midway.get.ended().ends(130).event("interrupted");
    assert!(interrupted["bytes"].as_u64() >= Some(midway.verified));
    goes_on(&midway.ben, &midway.relay, &midway.bytes, midway.verified);
}

#[test]
fn a_download_goes_on_while_the_directory_is_down() {
    let midway = midway(23);
    midway.directory.process.kill();
    midway.relay.release();
    midway.get.ended().ok().event("done");
    let got = std::fs::read(midway.ben.path("big.bin")).unwrap();
    assert!(got == midway.bytes);
}

#[test]
fn two_downloads_of_one_file_in_one_home_do_not_mix() {
    let midway = midway(24);
    let second = midway.ben.run("get big.bin");
    assert_ne!(second.code, 0);
    assert!(
        second.stderr.contains("another process"),
        "{}",
        second.stderr
    );
    midway.relay.release();
    midway.get.ended().ok();
    let got = std::fs::read(midway.ben.path("big.bin")).unwrap();
    assert!(got == midway.bytes);
}
