//! Visibility: spaces and their members.

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::{FileEntry, Role};
use convite_core::{ErrorCode, SpaceName};
use convite_store::{
    AccountId, Admission, AuditEntry, ContentKey, InviteRecord, SpaceKey, Store, Viewer,
};

use crate::world::*;

pub(crate) fn space(name: &str) -> SpaceName {
    name.parse().unwrap()
}

pub(crate) fn entry(act: AuditAction) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Some("admin".parse().unwrap()),
        action: act,
        target: String::new(),
        address: None,
        outcome: AuditOutcome::Done,
    }
}

pub(crate) async fn make(store: &Arc<dyn Store>, name: &str) {
    let entry = entry(AuditAction::SpaceAdd);
    store.create_space(&space(name), &entry, NOW).await.unwrap();
}

pub(crate) async fn let_in(store: &Arc<dyn Store>, name: &str, user: &str) {
    let (user, entry) = (user.parse().unwrap(), entry(AuditAction::MemberAdd));
    let added = store.add_member(&space(name), &user, &entry, NOW).await;
    assert!(added.unwrap());
}

pub(crate) async fn take_out(store: &Arc<dyn Store>, name: &str, user: &str) {
    let (user, entry) = (user.parse().unwrap(), entry(AuditAction::MemberRemove));
    store
        .remove_member(&space(name), &user, &entry)
        .await
        .unwrap();
    store.finish_removals().await.unwrap();
}

pub(crate) fn file_in(name: &str, path: &str, contents: &str) -> FileEntry {
    FileEntry {
        space: Some(space(name)),
        ..file(path, contents)
    }
}

/// Returns what an account can see now.
pub(crate) async fn eyes(store: &Arc<dyn Store>, account: AccountId) -> Viewer {
    let token = secret(&format!("eyes of {}", account.0));
    if store.session(&token).await.unwrap().is_none() {
        let made = store
            .create_session(&token, account, "phc", None, at(LEASE), NOW)
            .await;
        made.unwrap();
    }
    store.session(&token).await.unwrap().unwrap().viewer
}

/// A peer `id` with an account of that name, a member of these spaces.
pub(crate) async fn member(store: &Arc<dyn Store>, id: &str, spaces: &[&str]) -> AccountId {
    let account = account(store, id).await;
    for name in spaces {
        let_in(store, name, id).await;
    }
    register(store, id, account, NOW).await;
    account
}

/// Returns everything that a viewer can find out: the index, the numbers of files, and the names,
/// providers and summary of one content.
pub(crate) async fn seen(store: &Arc<dyn Store>, viewer: &Viewer, contents: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let index = store.index(viewer, None, 100, None, NOW).await.unwrap();
    for entry in index.items {
        let space = entry.file.space.map_or("-".into(), |s| s.to_string());
        seen.push(format!("{}:{}@{space}", entry.peer, entry.file.path));
    }
    for peer in store.peers(viewer, 100, None, NOW).await.unwrap().items {
        seen.push(format!("{}={}", peer.summary.id, peer.summary.files));
    }
    let hash = file("x", contents).hash;
    let located = store.locate(viewer, &hash, None, NOW).await.unwrap();
    let sees = store.sees(viewer, &hash).await.unwrap();
    assert_eq!(located.is_some(), sees);
    // Including the transfers of an account that is in no space.
    let (unknown, who) = (file("x", "nobody has this").hash, "nobody".parse().unwrap());
    let moves = [(who, hash), ("nobody".parse().unwrap(), unknown)];
    let mut names = store.moves_seen(viewer, &moves).await.unwrap();
    let name = names.remove(&moves[0]);
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(name.is_some(), sees);
    if let Some(located) = located {
        assert!(located.names.contains(&name.unwrap()));
        let providers = located.providers.iter().map(|p| {
            if p.partial {
                format!("~{}", p.peer)
            } else {
                p.peer.to_string()
            }
        });
        let providers: Vec<_> = providers.collect();
        seen.push(format!("{:?} at {providers:?}", located.names));
    }
    let keys: Vec<_> = (1..100).map(ContentKey).collect();
    // The numbers of contents differ between databases.
    let mut summaries = store.summaries(viewer, &keys, NOW).await.unwrap();
    summaries.sort_by_key(|summary| summary.size);
    for summary in summaries {
        let providers = (summary.providers, summary.peers.len());
        seen.push(format!(
            "{} {:?} {providers:?}",
            summary.size, summary.names
        ));
    }
    seen
}

