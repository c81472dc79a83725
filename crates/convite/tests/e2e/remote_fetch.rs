//! Remote downloads: permissions, results, and failures of the peer.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use convite_client::{Credentials, DirectoryClient, Registering};
use convite_core::model::FileEntry;
use convite_core::{AccessList, ContentHash, ErrorCode, PeerId, Problem, SharingPolicy};
use convite_net::dial::{Expected, Http2};
use convite_net::tls::client_config;
use convite_peer::announce::presence::IdentityKey;
use convite_wire::invite::Fingerprint;
use convite_wire::status::from_status;
use convite_wire::v1::LoadHereRequest;
use convite_wire::v1::peer_client::PeerClient;
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{Directory, Home, Process, contents, text, wait_until};

const SIZE: usize = 8 << 20;
/// Makes a download take about two seconds.
const SLOW: &str = "--upload-limit 4MiB";

/// Starts a peer that shares an empty folder.
fn bare(home: &Home, id: &str, args: &str) -> Process {
    let folder = home.path("own");
    fs::create_dir_all(&folder).unwrap();
    home.peer(id, &folder, args)
}

/// Returns the path of a remote download that is visible to everyone.
fn loaded(home: &Home, name: &str) -> PathBuf {
    home.root().join("loads/loads").join(name)
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).is_ok_and(|found| found == bytes)
}

/// Returns the number of providers of a file, as seen by a home.
fn providers(home: &Home, name: &str) -> u64 {
    let found = home.json(&format!("search {name}"));
    let hit = found.objects().into_iter().find(|o| o["name"] == name);
    hit.map_or(0, |hit| hit["providers"].as_u64().unwrap())
}

/// Returns the state of the only remote download of a home's account.
fn state(home: &Home) -> String {
    let listed = home.json("load --list").ok();
    let [load] = listed.objects().try_into().unwrap();
    text(&load, "state")
}

#[test]
fn remote_fetches_on_two_peers_run_at_the_same_time() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let second = directory.member("ana");
    let bytes = contents(51, SIZE);
    ben.write("data/big.bin", &bytes);
    let _source = ben.peer("ben-1", &ben.path("data"), SLOW);
    let _peers = (bare(&ana, "ana-1", ""), bare(&second, "ana-2", ""));
    let ran = ana.json("load big.bin --on ana-1 --on ana-2").ok();
    let told: Vec<Value> = ran.objects();
    for (home, peer) in [(&ana, "ana-1"), (&second, "ana-2")] {
        let of_peer = || told.iter().filter(|object| object["peer"] == peer);
        let running = of_peer().filter(|object| object["state"] == "running");
        assert!(running.count() > 0, "{peer} was not seen to run");
        let last = of_peer().next_back().unwrap();
        assert_eq!(
            (&last["event"], &last["bytes"]),
            (&"done".into(), &SIZE.into())
        );
        assert!(holds(&loaded(home, "big.bin"), &bytes));
    }
    // When a remote download is done, the file is already shared. A repeated request finds it there.
    assert_eq!(providers(&ben, "big.bin"), 3);
    ana.json("load big.bin --on ana").ok();
    let listed = ana.run("load --list").ok();
    assert_eq!(
        listed.stdout.matches("done").count(),
        4,
        "{}",
        listed.stdout
    );
    let plain = ana.run("load big.bin --on ana-2").ok();
    assert!(
        plain
            .stdout
            .contains("ana-2: big.bin, 8.0 MiB, already there")
    );
}

#[test]
fn remote_fetches_need_the_permission_of_the_peer() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let carl = directory.member("carl");
    ana.write("data/report.txt", b"a report");
    let _source = ana.peer("ana-1", &ana.path("data"), "");
    let peer = bare(&ben, "ben-1", "");
    let refused = ana.run("load report.txt --on ben-1").ends(4);
    assert!(
        refused
            .stderr
            .contains("does not accept this remote download from you")
    );
    ana.run("load report.txt --on ben").ends(4);
    ana.run("load report.txt --on nobody").ends(3);
    ana.run("load nothing.txt --on ben-1").ends(3);
    ana.run("load report.txt").ends(2);
    drop(peer);
    let _peer = bare(&ben, "ben-1", "--allow-loads=ana");
    carl.run("load report.txt --on ben-1").ends(4);
    // With several peers, the permitted ones download the file, and a refusal is in the exit code.
    let _closed = bare(&carl, "carl-1", "");
    let ran = ana.json("load report.txt --on ben-1 --on carl-1").ends(4);
    assert_eq!(text(&ran.event("done"), "peer"), "ben-1");
    assert!(holds(&loaded(&ben, "report.txt"), b"a report"));
    assert!(!loaded(&carl, "report.txt").exists());
    // An existing file is not replaced.
    ana.write("data/more/report.txt", b"another report");
    wait_until("search finds the file", || {
        (ana.json("search report").objects().len() == 2).then_some(())
    });
    let several = ana.json("load report.txt --on ben-1").ends(1);
    let candidates = several.objects().into_iter();
    let candidates: Vec<_> = candidates.filter(|o| o["event"] == "candidate").collect();
    assert_eq!(candidates.len(), 2);
    for candidate in candidates {
        ana.run(&format!("load {} --on ben-1", text(&candidate, "hash")))
            .ok();
    }
    assert!(holds(&loaded(&ben, "report.txt"), b"a report"));
    assert!(holds(&loaded(&ben, "report (1).txt"), b"another report"));
}

