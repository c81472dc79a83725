//! Administration on the command line: ending sessions, invites and peers; links to files.

use convite_core::ContentHash;
use serde_json::Value;

use crate::harness::{Directory, Home, contents, text};
use crate::peer_http::HttpClient;

fn id_of(objects: &[Value], is_it: impl Fn(&Value) -> bool) -> String {
    let found = objects.iter().find(|object| is_it(object));
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn invites_links_sessions_and_peers_are_listed_and_revoked() {
    let directory = Directory::with("");
    let (ana, bob) = (Home::new(), Home::new());
    for (home, name) in [(&ana, "ana"), (&bob, "bob")] {
        let join = format!("join {} --user {name}", directory.invite);
        home.json(&join).ok().event("joined");
    }
    bob.write("docs/a.txt", b"contents");
    let peer = bob.peer("bob-1", &bob.path("docs"), "");

    // bob sees only his own session, the administrator all sessions.
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

#[test]
fn a_link_downloads_without_an_account_and_its_token_is_not_logged() {
    for verbose in ["-v", "-vv"] {
        let directory = Directory::with(verbose);
        let ana = directory.member("ana");
        let bytes = contents(61, 200_000);
        ana.write("docs/report.bin", &bytes);
        let _peer = ana.peer("ana-1", &ana.path("docs"), "");
        ana.run("link nothing").ends(3);
        ana.run("link report.bin --uses 0").ends(2);
        let link = &ana
            .json("link report.bin --uses 1 --expires 10m")
            .ok()
            .objects()[0];
        let url = link["url"].as_str().unwrap();
        let (_, token) = url.split_once("/d/").unwrap();
        assert_eq!(
            url,
            format!("https://127.0.0.1:{}/d/{token}", directory.port)
        );
        assert_eq!(link["hash"], ContentHash::of(&bytes).to_string());
        let client = HttpClient::of_directory(&directory, &ana);
        let path = format!("/d/{token}");
        let answer = client.get(&path, None, None);
        assert_eq!((answer.status.as_u16(), answer.body == bytes), (200, true));
        let rest = client.get(&path, None, Some("bytes=100000-"));
        assert_eq!(rest.body, bytes[100_000..]);
        let session = text(&ana.credentials(), "token");
        let log = directory.process.stop().stderr;
        assert!(log.contains("/d/{token}"), "{verbose}: nothing was logged");
        for secret in [token, &session] {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{verbose}");
        }
    }
}
