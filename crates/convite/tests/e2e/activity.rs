//! Rates and transfers, as an uninvolved account sees them.

use convite_net::dial::{Expected, http1_request};
use convite_net::tls::{DIRECTORY_NAME, client_config_http1};
use convite_wire::invite::Fingerprint;
use http::Request;
use http_body_util::{BodyExt, Empty};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{Directory, Home, contents, text, wait_until};
use crate::process::DEADLINE;

const MIB: usize = 1 << 20;

/// Returns the sent and received rates of a peer; `None` if it is not listed.
fn rates(home: &Home, id: &str) -> Option<(u64, u64)> {
    let listed = home.json("peers").ok().objects();
    let peer = listed.into_iter().find(|peer| peer["id"] == id)?;
    let number = |name: &str| peer[name].as_u64().unwrap();
    Some((number("sent_rate"), number("received_rate")))
}

/// Returns the first `transfers` event that satisfies `is`.
async fn told(directory: &Directory, home: &Home, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let credentials = home.credentials();
    let pin: Fingerprint = text(&credentials, "authority").parse().unwrap();
    let expected = Expected::new(client_config_http1(pin.0), DIRECTORY_NAME).unwrap();
    let address = format!("127.0.0.1:{}", directory.port).parse().unwrap();
    let token = text(&credentials, "token");
    let request = Request::get("/events")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::<bytes::Bytes>::new());
    let answer = http1_request(&address, Some(&expected), request.unwrap()).await;
    let mut events = answer.unwrap().into_body();
    loop {
        let frame = events.frame().await.expect("the stream ended").unwrap();
        let event = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        let Some(data) = event.strip_prefix("event: transfers\ndata: ") else {
            continue;
        };
        let data: Value = serde_json::from_str(data).unwrap();
        let transfers = data["transfers"].as_array().unwrap();
        if is(transfers) {
            return transfers.clone();
        }
    }
}

#[test]
fn a_running_download_is_shown_with_the_rates_of_both_peers() {
    convite_net::install_crypto();
    // With a long lease, rates arrive in time only because busy peers send heartbeats more often.
    let directory = Directory::with("--lease 90s");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let cleo = directory.member("cleo");
    ana.write("data/big.bin", &contents(71, 8 * MIB));
    ben.write("docs/own.txt", b"something of his own");
    let _first = ana.peer("ana-1", &ana.path("data"), "--upload-limit 1MiB");
    let _second = ben.peer("ben-1", &ben.path("docs"), "");
    assert_eq!(rates(&cleo, "ana-1"), Some((0, 0)));

    let get = ben.start("--json get big.bin");
    let by = |transfers: &[Value], peer: &str, direction: &str| {
        let is = |of: &&Value| of["peer"] == peer && of["direction"] == direction;
        transfers.iter().find(is).cloned()
    };
    let runtime = Runtime::new().unwrap();
    let both = told(&directory, &cleo, |transfers| {
        by(transfers, "ana-1", "sending").is_some() && by(transfers, "ben-1", "receiving").is_some()
    });
    let in_time = async { tokio::time::timeout(DEADLINE, both).await };
    let transfers = runtime.block_on(in_time).expect("no event in time");
    for (peer, direction) in [("ana-1", "sending"), ("ben-1", "receiving")] {
        let transfer = by(&transfers, peer, direction).unwrap();
        assert_eq!(text(&transfer, "name"), "big.bin");
        assert_eq!(transfer["size"], 8 * MIB);
    }
    let plausible = |rate: u64| (100_000..4_000_000).contains(&rate);
    wait_until("both peers have a rate", || {
        let (sent, received) = (rates(&cleo, "ana-1")?.0, rates(&cleo, "ben-1")?.1);
        (plausible(sent) && plausible(received)).then_some(())
    });
    assert!(cleo.run("peers").ok().stdout.contains("/s"));

    get.object("the end of the download", |event| event["event"] == "done");
    get.ended().ok();
    wait_until("the rates are zero", || {
        let all = [rates(&cleo, "ana-1")?, rates(&cleo, "ben-1")?];
        (all == [(0, 0), (0, 0)]).then_some(())
    });
}
