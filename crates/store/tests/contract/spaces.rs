//! Who sees what: spaces, their members, and what becomes of files when either goes.

use std::sync::Arc;

use convite_core::administration::{Act, Outcome};
use convite_core::model::{FileEntry, Role};
use convite_core::{ErrorCode, SpaceName};
use convite_store::{
    AccountId, Admission, AuditEntry, ContentKey, InviteRecord, SpaceKey, Store, Viewer,
};

use crate::world::*;

fn space(name: &str) -> SpaceName {
    name.parse().unwrap()
}

fn entry(act: Act) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Some("admin".parse().unwrap()),
        action: act,
        target: String::new(),
        address: None,
        outcome: Outcome::Done,
    }
}

async fn make(store: &Arc<dyn Store>, name: &str) {
    let entry = entry(Act::SpaceAdd);
    store.create_space(&space(name), &entry, NOW).await.unwrap();
}

async fn let_in(store: &Arc<dyn Store>, name: &str, user: &str) {
    let (user, entry) = (user.parse().unwrap(), entry(Act::MemberAdd));
    let added = store.add_member(&space(name), &user, &entry, NOW).await;
    assert!(added.unwrap());
}

async fn take_out(store: &Arc<dyn Store>, name: &str, user: &str) {
    let (user, entry) = (user.parse().unwrap(), entry(Act::MemberRemove));
    store
        .remove_member(&space(name), &user, &entry)
        .await
        .unwrap();
    store.finish_removals().await.unwrap();
}

fn file_in(name: &str, path: &str, contents: &str) -> FileEntry {
    FileEntry {
        space: Some(space(name)),
        ..file(path, contents)
    }
}

/// What an account sees now.
async fn eyes(store: &Arc<dyn Store>, account: AccountId) -> Viewer {
    let token = secret(&format!("eyes of {}", account.0));
    if store.session(&token).await.unwrap().is_none() {
        let made = store
            .create_session(&token, account, "phc", None, at(LEASE), NOW)
            .await;
        made.unwrap();
    }
    store.session(&token).await.unwrap().unwrap().viewer
}

/// A peer `id` of an account of that name, in these spaces.
async fn member(store: &Arc<dyn Store>, id: &str, spaces: &[&str]) -> AccountId {
    let account = account(store, id).await;
    for name in spaces {
        let_in(store, name, id).await;
    }
    register(store, id, account, NOW).await;
    account
}