pub async fn each_sees_what_lies_in_the_own_spaces_and_nothing_else(store: Arc<dyn Store>) {
    for name in ["lab", "studio"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab", "studio"]).await;
    let eve = member(&store, "eve", &[]).await;
    let shared = [
        file_in("lab", "s/lab-name", "abc"),
        file_in("lab", "s/other", "four"),
    ];
    publish(&store, "ana", ana, 0, upsert(&shared)).await;
    let shared = [
        file_in("studio", "s/studio-name", "abc"),
        file("s/open", "1"),
    ];
    publish(&store, "bea", bea, 0, upsert(&shared)).await;
    let outside = [
        "bea:s/open@-",
        "ana=0",
        "bea=1",
        "eve=0",
        "1 [\"open\"] (1, 1)",
    ];
    assert_eq!(seen(&store, &eyes(&store, eve).await, "abc").await, outside);
    assert_eq!(seen(&store, &anyone(), "abc").await, outside);
    assert_eq!(
        seen(&store, &eyes(&store, ana).await, "abc").await,
        [
            "ana:s/lab-name@lab",
            "ana:s/other@lab",
            "bea:s/open@-",
            "ana=2",
            "bea=1",
            "eve=0",
            "[\"lab-name\"] at [\"ana\"]",
            "1 [\"open\"] (1, 1)",
            "3 [\"lab-name\"] (1, 1)",
            "4 [\"other\"] (1, 1)",
        ]
    );
    assert_eq!(
        seen(&store, &eyes(&store, bea).await, "abc").await,
        [
            "ana:s/lab-name@lab",
            "ana:s/other@lab",
            "bea:s/open@-",
            "bea:s/studio-name@studio",
            "ana=2",
            "bea=2",
            "eve=0",
            "[\"lab-name\", \"studio-name\"] at [\"ana\", \"bea\"]",
            "1 [\"open\"] (1, 1)",
            "3 [\"lab-name\", \"studio-name\"] (2, 2)",
            "4 [\"other\"] (1, 1)",
        ]
    );
}

pub async fn a_document_holds_the_names_of_one_space(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = sharing(&store, "bea", &[file("s/open", "abc")]).await;
    let hidden = [
        file_in("lab", "s/hidden", "abc"),
        file_in("lab", "s/deep/hidden", "abc"),
    ];
    publish(&store, "ana", ana, 0, upsert(&hidden)).await;
    let documents = store.contents(ContentKey(0), 10).await.unwrap();
    let seen: Vec<_> = documents
        .iter()
        .map(|d| {
            (
                d.space == SpaceKey::EVERYONE,
                d.paths.join(" "),
                d.peers.len(),
            )
        })
        .collect();
    let expected = [
        (true, "s/open".to_owned(), 1),
        (false, "s/deep/hidden s/hidden".to_owned(), 1),
    ];
    assert_eq!(seen, expected);
    assert_eq!(documents[0].key, documents[1].key);
    let lab = documents[1].space;
    assert_eq!(eyes(&store, ana).await.spaces(), [SpaceKey::EVERYONE, lab]);
    // The log contains both changes, and the remaining document.
    let position = store.last_change().await.unwrap();
    publish(&store, "bea", bea, 1, remove(&["s/open"])).await;
    let changes = store.changes(position, 10).await.unwrap();
    assert_eq!(
        changes.contents,
        [(documents[0].key, vec![documents[1].clone()])]
    );
}

pub async fn a_file_that_moves_to_another_space_is_published_anew(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    publish(&store, "ana", ana, 0, upsert(&[file("s/a", "abc")])).await;
    let position = store.last_change().await.unwrap();
    let moved = upsert(&[file_in("lab", "s/a", "abc")]);
    assert_eq!(
        publish(&store, "ana", ana, 1, moved.clone()).await,
        tally(1, 0)
    );
    assert!(store.last_change().await.unwrap() > position);
    assert_eq!(seen(&store, &anyone(), "abc").await, ["ana=0"]);
    // The same again: nothing to do.
    assert_eq!(publish(&store, "ana", ana, 2, moved).await, tally(0, 0));
    assert_eq!(
        seen(&store, &eyes(&store, ana).await, "abc").await[..2],
        ["ana:s/a@lab", "ana=1"]
    );
}

pub async fn only_members_publish_into_a_space(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let eve = member(&store, "eve", &[]).await;
    for name in ["lab", "none"] {
        let change = upsert(&[file("s/open", "1"), file_in(name, "s/a", "abc")]);
        let id = peer("eve");
        let refused = store
            .publish_change(&id, eve, 0, 1, change.clone(), NOW)
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::PermissionDenied);
        // The error is the same for a space that does not exist and for one of which the account is
        // not a member.
        assert_eq!(
            refused.message,
            format!("you are not a member of space '{name}'")
        );
        let sync = store.begin_full(&id, eve, NOW).await.unwrap();
        let refused = store.add_full(sync, change.upsert, NOW).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::PermissionDenied);
    }
    assert_eq!(store.totals(NOW).await.unwrap().files, 0);
}

