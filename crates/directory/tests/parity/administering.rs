//! What administrators do, through both doors alike: who may, and what comes of it.

use serde_json::{Value, json};

use crate::doors::{Door, Running, call, grpc, rest};

pub const PASSWORD: &str = "pass word 1";

/// A directory with `ana`, who administers, and `bob`, who does not, asked through one door.
pub struct Scene {
    pub running: Running,
    pub door: Door,
    pub ana: String,
    pub bob: String,
}

impl Scene {
    pub async fn both() -> [Self; 2] {
        let first = Running::start(|_| {}).await;
        let second = Running::start(|_| {}).await;
        let doors = [rest(first.get()), grpc(second.get()).await];
        let [rest, grpc] = doors;
        [
            Self::begin(first, rest).await,
            Self::begin(second, grpc).await,
        ]
    }

    async fn begin(running: Running, door: Door) -> Self {
        let mut tokens = Vec::new();
        for user in ["ana", "bob"] {
            let invite = &running.get().invite;
            let account = json!({"invite": invite, "user": user, "password": PASSWORD});
            let made = door.knock(None, &call("create_account", account)).await;
            made.unwrap();
            let login = json!({"user": user, "password": PASSWORD});
            let session = door.knock(None, &call("login", login)).await.unwrap();
            tokens.push(session["token"].as_str().unwrap().to_owned());
        }
        let bob = tokens.pop().unwrap();
        let ana = tokens.pop().unwrap();
        Self {
            running,
            door,
            ana,
            bob,
        }
    }

    pub async fn ask(
        &self,
        token: &str,
        operation: &'static str,
        fields: Value,
    ) -> Result<Value, String> {
        self.door.knock(Some(token), &call(operation, fields)).await
    }

    pub async fn ana(&self, operation: &'static str, fields: Value) -> Value {
        let answer = self.ask(&self.ana, operation, fields).await;
        answer.unwrap_or_else(|code| panic!("{operation}: {code}"))
    }

    pub async fn ana_gets(&self, operation: &'static str, fields: Value, code: &str) {
        let answer = self.ask(&self.ana, operation, fields).await;
        assert_eq!(answer, Err(code.to_owned()), "{operation}");
    }

    pub async fn bob(&self, operation: &'static str, fields: Value) -> Value {
        let answer = self.ask(&self.bob, operation, fields).await;
        answer.unwrap_or_else(|code| panic!("{operation}: {code}"))
    }