#[test]
fn a_fetch_on_all_peers_skips_those_that_have_the_file() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let (carl, second) = (directory.member("carl"), directory.member("ana"));
    ana.write("data/report.txt", b"a report");
    let _source = ana.peer("ana-1", &ana.path("data"), "");
    let nobody = ben.run("load report.txt --all").ends(3);
    assert!(nobody.stderr.contains("--allow-loads"), "{}", nobody.stderr);
    let _peers = [
        bare(&second, "ana-2", ""),
        bare(&ben, "ben-1", "--allow-loads"),
        bare(&carl, "carl-1", "--allow-loads=ben"),
    ];
    let ran = ana.json("load report.txt --all").ok();
    let done = ran.objects().into_iter().filter(|o| o["event"] == "done");
    let mut done: Vec<_> = done.map(|object| text(&object, "peer")).collect();
    done.sort();
    assert_eq!(done, ["ana-2", "ben-1"]);
    assert_eq!(providers(&carl, "report.txt"), 3);
}

#[test]
fn a_remote_fetch_stays_in_the_space_of_the_file() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let carl = directory.member("carl");
    ana.run("space add lab").ok();
    for user in ["ana", "ben"] {
        ana.run(&format!("space member add lab {user}")).ok();
    }
    let secret = ana.write("data/secret.txt", b"of the lab");
    let hash = ContentHash::of(b"of the lab");
    ana.run(&format!(
        "share {} --space lab",
        secret.parent().unwrap().display()
    ))
    .ok();
    let source = bare(&ana, "ana-1", "");
    let _peers = [
        bare(&ben, "ben-1", "--allow-loads --downloads got"),
        bare(&carl, "carl-1", "--allow-loads"),
    ];
    // Carl does not learn that the file exists, and his peer does not get it.
    let unseen = carl.run(&format!("load {hash} --on ben-1")).ends(3);
    let unknown = carl.run(&format!("load {} --on ben-1", "0".repeat(64)));
    assert_eq!(unseen.stderr, unknown.stderr);
    ana.run("load secret.txt --on carl-1").ends(4);

    ana.json("load secret.txt --on ben-1").ok().event("done");
    let copy = ben.path("got/loads@lab/secret.txt");
    assert!(holds(&copy, b"of the lab"));
    source.stop();
    assert_eq!(providers(&ben, "secret.txt"), 1);
    assert_eq!(providers(&carl, "secret.txt"), 0);
    carl.run(&format!("get {hash}")).ends(3);
    ben.run(&format!("load {hash} --on carl-1")).ends(4);
}

#[test]
fn remote_fetches_resume_when_the_peer_returns() {
    let directory = Directory::with("--lease 2s");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(52, 2 * SIZE);
    ana.write("data/big.bin", &bytes);
    let _source = ana.peer("ana-1", &ana.path("data"), SLOW);
    let peer = bare(&ben, "ben-1", "--allow-loads");
    let load = ana.start("--json load big.bin --on ben-1");
    load.object("a part is there", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(2 << 20)
    });
    peer.kill();
    assert!(
        !loaded(&ben, "big.bin").exists(),
        "visible before it was complete"
    );
    let left = fs::read_dir(ben.root().join("downloads")).unwrap();
    assert_eq!(left.count(), 1, "no parts are kept");
    let peer = bare(&ben, "ben-1", "--allow-loads");
    load.ended().ok().event("done");
    assert!(holds(&loaded(&ben, "big.bin"), &bytes));
    drop(peer);

    // A request to an offline peer is done when the peer is back.
    wait_until("the peer is off the list", || {
        (ana.peers() == ["ana-1"]).then_some(())
    });
    ana.write("data/late.txt", b"late");
    wait_until("search finds the file", || {
        (providers(&ana, "late.txt") == 1).then_some(())
    });
    let asked = ana.json("load late.txt --on ben-1 --no-wait").ok();
    let asked = asked.event("asked");
    assert_eq!(asked["state"], "waiting");
    let _peer = bare(&ben, "ben-1", "--allow-loads");
    wait_until("the remote download is done", || {
        let listed = ana.json("load --list").objects();
        (listed[0]["load"] == asked["load"] && listed[0]["state"] == "done").then_some(())
    });
    assert!(holds(&loaded(&ben, "late.txt"), b"late"));
}

