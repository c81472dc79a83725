//! Shares with a space: who sees them, who gets them, and what happens to those who may not.

use std::fs;

use serde_json::Value;

use crate::harness::{Directory, Home, text, until};

/// An administrator, a member of the space `lab`, and one who is in no space; the peer of the
/// second shares `docs` with everyone and, once told to, more.
struct Lab {
    /// Held for as long as the test runs.
    _directory: Directory,
    ana: Home,
    ben: Home,
    eve: Home,
}

impl Lab {
    fn new() -> Self {
        let directory = Directory::with("--lease 2s");
        let (ana, ben, eve) = (
            directory.member("ana"),
            directory.member("ben"),
            directory.member("eve"),
        );
        ana.run("space add lab").ok();
        for user in ["ana", "ben"] {
            ana.run(&format!("space member add lab {user}")).ok();
        }
        Self {
            _directory: directory,
            ana,
            ben,
            eve,
        }
    }
}

fn index(home: &Home) -> Vec<String> {
    let entries = home.json("index").ok().objects();
    let shown = entries.iter().map(|entry| match entry["space"].as_str() {
        Some(space) => format!("{}@{space}", text(entry, "path")),
        None => text(entry, "path"),
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

fn share(home: &Home, name: &str) -> Value {
    let status = home.json("status").ok().objects().remove(0);
    let shares = status["peer"]["shares"].as_array().unwrap().clone();
    let found = shares.into_iter().find(|share| share["name"] == name);
    found.unwrap()
}

#[test]
fn what_is_shared_with_a_space_is_there_for_its_members_alone() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    ben.write("docs/open.txt", b"for everyone");
    ben.write("secrets/formula.txt", b"for the lab alone");
    let _peer = ben.peer("ben-1", &ben.path("docs"), "");
    let shared = ben.json("share secrets --space lab").ok().event("shared");
    assert_eq!(shared["space"], "lab");
    until("it is listed", || (index(ana).len() == 2).then_some(()));
    // Searching follows a moment later.
    until("it is found", || {
        let found = ana.json("search formula").objects();
        found
            .iter()
            .any(|hit| hit["name"] == "formula.txt")
            .then_some(())
    });
    assert_eq!(index(ana), ["docs/open.txt", "secrets/formula.txt@lab"]);
    assert_eq!(index(eve), ["docs/open.txt"]);
    assert_eq!(share(ben, "secrets")["space"], "lab");
    let entries = ana.json("index").ok().objects();
    let secret = entries.iter().find(|entry| entry["space"] == "lab");
    let hash = text(secret.unwrap(), "hash");

    // By words, by space, by name and by hash.
    let hit = &ana.json("search formula").ok().objects()[0];
    assert_eq!(hit["spaces"], serde_json::json!(["lab"]));
    assert!(ana.run("search formula").ok().stdout.contains("lab"));
    let of_lab = ana.json("search txt --space lab").ok().objects();
    assert_eq!(of_lab.len(), 1);
    eve.json("search formula").ends(3);
    let refused = eve
        .json("search formula --space lab")
        .ends(4)
        .event("error");
    assert_eq!(refused["code"], "permission_denied");
    ana.run("get formula.txt").ok();
    assert_eq!(
        fs::read(ana.path("formula.txt")).unwrap(),
        b"for the lab alone"
    );
    ana.run(&format!("get {hash} -o by-hash/")).ok();
    eve.json("get formula.txt").ends(3);
    eve.json(&format!("get {hash}")).ends(3);
    eve.run("get open.txt").ok();

    // Shared with everyone again, but not by leaving the space out.
    let again = ben.json("share secrets").ok().event("shared");
    assert_eq!(again["space"], "lab");
    ben.run("unshare secrets").ok();
    ben.run("share secrets").ok();
    until("it is there for everyone", || {
        (index(eve).len() == 2).then_some(())
    });
    // And back.
    ben.run("share secrets --space lab").ok();
    until("it is hidden again", || {
        (index(eve).len() == 1).then_some(())
    });
    eve.json(&format!("get {hash}")).ends(3);
}

#[test]
fn a_space_of_others_is_refused_and_nothing_is_shared() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    eve.write("mine/plan.txt", b"eve's");
    eve.write("open/readme.txt", b"for everyone");
    let refused = |home: &Home, args: &str| {
        let error = home.json(args).ends(4).event("error");
        assert_eq!(error["code"], "permission_denied");
        assert!(text(&error, "hint").contains("convite space list"));
    };
    // Whether a peer runs or not, and whether there is such a space or not.
    refused(eve, "share mine --space lab");
    let _peer = eve.peer("eve-1", &eve.path("open"), "");
    refused(eve, "share mine --space lab");
    refused(eve, "share mine --space nothing");
    // Guests share nothing, whatever space they belong to.
    let link = ana.run("invite --role guest --space lab").ok().stdout;
    let guest = Home::new();
    guest.run(&format!("join {} --user gil", link.trim())).ok();
    guest.write("docs/a.txt", b"a");
    for args in ["share docs", "share docs --space lab"] {
        let error = guest.json(args).ends(4).event("error");
        assert!(text(&error, "message").contains("guests"), "{error}");
    }
    // An administrator sees every space, and belongs to those alone that she is in.
    ana.run("space add others").ok();
    ana.write("docs/a.txt", b"a");
    refused(ana, "share docs --space others");
    assert_eq!(index(ben), ["open/readme.txt"]);

    // Let in: it works; put out again: it is taken back, and shown to nobody.
    ana.run("space member add lab eve").ok();
    eve.run("share mine --space lab").ok();
    until("it is listed", || (index(ben).len() == 2).then_some(()));
    assert_eq!(index(ben), ["mine/plan.txt@lab", "open/readme.txt"]);
    ana.run("space member remove lab eve").ok();
    assert_eq!(index(ben), ["open/readme.txt"]);
    until("the peer says so", || {
        let trouble = text(&share(eve, "mine"), "trouble");
        trouble.contains("do not belong").then_some(())
    });
    assert!(text(&share(eve, "mine"), "hint").contains("convite space list"));
    let said = eve.run("status").ok().stdout;
    assert!(said.contains("do not belong"), "{said}");
    until("the rest is listed", || {
        (index(eve) == ["open/readme.txt"]).then_some(())
    });
    assert_eq!(index(ben), ["open/readme.txt"]);

    // Let in again, nobody has to do anything.
    ana.run("space member add lab eve").ok();
    until("it is back", || (index(ben).len() == 2).then_some(()));
    assert_eq!(index(ben), ["mine/plan.txt@lab", "open/readme.txt"]);
    until("the trouble is over", || {
        text(&share(eve, "mine"), "trouble")
            .is_empty()
            .then_some(())
    });
}

#[test]
fn a_folder_in_a_share_can_be_for_fewer() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    ben.write("docs/open.txt", b"for everyone");
    ben.write("docs/draft/paper.txt", b"for the lab alone");
    // Told before the peer runs for the first time.
    ben.run("share docs/draft --space lab").ok();
    let _peer = ben.peer("ben-1", &ben.path("docs"), "");
    assert_eq!(index(ana), ["docs/open.txt", "draft/paper.txt@lab"]);
    assert_eq!(index(eve), ["docs/open.txt"]);
    let ran = ben.run("unshare docs/draft").ok();
    assert!(ran.stderr.contains("everyone"), "{}", ran.stderr);
    until("the outer share shows it", || {
        (index(eve) == ["docs/draft/paper.txt", "docs/open.txt"]).then_some(())
    });
}
