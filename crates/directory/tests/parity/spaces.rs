//! Files in spaces, through both APIs of one directory.

use convite_wire::v1;
use serde_json::{Value, json};

use crate::apis::{Api, Running, call, eventually, grpc, rest};
use crate::scenarios::file;

pub async fn token(api: &Api, invite: &str, user: &str) -> String {
    let password = "pass word 1";
    let account = json!({"invite": invite, "user": user, "password": password});
    let made = api.call(None, &call("create_account", account)).await;
    made.unwrap();
    let login = call("login", json!({"user": user, "password": password}));
    let session = api.call(None, &login).await.unwrap();
    session["token"].as_str().unwrap().to_owned()
}

fn with<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn names(page: &Value) -> Vec<&str> {
    let results = page["results"].as_array().unwrap().iter();
    results.map(|hit| hit["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_in_a_space_finds_the_files_of_that_space() {
    let running = Running::start(|_| {}).await;
    let directory = running.get();
    let by_grpc = grpc(directory).await;
    let ana = token(&by_grpc, &directory.invite, "ana").await;
    let bob = token(&by_grpc, &directory.invite, "bob").await;
    let Api::Grpc(client) = &by_grpc else {
        panic!("wrong API")
    };
    let mut client = client.clone();
    for space in ["lab", "club"] {
        let message = v1::AddSpaceRequest {
            space: space.to_owned(),
        };
        client.add_space(with(&ana, message)).await.unwrap();
        let member = v1::AddMemberRequest {
            space: space.to_owned(),
            user: "ana".to_owned(),
        };
        client.add_member(with(&ana, member)).await.unwrap();
    }
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    by_grpc.call(Some(&ana), &register).await.unwrap();
    let in_space = |path: &str, space: &str| {
        let mut file = file(path, 10, path);
        file["space"] = space.into();
        file
    };
    let files = json!([
        file("s/paper for all", 10, "all"),
        in_space("s/paper of the lab", "lab"),
        in_space("s/paper of the club", "club"),
    ]);
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": files, "remove": []});
    for api in [&rest(directory), &by_grpc] {
        let published = api
            .call(Some(&ana), &call("publish", publish.clone()))
            .await;
        assert_eq!(published.unwrap()["upserted"], 3);
        let all = call("search", json!({"q": "paper"}));
        let all = eventually(api, &ana, &all, |page| names(page).len() == 3).await;
        for hit in all["results"].as_array().unwrap() {
            let expected = match hit["name"].as_str().unwrap() {
                "paper of the lab" => json!(["lab"]),
                "paper of the club" => json!(["club"]),
                _ => Value::Null,
            };
            assert_eq!(hit["spaces"], expected, "{hit}");
        }
        let lab = call("search", json!({"q": "paper", "space": "lab"}));
        let found = api.call(Some(&ana), &lab).await.unwrap();
        assert_eq!(names(&found), ["paper of the lab"]);
        // Its cursor is not valid in another space.
        let first = call("search", json!({"q": "paper", "limit": 1}));
        let first = api.call(Some(&ana), &first).await.unwrap();
        let wrong = json!({"q": "paper", "space": "lab", "cursor": first["next_cursor"]});
        let wrong = api.call(Some(&ana), &call("search", wrong)).await;
        assert_eq!(wrong.unwrap_err(), "invalid_argument");
        let refused = api.call(Some(&bob), &lab).await.unwrap_err();
        assert_eq!(refused, "permission_denied");
        let seen = api
            .call(Some(&bob), &call("search", json!({"q": "paper"})))
            .await;
        assert_eq!(names(&seen.unwrap()), ["paper for all"]);
    }
}
