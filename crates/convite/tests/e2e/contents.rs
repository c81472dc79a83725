//! Files through the directory, as a browser or curl reads them, from real peers over TLS.

use convite_core::ContentHash;

use crate::doors::Door;
use crate::harness::{Directory, Home, contents, text};
use crate::relay::Relay;
use crate::up::{change_unnoticed, make_old};

const SIZE: usize = 12 << 20;
/// Held there, several pieces have come.
const HELD: usize = 1 << 20;

fn session(home: &Home) -> String {
    text(&home.credentials(), "token")
}

fn path(bytes: &[u8]) -> String {
    format!("/files/{}/content", ContentHash::of(bytes))
}

#[test]
fn a_file_is_read_through_the_directory_while_its_provider_dies() {
    let directory = Directory::with("");
    let bytes = contents(51, SIZE);
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let relays = [Relay::open(), Relay::open()];
    let mut processes = Vec::new();
    for ((home, id), relay) in [(&ana, "ana"), (&ben, "ben")].into_iter().zip(&relays) {
        home.write("data/big.bin", &bytes);
        processes.push(home.peer_behind(relay, id, &home.path("data")));
        relay.hold_after(HELD);
    }
    let cleo = directory.member("cleo");
    let (door, token) = (Door::of_directory(&directory, &cleo), session(&cleo));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| door.get(&path(&bytes), Some(&token), None));
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
    let part = door.get(&path(&bytes), Some(&token), Some("bytes=70000-70009"));
    assert_eq!(part.status, 206);
    assert_eq!(part.body, bytes[70_000..70_010]);
}

#[test]
fn a_peer_whose_disk_lies_is_replaced() {
    let directory = Directory::with("");
    let bytes = contents(52, SIZE);
    let mut peers = Vec::new();
    for id in ["liar", "honest"] {
        let home = directory.member(id);
        make_old(&home.write("data/big.bin", &bytes));
        let process = home.peer(id, &home.path("data"), "");
        peers.push((home, process));
    }
    let liar = &peers[0].0;
    change_unnoticed(&liar.path("data/big.bin"), &contents(53, SIZE));
    let (door, token) = (Door::of_directory(&directory, liar), session(liar));
    let answer = door.get(&path(&bytes), Some(&token), None);
    assert_eq!(answer.status, 200);
    assert!(answer.body == bytes);
    // With nobody else, not a byte.
    let (_home, honest) = peers.remove(1);
    honest.stop();
    let answer = door.get(&path(&bytes), Some(&token), None);
    assert_eq!(answer.status, 502);
}
