//! Permission to upload to a peer, through both APIs.

use convite_core::UnixMillis;
use convite_wire::ticket::TicketVerifier;
use serde_json::json;

use crate::admin_scenes::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn upload_tickets_are_issued_only_to_accounts_on_the_peers_list() {
    for scene in Scene::both().await {
        scene.ana("add_space", json!({"space": "lab"})).await;
        let ask = json!({"peer": "desk"});
        scene
            .bob_gets("upload_ticket", ask.clone(), "not_found")
            .await;
        let register = async |uploads: &str| {
            let peer = json!({"id": "desk", "port": 5001, "uploads": uploads});
            scene.ana("register", peer).await;
        };
        for (uploads, ana, bob) in [
            ("", false, false),
            ("eve", true, false),
            ("@lab", true, false),
        ] {
            register(uploads).await;
            for (may, listed) in [
                (ana, scene.ana("peers", json!({})).await),
                (bob, scene.bob("peers", json!({})).await),
            ] {
                assert_eq!(listed["peers"][0]["uploads"], may, "{uploads}");
            }
            scene
                .bob_gets("upload_ticket", ask.clone(), "permission_denied")
                .await;
        }
        scene
            .ana("add_member", json!({"space": "lab", "user": "bob"}))
            .await;
        let grant = scene.bob("upload_ticket", ask.clone()).await;
        assert!(grant["ticket"].as_str().unwrap().starts_with("v4.public."));
        assert_eq!(grant["addresses"].as_array().unwrap().len(), 1);
        register("bob").await;
        scene.bob("upload_ticket", ask.clone()).await;
        scene
            .ana("change_user", json!({"user": "bob", "role": "guest"}))
            .await;
        scene
            .bob_gets("upload_ticket", ask, "permission_denied")
            .await;
        let listed = scene.bob("peers", json!({})).await;
        assert_eq!(listed["peers"][0]["uploads"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_names_only_spaces_on_the_peers_list() {
    for scene in Scene::both().await {
        for space in ["lab", "desk"] {
            scene.ana("add_space", json!({ "space": space })).await;
            let member = json!({"space": space, "user": "bob"});
            scene.ana("add_member", member).await;
        }
        let key = scene.running.get().service.ticket_key();
        for (uploads, named) in [("@lab,@club", vec!["lab"]), ("bob", vec![]), ("*", vec![])] {
            let peer = json!({"id": "desk", "port": 5001, "uploads": uploads});
            scene.ana("register", peer).await;
            let grant = scene.bob("upload_ticket", json!({"peer": "desk"})).await;
            let verifier = TicketVerifier::new(&key, "desk".parse().unwrap()).unwrap();
            let now = UnixMillis::from(std::time::SystemTime::now());
            let ticket = verifier.verify_upload(grant["ticket"].as_str().unwrap(), now);
            let ticket = ticket.unwrap();
            let spaces: Vec<_> = ticket.spaces.iter().map(|s| s.as_str()).collect();
            assert_eq!(spaces, named, "{uploads}");
        }
    }
}
