//! Registration with the directory: certificates, addresses, refusals.

use convite_core::{PeerId, UnixMillis};

use super::*;

#[tokio::test]
async fn permanent_errors_fail_at_the_start() {
    let group = Group::new();
    group
        .directory
        .set(|held| held.refusal = Some(ErrorCode::PeerTaken));
    let refused = group.start().await.map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PeerTaken);
    group.directory.set(|held| held.refusal = None);
    let (peer, stop) = group.start().await.unwrap();
    let second = group.start().await.map(drop).unwrap_err();
    assert_eq!(second.code, ErrorCode::InUse);
    assert!(second.hint.is_some());
    end(peer, &stop).await;
    assert!(!Path::new(&group.place.path().join("home/peer/control.token")).exists());
}

#[tokio::test]
async fn peer_registers_with_a_certificate_and_renews_it() {
    let group = Group::new();
    let authority = Authority::new();
    let fingerprint = convite_net::tls::fingerprint(&authority.der);
    group.directory.set(|held| {
        held.authority = Some(authority);
        held.certificate_life = Duration::from_millis(900);
    });
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert!(peer.url.starts_with("https://"));
    let expecting = |id: &str| {
        let id: PeerId = id.parse().unwrap();
        let config = convite_net::tls::client_config(fingerprint);
        convite_net::dial::Expected::new(config, &id.certificate_name()).unwrap()
    };
    let address = peer.address.into();
    type Connection = convite_net::dial::Http2<tonic::body::Body>;
    let other = Connection::connect(&address, Some(&expecting("peer_2"))).await;
    assert_eq!(other.map(drop).unwrap_err().code, ErrorCode::Untrusted);
    let open = Connection::connect(&address, Some(&expecting("peer_1")))
        .await
        .unwrap();
    group.directory.until(|held| held.registered >= 3).await;
    // Existing connections stay open, and new ones are accepted.
    assert!(!open.is_closed());
    assert!(
        Connection::connect(&address, Some(&expecting("peer_1")))
            .await
            .is_ok()
    );
    drop(open);
    end(peer, &stop).await;
}

#[tokio::test]
async fn certificate_is_renewed_after_a_clock_jump() {
    let group = Group::new();
    let own = || UnixMillis::from(SystemTime::now());
    group.directory.set(|held| {
        held.authority = Some(Authority::new());
        held.certificate_life = Duration::from_secs(24 * 3600);
    });
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group.directory.until(|held| held.beats >= 2).await;
    assert_eq!(group.directory.set(|held| held.registered), 1);
    // The machine slept for 20 hours; then a clock that was far ahead is corrected.
    for hours in [20, -400 * 24] {
        let registered = group.directory.set(|held| held.registered);
        let moved = UnixMillis(own().0 + hours * 3_600_000);
        group.directory.clock.record(moved, own());
        let again = |held: &Held| held.registered == registered + 1;
        group.directory.until(again).await;
    }
    let beats = group.directory.set(|held| held.beats);
    group.directory.until(|held| held.beats >= beats + 2).await;
    // Once each, not in a loop.
    assert_eq!(
        group.directory.set(|held| held.starts.clone()),
        [true, false, false]
    );
    end(peer, &stop).await;
}

#[tokio::test]
async fn changed_observed_address_registers_again() {
    let group = Group::new();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group
        .directory
        .set(|held| held.observed = "127.0.0.1".to_owned());
    let beats = group.directory.set(|held| held.beats);
    group.directory.until(|held| held.beats >= beats + 2).await;
    assert_eq!(group.directory.set(|held| held.registered), 1);
    group
        .directory
        .set(|held| held.observed = "192.0.2.9".to_owned());
    group.directory.until(|held| held.registered >= 2).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn transient_peer_publishes_nothing() {
    let mut group = Group::new();
    group.transient = true;
    group.write("a", "one");
    // The directory has another generation for this id, which is no reason to publish.
    group.directory.set(|held| held.generation = 7);
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 0);
    group
        .directory
        .until(|held| held.transient && held.beats >= 3)
        .await;
    let told = group.directory.set(|held| (held.changes, held.wholes));
    assert_eq!((told, peer.hashed()), ((0, 0), 0));
    end(peer, &stop).await;
}