pub async fn a_view_narrowed_to_a_space_shows_that_alone(store: Arc<dyn Store>) {
    for name in ["lab", "studio"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["lab", "studio"]).await;
    let eve = member(&store, "eve", &["studio"]).await;
    let files = [
        file_in("lab", "s/in-lab", "a"),
        file_in("studio", "s/in-studio", "bb"),
        file_in("lab", "s/in-both", "ccc"),
        file_in("studio", "t/in-both", "ccc"),
        file("s/for-all", "dddd"),
        file_in("lab", "s/for-all-too", "dddd"),
    ];
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    let viewer = eyes(&store, ana).await;
    let lab = store.narrowed(&viewer, &space("lab")).await.unwrap();
    assert_eq!(
        seen(&store, &lab, "dddd").await,
        [
            "ana:s/for-all-too@lab",
            "ana:s/in-both@lab",
            "ana:s/in-lab@lab",
            "ana=3",
            "eve=0",
            "[\"for-all-too\"] at [\"ana\"]",
            "1 [\"in-lab\"] (1, 1)",
            "3 [\"in-both\"] (1, 1)",
            "4 [\"for-all-too\"] (1, 1)",
        ]
    );
    // A viewer of several spaces sees where a content is, unless everyone can see it.
    let keys: Vec<_> = (1..100).map(ContentKey).collect();
    let mut all = store.summaries(&viewer, &keys, NOW).await.unwrap();
    all.sort_by_key(|summary| summary.size);
    let spaces: Vec<Vec<_>> = all
        .iter()
        .map(|summary| summary.spaces.iter().map(SpaceName::as_str).collect())
        .collect();
    let expected: [&[&str]; 4] = [&["lab"], &["studio"], &["lab", "studio"], &[]];
    assert_eq!(spaces, expected);
    // Another account's space and an unknown space are refused alike.
    let viewer = eyes(&store, eve).await;
    let others = store.narrowed(&viewer, &space("lab")).await.unwrap_err();
    let none = store.narrowed(&viewer, &space("bal")).await.unwrap_err();
    assert_eq!(others.code, ErrorCode::PermissionDenied);
    assert_eq!(others.message.replace("lab", "bal"), none.message);
    assert_eq!(others.hint, none.hint);
}

