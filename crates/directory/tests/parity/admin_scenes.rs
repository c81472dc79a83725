//! Administration through both APIs: permissions and effects.

use serde_json::{Value, json};

use crate::apis::{Api, Running, call, grpc, rest};

pub const PASSWORD: &str = "pass word 1";

/// A directory with `ana`, an administrator, and `bob`, a member, accessed through one API.
pub struct Scene {
    pub running: Running,
    pub api: Api,
    pub ana: String,
    pub bob: String,
}

impl Scene {
    pub async fn both() -> [Self; 2] {
        let first = Running::start(|_| {}).await;
        let second = Running::start(|_| {}).await;
        let apis = [rest(first.get()), grpc(second.get()).await];
        let [rest, grpc] = apis;
        [
            Self::begin(first, rest).await,
            Self::begin(second, grpc).await,
        ]
    }

    async fn begin(running: Running, api: Api) -> Self {
        let mut tokens = Vec::new();
        for user in ["ana", "bob"] {
            let invite = &running.get().invite;
            let account = json!({"invite": invite, "user": user, "password": PASSWORD});
            let made = api.call(None, &call("create_account", account)).await;
            made.unwrap();
            let login = json!({"user": user, "password": PASSWORD});
            let session = api.call(None, &call("login", login)).await.unwrap();
            tokens.push(session["token"].as_str().unwrap().to_owned());
        }
        let bob = tokens.pop().unwrap();
        let ana = tokens.pop().unwrap();
        Self {
            running,
            api,
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
        self.api.call(Some(token), &call(operation, fields)).await
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
async fn users_are_created_listed_and_changed() {
    for scene in Scene::both().await {
        scene.ana("add_space", json!({"space": "lab"})).await;
        let carl =
            json!({"user": "carl", "password": PASSWORD, "role": "guest", "spaces": ["lab"]});
        scene.ana("add_user", carl.clone()).await;
        scene.ana_gets("add_user", carl, "user_taken").await;
        // A failed request with an unknown space creates no account.
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
        let session = scene.api.call(None, &call("login", login())).await.unwrap();
        let carls = session["token"].as_str().unwrap();
        let me = scene.ask(carls, "me", json!({})).await.unwrap();
        assert_eq!(
            (&me["user"], &me["spaces"]),
            (&json!("carl"), &json!(["lab"]))
        );
        assert!(me["expires_at"].as_i64().unwrap() > 1_700_000_000);

        // If the second part of a change fails, the first is not made either.
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
        let refused = scene.api.call(None, &call("login", login())).await;
        assert_eq!(refused, Err("permission_denied".to_owned()));
        scene
            .ana("change_user", json!({"user": "carl", "disabled": false}))
            .await;
        let new = "other word 1";
        scene
            .ana("change_user", json!({"user": "carl", "password": new}))
            .await;
        let refused = scene.api.call(None, &call("login", login())).await;
        assert_eq!(refused, Err("wrong_credentials".to_owned()));
        let login = json!({"user": "carl", "password": new});
        let session = scene.api.call(None, &call("login", login)).await.unwrap();
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
async fn a_user_changes_the_password_with_the_current_one() {
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
        // The session that changed the password stays valid.
        assert_eq!(scene.bob("me", json!({})).await["user"], "bob");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_and_members_are_added_and_removed() {
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
async fn a_revoked_session_ends_and_its_peer_is_not_listed() {
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
        // The id of a session is no credential, and no part of the token.
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
async fn a_revoked_invite_cannot_be_used() {
    for scene in Scene::both().await {
        let made = scene
            .ana("create_invite", json!({"uses": 2, "role": "guest"}))
            .await;
        let all = scene.ana("invites", json!({})).await;
        let invites = all["invites"].as_array().unwrap();
        // The other is the ready line's invite, which the directory created itself.
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
        let refused = scene.api.call(None, &call("create_account", join)).await;
        assert_eq!(refused, Err("invite_invalid".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_remove_other_accounts_peers() {
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
        // The id is free again, and the index is removed.
        let again = scene
            .ana("register", json!({"id": "bob-1", "port": 5001}))
            .await;
        assert_eq!(again["generation"], 0);
        scene.running.get();
    }
}
