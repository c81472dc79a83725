//! Calls every method of the store, so that each of its statements runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::{FileEntry, Role};
use convite_core::remote_fetch::{LoadId, LoadReport, LoadState};
use convite_core::{
    ContentHash, EntryKind, PeerId, SharingPolicy, SpaceName, UnixMillis, UserName,
};
use convite_store::{
    AccountChange, AccountId, Admission, AuditEntry, ContentKey, Holder, IndexChange, InviteRecord,
    NewLink, NewLoad, Registration, ReplicaId, SecretHash, Store, Viewer, public_id,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LATER: UnixMillis = UnixMillis(1_800_000_100_000);
const DAY: i64 = 24 * 3_600_000;

/// Number of the call. Each call uses different names.
static ROUNDS: AtomicU64 = AtomicU64::new(0);

fn secret(text: &str) -> SecretHash {
    *ContentHash::of(text.as_bytes()).as_bytes()
}

fn entry(user: &UserName, action: AuditAction, target: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Some(user.clone()),
        action,
        target: target.to_owned(),
        address: Some("192.0.2.1".parse().unwrap()),
        outcome: AuditOutcome::Done,
    }
}

fn file(path: &str, contents: &str) -> FileEntry {
    FileEntry {
        modified: 1,
        ..FileEntry::file(
            path.parse().unwrap(),
            contents.len() as u64,
            ContentHash::of(contents.as_bytes()),
        )
    }
}

/// Returns a name that is unique to this call.
struct Round(u64);

impl Round {
    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.0)
    }

    fn user(&self, what: &str) -> UserName {
        self.name(what).parse().unwrap()
    }

    fn space(&self, what: &str) -> SpaceName {
        self.name(what).parse().unwrap()
    }

    fn peer(&self, what: &str) -> PeerId {
        self.name(what).parse().unwrap()
    }
}

pub async fn exercise(store: &Arc<dyn Store>) {
    let round = Round(ROUNDS.fetch_add(1, Ordering::Relaxed));
    // Up to its sixth execution, a connection may plan a statement again.
    let root = accounts(store, &round).await;
    spaces_and_invites(store, &round, &root).await;
    let ana = store.account(&round.user("ana")).await.unwrap().unwrap().id;
    sessions(store, &round, ana).await;
    peers(store, &round, ana).await;
    let hash = publishing(store, &round, ana).await;
    reading(store, &round, ana, &hash).await;
    links_and_loads(store, &round, ana, &hash).await;
    leaving(store, &round, &root).await;
    upkeep(store, &round).await;
}

async fn accounts(store: &Arc<dyn Store>, round: &Round) -> UserName {
    let root = round.user("root");
    let admin = Admission::Granted(Role::Admin);
    store.create_account(&root, "", admin, NOW).await.unwrap();
    for name in ["ana", "bea"] {
        let granted = Admission::Granted(Role::Member);
        let user = round.user(name);
        store
            .create_account(&user, "phc", granted, NOW)
            .await
            .unwrap();
    }
    store.has_admin().await.unwrap();
    store.accounts(50, None).await.unwrap();
    store.account_summary(&root).await.unwrap();
    let bea = round.user("bea");
    let entries = [entry(&root, AuditAction::UserRole, "bea")];
    for change in [
        AccountChange {
            role: Some(Role::Admin),
            ..AccountChange::default()
        },
        AccountChange {
            role: Some(Role::Guest),
            password_hash: Some("phc".to_owned()),
            ..AccountChange::default()
        },
        AccountChange {
            disabled: Some(true),
            ..AccountChange::default()
        },
        AccountChange {
            disabled: Some(false),
            role: Some(Role::Member),
            ..AccountChange::default()
        },
    ] {
        store.change_account(&bea, &change, &entries).await.unwrap();
    }
    root
}

