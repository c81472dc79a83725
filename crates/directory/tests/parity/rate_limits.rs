//! Rate limits of password and invite attempts, through both APIs.

use std::time::Duration;

use convite_core::{ErrorCode, UserName};
use convite_directory::DirectoryConfig;
use convite_directory::throttle::{AttemptLimits, FailureRate};
use serde_json::json;

use crate::apis::{Api, Running, call, grpc, http, rest};

/// Three failures are free; the next delay is a minute.
fn strict_limits(config: &mut DirectoryConfig) {
    let strict = FailureRate {
        free_failures: 3,
        first_delay: Duration::from_secs(60),
        max_delay: Duration::from_secs(600),
    };
    config.attempt_limits = AttemptLimits {
        account_and_network: strict,
        network: FailureRate {
            free_failures: 12,
            ..strict
        },
        account: strict,
        joining: strict,
        links: strict,
    };
}

async fn with_ana() -> (Running, String) {
    let running = Running::start(strict_limits).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running
        .get()
        .service
        .local_session(&user, Some("right horse"))
        .await;
    let token = session.unwrap().token;
    (running, token)
}

async fn apis(running: &Running) -> [Api; 2] {
    [rest(running.get()), grpc(running.get()).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn after_wrong_passwords_even_the_right_one_must_wait() {
    for first in 0..2 {
        let (running, token) = with_ana().await;
        let apis = apis(&running).await;
        let login =
            |user: &str, password: &str| call("login", json!({"user": user, "password": password}));
        for _ in 0..4 {
            let refused = apis[first].call(None, &login("ana", "wrong horse")).await;
            assert_eq!(refused, Err("wrong_credentials".to_owned()));
        }
        for api in &apis {
            for password in ["wrong horse", "right horse"] {
                let refused = api.call(None, &login("ana", password)).await;
                assert_eq!(refused, Err("too_many_requests".to_owned()));
            }
            // Her session and other accounts are not affected; unknown accounts get the same error.
            let peers = api.call(Some(&token), &call("peers", json!({}))).await;
            peers.unwrap();
            let other = api.call(None, &login("berta", "wrong horse")).await;
            assert_eq!(other, Err("wrong_credentials".to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_accounts_are_throttled_like_existing_ones() {
    let (running, _) = with_ana().await;
    let nobody = call(
        "login",
        json!({"user": "nobody", "password": "wrong horse"}),
    );
    let api = rest(running.get());
    for _ in 0..4 {
        let refused = api.call(None, &nobody).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
    }
    let refused = api.call(None, &nobody).await;
    assert_eq!(refused, Err("too_many_requests".to_owned()));
}

/// Computing a hash takes most of the time of a login: without one, the time of the answer would
/// tell which accounts exist.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_computes_one_hash_whether_or_not_the_account_exists() {
    let (running, _) = with_ana().await;
    let service = &running.get().service;
    // An account that its owner uses on the directory's machine only.
    let bea: UserName = "bea".parse().unwrap();
    service.local_session(&bea, None).await.unwrap();
    for api in apis(&running).await {
        for user in ["ana", "bea", "nobody"] {
            let before = service.password_hashes();
            let login = json!({"user": user, "password": "wrong horse"});
            let refused = api.call(None, &call("login", login)).await;
            assert_eq!(refused, Err("wrong_credentials".to_owned()));
            assert_eq!(service.password_hashes() - before, 1, "{user}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_password_is_not_tried_on_many_accounts() {
    let (running, _) = with_ana().await;
    let [rest, grpc] = apis(&running).await;
    let mut refused = Vec::new();
    for number in 0..16 {
        let api = if number % 2 == 0 { &rest } else { &grpc };
        let login = json!({"user": format!("user{number}"), "password": "summer2026"});
        refused.push(api.call(None, &call("login", login)).await.unwrap_err());
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
    for api in apis(&running).await {
        for _ in 0..2 {
            let refused = api.call(None, &guess).await;
            assert_eq!(refused, Err("invite_invalid".to_owned()));
        }
    }
    for api in apis(&running).await {
        let refused = api.call(None, &guess).await;
        assert_eq!(refused, Err("too_many_requests".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_has_retry_after() {
    let (running, _) = with_ana().await;
    let [rest, grpc] = apis(&running).await;
    let fields = json!({"user": "ana", "password": "wrong horse"});
    for _ in 0..4 {
        rest.call(None, &call("login", fields.clone()))
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

    let Api::Grpc(mut client) = grpc else {
        panic!("wrong API")
    };
    let refused = client
        .login(convite_wire::v1::LoginRequest {
            user: "ana".to_owned(),
            password: "wrong horse".to_owned(),
            ..Default::default()
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