#[test]
fn an_interrupted_wait_does_not_stop_the_peer() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(53, SIZE);
    ben.write("data/big.bin", &bytes);
    let _source = ben.peer("ben-1", &ben.path("data"), SLOW);
    let _peer = bare(&ana, "ana-1", "");
    let load = ana.start("load big.bin --on ana-1");
    wait_until("the remote download runs", || {
        let listed = ana.json("load --list").objects();
        let runs = listed.iter().any(|load| load["state"] == "running");
        runs.then_some(())
    });
    load.signal(Signal::INT);
    let ran = load.ended().ends(130);
    assert!(ran.stderr.contains("convite load --list"), "{}", ran.stderr);
    wait_until("the remote download is done", || {
        (state(&ana) == "done").then_some(())
    });
    assert!(holds(&loaded(&ana, "big.bin"), &bytes));
}

#[test]
fn a_peer_checks_its_own_access_list() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("data/report.txt", b"a report");
    let _source = ana.peer("ana-1", &ana.path("data"), "");
    let _peer = bare(&ben, "ben-1", "");
    // The directory gets another access list than the peer has, as a compromised directory could
    // pretend.
    let home = convite_client::Home::open(ben.root()).unwrap();
    let credentials = Credentials::load(&home).unwrap().unwrap();
    let terms = SharingPolicy {
        loads: AccessList::Everyone,
        ..SharingPolicy::default()
    };
    Runtime::new().unwrap().block_on(async {
        let client = DirectoryClient::new(&credentials).unwrap();
        let id = "ben-1".parse().unwrap();
        // With the home's own key; otherwise the registration is refused.
        let key = IdentityKey::load(&ben.root().join("peer/identity.key")).unwrap();
        let request = key.signing_request(&id).unwrap();
        let told = Registering {
            terms,
            signing_request: Some(&request),
            ..Registering::new(&id, 5001)
        };
        let registered = client.register_peer(&told);
        registered.await.unwrap();
    });
    let ran = ana.json("load report.txt --on ben-1").ends(1);
    let failed = ran.event("failed");
    assert!(text(&failed, "message").contains("does not accept remote downloads from you"));
    assert!(!loaded(&ben, "report.txt").exists());
}

/// Requests a remote download directly from a home's peer, with `token` as the control token.
fn ask_peer(home: &Home, token: &str, contents: &[u8]) -> Result<String, Problem> {
    let running: Value =
        serde_json::from_slice(&fs::read(home.root().join("peer/running.json")).unwrap()).unwrap();
    let Fingerprint(authority) = text(&home.credentials(), "authority").parse().unwrap();
    let id: PeerId = text(&running, "id").parse().unwrap();
    let name = id.certificate_name();
    let address = text(&running, "url")["https://".len()..].parse().unwrap();
    Runtime::new().unwrap().block_on(async {
        let expected = Expected::new(client_config(authority), &name).unwrap();
        let http2 = Http2::connect(&address, Some(&expected)).await.unwrap();
        let origin = format!("https://{name}").parse().unwrap();
        let mut client = PeerClient::with_origin(http2, origin);
        let mut request = tonic::Request::new(LoadHereRequest {
            hash: ContentHash::of(contents).as_bytes().to_vec().into(),
        });
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let reply = client.load_file(request).await;
        reply
            .map(|reply| reply.into_inner().load)
            .map_err(|status| from_status(&status))
    })
}

#[test]
fn the_control_api_accepts_only_its_own_home() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("data/report.txt", b"a report");
    let _source = ana.peer("ana-1", &ana.path("data"), "");
    let _peer = bare(&ben, "ben-1", "--allow-loads");
    let control = fs::read_to_string(ben.root().join("peer/control.token")).unwrap();
    for token in [text(&ben.credentials(), "token"), "0".repeat(64)] {
        let refused = ask_peer(&ben, &token, b"a report").unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
    }
    let unknown = ask_peer(&ben, &control, b"no report").unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NotFound);
    let load = ask_peer(&ben, &control, b"a report").unwrap();
    wait_until("the remote download is done", || {
        (state(&ben) == "done").then_some(())
    });
    assert_eq!(ben.json("load --list").objects()[0]["load"], load.as_str());
    assert!(holds(&loaded(&ben, "report.txt"), b"a report"));
}

