//! Backup of a running directory, and restoring it elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use convite_core::{ErrorCode, UnixMillis};
use convite_directory::backup::{RestoreOptions, backup, restore};
use convite_directory::{DirectoryConfig, RunningDirectory, start};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::apis::{Api, Running, call, eventually, rest};
use crate::scenarios::file;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const FORCE: RestoreOptions = RestoreOptions {
    force: true,
    end_sessions: false,
};

fn config(home: &Path) -> DirectoryConfig {
    let mut config = DirectoryConfig::new(home);
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.open_registration = true;
    config
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

async fn log_in(api: &Api, user: &str) -> String {
    let login = json!({"user": user, "password": "correct horse"});
    let session = api.call(None, &call("login", login)).await.unwrap();
    session["token"].as_str().unwrap().to_owned()
}

async fn again(home: &Path) -> (RunningDirectory, Api) {
    let directory = start(config(home), CancellationToken::new()).await.unwrap();
    let api = rest(&directory);
    (directory, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_running_directory_can_be_restored_elsewhere() {
    let mut running = Running::start(|config| config.open_registration = true).await;
    let api = rest(running.get());
    let token = log_in(&api, "ana").await;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    api.call(Some(&token), &register).await.unwrap();
    let early = file("s/early.txt", 1, "a");
    let publish = json!({"peer": "ana-1", "generation": 5, "upsert": [early]});
    api.call(Some(&token), &call("publish", publish))
        .await
        .unwrap();

    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let from = config(running.home.path());
    let made = backup(&from, &copy, NOW).unwrap();
    assert_eq!((made.files, made.created), (5, NOW));
    assert_eq!(mode(&copy), 0o700);
    for name in names(&copy) {
        assert_eq!(mode(&copy.join(&name)), 0o600, "{name}");
    }
    assert_eq!(names(place.path()), ["copy"]);
    let refused = backup(&from, &copy, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileExists);
    let refused = restore(&from, &copy, RestoreOptions::default(), NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileExists);
    let refused = restore(&from, &copy, FORCE, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InUse, "it is running: {refused}");

    // Changes after the backup: a later generation and a later session.
    let late = file("s/late.txt", 1, "b");
    let publish = json!({"peer": "ana-1", "generation": 6, "base": 5, "upsert": [late]});
    api.call(Some(&token), &call("publish", publish))
        .await
        .unwrap();
    let later = log_in(&api, "ana").await;
    let authority = running.get().authority;
    running.stop().await;

    let home = tempfile::tempdir().unwrap();
    restore(&config(home.path()), &copy, RestoreOptions::default(), NOW).unwrap();
    let (directory, api) = again(home.path()).await;
    assert_eq!(
        directory.authority, authority,
        "the pinned fingerprint changed"
    );

    let peers = call("peers", json!({}));
    let refused = api.call(Some(&later), &peers).await.unwrap_err();
    assert_eq!(refused, "unauthenticated");
    let beat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = api.call(Some(&token), &beat).await.unwrap();
    assert_eq!(
        lease["generation"], 5,
        "the peer does not send its whole index"
    );
    let search = call("search", json!({"q": "early"}));
    eventually(&api, &token, &search, |page| page["results"] != json!([])).await;
    let publish = json!({"peer": "ana-1", "generation": 7, "base": 6, "upsert": []});
    let refused = api.call(Some(&token), &call("publish", publish)).await;
    assert_eq!(refused.unwrap_err(), "generation_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused_and_a_whole_one_replaces_by_force() {
    let mut running = Running::start(|config| config.open_registration = true).await;
    let token = log_in(&rest(running.get()), "ana").await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let from = config(running.home.path());
    backup(&from, &copy, NOW).unwrap();
    running.stop().await;

    let home = tempfile::tempdir().unwrap();
    let to = config(home.path());
    let refuse = |code: ErrorCode| {
        let refused = restore(&to, &copy, RestoreOptions::default(), NOW).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert_eq!(names(home.path()), [""; 0], "a file is left over");
    };
    for name in ["directory.db", "ticket.key"] {
        let whole = fs::read(copy.join(name)).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(copy.join(name), &damaged).unwrap();
        refuse(ErrorCode::CorruptContents);
        fs::write(copy.join(name), &whole).unwrap();
    }
    // A forged manifest cannot name files outside the folder.
    let whole = fs::read_to_string(copy.join("manifest.json")).unwrap();
    let astray = whole.replace("\"ticket.key\"", "\"../../stolen\"");
    assert_ne!(astray, whole);
    fs::write(copy.join("manifest.json"), astray).unwrap();
    refuse(ErrorCode::CorruptContents);
    fs::remove_file(copy.join("manifest.json")).unwrap();
    refuse(ErrorCode::NotFound);
    fs::write(copy.join("manifest.json"), &whole).unwrap();

    let everybody_out = RestoreOptions {
        end_sessions: true,
        ..FORCE
    };
    let done = restore(&from, &copy, everybody_out, NOW).unwrap();
    let aside = done.replaced.unwrap();
    let key = |folder: &Path| fs::read(folder.join("ticket.key")).unwrap();
    assert_eq!(key(&aside), key(&done.path));
    let (_directory, api) = again(running.home.path()).await;
    let peers = call("peers", json!({}));
    api.call(Some(&token), &peers).await.unwrap_err();
    let token = log_in(&api, "ana").await;
    api.call(Some(&token), &peers).await.unwrap();
}

/// A configuration with the database at this path.
fn with_database(home: &Path, database: &Path) -> DirectoryConfig {
    let mut config = config(home);
    config.database = Some(format!("sqlite:{}", database.display()));
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_the_folder_under_another_name_is_replaced_with_it() {
    let mut running = Running::start(|config| {
        let database = config.folder().join("other.db");
        *config = with_database(&config.home, &database);
    })
    .await;
    let token = log_in(&rest(running.get()), "ana").await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let folder = config(running.home.path()).folder();
    let from = with_database(running.home.path(), &folder.join("other.db"));
    backup(&from, &copy, NOW).unwrap();
    running.stop().await;

    // Another spelling of the path is recognized as the same file.
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let round = with_database(running.home.path(), &link.join("other.db"));
    let aside = restore(&round, &copy, FORCE, NOW)
        .unwrap()
        .replaced
        .unwrap();
    assert!(aside.join("other.db").exists());
    assert!(folder.join("other.db").exists() && !folder.join("directory.db").exists());
    assert_eq!(names(running.home.path()).len(), 2, "a file is left over");
    let directory = start(from, CancellationToken::new()).await.unwrap();
    let peers = call("peers", json!({}));
    rest(&directory).call(Some(&token), &peers).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_restore_changes_nothing() {
    let mut running = Running::start(|config| config.open_registration = true).await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    backup(&config(running.home.path()), &copy, NOW).unwrap();
    running.stop().await;

    let database = place.path().join("other.db");
    let to = with_database(running.home.path(), &database);
    fs::write(&database, b"").unwrap();
    // The path for the previous directory is occupied.
    let in_the_way = place.path().join(format!("other.db.before-{}", NOW.0));
    fs::create_dir(&in_the_way).unwrap();
    let key = || fs::read(to.folder().join("ticket.key")).unwrap();
    let before = (key(), names(running.home.path()), names(place.path()));
    fs::write(to.folder().join("mine"), b"mine").unwrap();
    restore(&to, &copy, FORCE, NOW).unwrap_err();
    let after = (key(), names(running.home.path()), names(place.path()));
    assert_eq!(after, before);
    assert_eq!(fs::read(to.folder().join("mine")).unwrap(), b"mine");

    fs::remove_dir(&in_the_way).unwrap();
    restore(&to, &copy, FORCE, NOW).unwrap();
    assert!(fs::metadata(&database).unwrap().len() > 0);
}

#[test]
fn a_database_that_cannot_be_copied_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let mut from = config(home.path());
    let target = home.path().join("copy");
    let refused = backup(&from, &target, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    from.database = Some("postgres://user:hunter2@127.0.0.1:1/none".to_owned());
    let refused = backup(&from, &target, NOW).unwrap_err();
    assert!(refused.hint.clone().unwrap().contains("pg_dump"));
    assert!(!format!("{refused:?}").contains("hunter2"));
    assert!(!target.exists());
}
