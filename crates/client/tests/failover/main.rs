//! Failover between directory replicas when some of them do not answer.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod replica;

use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::model::Role;
use convite_core::{ContentHash, EntryKind, ErrorCode, PeerAddress, SearchScope, UserName};
use convite_wire::v1;
use prost::Message;
use replica::{
    Does, Line, Replica, beat, black_hole, client, credentials, problem, refusing, stalled, who,
};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

/// Time limit for an answer while a replica is dead: below the time limits for connecting (5 s) and
/// for an answer (30 s). An idle machine needs one or two seconds.
const NOTICED: Duration = Duration::from_millis(4_500);
/// Longer than the liveness timeout of a silent replica.
const SLOW: Duration = Duration::from_secs(3);

async fn is_answered_by_another(dead: &[&PeerAddress]) {
    let good = Replica::numbered(7).await;
    let mut all = dead.to_vec();
    all.push(&good.address);
    let client = client(&all);
    let asked = Instant::now();
    assert_eq!(who(&client).await.unwrap(), 7);
    assert!(asked.elapsed() < NOTICED, "{:?}", asked.elapsed());
    assert_eq!(
        client.addresses()[0],
        good.address,
        "the replica that answered must come first"
    );
}

#[tokio::test]
async fn a_replica_that_refuses_costs_little() {
    is_answered_by_another(&[&refusing().await]).await;
}

#[tokio::test]
async fn a_replica_that_lets_in_and_says_nothing_costs_little() {
    let (stalled, _guard) = stalled().await;
    is_answered_by_another(&[&stalled]).await;
}

#[tokio::test]
async fn a_replica_behind_a_black_hole_costs_little() {
    let (hole, _listener, _queued) = black_hole().await;
    is_answered_by_another(&[&hole]).await;
}

#[tokio::test]
async fn several_dead_replicas_of_every_kind_cost_little() {
    let (stalled, _guard) = stalled().await;
    let (hole, _listener, _queued) = black_hole().await;
    is_answered_by_another(&[&stalled, &refusing().await, &hole]).await;
}

#[tokio::test]
async fn a_replica_that_falls_silent_in_the_middle_is_left_for_another() {
    let (first, second) = (Replica::numbered(1).await, Replica::numbered(2).await);
    let line = Line::to(&first).await;
    let client = client(&[&line.address, &second.address]);
    assert_eq!(who(&client).await.unwrap(), 1);
    line.freeze();
    let asked = Instant::now();
    assert_eq!(who(&client).await.unwrap(), 2);
    assert!(asked.elapsed() < NOTICED, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_replica_that_is_slow_but_alive_is_waited_for() {
    let slow = Replica::new(move |_| Does::AnswerAfter(SLOW, beat(1))).await;
    let other = Replica::numbered(2).await;
    let client = client(&[&slow.address, &other.address]);
    assert_eq!(who(&client).await.unwrap(), 1);
    assert_eq!(slow.calls(), ["Heartbeat"]);
    assert!(other.calls().is_empty());
}

#[tokio::test]
async fn a_replica_that_breaks_off_or_says_that_it_cannot_is_left_for_another() {
    for habit in [
        || Does::Cut,
        || Does::Refuse(problem(ErrorCode::Unavailable)),
    ] {
        let first = Replica::new(move |_| habit()).await;
        let second = Replica::numbered(2).await;
        let client = client(&[&first.address, &second.address]);
        assert_eq!(who(&client).await.unwrap(), 2);
        assert_eq!(who(&client).await.unwrap(), 2);
        assert_eq!(
            first.calls().len(),
            1,
            "the failed replica was called again"
        );
    }
}

#[tokio::test]
async fn what_a_replica_refuses_for_good_is_not_tried_elsewhere() {
    let first = Replica::new(|_| Does::Refuse(problem(ErrorCode::NotFound))).await;
    let second = Replica::numbered(2).await;
    let client = client(&[&first.address, &second.address]);
    let refused = who(&client).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    assert!(second.calls().is_empty());
}

#[tokio::test]
async fn while_none_answers_they_are_tried_again_and_in_the_end_the_user_is_told() {
    let gone = [refusing().await, refusing().await];
    let nobody = client(&[&gone[0], &gone[1]]);
    let asked = Instant::now();
    let told = who(&nobody).await.unwrap_err();
    assert_eq!(told.code, ErrorCode::Unavailable);
    assert!(told.hint.is_some());
    assert!(asked.elapsed() < Duration::from_secs(30));

    // One replica returns while a call is running.
    let busy = Replica::new(|_| Does::Refuse(problem(ErrorCode::Unavailable))).await;
    let client = client(&[&busy.address, &gone[1]]);
    let (answer, _back) = tokio::join!(who(&client), async {
        while busy.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        let listener = TcpListener::bind(gone[1].to_string()).await.unwrap();
        Replica::at(listener, |_| Does::Answer(beat(9)))
    });
    assert_eq!(answer.unwrap(), 9);
}

fn account(user: &str) -> (UserName, &'static str) {
    (user.parse().unwrap(), "a long enough secret 8316")
}

fn logged_in(role: Role, directories: Vec<String>) -> Vec<u8> {
    let reply = v1::LoginReply {
        token: "another".to_owned(),
        user: "ana".to_owned(),
        role: role.name().to_owned(),
        directories,
        ..Default::default()
    };
    reply.encode_to_vec()
}

#[tokio::test]
async fn an_account_that_was_made_though_the_answer_got_lost_is_a_success() {
    for refusal in [ErrorCode::UserTaken, ErrorCode::InviteInvalid] {
        let first = Replica::new(|_| Does::Cut).await;
        let second = Replica::new(move |method| match method {
            "CreateAccount" => Does::Refuse(problem(refusal)),
            "Login" => Does::Answer(logged_in(Role::Admin, Vec::new())),
            _ => Does::Answer(Vec::new()),
        })
        .await;
        let client = client(&[&first.address, &second.address]);
        let (user, password) = account("ana");
        let role = client.create_account("code", &user, password).await;
        assert_eq!(role.unwrap(), Role::Admin);
        assert_eq!(second.calls(), ["CreateAccount", "Login", "Logout"]);
    }
}

#[tokio::test]
async fn an_account_of_somebody_else_stays_theirs() {
    let refuse = |method: &str| match method {
        "CreateAccount" => Does::Refuse(problem(ErrorCode::UserTaken)),
        _ => Does::Refuse(problem(ErrorCode::WrongCredentials)),
    };
    let first = Replica::new(|_| Does::Cut).await;
    let second = Replica::new(refuse).await;
    let (user, password) = account("ana");
    let after_a_loss = client(&[&first.address, &second.address]);
    let refused = after_a_loss.create_account("code", &user, password).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::UserTaken);

    // Without a lost attempt, the client does not try the password.
    let sole = Replica::new(refuse).await;
    let refused = client(&[&sole.address])
        .create_account("code", &user, password)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::UserTaken);
    assert_eq!(sole.calls(), ["CreateAccount"]);
}

