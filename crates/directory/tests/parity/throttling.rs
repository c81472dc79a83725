//! Attempts at passwords and invites, slowed down through both doors alike.

use std::time::Duration;

use convite_core::{ErrorCode, UserName};
use convite_directory::DirectoryConfig;
use convite_directory::throttle::{Pace, Paces};
use serde_json::json;

use crate::doors::{Door, Running, call, grpc, http, rest};

/// Three failures are free, and then it takes a minute.
fn short_of_patience(config: &mut DirectoryConfig) {
    let strict = Pace {
        free: 3,
        first: Duration::from_secs(60),
        slowest: Duration::from_secs(600),
    };
    config.paces = Paces {
        account_there: strict,
        network: Pace { free: 12, ..strict },
        account: strict,
        joining: strict,
        links: strict,
    };
}

async fn with_ana() -> (Running, String) {
    let running = Running::start(short_of_patience).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running
        .get()
        .service
        .local_session(&user, Some("right horse"))
        .await;
    let token = session.unwrap().token;
    (running, token)
}

async fn doors(running: &Running) -> [Door; 2] {
    [rest(running.get()), grpc(running.get()).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn after_some_wrong_passwords_not_even_the_right_one_is_looked_at_for_a_while() {
    for first in 0..2 {
        let (running, token) = with_ana().await;
        let doors = doors(&running).await;
        let login =
            |user: &str, password: &str| call("login", json!({"user": user, "password": password}));
        for _ in 0..4 {
            let refused = doors[first].knock(None, &login("ana", "wrong horse")).await;
            assert_eq!(refused, Err("wrong_credentials".to_owned()));
        }
        for door in &doors {
            for password in ["wrong horse", "right horse"] {
                let refused = door.knock(None, &login("ana", password)).await;
                assert_eq!(refused, Err("too_many_requests".to_owned()));
            }
            // Her session, and other accounts, are as they were; so is the answer for nobody.
            let peers = door.knock(Some(&token), &call("peers", json!({}))).await;
            peers.unwrap();
            let other = door.knock(None, &login("berta", "wrong horse")).await;
            assert_eq!(other, Err("wrong_credentials".to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_do_not_exist_are_slowed_down_like_those_that_do() {
    let (running, _) = with_ana().await;
    let nobody = call(
        "login",
        json!({"user": "nobody", "password": "wrong horse"}),
    );
    let door = rest(running.get());
    for _ in 0..4 {
        let refused = door.knock(None, &nobody).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
    }
    let refused = door.knock(None, &nobody).await;
    assert_eq!(refused, Err("too_many_requests".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_password_is_not_tried_on_many_accounts() {
    let (running, _) = with_ana().await;
    let [rest, grpc] = doors(&running).await;
    let mut refused = Vec::new();
    for number in 0..16 {
        let door = if number % 2 == 0 { &rest } else { &grpc };
        let login = json!({"user": format!("user{number}"), "password": "summer2026"});
        refused.push(door.knock(None, &call("login", login)).await.unwrap_err());
    }
    let looked_at = refused.iter().filter(|code| *code == "wrong_credentials");
    assert_eq!(looked_at.count(), 13);
    assert_eq!(refused[15], "too_many_requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_cannot_be_guessed_fast() {
    let (running, _) = with_ana().await;
    let guess = json!({"invite": "a".repeat(32), "user": "mallory", "password": "right horse"});
    let guess = call("create_account", guess);
    for door in doors(&running).await {
        for _ in 0..2 {
            let refused = door.knock(None, &guess).await;
            assert_eq!(refused, Err("invite_invalid".to_owned()));
        }
    }
    for door in doors(&running).await {
        let refused = door.knock(None, &guess).await;
        assert_eq!(refused, Err("too_many_requests".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_says_when_to_come_back() {
    let (running, _) = with_ana().await;
    let [rest, grpc] = doors(&running).await;
    let fields = json!({"user": "ana", "password": "wrong horse"});
    for _ in 0..4 {
        rest.knock(None, &call("login", fields.clone()))
            .await
            .unwrap_err();
    }
    let body = fields.to_string().into_bytes();
    let (parts, _) = http(&rest, "POST", "/login", None, body).await;
    assert_eq!(parts.status.as_u16(), 429);
    let seconds: u64 = parts.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");

    let Door::Grpc(mut client) = grpc else {
        panic!("not this door")
    };
    let refused = client
        .login(convite_wire::v1::LoginRequest {
            user: "ana".to_owned(),
            password: "wrong horse".to_owned(),
            peer: None,
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    let problem = convite_wire::status::from_status(&refused);
    assert_eq!(problem.code, ErrorCode::TooManyRequests);
    let pause = problem.retry_after.unwrap().as_secs();
    assert!((50..=60).contains(&pause), "{pause}");
    let pushback = refused.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert!(pushback.to_str().unwrap().parse::<u64>().unwrap() > 50_000);
}
