//! Backing up a directory that runs, and going on from the backup elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use convite_core::{ErrorCode, UnixMillis};
use convite_directory::backup::{Restoring, backup, restore};
use convite_directory::{DirectoryConfig, RunningDirectory, start};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::doors::{Door, Running, call, eventually, rest};
use crate::scenarios::file;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const FORCE: Restoring = Restoring {
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

async fn log_in(door: &Door, user: &str) -> String {
    let login = json!({"user": user, "password": "correct horse"});
    let session = door.knock(None, &call("login", login)).await.unwrap();
    session["token"].as_str().unwrap().to_owned()
}

async fn again(home: &Path) -> (RunningDirectory, Door) {
    let directory = start(config(home), CancellationToken::new()).await.unwrap();
    let door = rest(&directory);
    (directory, door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_it_runs_goes_on_elsewhere() {
    let mut running = Running::start(|config| config.open_registration = true).await;
    let door = rest(running.get());
    let token = log_in(&door, "ana").await;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    door.knock(Some(&token), &register).await.unwrap();
    let early = file("s/early.txt", 1, "a");
    let publish = json!({"peer": "ana-1", "generation": 5, "upsert": [early]});
    door.knock(Some(&token), &call("publish", publish))
        .await
        .unwrap();

    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let from = config(running.home.path());
    let made = backup(&from, &copy, NOW).unwrap();
    assert_eq!((made.files, made.made), (5, NOW));
    assert_eq!(mode(&copy), 0o700);
    for name in names(&copy) {
        assert_eq!(mode(&copy.join(&name)), 0o600, "{name}");
    }
    assert_eq!(names(place.path()), ["copy"]);
    let refused = backup(&from, &copy, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileExists);
    let refused = restore(&from, &copy, Restoring::default(), NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileExists);
    let refused = restore(&from, &copy, FORCE, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InUse, "it runs: {refused}");

    // What the backup does not know of: a later generation and a later session.
    let late = file("s/late.txt", 1, "b");
    let publish = json!({"peer": "ana-1", "generation": 6, "base": 5, "upsert": [late]});
    door.knock(Some(&token), &call("publish", publish))
        .await
        .unwrap();
    let later = log_in(&door, "ana").await;
    let authority = running.get().authority;
    running.stop().await;

    let home = tempfile::tempdir().unwrap();
    restore(&config(home.path()), &copy, Restoring::default(), NOW).unwrap();
    let (directory, door) = again(home.path()).await;
    assert_eq!(directory.authority, authority, "members' pins do not hold");

    let peers = call("peers", json!({}));
    let refused = door.knock(Some(&later), &peers).await.unwrap_err();
    assert_eq!(refused, "unauthenticated");
    let beat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = door.knock(Some(&token), &beat).await.unwrap();
    assert_eq!(
        lease["generation"], 5,
        "the peer would not know to send all of it"
    );
    let search = call("search", json!({"q": "early"}));
    eventually(&door, &token, &search, |page| page["results"] != json!([])).await;
    let publish = json!({"peer": "ana-1", "generation": 7, "base": 6, "upsert": []});
    let refused = door.knock(Some(&token), &call("publish", publish)).await;
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
        let refused = restore(&to, &copy, Restoring::default(), NOW).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert_eq!(names(home.path()), [""; 0], "something is left over");
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
    // A manifest that was made up leads nowhere out of the folder.
    let whole = fs::read_to_string(copy.join("manifest.json")).unwrap();
    let astray = whole.replace("\"ticket.key\"", "\"../../stolen\"");
    assert_ne!(astray, whole);
    fs::write(copy.join("manifest.json"), astray).unwrap();
    refuse(ErrorCode::CorruptContents);
    fs::remove_file(copy.join("manifest.json")).unwrap();
    refuse(ErrorCode::NotFound);
    fs::write(copy.join("manifest.json"), &whole).unwrap();

    let everybody_out = Restoring {
        end_sessions: true,
        ..FORCE
    };
    let done = restore(&from, &copy, everybody_out, NOW).unwrap();
    let aside = done.aside.unwrap();
    let key = |folder: &Path| fs::read(folder.join("ticket.key")).unwrap();
    assert_eq!(key(&aside), key(&done.path));
    let (_directory, door) = again(running.home.path()).await;
    let peers = call("peers", json!({}));
    door.knock(Some(&token), &peers).await.unwrap_err();
    let token = log_in(&door, "ana").await;
    door.knock(Some(&token), &peers).await.unwrap();
}

/// With the database at that path.
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

    // Named by a way round, it is the same one.
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let round = with_database(running.home.path(), &link.join("other.db"));
    let aside = restore(&round, &copy, FORCE, NOW).unwrap().aside.unwrap();
    assert!(aside.join("other.db").exists());
    assert!(folder.join("other.db").exists() && !folder.join("directory.db").exists());
    assert_eq!(
        names(running.home.path()).len(),
        2,
        "something is left over"
    );
    let directory = start(from, CancellationToken::new()).await.unwrap();
    let peers = call("peers", json!({}));
    rest(&directory).knock(Some(&token), &peers).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_half_way_leaves_everything_as_it_was() {
    let mut running = Running::start(|config| config.open_registration = true).await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    backup(&config(running.home.path()), &copy, NOW).unwrap();
    running.stop().await;

    let database = place.path().join("other.db");
    let to = with_database(running.home.path(), &database);
    fs::write(&database, b"").unwrap();
    // Where it would be put aside to, there is something.
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
fn what_cannot_be_copied_so_is_said() {
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
