//! The audit log: each administrative operation and each refusal is recorded with actor and target,
//! and without secrets.

use std::collections::BTreeSet;

use convite_core::administration::AuditAction;
use serde_json::{Value, json};

use crate::admin_scenes::{PASSWORD, Scene};
use crate::apis::call;
use crate::scenarios::file;

/// Actor, action, target and outcome.
type Line = (String, String, String, String);

fn line(actor: &str, action: &str, target: &str, outcome: &str) -> Line {
    let text = str::to_owned;
    (text(actor), text(action), text(target), text(outcome))
}

async fn log(scene: &Scene) -> (Value, BTreeSet<Line>) {
    let log = scene.ana("audit", json!({"limit": 1000})).await;
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let lines = log["entries"].as_array().unwrap().iter().map(|entry| {
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(entry["at"].as_i64().unwrap() > 1_700_000_000, "{entry}");
        (
            text(entry, "actor"),
            text(entry, "action"),
            text(entry, "target"),
            text(entry, "outcome"),
        )
    });
    let lines = lines.collect();
    (log, lines)
}

async fn id_of(scene: &Scene, list: &'static str, is_it: impl Fn(&Value) -> bool) -> String {
    let page = scene.ana(list, json!({})).await;
    let items = page[list].as_array().unwrap().iter();
    let found: Vec<_> = items.filter(|item| is_it(item)).collect();
    found.last().unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_is_recorded_with_actor_and_target() {
    for scene in Scene::both().await {
        let mut secrets = vec![PASSWORD.to_owned(), scene.ana.clone(), scene.bob.clone()];
        let secret = "other word 1";
        secrets.push(secret.to_owned());
        scene.ana("add_space", json!({"space": "lab"})).await;
        let carl = json!({"user": "carl", "password": secret, "spaces": ["lab"]});
        scene.ana("add_user", carl).await;
        for change in [
            json!({"user": "carl", "role": "guest"}),
            json!({"user": "carl", "disabled": true}),
        ] {
            scene.ana("change_user", change).await;
        }
        let login = json!({"user": "carl", "password": secret});
        let disabled = scene.api.call(None, &call("login", login)).await;
        assert_eq!(disabled, Err("permission_denied".to_owned()));
        let enable = json!({"user": "carl", "disabled": false});
        scene.ana("change_user", enable).await;
        let password = json!({"user": "carl", "password": "third word 1"});
        scene.ana("change_user", password).await;
        secrets.push("third word 1".to_owned());
        scene
            .ana("add_member", json!({"space": "lab", "user": "bob"}))
            .await;
        scene
            .ana("remove_member", json!({"space": "lab", "user": "bob"}))
            .await;

        let invite = json!({"role": "guest", "space": "lab"});
        let made = scene.ana("create_invite", invite).await;
        let (_, code) = made["invite"].as_str().unwrap().rsplit_once('/').unwrap();
        let code = code.split('?').next().unwrap().to_owned();
        secrets.push(code);
        let invite = id_of(&scene, "invites", |i| i["created_by"] == "ana").await;
        scene.ana("revoke_invite", json!({"id": invite})).await;
        scene.ana("remove_space", json!({"space": "lab"})).await;

        let session = id_of(&scene, "sessions", |s| s["user"] == "bob").await;
        scene
            .bob("register", json!({"id": "bob-1", "port": 5001}))
            .await;
        let file = file("a/notes.txt", 5, "notes");
        let publish = json!({"peer": "bob-1", "generation": 1, "upsert": [file]});
        scene.bob("publish", publish).await;
        let hash = file["hash"].as_str().unwrap();
        let link = scene.ana("link", json!({"hash": hash})).await;
        let token = link["path"].as_str().unwrap().strip_prefix("/d/").unwrap();
        secrets.push(token.to_owned());
        scene.ana("leave", json!({"id": "bob-1"})).await;
        scene.ana("revoke_session", json!({"id": session})).await;

        let (log, lines) = log(&scene).await;
        let done = |action: &str, target: &str| line("ana", action, target, "done");
        let wanted = [
            done("login", "ana"),
            line("bob", "login", "bob", "done"),
            done("join", "ana"),
            line("bob", "join", "bob", "done"),
            done("space_add", "lab"),
            done("user_add", "carl"),
            done("user_role", "carl guest"),
            done("user_disable", "carl"),
            line("", "login", "carl", "refused"),
            done("user_enable", "carl"),
            done("user_password", "carl"),
            done("member_add", "lab bob"),
            done("member_remove", "lab bob"),
            done("invite_add", &format!("{invite} guest lab")),
            done("invite_revoke", &invite),
            done("space_remove", "lab"),
            done("session_revoke", &format!("bob {session}")),
            done("link_add", hash),
            done("peer_remove", "bob-1"),
        ];
        assert_eq!(lines, wanted.into());
        // All operations are covered, except those that are only ever refused, the use of links,
        // and loads, which have their own test.
        let seen: BTreeSet<&str> = lines.iter().map(|(_, action, ..)| &**action).collect();
        let left_out: BTreeSet<&str> = AuditAction::ALL
            .iter()
            .map(|act| act.name())
            .filter(|name| !seen.contains(name) && !name.ends_with("_list"))
            .collect();
        assert_eq!(left_out, ["denied", "link_use", "load_add"].into());
        let text = log.to_string();
        for secret in secrets {
            assert!(!text.contains(&secret), "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_recorded_with_actor_and_target() {
    for scene in Scene::both().await {
        scene.ana("add_space", json!({"space": "lab"})).await;
        scene
            .ana("register", json!({"id": "ana-1", "port": 5001}))
            .await;
        let file = file("a/notes.txt", 5, "notes");
        let publish = json!({"peer": "ana-1", "generation": 1, "upsert": [file]});
        scene.ana("publish", publish).await;
        let user = |user: &str| json!({"user": user, "password": "secret word 1"});
        let denied = [
            ("user_list", "users", json!({})),
            ("user_add", "add_user", user("dora")),
            (
                "user_role",
                "change_user",
                json!({"user": "bob", "role": "admin"}),
            ),
            (
                "user_disable",
                "change_user",
                json!({"user": "ana", "disabled": true}),
            ),
            (
                "user_enable",
                "change_user",
                json!({"user": "bob", "disabled": false}),
            ),
            ("user_password", "change_user", user("ana")),
            ("space_add", "add_space", json!({"space": "own"})),
            ("space_remove", "remove_space", json!({"space": "lab"})),
            ("member_list", "members", json!({"space": "lab"})),
            (
                "member_add",
                "add_member",
                json!({"space": "lab", "user": "bob"}),
            ),
            (
                "member_remove",
                "remove_member",
                json!({"space": "lab", "user": "ana"}),
            ),
            ("invite_list", "invites", json!({})),
            ("invite_add", "create_invite", json!({})),
            (
                "invite_revoke",
                "revoke_invite",
                json!({"id": "0011223344556677"}),
            ),
            ("session_list", "sessions", json!({"user": "ana"})),
            ("audit_list", "audit", json!({})),
        ];
        for (_, operation, fields) in &denied {
            scene
                .bob_gets(operation, fields.clone(), "permission_denied")
                .await;
        }
        // Answered as if it did not exist, but recorded.
        scene
            .bob_gets("leave", json!({"id": "ana-1"}), "not_found")
            .await;
        scene
            .ana("change_user", json!({"user": "bob", "role": "guest"}))
            .await;
        let link = json!({"hash": file["hash"]});
        scene.bob_gets("link", link, "permission_denied").await;

        let own = json!({"user": "bob", "password": "new word 1", "old_password": "wrong word 1"});
        scene
            .bob_gets("change_user", own, "wrong_credentials")
            .await;
        let wrong = json!({"user": "ana", "password": "wrong word 1"});
        let refused = scene.api.call(None, &call("login", wrong)).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
        // An unknown name may be a password in the wrong field.
        let nobody = json!({"user": "hunter2", "password": "x"});
        let refused = scene.api.call(None, &call("login", nobody)).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
        let join = json!({"invite": "a".repeat(32), "user": "eve", "password": "secret word 1"});
        let refused = scene.api.call(None, &call("create_account", join)).await;
        assert_eq!(refused, Err("invite_invalid".to_owned()));

        let (log, lines) = log(&scene).await;
        let lines: BTreeSet<Line> = lines
            .into_iter()
            .filter(|(.., end)| end != "done")
            .collect();
        let mut wanted: BTreeSet<Line> = [
            line("", "user_password", "bob", "failed"),
            line("", "login", "ana", "failed"),
            line("", "login", "", "failed"),
            line("", "join", "", "failed"),
            line("bob", "denied", "peer_remove", "refused"),
            line("bob", "denied", "link_add", "refused"),
        ]
        .into();
        for (act, ..) in &denied {
            wanted.insert(line("bob", "denied", act, "refused"));
        }
        assert_eq!(lines, wanted);
        let text = log.to_string();
        for secret in ["word 1", "hunter2", &*"a".repeat(32), &scene.bob] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
