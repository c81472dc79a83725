//! The part of the script that finds files: by words, name and hash.

use convite_core::ContentHash;
use serde_json::{Value, json};

use crate::apis::{call, eventually};
use crate::scenarios::Play;

pub async fn searching(play: &mut Play<'_>, bob: &str) {
    // Wait for the last published file; the earlier ones are indexed then.
    let last = call("search", json!({"q": "copy"}));
    eventually(play.api, bob, &last, |page| {
        page["results"][0]["providers"] == 2
    })
    .await;
    for (step, fields, count) in [
        ("word", json!({"q": "holiday"}), 2),
        ("two words", json!({"q": "holiday plans"}), 1),
        ("inside a name", json!({"q": "plans"}), 1),
        ("prefix", json!({"q": "holid"}), 2),
        ("accents", json!({"q": "bjork joga"}), 1),
        ("no such word", json!({"q": "xylophone"}), 0),
        ("removed", json!({"q": "old"}), 0),
        ("type", json!({"q": "holiday", "type": "pdf"}), 1),
        (
            "type with a dot",
            json!({"q": "holiday", "type": ".PDF"}),
            1,
        ),
        ("min size", json!({"q": "holiday", "min_size": 201}), 1),
        ("max size", json!({"q": "holiday", "max_size": 200}), 1),
        ("peer", json!({"q": "holiday", "peer": "ana-2"}), 1),
        ("unknown peer", json!({"q": "holiday", "peer": "none"}), 0),
        ("typo", json!({"q": "holdiay"}), 2),
        ("phrase", json!({"q": "\"holiday plans\""}), 1),
        (
            "phrase in another order",
            json!({"q": "\"plans holiday\""}),
            0,
        ),
        ("without", json!({"q": "holiday -plans"}), 1),
        ("kind", json!({"q": "holiday", "type": "document"}), 2),
        ("older", json!({"q": "holiday", "older": "7d"}), 2),
        ("newer", json!({"q": "holiday", "newer": "7d"}), 0),
        (
            "newer than a day",
            json!({"q": "holiday", "newer": "1970-01-01"}),
            2,
        ),
        (
            "older than a day",
            json!({"q": "holiday", "older": "1970-01-01"}),
            0,
        ),
        ("no such kind", json!({"q": "holiday", "type": "video"}), 0),
    ] {
        let page = play.ok(step, bob, call("search", fields)).await;
        assert_eq!(
            page["results"].as_array().unwrap().len(),
            count,
            "{step}: {page}"
        );
    }
    for (step, sort, order, first) in [
        ("largest first", "size", "desc", "plans"),
        ("smallest first", "size", "asc", "second"),
        ("newest first", "date", "desc", "second"),
        ("oldest first", "date", "asc", "plans"),
        ("most providers first", "providers", "desc", "plans"),
        ("fewest providers first", "providers", "asc", "second"),
    ] {
        let asked = call(
            "search",
            json!({"q": "holiday", "sort": sort, "order": order}),
        );
        let page = play.ok(step, bob, asked).await;
        let hash = ContentHash::of(first.as_bytes()).to_string();
        assert_eq!(page["results"][0]["hash"], hash, "{step}: {page}");
        assert_eq!(page["results"].as_array().unwrap().len(), 2, "{step}");
    }
    let marked = call("search", json!({"q": "plan"}));
    let marked = play.ok("marked", bob, marked).await;
    let hit = &marked["results"][0];
    assert_eq!(hit["name"], "HolidayPlans2024.pdf");
    assert_eq!(hit["matches"], json!([[7, 11]]), "{hit}");
    let first = call("search", json!({"q": "holiday", "limit": 1}));
    let first = play.ok("first page", bob, first).await;
    let next = json!({"q": "holiday", "limit": 1, "cursor": first["next_cursor"]});
    let next = play.ok("next page", bob, call("search", next)).await;
    assert_ne!(first["results"][0]["hash"], next["results"][0]["hash"]);
    assert_eq!(next["results"].as_array().unwrap().len(), 1);
    for (step, space) in [("search in a space", "lab"), ("in another", "none")] {
        let asked = call("search", json!({"q": "holiday", "space": space}));
        play.refused(step, Some(bob), asked, "permission_denied")
            .await;
    }
    for (step, fields) in [
        ("search space", json!({"q": "holiday", "space": "a b"})),
        ("search cursor", json!({"q": "holiday", "cursor": "x"})),
        ("search age", json!({"q": "holiday", "newer": "soon"})),
        ("search sort", json!({"q": "holiday", "sort": "name"})),
        ("search order", json!({"q": "holiday", "order": "asc"})),
        ("too many words", json!({"q": "x ".repeat(129)})),
        ("search limit", json!({"q": "holiday", "limit": 101})),
        ("search peer", json!({"q": "holiday", "peer": "a b"})),
        ("long query", json!({"q": "x".repeat(1001)})),
    ] {
        play.refused(step, Some(bob), call("search", fields), "invalid_argument")
            .await;
    }
}

