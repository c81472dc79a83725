//! Names made to traverse, deceive or overflow: refused completely, or stored unchanged.

use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::status::from_status;
use convite_wire::v1;
use serde_json::{Value, json};

use crate::apis::{Api, call, eventually, grpc, rest};
use crate::overload::with_peer;

fn file(path: &str) -> Value {
    let hash = ContentHash::of(path.as_bytes()).to_string();
    json!({"path": path, "size": 1, "hash": hash, "modified": 1})
}

fn publish(generation: u64, files: Vec<Value>) -> crate::apis::Call {
    call(
        "publish",
        json!({"peer": "ana-1", "generation": generation, "upsert": files}),
    )
}

async fn shared(api: &Api, token: &str) -> Vec<String> {
    let page = api.call(Some(token), &call("index", json!({}))).await;
    let page = page.unwrap();
    let files = page["files"].as_array().cloned().unwrap_or_default();
    let path = |entry: &Value| entry["path"].as_str().map(str::to_owned);
    files.iter().filter_map(path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unsafe_path_refuses_the_whole_change() {
    let (running, token) = with_peer(|_| {}).await;
    for api in [rest(running.get()), grpc(running.get()).await] {
        let long_part = "x".repeat(256);
        let long_path = "x/".repeat(2_100) + "x";
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            &long_part,
            &long_path,
        ] {
            let mut files: Vec<Value> = ["good.txt", bad].into_iter().map(file).collect();
            for _ in 0..2 {
                let refused = api.call(Some(&token), &publish(7, files.clone())).await;
                assert_eq!(refused, Err("invalid_argument".to_owned()), "{bad:?}");
                files.reverse();
            }
        }
        assert_eq!(shared(&api, &token).await, Vec::<String>::new());
        let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
        let lease = api.call(Some(&token), &heartbeat).await.unwrap();
        assert_eq!(lease["generation"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_only_look_strange_are_kept_byte_for_byte() {
    let (running, token) = with_peer(|_| {}).await;
    let [rest, grpc] = [rest(running.get()), grpc(running.get()).await];
    // One name in two normal forms is two files, as on most disks.
    let mut names = vec![
        "caf\u{e9}.txt",
        "cafe\u{301}.txt",
        "gpj.\u{202e}exe",
        "line\nbreak",
        "\u{1b}[2J",
        "a\\..\\b",
        "-rf",
        " ",
        "zero\u{200b}width",
        "\u{feff}",
        "%2e%2e%2f",
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        "\u{10ffff}",
    ];
    let files = names.iter().map(|name| file(name)).collect();
    rest.call(Some(&token), &publish(1, files)).await.unwrap();
    names.sort_unstable();
    for api in [&rest, &grpc] {
        let mut kept = shared(api, &token).await;
        kept.sort_unstable();
        assert_eq!(kept, names);
    }
    // Both are found in either form.
    for words in ["cafe", "caf\u{e9}", "cafe\u{301}"] {
        let search = call("search", json!({"q": words}));
        eventually(&grpc, &token, &search, |page| {
            page["results"]
                .as_array()
                .is_some_and(|hits| hits.len() == 2)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_queries_are_answered() {
    let (running, token) = with_peer(|_| {}).await;
    let long = "x".repeat(1_001);
    let many = "a ".repeat(500);
    for api in [rest(running.get()), grpc(running.get()).await] {
        for (query, good) in [
            ("\0", true),
            ("*", true),
            ("\" OR \"", true),
            ("(((((", true),
            ("\u{202e}\u{1b}", true),
            ("a AND NOT b:c^2~1 [x TO y]", true),
            (&many, false),
            (&long, false),
        ] {
            let found = api
                .call(Some(&token), &call("search", json!({"q": query})))
                .await;
            assert_eq!(found.is_ok(), good, "{query:?} {found:?}");
        }
    }
}

async fn stream(api: &Api, token: &str, messages: Vec<v1::PublishIndexRequest>) -> Problem {
    let Api::Grpc(client) = api else {
        panic!("wrong API")
    };
    let mut request = tonic::Request::new(tokio_stream::iter(messages));
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    from_status(&client.clone().publish_index(request).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_tiny_entries_in_one_message_are_refused() {
    let (running, token) = with_peer(|_| {}).await;
    let api = grpc(running.get()).await;
    let header = v1::IndexHeader {
        peer: "ana-1".to_owned(),
        generation: 1,
        base: Some(0),
    };
    let first = v1::PublishIndexRequest {
        header: Some(header),
        ..Default::default()
    };
    let many = v1::PublishIndexRequest {
        remove: vec![String::new(); 1_000_000],
        ..Default::default()
    };
    let refused = stream(&api, &token, vec![first.clone(), many]).await;
    assert_eq!(refused.code, ErrorCode::TooLarge, "{refused}");
    // The same number in messages of an accepted size: the change as a whole is too large.
    let few = v1::PublishIndexRequest {
        remove: (0..5_000).map(|number| number.to_string()).collect(),
        ..Default::default()
    };
    let mut messages = vec![first];
    messages.extend(std::iter::repeat_n(few, 11));
    let refused = stream(&api, &token, messages).await;
    assert_eq!(refused.code, ErrorCode::TooLarge, "{refused}");
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = api.call(Some(&token), &heartbeat).await.unwrap();
    assert_eq!(lease["generation"], 0);
}