async fn spaces_and_invites(store: &Arc<dyn Store>, round: &Round, root: &UserName) {
    let (lab, board) = (round.space("lab"), round.space("board"));
    for space in [&lab, &board] {
        let made = entry(root, AuditAction::SpaceAdd, space.as_str());
        store.create_space(space, &made, NOW).await.unwrap();
    }
    let (ana, added) = (
        round.user("ana"),
        entry(root, AuditAction::MemberAdd, "ana"),
    );
    for space in [&lab, &board] {
        store.add_member(space, &ana, &added, NOW).await.unwrap();
    }
    let account = store.account(&ana).await.unwrap().unwrap().id;
    store.spaces(None, 50, None).await.unwrap();
    store.spaces(Some(account), 50, None).await.unwrap();
    store.members(&lab, 50, None).await.unwrap();
    let viewer = store.viewer(account).await.unwrap();
    store.narrowed(&viewer, &lab).await.unwrap();
    let made = entry(root, AuditAction::UserAdd, "cleo");
    let cleo = round.user("cleo");
    store
        .add_account(
            &cleo,
            "",
            Role::Member,
            std::slice::from_ref(&lab),
            &made,
            NOW,
        )
        .await
        .unwrap();

    let invite = |code: &str, founds: bool| InviteRecord {
        code: secret(&round.name(code)),
        role: Role::Member,
        space: Some(lab.clone()),
        uses: Some(2),
        expires: UnixMillis(NOW.0 + DAY),
        founds,
    };
    let made = entry(root, AuditAction::InviteAdd, "");
    for (code, founds) in [("one", false), ("founding", true), ("revoked", false)] {
        let invite = invite(code, founds);
        store
            .create_invite(&invite, Some(&made), NOW)
            .await
            .unwrap();
        store.invite(&invite.code, NOW).await.unwrap().unwrap();
    }
    store.invites(50, None, NOW).await.unwrap();
    for (code, user) in [("one", "dan"), ("founding", "eve")] {
        let invited = Admission::Invite(secret(&round.name(code)));
        let user = round.user(user);
        store.create_account(&user, "", invited, NOW).await.unwrap();
    }
    let id = public_id(&secret(&round.name("revoked")));
    store.revoke_invite(&id, &made).await.unwrap();
}

async fn sessions(store: &Arc<dyn Store>, round: &Round, ana: AccountId) {
    for number in 0..6 {
        let token = secret(&round.name(&format!("session-{number}")));
        // At the limit, the least recently used session ends.
        let (end, now) = (UnixMillis(NOW.0 + DAY), UnixMillis(NOW.0 + number));
        let begun = store
            .create_session(&token, ana, "phc", None, end, now)
            .await;
        assert!(begun.unwrap());
        store.extend_session(&token, end, now).await.unwrap();
        store.session(&token).await.unwrap().unwrap();
    }
    store.sessions(None, 50, None, NOW).await.unwrap();
    store.sessions(Some(ana), 50, None, NOW).await.unwrap();
    let id = public_id(&secret(&round.name("session-4")));
    let revoked = entry(&round.user("root"), AuditAction::SessionRevoke, "");
    store.revoke_session(&id, None, &revoked).await.unwrap();
    let last = secret(&round.name("session-3"));
    store.end_session(&last, NOW).await.unwrap();
}

