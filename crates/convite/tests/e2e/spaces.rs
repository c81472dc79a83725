//! Shares with a space: visibility, downloads, and changes of membership.

use std::fs;

use serde_json::Value;

use crate::harness::{Directory, Home, text, wait_until};

/// An administrator, a member of the space `lab`, and an account in no space; the peer of the member
/// shares `docs` with everyone, and more when requested.
struct Lab {
    /// Kept running during the test.
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

/// Returns the paths of the listed files, with their spaces.
fn index(home: &Home) -> Vec<String> {
    let entries = home.json("index").ok().objects();
    let files = entries.iter().filter(|entry| entry["kind"] != "folder");
    let shown = files.map(|entry| match entry["space"].as_str() {
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
fn files_of_a_space_are_visible_only_to_its_members() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    ben.write("docs/open.txt", b"for everyone");
    ben.write("secrets/formula.txt", b"for the lab alone");
    let _peer = ben.peer("ben-1", &ben.path("docs"), "");
    let shared = ben.json("share secrets --space lab").ok().event("shared");
    assert_eq!(shared["space"], "lab");
    wait_until("the file is listed", || {
        (index(ana).len() == 2).then_some(())
    });
    // The search index follows with a delay.
    wait_until("search finds the file", || {
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
    let secret = |folder: bool| {
        let mut entries = entries.iter();
        let secret =
            entries.find(|entry| entry["space"] == "lab" && (entry["kind"] == "folder") == folder);
        text(secret.unwrap(), "hash")
    };
    let hash = secret(false);
    // The folder is as visible as the file in it.
    let listed = eve.json("index").ok().objects();
    assert!(listed.iter().all(|entry| entry["hash"] != secret(true)));
    eve.json(&format!("get {}", secret(true))).ends(3);

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

    // `share` without --space does not change the space of an existing share.
    let again = ben.json("share secrets").ok().event("shared");
    assert_eq!(again["space"], "lab");
    ben.run("unshare secrets").ok();
    ben.run("share secrets").ok();
    wait_until("the file is visible to everyone", || {
        (index(eve).len() == 2).then_some(())
    });
    // Back to the space.
    ben.run("share secrets --space lab").ok();
    wait_until("the file is hidden again", || {
        (index(eve).len() == 1).then_some(())
    });
    eve.json(&format!("get {hash}")).ends(3);
}

#[test]
fn sharing_with_a_foreign_space_is_refused() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    eve.write("mine/plan.txt", b"eve's");
    eve.write("open/readme.txt", b"for everyone");
    let refused = |home: &Home, args: &str| {
        let error = home.json(args).ends(4).event("error");
        assert_eq!(error["code"], "permission_denied");
        assert!(text(&error, "hint").contains("convite space list"));
    };
    // With and without a running peer, and for a space that exists and one that does not.
    refused(eve, "share mine --space lab");
    let _peer = eve.peer("eve-1", &eve.path("open"), "");
    refused(eve, "share mine --space lab");
    refused(eve, "share mine --space nothing");
    // Guests cannot share, in any space.
    let link = ana.run("invite --role guest --space lab").ok().stdout;
    let guest = Home::new();
    guest.run(&format!("join {} --user gil", link.trim())).ok();
    guest.write("docs/a.txt", b"a");
    for args in ["share docs", "share docs --space lab"] {
        let error = guest.json(args).ends(4).event("error");
        assert!(text(&error, "message").contains("guests"), "{error}");
    }
    // An administrator sees all spaces, but can share only in her own.
    ana.run("space add others").ok();
    ana.write("docs/a.txt", b"a");
    refused(ana, "share docs --space others");
    assert_eq!(index(ben), ["open/readme.txt"]);

    // As a member, sharing works; after the removal, the share is withdrawn and visible to no account.
    ana.run("space member add lab eve").ok();
    eve.run("share mine --space lab").ok();
    wait_until("the file is listed", || {
        (index(ben).len() == 2).then_some(())
    });
    assert_eq!(index(ben), ["mine/plan.txt@lab", "open/readme.txt"]);
    ana.run("space member remove lab eve").ok();
    assert_eq!(index(ben), ["open/readme.txt"]);
    wait_until("the status has the problem", || {
        let trouble = text(&share(eve, "mine"), "trouble");
        trouble.contains("not a member").then_some(())
    });
    assert!(text(&share(eve, "mine"), "hint").contains("convite space list"));
    let said = eve.run("status").ok().stdout;
    assert!(said.contains("not a member"), "{said}");
    wait_until("the other files are listed", || {
        (index(eve) == ["open/readme.txt"]).then_some(())
    });
    assert_eq!(index(ben), ["open/readme.txt"]);

    // After the account is added again, the share returns by itself.
    ana.run("space member add lab eve").ok();
    wait_until("the file is listed again", || {
        (index(ben).len() == 2).then_some(())
    });
    assert_eq!(index(ben), ["mine/plan.txt@lab", "open/readme.txt"]);
    wait_until("the status has no problem", || {
        text(&share(eve, "mine"), "trouble")
            .is_empty()
            .then_some(())
    });
}

#[test]
fn a_nested_share_can_have_a_narrower_space() {
    let lab = Lab::new();
    let (ana, ben, eve) = (&lab.ana, &lab.ben, &lab.eve);
    ben.write("docs/open.txt", b"for everyone");
    ben.write("docs/draft/paper.txt", b"for the lab alone");
    // Shared before the first start of the peer.
    ben.run("share docs/draft --space lab").ok();
    let _peer = ben.peer("ben-1", &ben.path("docs"), "");
    assert_eq!(index(ana), ["docs/open.txt", "draft/paper.txt@lab"]);
    assert_eq!(index(eve), ["docs/open.txt"]);
    let ran = ben.run("unshare docs/draft").ok();
    assert!(ran.stderr.contains("everyone"), "{}", ran.stderr);
    wait_until("the outer share shows it", || {
        (index(eve) == ["docs/draft/paper.txt", "docs/open.txt"]).then_some(())
    });
}