pub async fn an_invite_lets_into_its_space(store: Arc<dyn Store>) {
    let invite = InviteRecord {
        code: secret("code"),
        role: Role::Guest,
        space: Some(space("lab")),
        uses: Some(2),
        expires: at(1000),
        founds: false,
    };
    let early = store.create_invite(&invite, None, NOW).await.unwrap_err();
    assert_eq!(early.code, ErrorCode::NotFound);
    make(&store, "lab").await;
    store.create_invite(&invite, None, NOW).await.unwrap();
    let kept = store.invite(&secret("code"), NOW).await.unwrap();
    assert_eq!(kept, Some(invite));
    let admission = Admission::Invite(secret("code"));
    let user = "gil".parse().unwrap();
    let made = store.create_account(&user, "phc", admission, NOW).await;
    let made = made.unwrap();
    assert_eq!(made.role, Role::Guest);
    assert_eq!(eyes(&store, made.id).await.spaces().len(), 2);
    let members = store.members(&space("lab"), 10, None).await.unwrap();
    assert_eq!(members.items, [user]);
    let removed = entry(AuditAction::SpaceRemove);
    store.remove_space(&space("lab"), &removed).await.unwrap();
    assert_eq!(store.invite(&secret("code"), NOW).await.unwrap(), None);
}

pub async fn spaces_and_members_come_in_pages(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    for name in ["c", "a", "b"] {
        make(&store, name).await;
        account(&store, name).await;
    }
    for user in ["ana", "b", "c"] {
        let_in(&store, "b", user).await;
    }
    let mut names = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store.spaces(None, 2, cursor.as_deref()).await.unwrap();
        names.extend(page.items.iter().map(|s| (s.space.to_string(), s.members)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected = [("a", 0), ("b", 3), ("c", 0)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(names, expected);
    let own = store.spaces(Some(ana), 10, None).await.unwrap().items;
    assert_eq!(own.len(), 1);
    let first = store.members(&space("b"), 2, None).await.unwrap();
    let cursor = first.next_cursor.unwrap();
    let second = store.members(&space("b"), 2, Some(&cursor)).await.unwrap();
    let all: Vec<_> = first.items.into_iter().chain(second.items).collect();
    let all: Vec<_> = all.iter().map(|user| user.as_str()).collect();
    assert_eq!(all, ["ana", "b", "c"]);
    let wrong = store.spaces(None, 2, Some(&cursor)).await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::InvalidArgument);
    let none = store.members(&space("none"), 2, None).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::NotFound);
}

pub async fn common_spaces_are_those_of_both_accounts(store: Arc<dyn Store>) {
    for name in ["lab", "desk", "club"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["lab", "desk"]).await;
    member(&store, "bob", &["club", "desk", "lab"]).await;
    member(&store, "eve", &["club"]).await;
    let names = ["ana", "bob", "eve", "unknown"].map(peer);
    let peers: Vec<_> = names.iter().collect();
    let common = async || {
        let viewer = eyes(&store, ana).await;
        let common = store.common_spaces(&viewer, &peers).await.unwrap();
        let mut common: Vec<_> = common.into_iter().collect();
        common.sort();
        common
    };
    let (lab, desk) = (space("lab"), space("desk"));
    let both = vec![desk, lab.clone()];
    let expected = [(peer("ana"), both.clone()), (peer("bob"), both.clone())];
    assert_eq!(common().await, expected);
    // The account of a peer leaves a space, then the viewer does.
    take_out(&store, "desk", "bob").await;
    let expected = [(peer("ana"), both), (peer("bob"), vec![lab.clone()])];
    assert_eq!(common().await, expected);
    take_out(&store, "lab", "ana").await;
    assert_eq!(common().await, [(peer("ana"), vec![space("desk")])]);
    let nobody = store.common_spaces(&Viewer::everyone(), &peers).await;
    assert!(nobody.unwrap().is_empty());
}