async fn register(
    store: &Arc<dyn Store>,
    id: PeerId,
    round: &Round,
    of: AccountId,
    transient: bool,
) {
    let registration = Registration {
        id,
        account: of,
        session: secret(&round.name("session-5")),
        addresses: Vec::new(),
        lease: UnixMillis(LATER.0 + DAY),
        transient,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
}

async fn peers(store: &Arc<dyn Store>, round: &Round, ana: AccountId) {
    for name in ["main", "other", "third", "main"] {
        register(store, round.peer(name), round, ana, false).await;
    }
    let fourth = Registration {
        id: round.peer("fourth"),
        account: ana,
        session: secret(""),
        addresses: Vec::new(),
        lease: LATER,
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&fourth, NOW).await.unwrap_err();
    register(store, round.peer("download"), round, ana, true).await;
    let main = round.peer("main");
    store
        .renew_lease(&main, ana, None, UnixMillis(LATER.0 + DAY), NOW)
        .await
        .unwrap();
    // From another process.
    store
        .renew_lease(&main, ana, Some([7; 16]), UnixMillis(LATER.0 + DAY), NOW)
        .await
        .unwrap_err();
    store
        .leave(&round.peer("download"), ana, NOW)
        .await
        .unwrap();
    store.leave(&round.peer("third"), ana, NOW).await.unwrap();
    store
        .peers(&Viewer::everyone(), 50, None, NOW)
        .await
        .unwrap();
    store
        .listed_peer(&Viewer::everyone(), &main, NOW)
        .await
        .unwrap()
        .unwrap();
    store.online_peers(NOW).await.unwrap();
    store.peer_key(&main).await.unwrap();
}

async fn publishing(store: &Arc<dyn Store>, round: &Round, ana: AccountId) -> ContentHash {
    let (main, other) = (round.peer("main"), round.peer("other"));
    let mut files: Vec<_> = (0..50)
        .map(|n| file(&format!("s/{n}"), &round.name(&format!("contents {n}"))))
        .collect();
    files[0].space = Some(round.space("lab"));
    let manifest = ContentHash::of(round.name("manifest").as_bytes());
    files.push(FileEntry::folder("s".parse().unwrap(), 50, 50, manifest));
    let change = |upsert: Vec<FileEntry>, remove: &[&str]| IndexChange {
        upsert,
        remove: remove.iter().map(|path| path.parse().unwrap()).collect(),
    };
    let published = store.publish_change(&main, ana, 0, 1, change(files.clone(), &[]), NOW);
    assert_eq!(published.await.unwrap().upserted, 51);
    // Changed, moved to another space, and removed.
    files[1].space = Some(round.space("board"));
    files[2].hash = ContentHash::of(b"other");
    let second = change(files[..3].to_vec(), &["s/10", "s/11"]);
    store
        .publish_change(&main, ana, 1, 2, second, NOW)
        .await
        .unwrap();
    // A size that another account also claims, and one that the account itself must not claim.
    let bea = store.account(&round.user("bea")).await.unwrap().unwrap().id;
    register(store, round.peer("bea"), round, bea, false).await;
    let mut contested = files[5].clone();
    contested.size += 1;
    let claim = change(vec![contested.clone()], &[]);
    let claimed = store
        .publish_change(&round.peer("bea"), bea, 0, 1, claim, NOW)
        .await;
    claimed.unwrap();
    let lie = change(vec![contested], &[]);
    let refused = store.publish_change(&other, ana, 0, 1, lie, NOW).await;
    refused.unwrap_err();
    // One content under very many names.
    let many = (0..300).map(|n| file(&format!("many/{n}"), &round.name("many")));
    let sync = store.begin_full(&other, ana, NOW).await.unwrap();
    store.add_full(sync, many.collect(), NOW).await.unwrap();
    store.finish_full(sync, 1, NOW).await.unwrap();
    let sync = store.begin_full(&other, ana, NOW).await.unwrap();
    store.finish_full(sync, 1, NOW).await.unwrap();
    let many = (0..300).map(|n| file(&format!("many/{n}"), &round.name("many")));
    let sync = store.begin_full(&other, ana, NOW).await.unwrap();
    store.add_full(sync, many.collect(), NOW).await.unwrap();
    store.finish_full(sync, 2, NOW).await.unwrap();
    let sync = store.begin_full(&main, ana, NOW).await.unwrap();
    store.add_full(sync, files.clone(), NOW).await.unwrap();
    store.finish_full(sync, 3, NOW).await.unwrap();
    files[5].hash
}

async fn reading(store: &Arc<dyn Store>, round: &Round, ana: AccountId, hash: &ContentHash) {
    let viewer = store.viewer(ana).await.unwrap();
    let (main, user) = (round.peer("main"), round.user("ana"));
    let of_one = store
        .index(&viewer, Some(&main), 50, None, NOW)
        .await
        .unwrap();
    assert!(of_one.items.len() > 40);
    store.index(&viewer, None, 50, None, NOW).await.unwrap();
    let path = &of_one.items[1].file.path;
    for (name, of) in [
        (path.file_name(), None),
        (path.as_str(), None),
        (path.as_str(), Some(&main)),
    ] {
        let named = store.named(&viewer, name, of, NOW).await.unwrap();
        assert!(!named.contents.is_empty(), "{name}");
    }
    // Claims of two accounts.
    assert!(
        store
            .announce(&main, ana, &viewer, hash, 9, NOW)
            .await
            .unwrap()
            .is_news
    );
    store.announced(&main).await.unwrap();
    let located = store
        .locate(&viewer, hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.providers.len(), 2);
    let manifest = ContentHash::of(round.name("manifest").as_bytes());
    let level = store.folder(&viewer, &manifest, 40, None, NOW).await;
    assert_eq!(level.unwrap().unwrap().items.len(), 40);
    // Without an online provider.
    let offline = store.locate(&viewer, &manifest, Some(EntryKind::File), NOW);
    assert_eq!(offline.await.unwrap(), None);
    assert!(store.sees(&viewer, hash).await.unwrap());
    store.moves_seen(&viewer, &[(user, *hash)]).await.unwrap();
    store
        .lies_in(&viewer, hash, EntryKind::File, NOW)
        .await
        .unwrap()
        .unwrap();
    let last = store.last_change().await.unwrap();
    let changes = store.changes(last - 50, 50).await.unwrap();
    assert!(!changes.contents.is_empty());
    let keys: Vec<ContentKey> = changes.contents.iter().map(|(key, _)| *key).collect();
    store.summaries(&viewer, &keys, NOW).await.unwrap();
    let walked = store.contents(ContentKey(100), 50).await.unwrap();
    assert_eq!(walked.len(), 50);
    let many = ContentHash::of(round.name("many").as_bytes());
    store
        .locate(&viewer, &many, None, NOW)
        .await
        .unwrap()
        .unwrap();
    let unknown = ContentHash::of(round.name("unknown").as_bytes());
    let wanted = [*hash, many, unknown, manifest];
    let located = store.locate_many(&viewer, &wanted, None, NOW).await;
    let located = located.unwrap();
    let found: Vec<bool> = located.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, true, false, true]);
    let none = round.peer("none");
    let common = store.common_spaces(&viewer, &[&main, &none]).await;
    assert!(!common.unwrap().is_empty());
    store.withdraw(&main, ana, hash, NOW).await.unwrap();
}

