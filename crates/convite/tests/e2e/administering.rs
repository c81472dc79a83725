//! Sessions, invites and peers, as an administrator ends them from the command line.

use serde_json::Value;

use crate::harness::{Directory, Home};

fn id_of(objects: &[Value], is_it: impl Fn(&Value) -> bool) -> String {
    let found = objects.iter().find(|object| is_it(object));
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_let_in_is_listed_and_ended() {
    let directory = Directory::with("");
    let (ana, bob) = (Home::new(), Home::new());
    for (home, name) in [(&ana, "ana"), (&bob, "bob")] {
        let join = format!("join {} --user {name}", directory.invite);
        home.json(&join).ok().event("joined");
    }
    bob.write("docs/a.txt", b"contents");
    let peer = bob.peer("bob-1", &bob.path("docs"), "");

    // Her own alone for him, everybody's for her.
    assert_eq!(bob.json("session list").ok().objects().len(), 1);
    let sessions = ana.json("session list").ok().objects();
    assert!(id_of(&sessions, |s| s["current"] == true && s["user"] == "ana").len() == 16);
    let bobs = id_of(&sessions, |s| s["peer"] == "bob-1");
    let own = id_of(&sessions, |s| s["user"] == "ana");
    bob.json(&format!("session revoke {own}")).ends(3);
    bob.json("session list --user ana").ends(4);
    let shown = ana.run("session list --user bob").ok().stdout;
    assert!(shown.contains(&bobs) && !shown.contains(&own), "{shown}");

    ana.json("invite --role guest").ok();
    let invites = ana.json("invite list").ok().objects();
    let made = id_of(&invites, |invite| invite["created_by"] == "ana");
    bob.json("invite list").ends(4);
    ana.json(&format!("invite revoke {made}")).ok();
    ana.json(&format!("invite revoke {made}")).ends(3);
    assert_eq!(
        ana.json("invite list").ok().objects().len(),
        invites.len() - 1
    );

    ana.json("space add lab").ok();
    ana.json("user add carl --role guest --space lab").ok();
    let users = ana.json("user list").ok().objects();
    let carl = users.iter().find(|user| user["user"] == "carl").unwrap();
    assert_eq!(carl["spaces"], serde_json::json!(["lab"]));

    ana.json(&format!("session revoke {bobs}")).ok();
    assert_eq!(ana.json("peers").ok().objects().len(), 0);
    bob.json("peers").ends(4);
    bob.json("login --user bob").ok();
    ana.json("peers remove bob-1").ok();
    ana.json("peers remove bob-1").ends(3);

    let log = ana.json("audit").ok().objects();
    for action in ["session_revoke", "invite_revoke", "peer_remove", "user_add"] {
        let entry = log.iter().find(|entry| entry["action"] == action);
        assert_eq!(entry.unwrap()["actor"], "ana", "{action}");
    }
    drop(peer);
}
