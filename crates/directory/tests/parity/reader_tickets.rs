//! Reader tickets, as the directory issues them.

use std::time::SystemTime;

use convite_core::{ContentHash, UnixMillis};
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::ticket::TicketVerifier;
use serde_json::{Value, json};

use crate::apis::{Running, call};
use crate::scenarios::file;
use crate::swarm::Member;

/// A directory with three spaces. Ana is an administrator; Bob and Eve share files.
struct World {
    running: Running,
    ana: Member,
    bob: Member,
    eve: Member,
}

impl World {
    async fn new() -> Self {
        let running = Running::start(|_| {}).await;
        let invite = running.get().invite.clone();
        // The first account is an administrator.
        let api = crate::apis::rest(running.get());
        crate::spaces::token(&api, &invite, "ana").await;
        let world = Self {
            ana: Member::join(&running, "ana").await,
            bob: Member::join(&running, "bob").await,
            eve: Member::join(&running, "eve").await,
            running,
        };
        for space in ["lab", "desk", "club"] {
            world.administer("add_space", space, None).await;
        }
        for (space, user) in [
            ("lab", "ana"),
            ("desk", "ana"),
            ("lab", "bob"),
            ("club", "bob"),
        ] {
            world.administer("add_member", space, Some(user)).await;
        }
        for (member, id) in [(&world.bob, "bob-1"), (&world.eve, "eve-1")] {
            member.register(id, false).await;
            let files = [file("s/one", 3, "one"), file("s/two", 3, "two")];
            let index = json!({"peer": id, "generation": 1, "upsert": files});
            member.ask("publish", index).await.unwrap();
        }
        world
    }

    async fn administer(&self, operation: &'static str, space: &str, user: Option<&str>) {
        let fields = json!({"space": space, "user": user});
        self.ana.ask(operation, fields).await.unwrap();
    }

    /// Returns the tickets of a member for Bob's and Eve's peers, by a lookup of a file of both.
    async fn tickets(&self, member: &Member, contents: &str) -> [(String, ReaderTicket); 2] {
        let hash = ContentHash::of(contents.as_bytes()).to_string();
        let one = member.ask("locate", json!({ "hash": hash })).await.unwrap();
        let many = json!({ "hashes": [hash] });
        let many = member.ask("locate_many", many).await.unwrap();
        assert_eq!(many["results"][0]["located"], one);
        ["bob-1", "eve-1"].map(|peer| {
            let providers = one["providers"].as_array().unwrap();
            let is_it = |provider: &&Value| provider["peer"] == peer;
            let ticket = &providers.iter().find(is_it).unwrap()["ticket"];
            let token = ticket.as_str().unwrap().to_owned();
            let key = self.running.get().service.ticket_key();
            let verifier = TicketVerifier::new(&key, peer.parse().unwrap()).unwrap();
            let now = UnixMillis::from(SystemTime::now());
            let ticket = verifier.verify_reader(&token, now).unwrap();
            (token, ticket)
        })
    }

    /// Returns the spaces in Ana's ticket for Bob's peer.
    async fn spaces(&self) -> Vec<String> {
        let [(_, ticket), _] = self.tickets(&self.ana, "one").await;
        ticket.spaces.iter().map(ToString::to_string).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_names_the_spaces_of_both_accounts() {
    let world = World::new().await;
    let [(_, at_bob), (_, at_eve)] = world.tickets(&world.ana, "one").await;
    assert_eq!(at_bob.user.as_str(), "ana");
    assert_eq!(at_bob.spaces, ["lab".parse().unwrap()]);
    // Eve is in no space, and does not learn of those of Ana.
    assert_eq!(at_eve.spaces, []);
    let [(_, own), _] = world.tickets(&world.bob, "one").await;
    let spaces: Vec<_> = own.spaces.iter().map(ToString::to_string).collect();
    assert_eq!(
        (own.user.as_str(), spaces.join(" ")),
        ("bob", "club lab".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ticket_is_used_for_all_contents_of_a_peer() {
    let world = World::new().await;
    let [bob, eve] = world.tickets(&world.ana, "one").await;
    assert_ne!(bob.0, eve.0);
    assert_eq!(world.tickets(&world.ana, "two").await, [bob.clone(), eve]);
    // Another session of the account gets it as well, another account its own.
    let again = Member::join(&world.running, "ana").await;
    assert_eq!(world.tickets(&again, "one").await[0], bob);
    assert_ne!(world.tickets(&world.eve, "one").await[0], bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_membership_changes_the_next_ticket() {
    let world = World::new().await;
    assert_eq!(world.spaces().await, ["lab"]);
    // The reader leaves a space, and joins it again.
    world.administer("remove_member", "lab", Some("ana")).await;
    assert_eq!(world.spaces().await, [""; 0]);
    world.administer("add_member", "lab", Some("ana")).await;
    assert_eq!(world.spaces().await, ["lab"]);
    // The account of the peer joins a space of the reader, and leaves another one.
    world.administer("add_member", "desk", Some("bob")).await;
    assert_eq!(world.spaces().await, ["desk", "lab"]);
    world.administer("remove_member", "lab", Some("bob")).await;
    assert_eq!(world.spaces().await, ["desk"]);
    world.administer("add_member", "lab", Some("bob")).await;
    assert_eq!(world.spaces().await, ["desk", "lab"]);
    world.administer("remove_space", "desk", None).await;
    assert_eq!(world.spaces().await, ["lab"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ticket_is_issued_without_a_session_or_to_a_disabled_account() {
    let world = World::new().await;
    world.tickets(&world.eve, "one").await;
    let hash = ContentHash::of(b"one").to_string();
    let other = Member::join(&world.running, "eve").await;
    world.eve.ask("logout", json!({})).await.unwrap();
    let refused = Err("unauthenticated".to_owned());
    let (one, many) = (json!({ "hash": hash }), json!({ "hashes": [hash] }));
    assert_eq!(world.eve.ask("locate", one.clone()).await, refused);
    assert_eq!(world.eve.ask("locate_many", many.clone()).await, refused);
    assert!(other.ask("locate", one.clone()).await.is_ok());
    let disabled = json!({"user": "eve", "disabled": true});
    let changed = call("change_user", disabled);
    world
        .ana
        .api
        .call(Some(&world.ana.token), &changed)
        .await
        .unwrap();
    assert_eq!(other.ask("locate", one).await, refused);
    assert_eq!(other.ask("locate_many", many).await, refused);
}