async fn links_and_loads(
    store: &Arc<dyn Store>,
    round: &Round,
    ana: AccountId,
    hash: &ContentHash,
) {
    let user = round.user("ana");
    let link = NewLink {
        token: secret(&round.name("link")),
        account: ana,
        hash: *hash,
        name: None,
        uses: 2,
        expires: UnixMillis(NOW.0 + DAY),
    };
    let made = entry(&user, AuditAction::LinkAdd, "file");
    store.create_link(&link, &made, NOW).await.unwrap();
    store
        .link(&link.token, "192.0.2.1", NOW)
        .await
        .unwrap()
        .unwrap();
    for action in [AuditAction::LinkUse, AuditAction::LinkUse] {
        let used = entry(&user, action, "file");
        store
            .use_link(&link.token, "192.0.2.1", true, &used, NOW)
            .await
            .unwrap();
    }
    let main = round.peer("main");
    let host = store.host(&main).await.unwrap().unwrap();
    let load = NewLoad {
        id: LoadId(u64::MAX - round.0),
        account: ana,
        peer: host.key,
        hash: *hash,
        size: 1,
        name: "name".to_owned(),
    };
    let asked = entry(&user, AuditAction::LoadAdd, "file");
    store.create_load(&load, &asked, NOW).await.unwrap();
    store.load_of(ana, load.id, NOW).await.unwrap().unwrap();
    store.loads(ana, 50, None, NOW).await.unwrap();
    store.open_loads(host.key, 50, NOW).await.unwrap();
    let report = LoadReport {
        state: LoadState::Done,
        bytes: 1,
        rate: 1,
        message: String::new(),
    };
    store
        .report_load(&main, ana, load.id, &report, NOW)
        .await
        .unwrap();
}

async fn leaving(store: &Arc<dyn Store>, round: &Round, root: &UserName) {
    let (ana, removed) = (
        round.user("ana"),
        entry(root, AuditAction::MemberRemove, "ana"),
    );
    store
        .remove_member(&round.space("board"), &ana, &removed)
        .await
        .unwrap();
    let removed = entry(root, AuditAction::SpaceRemove, "lab");
    store
        .remove_space(&round.space("lab"), &removed)
        .await
        .unwrap();
    let removed = entry(root, AuditAction::PeerRemove, "bea");
    store
        .remove_peer(&round.peer("bea"), &removed)
        .await
        .unwrap();
    store.finish_removals().await.unwrap();
}

async fn upkeep(store: &Arc<dyn Store>, round: &Round) {
    let refused = |target: &str| AuditEntry {
        outcome: AuditOutcome::Refused,
        ..entry(&round.user("eve"), AuditAction::Denied, target)
    };
    for target in ["one", "one", "two"] {
        store.record(&refused(target)).await.unwrap();
    }
    // A routine act, which is merged.
    let login = entry(&round.user("eve"), AuditAction::Login, "eve");
    for _ in 0..2 {
        store.record(&login).await.unwrap();
    }
    store.audit(50, None).await.unwrap();
    store.totals(NOW).await.unwrap();
    store.check_writable(NOW).await.unwrap();
    store.mend_times(NOW).await.unwrap();
    store.last_sweep().await.unwrap();
    store.set_mark("mark", b"value").await.unwrap();
    store.mark("mark").await.unwrap();
    store.sweep(100_000, NOW).await.unwrap();
    let shared = store.shared().unwrap();
    shared.clock().await.unwrap();
    let name = round.name("key");
    shared.keep_secret(&name, None, b"one").await.unwrap();
    shared
        .keep_secret(&name, Some(b"one"), b"two")
        .await
        .unwrap();
    let replica = ReplicaId([round.0 as u8; 16]);
    shared
        .renew_replica(replica, &[], LATER, NOW)
        .await
        .unwrap();
    shared.remove_replica(replica).await.unwrap();
}