#[tokio::test]
async fn replicas_that_the_directory_names_are_used_and_remembered() {
    let second = Replica::numbered(2).await;
    let named = vec![second.address.to_string(), "no address".to_owned()];
    let first = Replica::new(move |method| match method {
        "Login" => Does::Answer(logged_in(Role::Member, named.clone())),
        _ => Does::Answer(beat(1)),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path().to_path_buf()).unwrap();
    let credentials = credentials(&[&first.address]);
    credentials.save(&home).unwrap();
    let client = DirectoryClient::new(&credentials)
        .unwrap()
        .kept_in(&home, &credentials);
    let (user, password) = account("ana");
    client.login(&user, password).await.unwrap();
    assert_eq!(who(&client).await.unwrap(), 1);
    let both = [first.address.clone(), second.address.clone()];
    assert_eq!(client.addresses(), both);

    first.kill();
    assert_eq!(who(&client).await.unwrap(), 2);
    let kept = || Credentials::load(&home).unwrap().unwrap().addresses;
    let begun = Instant::now();
    while kept() != [second.address.clone(), first.address.clone()] {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", kept());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watch_goes_on_at_another_replica() {
    let news = |ticket: &str| {
        let provider = v1::Provider {
            peer: "peer_1".to_owned(),
            addresses: vec!["192.0.2.1:5001".to_owned()],
            size: 1,
            ticket: ticket.to_owned(),
            partial: false,
            host: String::new(),
        };
        let providers = vec![provider];
        v1::WatchReply {
            providers,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let (of_first, of_second) = (news("first"), news("second"));
    let first = Replica::new(move |_| Does::Begin(of_first.clone())).await;
    let line = Line::to(&first).await;
    let second = Replica::new(move |_| Does::Begin(of_second.clone())).await;
    let third = Replica::new(|_| Does::Refuse(problem(ErrorCode::SessionExpired))).await;
    let client = client(&[&line.address, &second.address, &third.address]);
    let mut watch = client
        .watch(&ContentHash::EMPTY, EntryKind::File, &SearchScope::Visible)
        .await
        .unwrap();
    let mut ticket = async || watch.next().await.unwrap().map(|p| p[0].ticket.clone());
    assert_eq!(ticket().await.unwrap(), "first");
    line.freeze();
    let silent = Instant::now();
    assert_eq!(ticket().await.unwrap(), "second");
    assert!(silent.elapsed() < NOTICED, "{:?}", silent.elapsed());
    second.kill();
    // A refusal ends the stream at once.
    assert_eq!(ticket().await.unwrap_err().code, ErrorCode::SessionExpired);
    assert!(watch.next().await.is_none());
}