/// Everything that a viewer can find out: the index, the numbers of files, and of one content the
/// names, providers and summary.
async fn seen(store: &Arc<dyn Store>, viewer: &Viewer, contents: &str) -> Vec<String> {
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
    let located = store.locate(viewer, &hash, NOW).await.unwrap();
    let sees = store.sees(viewer, &hash).await.unwrap();
    assert_eq!(located.is_some(), sees);
    // Of the transfers of an account that is in no space.
    let (unknown, who) = (file("x", "nobody has this").hash, "nobody".parse().unwrap());
    let moves = [(who, hash), ("nobody".parse().unwrap(), unknown)];
    let mut names = store.moves_seen(viewer, &moves).await.unwrap();
    let name = names.remove(&moves[0]);
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(name.is_some(), sees);
    if let Some(located) = located {
        assert!(located.names.contains(&name.unwrap()));
        let providers = located.providers.iter().map(|p| match p.partial {
            true => format!("~{}", p.peer),
            false => p.peer.to_string(),
        });
        let providers: Vec<_> = providers.collect();
        seen.push(format!("{:?} at {providers:?}", located.names));
    }
    let keys: Vec<_> = (1..100).map(ContentKey).collect();
    // Which content has which number is the database's own business.
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

/// Of these accounts those that a viewer may know to move a content.
async fn movers(
    store: &Arc<dyn Store>,
    viewer: &Viewer,
    contents: &str,
    users: &[&str],
) -> Vec<String> {
    let hash = file("x", contents).hash;
    let moves = users.iter().map(|user| (user.parse().unwrap(), hash));
    let moves: Vec<_> = moves.collect();
    let seen = store.moves_seen(viewer, &moves).await.unwrap();
    let mut users: Vec<_> = seen.into_keys().map(|(user, _)| user.to_string()).collect();
    users.sort();
    users
}

pub async fn a_claimed_hash_shows_nobody_who_has_it_from_a_space(store: Arc<dyn Store>) {
    for name in ["board", "lab"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["board"]).await;
    let bea = member(&store, "bea", &["board", "lab"]).await;
    let fay = member(&store, "fay", &["lab"]).await;
    let eve = member(&store, "eve", &["board"]).await;
    let files = [file_in("board", "s/minutes", "abc")];
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    // Eve has to go, and keeps the hash in mind.
    take_out(&store, "board", "eve").await;
    let mut claim = file("x", "abc");
    claim.size = 1;
    publish(&store, "eve", eve, 0, upsert(&[claim])).await;
    for (id, account) in [("bea", bea), ("fay", fay)] {
        let (eyes, hash) = (eyes(&store, account).await, file("x", "abc").hash);
        let announced = store
            .announce(&peer(id), account, &eyes, &hash, 3, NOW)
            .await;
        assert!(announced.unwrap());
    }
    // Who has it from the claim alone is shown to all; who has it from the space, to its members.
    let everybody = ["ana", "bea", "eve", "fay"];
    let board = Viewer::of(eyes(&store, ana).await.spaces().iter().copied());
    for (account, expected, moving) in [
        (eve, "[\"x\"] at [\"eve\", \"~fay\"]", vec!["eve", "fay"]),
        (fay, "[\"x\"] at [\"eve\", \"~fay\"]", vec!["eve", "fay"]),
        (
            bea,
            "[\"minutes\", \"x\"] at [\"ana\", \"eve\", \"~bea\", \"~fay\"]",
            everybody.to_vec(),
        ),
        (
            ana,
            "[\"minutes\", \"x\"] at [\"ana\", \"eve\", \"~bea\", \"~fay\"]",
            everybody.to_vec(),
        ),
    ] {
        let viewer = eyes(&store, account).await;
        let shown = seen(&store, &viewer, "abc").await;
        assert!(shown.iter().any(|line| line == expected), "{shown:?}");
        assert_eq!(movers(&store, &viewer, "abc", &everybody).await, moving);
    }
    // Narrowed eyes are those of one who is in that space alone.
    let claimed = seen(&store, &anyone(), "abc").await;
    assert!(claimed.contains(&"[\"x\"] at [\"eve\", \"~fay\"]".to_owned()));
    let narrow = store.narrowed(&board, &space("board")).await.unwrap();
    let inside = seen(&store, &narrow, "abc").await;
    let expected = "[\"minutes\"] at [\"ana\", \"~bea\", \"~fay\"]";
    assert!(inside.contains(&expected.to_owned()), "{inside:?}");
    // What was begun in the space stays there, also when the file is there no more.
    publish(&store, "ana", ana, 1, remove(&["s/minutes"])).await;
    for (viewer, expected, moving) in [
        (anyone(), "[\"x\"] at [\"eve\", \"~fay\"]", 3),
        (board, "[\"x\"] at [\"eve\", \"~bea\", \"~fay\"]", 4),
    ] {
        let shown = seen(&store, &viewer, "abc").await;
        assert!(shown.iter().any(|line| line == expected), "{shown:?}");
        let movers = movers(&store, &viewer, "abc", &everybody).await;
        assert_eq!(movers.len(), moving, "{movers:?}");
    }
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
    // The log tells of both, and of the one that is left.
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
    // Again the same: nothing to do.
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
        // Of a space that it is not in it learns no more than of none.
        assert_eq!(
            refused.message,
            format!("you do not belong to a space '{name}'")
        );
        let sync = store.begin_full(&id, eve, NOW).await.unwrap();
        let refused = store.add_full(sync, change.upsert, NOW).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::PermissionDenied);
    }
    assert_eq!(store.totals(NOW).await.unwrap().files, 0);
}

pub async fn leaving_a_space_takes_the_files_out_of_it(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    let shared = [file("s/open", "1"), file_in("lab", "s/a", "abc")];
    publish(&store, "ana", ana, 0, upsert(&shared)).await;
    publish(
        &store,
        "bea",
        bea,
        0,
        upsert(&[file_in("lab", "s/b", "bb")]),
    )
    .await;
    let announced = store
        .announce(
            &peer("ana"),
            ana,
            &eyes(&store, ana).await,
            &file("x", "bb").hash,
            2,
            NOW,
        )
        .await;
    assert!(announced.unwrap());
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    take_out(&store, "lab", "ana").await;
    assert_eq!(
        seen(&store, &eyes(&store, bea).await, "bb").await,
        [
            "ana:s/open@-",
            "bea:s/b@lab",
            "ana=1",
            "bea=1",
            "[\"b\"] at [\"bea\"]",
            "1 [\"open\"] (1, 1)",
            "2 [\"b\"] (1, 1)",
        ]
    );
    assert_eq!(eyes(&store, ana).await, anyone());
    assert_eq!(store.totals(NOW).await.unwrap().files, 2);
    // Its index is to be sent anew, the one under way is void, and the other's is as it was.
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
    assert_eq!(register(&store, "bea", bea, NOW).await, 1);
    let void = store.add_full(sync, vec![], NOW).await.unwrap_err();
    assert_eq!(void.code, ErrorCode::GenerationMismatch);
    let user = "ana".parse().unwrap();
    let again = store
        .remove_member(&space("lab"), &user, &entry(Act::MemberRemove))
        .await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    // Back in, it is asked for all of it again.
    publish(&store, "ana", ana, 0, upsert(&[])).await;
    let_in(&store, "lab", "ana").await;
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
}