#[test]
fn a_claimed_hash_does_not_move_a_file_out_of_its_space() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let carl = directory.member("carl");
    ana.run("space add lab").ok();
    for user in ["ana", "ben"] {
        ana.run(&format!("space member add lab {user}")).ok();
    }
    let secret = ana.write("data/secret.txt", b"of the lab");
    let folder = secret.parent().unwrap().display();
    ana.run(&format!("share {folder} --space lab")).ok();
    let _source = bare(&ana, "ana-1", "");
    let _peer = bare(&ben, "ben-1", "--allow-loads");
    // Carl knows only the hash, and his peer cannot serve it.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    let home = convite_client::Home::open(carl.root()).unwrap();
    let credentials = Credentials::load(&home).unwrap().unwrap();
    let hash = ContentHash::of(b"of the lab");
    let claim = FileEntry {
        modified: 7,
        ..FileEntry::file("mine/secret.txt".parse().unwrap(), 10, hash)
    };
    Runtime::new().unwrap().block_on(async {
        let client = DirectoryClient::new(&credentials).unwrap();
        let id = "carl-1".parse().unwrap();
        let registered = client.register_peer(&Registering::new(&id, port)).await;
        registered.unwrap();
        let published = client.publish_index_change(&id, 0, 1, vec![claim], Vec::new());
        published.await.unwrap();
    });
    carl.run(&format!("load {hash} --on ben-1 --no-wait")).ok();
    // Ben's peer asks only Carl's peer, and retries without an answer.
    let (tried, tries) = mpsc::channel();
    std::thread::spawn(move || {
        nobody
            .incoming()
            .try_for_each(|met| tried.send(met.is_ok()))
    });
    for _ in 0..2 {
        assert!(tries.recv_timeout(Duration::from_secs(60)).unwrap());
    }
    assert!(["waiting", "running"].contains(&state(&carl).as_str()));
    assert!(!loaded(&ben, "secret.txt").exists());
    assert_eq!(providers(&carl, "secret.txt"), 1);
}

#[test]
fn a_failed_remote_fetch_is_no_longer_a_provider() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(57, 4 * SIZE);
    ana.write("data/big.bin", &bytes);
    let _source = ana.peer("ana-1", &ana.path("data"), SLOW);
    let _peer = bare(&ben, "ben-1", "--allow-loads");
    let hash = ContentHash::of(&bytes);
    let home = convite_client::Home::open(ana.root()).unwrap();
    let credentials = Credentials::load(&home).unwrap().unwrap();
    let runtime = Runtime::new().unwrap();
    let partial = || {
        let client = DirectoryClient::new(&credentials).unwrap();
        let found = runtime.block_on(async { client.locate(&hash, None).await });
        let providers = found.map_or_else(|_| Vec::new(), |file| file.providers);
        providers.into_iter().any(|provider| provider.partial)
    };
    wait_until("the hidden file exists", || {
        (providers(&ana, "big.bin") == 1).then_some(())
    });
    let load = ana.start("--json load big.bin --on ben-1 --no-wait");
    assert_eq!(load.ended().code, 0);
    wait_until("the peer is a partial provider", || partial().then_some(()));
    fs::remove_dir_all(ben.root().join("downloads")).unwrap();
    wait_until("the peer is no provider", || (!partial()).then_some(()));
    assert!(
        !loaded(&ben, "big.bin").exists(),
        "the download did not fail"
    );
}

#[test]
fn remote_fetches_of_other_accounts_have_a_quota() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("data/small.bin", &contents(58, 600 << 10));
    ana.write("data/more.bin", &contents(59, 600 << 10));
    let _source = ana.peer("ana-1", &ana.path("data"), "");
    let _peer = bare(&ben, "ben-1", "--allow-loads --load-quota 1MiB");
    ana.json("load small.bin --on ben-1").ok();
    let failed = ana.json("load more.bin --on ben-1").ends(1).event("failed");
    let message = text(&failed, "message");
    assert!(
        message.contains("your remote download quota on this peer is 1.0 MiB"),
        "{message}"
    );
    assert!(!loaded(&ben, "more.bin").exists());
    let left = fs::read_dir(ben.root().join("downloads")).unwrap().count();
    assert_eq!(left, 0, "parts of the download remain");
    ben.json("load more.bin --on ben-1").ok();
    // Removing a file frees quota.
    fs::remove_file(loaded(&ben, "small.bin")).unwrap();
    ana.write("data/third.bin", &contents(60, 600 << 10));
    wait_until("search finds the file", || {
        (providers(&ana, "third.bin") == 1).then_some(())
    });
    ana.json("load third.bin --on ben-1").ok();
}
