//! Interrupted downloads and their resumption.

use rustix::process::Signal;

use crate::harness::{Directory, Home, Process, contents};
use crate::relay::Relay;

const SIZE: usize = 8 << 20;
/// The relay holds here, after several pieces.
const HOLD_AFTER: usize = 3 << 20;

/// A download that the relay holds in mid-file.
struct HeldInMidFile {
    relay: Relay,
    _peer: Process,
    _ana: Home,
    ben: Home,
    directory: Directory,
    bytes: Vec<u8>,
    get: Process,
    /// The minimum number of verified bytes.
    verified: u64,
}

fn midway(seed: u64) -> HeldInMidFile {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(seed, SIZE);
    ana.write("data/big.bin", &bytes);
    let relay = Relay::holding_after(HOLD_AFTER);
    let peer = ana.peer_behind(&relay, "peer_1", &ana.path("data"));
    let get = ben.start("--json get big.bin");
    relay.wait_until_held();
    let progress = get.object("a part is verified", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(1 << 20)
    });
    let verified = progress["bytes"].as_u64().unwrap();
    assert!(
        !ben.path("big.bin").exists(),
        "visible before it was complete"
    );
    HeldInMidFile {
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
    assert!(
        !ben.path("big.bin").exists(),
        "visible before it was complete"
    );
    relay.release();
    let done = ben.json("get big.bin").ok().event("done");
    let received = done["received"].as_u64().unwrap();
    assert!(
        received <= SIZE as u64 - verified,
        "{received} after {verified}"
    );
    let got = std::fs::read(ben.path("big.bin")).unwrap();
    assert!(got == bytes, "the contents differ");
    let left = std::fs::read_dir(ben.root().join("downloads")).unwrap();
    assert_eq!(left.count(), 0, "the state of the download remains");
}

#[test]
fn a_killed_download_resumes() {
    let midway = midway(21);
    midway.get.kill();
    goes_on(&midway.ben, &midway.relay, &midway.bytes, midway.verified);
}

#[test]
fn an_interrupted_download_prints_how_to_resume() {
    let midway = midway(22);
    midway.get.signal(Signal::INT);
    let interrupted = midway.get.ended().ends(130).event("interrupted");
    assert!(interrupted["bytes"].as_u64() >= Some(midway.verified));
    goes_on(&midway.ben, &midway.relay, &midway.bytes, midway.verified);
}

#[test]
fn a_download_continues_without_the_directory() {
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
