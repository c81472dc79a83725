//! Certificates of the authority: only the intended ones are issued.

use std::sync::Arc;
use std::time::Duration;

use convite_core::{PeerId, UnixMillis};
use convite_directory::authority::Authority;
use convite_net::dial::{Expected, connect};
use convite_net::tls::{DIRECTORY_NAME, client_config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::apis::Running;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> UnixMillis {
    std::time::SystemTime::now().into()
}

/// Returns whether `leaf` is valid for `name` at `later` from now.
fn verifies(authority: &Authority, leaf: &[u8], name: &str, later: Duration) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let leaf = CertificateDer::from(leaf.to_vec());
    let time = UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + later);
    let verifier = verifier.build().unwrap();
    verifier
        .verify_server_cert(&leaf, &[], &name, &[], time)
        .is_ok()
}

/// A request that asks for more than a peer gets.
fn greedy_request() -> Vec<u8> {
    let mut params = CertificateParams::default();
    let name = DIRECTORY_NAME.try_into().unwrap();
    params.subject_alt_names = vec![SanType::DnsName(name)];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// A valid request for these names.
fn signing_request(names: impl Iterator<Item = String>) -> Vec<u8> {
    let params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn a_peer_is_certified_for_its_own_name_and_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), now()).unwrap();
    let (peer, other): (PeerId, PeerId) = ("ana-1".parse().unwrap(), "ana-2".parse().unwrap());
    let made = authority
        .peer_certificate(&peer, &greedy_request(), DAY, now())
        .unwrap();
    let (own, others) = (peer.certificate_name(), other.certificate_name());
    for (name, later, good) in [
        (own.as_str(), Duration::ZERO, true),
        (own.as_str(), DAY + DAY, false),
        ("192.0.2.7", Duration::ZERO, false),
        (others.as_str(), Duration::ZERO, false),
        (DIRECTORY_NAME, Duration::ZERO, false),
        ("localhost", Duration::ZERO, false),
        ("127.0.0.1", Duration::ZERO, false),
        ("::1", Duration::ZERO, false),
    ] {
        assert_eq!(verifies(&authority, &made.der, name, later), good, "{name}");
    }
    assert_eq!(alternative_names(&made.der), [format!("dns {own}")]);
}

/// Returns the subject alternative names of a certificate.
fn alternative_names(der: &[u8]) -> Vec<String> {
    use x509_parser::extensions::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let shown = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => format!("dns {name}"),
        other => format!("{other:?}"),
    });
    shown.collect()
}

#[test]
fn forged_and_malformed_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), now()).unwrap();
    let good = greedy_request();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    // Well formed and signed, but with a thousand names.
    let long = signing_request((0..1000).map(|number| format!("name-{number}.example")));
    assert!(long.len() > 16 << 10, "{}", long.len());
    for (request, accepted) in [
        (good.clone(), true),
        (forged, false),
        (good[..good.len() / 2].to_vec(), false),
        (b"nonsense".to_vec(), false),
        (vec![0; 100_000], false),
        (long, false),
    ] {
        let made = authority.peer_certificate(&"ana-1".parse().unwrap(), &request, DAY, now());
        assert_eq!(made.is_ok(), accepted);
    }
}

#[test]
fn the_authority_is_stable_and_a_lost_key_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::open(folder.path(), now()).unwrap();
    let again = Authority::open(folder.path(), now()).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    // A certificate signed by the second instance verifies against the first.
    let leaf = again.directory_leaf(&[], now()).unwrap();
    assert!(verifies(
        &first,
        &leaf.chain[0],
        DIRECTORY_NAME,
        Duration::ZERO
    ));
    std::fs::remove_file(folder.path().join("authority.key")).unwrap();
    assert!(Authority::open(folder.path(), now()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_another_authority_does_not_connect() {
    let running = Running::start(|_| {}).await;
    let address = running.get().address.into();
    for (authority, good) in [(running.get().authority.unwrap(), true), ([7; 32], false)] {
        let expected = Expected::new(client_config(authority), DIRECTORY_NAME).unwrap();
        assert_eq!(connect(&address, Some(&expected)).await.is_ok(), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_certificate_is_used_for_browsers_but_not_for_peers() {
    use convite_directory::{DirectoryConfig, start};
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = Authority::open(elsewhere.path(), now()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["files.example".to_owned()]).unwrap();
    let request = params.serialize_request(&key).unwrap();
    let peer = "web".parse().unwrap();
    let made = real
        .peer_certificate(&peer, request.der(), DAY, now())
        .unwrap();
    let pem = |der: &[u8]| {
        let text = data_encoding::BASE64.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let chain = pem(&made.der) + &pem(real.certificate());
    std::fs::write(home.path().join("web.pem"), chain).unwrap();
    std::fs::write(home.path().join("web.key"), key.serialize_pem()).unwrap();
    let mut config = DirectoryConfig::new(home.path());
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.tls_cert = Some(home.path().join("web.pem"));
    config.tls_key = Some(home.path().join("web.key"));
    let directory = start(config, Default::default()).await.unwrap();
    let own = directory.authority.unwrap();
    let web = peer.certificate_name();
    for (authority, name, good) in [
        (own, DIRECTORY_NAME, true),
        (real.fingerprint(), web.as_str(), true),
        (own, "localhost", false),
        (real.fingerprint(), DIRECTORY_NAME, false),
    ] {
        let expected = Expected::new(client_config(authority), name).unwrap();
        let connected = connect(&directory.address.into(), Some(&expected)).await;
        assert_eq!(connected.is_ok(), good, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_expired_by_the_wall_clock_is_renewed_at_once() {
    // The directory starts, and the machine sleeps for 40 days, which the monotonic clock does not
    // count.
    let clock = convite_directory::clock::Clock::default();
    clock.set_shift(-40 * 24 * 3_600_000);
    let shifted = clock.clone();
    let running = Running::start(move |config| config.clock = shifted.clone()).await;
    let address = running.get().address.into();
    let authority = running.get().authority.unwrap();
    let expected = Expected::new(client_config(authority), DIRECTORY_NAME).unwrap();
    let refused = connect(&address, Some(&expected)).await.err().unwrap();
    assert!(refused.message.contains("expired"), "{refused}");
    assert!(refused.hint.unwrap().contains("clock"));
    clock.set_shift(0);
    assert!(connect(&address, Some(&expected)).await.is_ok());
    // After a period with a clock ahead, no leaf from the future remains.
    for offset in [400 * 24 * 3_600_000, 0] {
        clock.set_shift(offset);
        assert!(running.get().service.readiness().await.is_ready());
    }
    assert!(connect(&address, Some(&expected)).await.is_ok());
}
