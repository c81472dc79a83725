//! Downloaders that serve each other, and bandwidth limits.

use crate::harness::{Directory, Home, Process, contents, text};

const MIB: usize = 1 << 20;

/// Starts the first provider of a file, with additional flags such as a bandwidth limit.
fn provider(directory: &Directory, bytes: &[u8], args: &str) -> (Home, Process) {
    let ana = directory.member("ana");
    ana.write("data/big.bin", bytes);
    let peer = ana.peer("first", &ana.path("data"), args);
    (ana, peer)
}

fn names(event: &serde_json::Value) -> Vec<&str> {
    let providers = event["providers"].as_array().unwrap();
    providers.iter().filter_map(|p| p.as_str()).collect()
}

#[test]
fn a_staying_download_provides_without_the_first_provider() {
    let directory = Directory::with("");
    let ana = directory.member("ana");
    let bytes = contents(41, 3 * MIB);
    ana.write("data/big.bin", &bytes);
    // A file of one piece is complete before the directory can list the download.
    let note = b"a short note";
    ana.write("data/note.txt", note);
    let first = ana.peer("first", &ana.path("data"), "");
    let ben = directory.member("ben");
    let staying = ben.start("--json get big.bin note.txt --stay 10m");
    let done = |name: &str| {
        let event = staying.object(name, |event| {
            event["event"] == "done" && text(event, "path").ends_with(name)
        });
        text(&event, "hash")
    };
    let hashes = [done("big.bin"), done("note.txt")];
    ana.run("leave").ok();
    first.ended().ok();

    let cleo = directory.member("cleo");
    for (hash, bytes) in hashes.iter().zip([&bytes[..], note]) {
        let got = cleo.json(&format!("get {hash} -o got-{hash}")).ok();
        let got = got.event("done");
        assert!(std::fs::read(cleo.path(&format!("got-{hash}"))).unwrap() == bytes);
        let from = names(&got);
        assert_eq!(from.len(), 1, "{got}");
        assert!(from[0].contains("-get-"), "{got}");
    }
    // The transient peer is only a provider; it is not in the list of peers.
    assert!(cleo.peers().is_empty());
    staying.stop().ok();
}

#[test]
fn many_downloaders_take_about_one_copy_from_the_first_provider() {
    let directory = Directory::with("");
    let bytes = contents(42, 8 * MIB);
    let (ana, _first) = provider(&directory, &bytes, "--upload-limit 2MiB");
    let homes: Vec<Home> = ["ben", "cleo", "dora", "eva"]
        .map(|user| directory.member(user))
        .into();
    let gets: Vec<Process> = homes
        .iter()
        .map(|home| home.start("--json get big.bin --stay 10m"))
        .collect();
    for (home, get) in homes.iter().zip(&gets) {
        get.object("the end of the download", |event| event["event"] == "done");
        assert!(std::fs::read(home.path("big.bin")).unwrap() == bytes);
    }
    let status = ana.json("status").ok().objects().remove(0);
    let served = status["peer"]["bytes_served"].as_u64().unwrap();
    let copies = served as f64 / bytes.len() as f64;
    assert!(
        (1.0..2.0).contains(&copies),
        "the first provider sent {copies:.2} copies"
    );
}

#[test]
fn a_download_respects_its_rate_limit() {
    let directory = Directory::with("");
    let bytes = contents(43, 4 * MIB);
    let (_ana, _first) = provider(&directory, &bytes, "");
    let ben = directory.member("ben");
    let done = ben
        .json("get big.bin --download-limit 2MiB")
        .ok()
        .event("done");
    let seconds = done["seconds"].as_f64().unwrap();
    assert!(
        (1.5..30.0).contains(&seconds),
        "4 MiB at 2 MiB/s took {seconds} s"
    );
    assert!(std::fs::read(ben.path("big.bin")).unwrap() == bytes);
}
