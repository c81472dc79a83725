//! Downloads through the directory, as with a browser or curl, from real peers over TLS.

use convite_core::ContentHash;

use crate::harness::{Directory, Home, contents, text};
use crate::peer_http::HttpClient;
use crate::process::wait_until;
use crate::relay::Relay;
use crate::up::{Mapped, make_old};

const SIZE: usize = 12 << 20;
/// The relay holds here, after several pieces.
const HOLD_AFTER: usize = 1 << 20;

fn session(home: &Home) -> String {
    text(&home.credentials(), "token")
}

fn path(bytes: &[u8]) -> String {
    format!("/files/{}/content", ContentHash::of(bytes))
}

#[test]
fn a_gateway_download_survives_the_death_of_a_provider() {
    let directory = Directory::with("");
    let bytes = contents(51, SIZE);
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let relays = [Relay::open(), Relay::open()];
    let mut processes = Vec::new();
    for ((home, id), relay) in [(&ana, "ana"), (&ben, "ben")].into_iter().zip(&relays) {
        home.write("data/big.bin", &bytes);
        processes.push(home.peer_behind(relay, id, &home.path("data")));
        relay.hold_after(HOLD_AFTER);
    }
    let cleo = directory.member("cleo");
    let (client, token) = (HttpClient::of_directory(&directory, &cleo), session(&cleo));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| client.get(&path(&bytes), Some(&token), None));
        for relay in &relays {
            relay.wait_until_held();
        }
        processes.remove(0).kill();
        relays[0].cut();
        relays[1].release();
        let answer = reading.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body == bytes, "{} bytes", answer.body.len());
    });
    let part = client.get(&path(&bytes), Some(&token), Some("bytes=70000-70009"));
    assert_eq!(part.status, 206);
    assert_eq!(part.body, bytes[70_000..70_010]);
}

#[test]
fn a_peer_with_corrupt_data_is_replaced() {
    if !xtest::Need::SecondDisk.is_met() {
        return;
    }
    let directory = Directory::with("");
    let bytes = contents(52, SIZE);
    let mut peers = Vec::new();
    let mut maps = Vec::new();
    for id in ["liar", "honest"] {
        // On tmpfs, where a change of a file can go unnoticed.
        let home = directory.member_at(Home::in_memory(), id);
        let file = home.write("data/big.bin", &bytes);
        maps.push(Mapped::open(&file));
        make_old(&file);
        let process = home.peer(id, &home.path("data"), "");
        peers.push((home, process));
    }
    let lying_provider = &peers[0].0;
    maps.remove(0).change_unnoticed(&contents(53, SIZE));
    let (client, token) = (
        HttpClient::of_directory(&directory, lying_provider),
        session(lying_provider),
    );
    let answer = client.get(&path(&bytes), Some(&token), None);
    assert_eq!(answer.status, 200);
    assert!(answer.body == bytes);
    // With only this peer, no byte is sent. It is told, so that it withdraws the file.
    let (_home, honest) = peers.remove(1);
    honest.stop();
    wait_until("the file is withdrawn", || {
        let answer = client.get(&path(&bytes), Some(&token), None);
        let status = answer.status.as_u16();
        assert!([404, 502, 503].contains(&status), "{status}");
        (answer.status == 404).then_some(())
    });
}
