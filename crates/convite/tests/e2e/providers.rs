//! Downloads from several providers, some of which stop or send wrong bytes.

use std::path::Path;

use xtest::Need;

use crate::harness::{Directory, Home, Process, contents, text, wait_until};
use crate::relay::Relay;
use crate::up::{Mapped, make_old};

/// Larger than the first requests to one provider.
const SIZE: usize = 12 << 20;
/// The relay holds here, after several pieces of each request.
const HOLD_AFTER: usize = 1 << 20;

struct Provider {
    home: Home,
    relay: Relay,
    process: Process,
}

fn provider(directory: &Directory, id: &str, bytes: &[u8]) -> Provider {
    serve(directory.member(id), id, bytes, |_| ()).0
}

/// Starts a provider on tmpfs, where a change of its file can go unnoticed.
fn lying_provider(directory: &Directory, bytes: &[u8]) -> (Provider, Mapped) {
    let home = directory.member_at(Home::in_memory(), "liar");
    serve(home, "liar", bytes, Mapped::open)
}

fn serve<T>(home: Home, id: &str, bytes: &[u8], map: impl Fn(&Path) -> T) -> (Provider, T) {
    let file = home.write("data/big.bin", bytes);
    let mapped = map(&file);
    make_old(&file);
    let relay = Relay::open();
    let process = home.peer_behind(&relay, id, &home.path("data"));
    let provider = Provider {
        home,
        relay,
        process,
    };
    (provider, mapped)
}

/// A download from two providers, both held after their first pieces.
struct HeldDownload {
    ana: Provider,
    ben: Provider,
    cleo: Home,
    get: Process,
}

impl HeldDownload {
    fn in_mid_file(directory: &Directory, bytes: &[u8]) -> Self {
        let ana = provider(directory, "ana", bytes);
        let ben = provider(directory, "ben", bytes);
        let cleo = directory.member("cleo");
        ana.relay.hold_after(HOLD_AFTER);
        ben.relay.hold_after(HOLD_AFTER);
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
fn a_download_uses_all_providers() {
    let directory = Directory::with("");
    let bytes = contents(11, SIZE);
    let HeldDownload {
        ana,
        ben,
        cleo,
        get,
    } = HeldDownload::in_mid_file(&directory, &bytes);
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
fn a_killed_provider_does_not_stop_a_download() {
    let directory = Directory::with("");
    let bytes = contents(12, SIZE);
    let HeldDownload {
        ana,
        ben,
        cleo,
        get,
    } = HeldDownload::in_mid_file(&directory, &bytes);
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
fn downloaded_parts_survive_the_loss_of_all_providers() {
    let directory = Directory::with("");
    let bytes = contents(13, SIZE);
    let HeldDownload {
        ana,
        ben,
        cleo,
        get,
    } = HeldDownload::in_mid_file(&directory, &bytes);
    let progress = get.object("half of what passed is verified", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(HOLD_AFTER as u64)
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
fn a_provider_that_lies_is_dropped() {
    if !Need::SecondDisk.is_met() {
        return;
    }
    let directory = Directory::with("");
    let bytes = contents(14, SIZE);
    let (_liar, mapped) = lying_provider(&directory, &bytes);
    let honest = provider(&directory, "honest", &bytes);
    mapped.change_unnoticed(&contents(15, SIZE));
    let cleo = directory.member("cleo");
    // The honest provider is held before the end, so that the lying one is asked too.
    honest.relay.hold_after(HOLD_AFTER);
    let get = cleo.start("-v --json get big.bin");
    honest.relay.wait_until_held();
    wait_until("the wrong piece is detected", || {
        get.stderr().contains("wrong data").then_some(())
    });
    honest.relay.release();
    let done = get.ended().ok().event("done");
    assert_eq!(done["providers"], serde_json::json!(["honest"]));
    assert_same(&cleo.path("big.bin"), &bytes);
}

#[test]
fn a_single_lying_provider_leaves_no_data() {
    if !Need::SecondDisk.is_met() {
        return;
    }
    let directory = Directory::with("");
    let (_liar, mapped) = lying_provider(&directory, &contents(16, 200_000));
    mapped.change_unnoticed(&contents(17, 200_000));
    let cleo = directory.member("cleo");
    let failed = cleo.json("get big.bin -o out/").ends(6).event("error");
    assert_eq!(failed["code"], "corrupt_contents");
    let left: Vec<_> = std::fs::read_dir(cleo.path("out")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // The report makes the peer hash the file again and share its current contents.
    wait_until("the file is listed with its new hash", || {
        (cleo.run("get big.bin -o out/").code == 0).then_some(())
    });
    assert_same(&cleo.path("out/big.bin"), &contents(17, 200_000));
}