pub async fn a_space_that_is_removed_takes_its_files_with_it(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let taken = store
        .create_space(&space("LAB"), &entry(Act::SpaceAdd), NOW)
        .await;
    assert_eq!(taken.unwrap_err().code, ErrorCode::SpaceTaken);
    let ana = member(&store, "ana", &["lab"]).await;
    publish(
        &store,
        "ana",
        ana,
        0,
        upsert(&[file_in("lab", "s/a", "abc")]),
    )
    .await;
    let eyes_before = eyes(&store, ana).await;
    let removed = entry(Act::SpaceRemove);
    store.remove_space(&space("lab"), &removed).await.unwrap();
    store.finish_removals().await.unwrap();
    assert_eq!(eyes(&store, ana).await, anyone());
    let again = store.remove_space(&space("lab"), &removed).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(store.totals(NOW).await.unwrap().files, 0);
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
    // One of the same name is another.
    make(&store, "lab").await;
    let_in(&store, "lab", "ana").await;
    assert_ne!(eyes(&store, ana).await, eyes_before);
}

pub async fn what_nobody_lets_see_cannot_be_announced_or_located(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    let eve = member(&store, "eve", &[]).await;
    publish(
        &store,
        "ana",
        ana,
        0,
        upsert(&[file_in("lab", "s/a", "abc")]),
    )
    .await;
    let hidden = file("x", "abc").hash;
    let unknown = file("x", "nobody has this").hash;
    let viewer = eyes(&store, eve).await;
    let mut refused = Vec::new();
    for hash in [&hidden, &unknown] {
        let announced = store
            .announce(&peer("eve"), eve, &viewer, hash, 3, NOW)
            .await;
        refused.push(announced.unwrap_err());
        assert_eq!(store.locate(&viewer, hash, NOW).await.unwrap(), None);
        assert!(!store.sees(&viewer, hash).await.unwrap());
    }
    assert_eq!(refused[0], refused[1]);
    // Nor does who fetches it show to one who may not see it, also while its sharer is away.
    let viewer_in = eyes(&store, bea).await;
    let announced = store
        .announce(&peer("bea"), bea, &viewer_in, &hidden, 3, NOW)
        .await;
    assert!(announced.unwrap());
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    let located = store.locate(&viewer_in, &hidden, NOW).await.unwrap();
    assert_eq!(located.unwrap().providers[0].peer, peer("bea"));
    assert_eq!(store.locate(&viewer, &hidden, NOW).await.unwrap(), None);
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
    // Whoever sees several is told where a content lies, unless everyone sees it.
    let keys: Vec<_> = (1..100).map(ContentKey).collect();
    let mut all = store.summaries(&viewer, &keys, NOW).await.unwrap();
    all.sort_by_key(|summary| summary.size);
    let spaces: Vec<Vec<_>> = all
        .iter()
        .map(|summary| summary.spaces.iter().map(SpaceName::as_str).collect())
        .collect();
    let expected: [&[&str]; 4] = [&["lab"], &["studio"], &["lab", "studio"], &[]];
    assert_eq!(spaces, expected);
    // A space of others and none at all are refused alike.
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
    let removed = entry(Act::SpaceRemove);
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

pub async fn what_is_removed_is_seen_by_nobody_outside_while_it_goes(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    // More than go in one transaction, among others that stay.
    let files: Vec<_> = (0..20_010)
        .map(|n| match n % 2_001 {
            0 => file(&format!("s/{n:05}"), "open"),
            _ => file_in("lab", &format!("s/{n:05}"), "abc"),
        })
        .collect();
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    let (user, removed) = ("ana".parse().unwrap(), entry(Act::MemberRemove));
    let remove_member = async || {
        let lab = space("lab");
        let removed = store.remove_member(&lab, &user, &removed).await;
        removed.unwrap();
    };
    let files = async |viewer: &Viewer| {
        let peers = store.peers(viewer, 10, None, NOW).await.unwrap().items;
        peers[0].summary.files
    };
    let inside = eyes(&store, bea).await;
    remove_member().await;
    // It is done at once for who is out, and has still to be done for who is in.
    assert_eq!(files(&eyes(&store, ana).await).await, 10);
    assert_eq!(files(&inside).await, 20_010);
    let hash = file("x", "abc").hash;
    let located = store.locate(&eyes(&store, ana).await, &hash, NOW).await;
    assert_eq!(located.unwrap(), None);
    // Who is let in again meanwhile loses nothing.
    let_in(&store, "lab", "ana").await;
    store.finish_removals().await.unwrap();
    assert_eq!(files(&inside).await, 20_010);
    // What a crash leaves, the sweeper finds.
    remove_member().await;
    store.sweep(100, NOW).await.unwrap();
    assert_eq!(files(&inside).await, 10);
    assert_eq!(store.totals(NOW).await.unwrap().files, 10);
    assert_eq!(store.locate(&inside, &hash, NOW).await.unwrap(), None);
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
}
