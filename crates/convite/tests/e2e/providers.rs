//! Several providers of one file: used together, lost, lying.

use std::path::Path;

use crate::harness::{Directory, Home, Process, contents, text, until};
use crate::relay::Relay;
use crate::up::{change_unnoticed, make_old};

/// More than the first requests to one provider ask for.
const SIZE: usize = 12 << 20;
/// Held there, several pieces of each request have come.
const HELD: usize = 1 << 20;

struct Provider {
    home: Home,
    relay: Relay,
    process: Process,
}

fn provider(directory: &Directory, id: &str, bytes: &[u8]) -> Provider {
    let home = directory.member(id);
    let file = home.write("data/big.bin", bytes);
    make_old(&file);
    let relay = Relay::open();
    let process = home.peer_behind(&relay, id, &home.path("data"));
    Provider {
        home,
        relay,
        process,
    }
}

/// A download from two providers, each of which is held up after its first pieces.
struct Held {
    ana: Provider,
    ben: Provider,
    cleo: Home,
    get: Process,
}

impl Held {
    fn in_mid_file(directory: &Directory, bytes: &[u8]) -> Self {
        let ana = provider(directory, "ana", bytes);
        let ben = provider(directory, "ben", bytes);
        let cleo = directory.member("cleo");
        ana.relay.hold_after(HELD);
        ben.relay.hold_after(HELD);
        let get = cleo.start("--json get big.bin");
        ana.relay.wait_until_held();
        ben.relay.wait_until_held();
        Self {
            ana,
            ben,
            cleo,
            get,
        }
    }
}

fn assert_same(path: &Path, bytes: &[u8]) {
    let got = std::fs::read(path).unwrap();
    assert!(got == bytes, "{} is not what was shared", path.display());
}

#[test]
fn a_file_comes_from_all_who_have_it() {
    let directory = Directory::with("");
    let bytes = contents(11, SIZE);
    let Held {
        ana,
        ben,
        cleo,
        get,
    } = Held::in_mid_file(&directory, &bytes);
    ana.relay.release();
    ben.relay.release();
    let done = get.ended().ok().event("done");
    let mut providers: Vec<&str> = Vec::new();
    providers.extend(
        done["providers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|p| p.as_str()),
    );
    providers.sort_unstable();
    assert_eq!(providers, ["ana", "ben"]);
    assert_same(&cleo.path("big.bin"), &bytes);
}

#[test]
fn a_provider_killed_in_mid_file_does_not_stop_a_download() {
    let directory = Directory::with("");
    let bytes = contents(12, SIZE);
    let Held {
        ana,
        ben,
        cleo,
        get,
    } = Held::in_mid_file(&directory, &bytes);
    ana.process.kill();
    ana.relay.cut();
    ben.relay.release();
    let done = get.ended().ok().event("done");
    assert!(
        done["providers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p == "ben")
    );
    assert_same(&cleo.path("big.bin"), &bytes);
}

#[test]
fn when_all_providers_die_what_came_is_kept_and_fetched_no_second_time() {
    let directory = Directory::with("");
    let bytes = contents(13, SIZE);
    let Held {
        ana,
        ben,
        cleo,
        get,
    } = Held::in_mid_file(&directory, &bytes);
    let progress = get.object("half of what passed is verified", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(HELD as u64)
    });
    let verified = progress["bytes"].as_u64().unwrap();
    ana.process.kill();
    ben.process.kill();
    ana.relay.cut();
    ben.relay.cut();
    let failed = get.ended().ends(5).event("error");
    assert_eq!(failed["code"], "unavailable");
    assert!(text(&failed, "hint").contains("kept"));
    assert!(!cleo.path("big.bin").exists());

    let relay = Relay::open();
    let _ana = ana.home.peer_behind(&relay, "ana", &ana.home.path("data"));
    let done = cleo.json("get big.bin").ok().event("done");
    let received = done["received"].as_u64().unwrap();
    assert!(
        received <= SIZE as u64 - verified,
        "{received} after {verified}"
    );
    assert!(relay.sent() < SIZE as u64);
    assert_same(&cleo.path("big.bin"), &bytes);
}

#[test]
fn a_provider_that_lies_is_dropped_and_the_honest_one_completes() {
    let directory = Directory::with("");
    let bytes = contents(14, SIZE);
    let liar = provider(&directory, "liar", &bytes);
    let honest = provider(&directory, "honest", &bytes);
    change_unnoticed(&liar.home.path("data/big.bin"), &contents(15, SIZE));
    let cleo = directory.member("cleo");
    // Until the liar was asked, the honest one sends too little for the whole.
    honest.relay.hold_after(HELD);
    let get = cleo.start("-v --json get big.bin");
    honest.relay.wait_until_held();
    until("the liar is found out", || {
        get.stderr().contains("wrong bytes").then_some(())
    });
    honest.relay.release();
    let done = get.ended().ok().event("done");
    assert_eq!(done["providers"], serde_json::json!(["honest"]));
    assert_same(&cleo.path("big.bin"), &bytes);
}

#[test]
fn from_a_liar_alone_nothing_is_kept() {
    let directory = Directory::with("");
    let liar = provider(&directory, "liar", &contents(16, 200_000));
    change_unnoticed(&liar.home.path("data/big.bin"), &contents(17, 200_000));
    let cleo = directory.member("cleo");
    let failed = cleo.json("get big.bin -o out/").ends(6).event("error");
    assert_eq!(failed["code"], "corrupt_contents");
    let left: Vec<_> = std::fs::read_dir(cleo.path("out")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