    pub async fn bob_gets(&self, operation: &'static str, fields: Value, code: &str) {
        let answer = self.ask(&self.bob, operation, fields).await;
        assert_eq!(answer, Err(code.to_owned()), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_listed_and_changed() {
    for scene in Scene::both().await {
        scene.ana("add_space", json!({"space": "lab"})).await;
        let carl =
            json!({"user": "carl", "password": PASSWORD, "role": "guest", "spaces": ["lab"]});
        scene.ana("add_user", carl.clone()).await;
        scene.ana_gets("add_user", carl, "user_taken").await;
        // All or nothing: of a space that is not there comes no account either.
        let dora = json!({"user": "dora", "password": PASSWORD, "spaces": ["lab", "none"]});
        scene.ana_gets("add_user", dora, "not_found").await;
        let short = json!({"user": "emil", "password": "short"});
        scene.ana_gets("add_user", short, "invalid_argument").await;

        let first = scene.ana("users", json!({"limit": 2})).await;
        assert_eq!(first["users"].as_array().unwrap().len(), 2);
        let cursor = first["next_cursor"].clone();
        let second = scene.ana("users", json!({"cursor": cursor})).await;
        let carl = &second["users"][0];
        assert!(carl["created_at"].as_i64().unwrap() > 1_700_000_000);
        assert_eq!(
            (
                &carl["user"],
                &carl["role"],
                &carl["disabled"],
                &carl["spaces"]
            ),
            (
                &json!("carl"),
                &json!("guest"),
                &json!(false),
                &json!(["lab"])
            )
        );
        assert!(second["next_cursor"].is_null());

        let login = || json!({"user": "carl", "password": PASSWORD});
        let session = scene
            .door
            .knock(None, &call("login", login()))
            .await
            .unwrap();
        let carls = session["token"].as_str().unwrap();
        let me = scene.ask(carls, "me", json!({})).await.unwrap();
        assert_eq!(
            (&me["user"], &me["spaces"]),
            (&json!("carl"), &json!(["lab"]))
        );
        assert!(me["expires_at"].as_i64().unwrap() > 1_700_000_000);

        // Both or neither: the second half of a change fails, and the first is not made.
        let both = json!({"user": "ana", "role": "admin", "disabled": true});
        scene.ana_gets("change_user", both, "last_admin").await;
        scene
            .ana(
                "change_user",
                json!({"user": "carl", "role": "member", "disabled": true}),
            )
            .await;
        let gone = scene.ask(carls, "me", json!({})).await;
        assert_eq!(gone, Err("unauthenticated".to_owned()));
        let refused = scene.door.knock(None, &call("login", login())).await;
        assert_eq!(refused, Err("permission_denied".to_owned()));
        scene
            .ana("change_user", json!({"user": "carl", "disabled": false}))
            .await;
        let new = "other word 1";
        scene
            .ana("change_user", json!({"user": "carl", "password": new}))
            .await;
        let refused = scene.door.knock(None, &call("login", login())).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
        let login = json!({"user": "carl", "password": new});
        let session = scene.door.knock(None, &call("login", login)).await.unwrap();
        assert_eq!(session["role"], "member");
        scene
            .ana_gets(
                "change_user",
                json!({"user": "none", "role": "guest"}),
                "not_found",
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_changes_the_own_password_with_the_old_one_alone() {
    for scene in Scene::both().await {
        let new = "other word 1";
        let change = |old: &str| json!({"user": "bob", "password": new, "old_password": old});
        scene
            .bob_gets("change_user", change("wrong word 1"), "wrong_credentials")
            .await;
        let without = json!({"user": "bob", "password": new});
        scene
            .bob_gets("change_user", without, "wrong_credentials")
            .await;
        scene
            .bob_gets(
                "change_user",
                json!({"user": "bob", "role": "admin"}),
                "permission_denied",
            )
            .await;
        scene
            .bob_gets("change_user", json!({"user": "bob"}), "permission_denied")
            .await;
        let anas = json!({"user": "ana", "password": new, "old_password": PASSWORD});
        scene
            .bob_gets("change_user", anas, "permission_denied")
            .await;
        scene.bob("change_user", change(PASSWORD)).await;
        // The session that changed it goes on.
        assert_eq!(scene.bob("me", json!({})).await["user"], "bob");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_and_their_members_come_and_go() {
    for scene in Scene::both().await {
        for space in ["lab", "desk"] {
            scene.ana("add_space", json!({"space": space})).await;
        }
        scene
            .ana_gets("add_space", json!({"space": "lab"}), "space_taken")
            .await;
        scene
            .ana("add_member", json!({"space": "lab", "user": "bob"}))
            .await;
        scene
            .ana_gets(
                "add_member",
                json!({"space": "lab", "user": "none"}),
                "not_found",
            )
            .await;
        scene
            .ana_gets(
                "add_member",
                json!({"space": "none", "user": "bob"}),
                "not_found",
            )
            .await;
        let names = |page: &Value| -> Vec<(String, u64)> {
            let spaces = page["spaces"].as_array().unwrap().iter();
            spaces
                .map(|s| {
                    (
                        s["space"].as_str().unwrap().to_owned(),
                        s["members"].as_u64().unwrap(),
                    )
                })
                .collect()
        };
        let all = scene.ana("spaces", json!({})).await;
        assert_eq!(names(&all), [("desk".to_owned(), 0), ("lab".to_owned(), 1)]);
        let own = scene.bob("spaces", json!({})).await;
        assert_eq!(names(&own), [("lab".to_owned(), 1)]);
        let members = scene.ana("members", json!({"space": "lab"})).await;
        assert_eq!(members, json!({"members": ["bob"]}));
        scene
            .ana("remove_member", json!({"space": "lab", "user": "bob"}))
            .await;
        scene
            .ana_gets(
                "remove_member",
                json!({"space": "lab", "user": "bob"}),
                "not_found",
            )
            .await;
        assert_eq!(names(&scene.bob("spaces", json!({})).await), []);
        scene.ana("remove_space", json!({"space": "desk"})).await;
        scene
            .ana_gets("remove_space", json!({"space": "desk"}), "not_found")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_over_and_its_peer_off_the_list() {
    for scene in Scene::both().await {
        scene
            .bob("register", json!({"id": "bob-1", "port": 5001}))
            .await;
        let own = scene.bob("sessions", json!({})).await;
        let [session] = &own["sessions"].as_array().unwrap()[..] else {
            panic!("{own}")
        };
        assert_eq!(session["user"], "bob");
        assert_eq!(session["peer"], "bob-1");
        assert_eq!(session["current"], true);
        for time in ["created_at", "last_used_at", "expires_at"] {
            assert!(session[time].as_i64().unwrap() > 1_700_000_000, "{time}");
        }
        // What names a session opens nothing, and is no part of the token.
        let id = session["id"].as_str().unwrap();
        assert!(!scene.bob.contains(id));
        let by_id = scene.ask(id, "me", json!({})).await;
        assert_eq!(by_id, Err("unauthenticated".to_owned()));

        let all = scene.ana("sessions", json!({})).await;
        assert_eq!(all["sessions"].as_array().unwrap().len(), 2);
        let of_bob = scene.ana("sessions", json!({"user": "bob"})).await;
        assert_eq!(of_bob["sessions"][0]["id"], id);
        assert_eq!(of_bob["sessions"][0]["current"], false);
        let anas = scene.ana("sessions", json!({"user": "ana"})).await;
        let anas = json!({"id": anas["sessions"][0]["id"]});

        scene
            .bob_gets("sessions", json!({"user": "ana"}), "permission_denied")
            .await;
        scene.bob_gets("revoke_session", anas, "not_found").await;
        for wrong in ["", "0", "00112233445566zz", "0011223344556677"] {
            if !wrong.is_empty() {
                scene
                    .ana_gets("revoke_session", json!({"id": wrong}), "not_found")
                    .await;
            }
        }
        assert_eq!(
            scene.ana("peers", json!({})).await["peers"][0]["id"],
            "bob-1"
        );
        scene.ana("revoke_session", json!({"id": id})).await;
        scene.bob_gets("me", json!({}), "unauthenticated").await;
        scene
            .bob_gets("heartbeat", json!({"id": "bob-1"}), "unauthenticated")
            .await;
        assert_eq!(scene.ana("peers", json!({})).await["peers"], json!([]));
        scene
            .ana_gets("revoke_session", json!({"id": id}), "not_found")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_invite_lets_nobody_in() {
    for scene in Scene::both().await {
        let made = scene
            .ana("create_invite", json!({"uses": 2, "role": "guest"}))
            .await;
        let all = scene.ana("invites", json!({})).await;
        let invites = all["invites"].as_array().unwrap();
        // The other is that of the ready line, which the directory made itself.
        assert_eq!(invites.len(), 2);
        let own = invites.iter().find(|invite| invite["created_by"] == "ana");
        let own = own.unwrap();
        assert_eq!(
            (&own["role"], &own["uses_left"]),
            (&json!("guest"), &json!(2))
        );
        assert!(own["created_at"].as_i64().unwrap() > 1_700_000_000);
        let standing = invites.iter().find(|invite| invite["created_by"].is_null());
        assert!(standing.unwrap()["uses_left"].is_null());
        let id = own["id"].as_str().unwrap();
        assert!(!made["invite"].as_str().unwrap().contains(id));
        scene
            .bob_gets("invites", json!({}), "permission_denied")
            .await;
        scene
            .bob_gets("revoke_invite", json!({"id": id}), "permission_denied")
            .await;
        scene.ana("revoke_invite", json!({"id": id})).await;
        scene
            .ana_gets("revoke_invite", json!({"id": id}), "not_found")
            .await;
        let join = json!({"invite": made["invite"], "user": "carl", "password": PASSWORD});
        let refused = scene.door.knock(None, &call("create_account", join)).await;
        assert_eq!(refused, Err("invite_invalid".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_peer_is_removed_by_administrators_only() {
    for scene in Scene::both().await {
        scene
            .bob("register", json!({"id": "bob-1", "port": 5001}))
            .await;
        let file = crate::scenarios::file("a/notes.txt", 5, "notes");
        let publish = json!({"peer": "bob-1", "generation": 1, "upsert": [file]});
        scene.bob("publish", publish).await;
        scene
            .ana("register", json!({"id": "ana-1", "port": 5002}))
            .await;
        scene
            .bob_gets("leave", json!({"id": "ana-1"}), "not_found")
            .await;
        scene
            .bob_gets("leave", json!({"id": "none"}), "not_found")
            .await;
        scene.ana("leave", json!({"id": "bob-1"})).await;
        scene
            .ana_gets("locate", json!({"hash": file["hash"]}), "not_found")
            .await;
        let found = scene.ana("search", json!({"q": "notes"})).await;
        assert_eq!(found["results"], json!([]));
        // Its id is free, and nothing of its index is left.
        let again = scene
            .ana("register", json!({"id": "bob-1", "port": 5001}))
            .await;
        assert_eq!(again["generation"], 0);
        scene.running.get();
    }
}