pub async fn naming(play: &mut Play<'_>, bob: &str) {
    for (step, fields, count) in [
        ("name", json!({"name": "second holiday.txt"}), 1),
        ("path", json!({"name": "papers/second holiday.txt"}), 1),
        ("beginning of a name", json!({"name": "second holiday"}), 0),
        ("other case", json!({"name": "Second holiday.txt"}), 0),
        (
            "place",
            json!({"name": "mine/holiday copy.pdf", "peer": "ana-2"}),
            1,
        ),
        (
            "name at a peer",
            json!({"name": "holiday copy.pdf", "peer": "ana-2"}),
            0,
        ),
        (
            "unknown peer",
            json!({"name": "mine/holiday copy.pdf", "peer": "none"}),
            0,
        ),
        ("no name", json!({"name": "a/../b"}), 0),
    ] {
        let found = play.ok(step, bob, call("find_by_name", fields)).await;
        let results = found["results"].as_array().unwrap();
        assert_eq!(results.len(), count, "{step}: {found}");
    }
    let named = call("find_by_name", json!({"name": "second holiday.txt"}));
    let named = play.ok("named", bob, named).await;
    let hit = &named["results"][0];
    assert_eq!(hit["hash"], ContentHash::of(b"second").to_string());
    assert_eq!(
        (&hit["name"], &hit["folder"]),
        (&json!("second holiday.txt"), &json!("papers"))
    );
    let refused = call("find_by_name", json!({"name": "x", "peer": "a b"}));
    play.refused("name at no peer", Some(bob), refused, "invalid_argument")
        .await;
}

pub async fn locating(play: &mut Play<'_>, bob: &str) {
    let locate = |hash: &str| call("locate", json!({ "hash": hash }));
    let plans = ContentHash::of(b"plans").to_string();
    let found = play.ok("locate", bob, locate(&plans)).await;
    let providers = found["providers"].as_array().unwrap();
    assert_eq!(providers.len(), 2);
    assert!(
        providers
            .iter()
            .all(|p| p["ticket"].as_str().unwrap().starts_with("v4.public."))
    );
    let unknown = ContentHash::of(b"unknown").to_string();
    play.refused("locate unknown", Some(bob), locate(&unknown), "not_found")
        .await;
    play.refused(
        "locate malformed",
        Some(bob),
        locate("abcd"),
        "invalid_argument",
    )
    .await;
    locating_many(play, bob, [&plans, &unknown], &found).await;
}

/// `plans` is the answer for the first hash; the second one is unknown.
async fn locating_many(play: &mut Play<'_>, bob: &str, [known, unknown]: [&str; 2], plans: &Value) {
    let many = |hashes: &[&str]| call("locate_many", json!({ "hashes": hashes }));
    let asked = many(&[unknown, known, unknown, known]);
    let found = play.ok("locate many", bob, asked).await;
    let item = json!({"hash": known, "located": plans});
    let nothing = json!({ "hash": unknown });
    let expected = json!([nothing, item, nothing, item]);
    assert_eq!(found["results"], expected);
    let of_kind = json!({"hashes": [known], "kind": "folder"});
    let asked = call("locate_many", of_kind);
    let found = play.ok("locate many folders", bob, asked).await;
    assert_eq!(found["results"], json!([{ "hash": known }]));
    let most = vec![unknown; 1_000];
    let found = play.ok("locate the most", bob, many(&most)).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1_000);
    let too_many = vec![unknown; 1_001];
    let in_a_space = json!({"hashes": [known], "space": "nowhere"});
    for (step, asked, code) in [
        ("locate none", many(&[]), "invalid_argument"),
        ("locate too many", many(&too_many), "invalid_argument"),
        ("locate many malformed", many(&["abcd"]), "invalid_argument"),
        (
            "locate many in another's space",
            call("locate_many", in_a_space),
            "permission_denied",
        ),
    ] {
        play.refused(step, Some(bob), asked, code).await;
    }
    play.refused(
        "locate many unasked",
        None,
        many(&[known]),
        "unauthenticated",
    )
    .await;
}
