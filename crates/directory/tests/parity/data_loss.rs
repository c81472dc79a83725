//! Protection against accidental loss: of the database, of the keys, and of data through a wrong
//! clock.

use std::path::Path;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_directory::clock::{ClockState, JumpDetector};
use convite_directory::identity::Recreate;
use convite_directory::{DirectoryConfig, start};
use tokio_util::sync::CancellationToken;

use crate::apis::Running;

const DAY: i64 = 24 * 3600 * 1000;

fn config(home: &Path) -> DirectoryConfig {
    let mut config = DirectoryConfig::new(home);
    config.listen = "127.0.0.1:0".parse().unwrap();
    config
}

/// Starts a directory and stops it; returns the result.
async fn run(config: DirectoryConfig) -> Result<(), Problem> {
    let shutdown = CancellationToken::new();
    let directory = start(config, shutdown.clone()).await?;
    let user = "ana".parse().unwrap();
    directory.service.local_session(&user, None).await.unwrap();
    shutdown.cancel();
    directory.finished().await
}

async fn refused(config: DirectoryConfig) -> Problem {
    let problem = run(config).await.unwrap_err();
    assert!(problem.hint.is_some(), "{problem:?}");
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_empty_database_starts_no_new_directory() {
    let home = tempfile::tempdir().unwrap();
    run(config(home.path())).await.unwrap();
    run(config(home.path())).await.unwrap();
    let folder = home.path().join("directory");
    let database = folder.join("directory.db");
    let aside = folder.join("aside.db");
    std::fs::rename(&database, &aside).unwrap();
    let missing = refused(config(home.path())).await;
    assert_eq!(missing.code, ErrorCode::NotFound, "{missing:?}");
    assert!(missing.hint.unwrap().contains("--new-database"));
    // It was not created in the meantime.
    assert!(!database.exists());
    std::fs::write(&database, b"").unwrap();
    let empty = refused(config(home.path())).await;
    assert!(empty.message.contains("is empty"), "{empty:?}");
    // Another empty database: with tables, but without rows.
    let other = tempfile::tempdir().unwrap();
    let fresh = other.path().join("fresh.db");
    let url = format!("sqlite:{}", fresh.display());
    drop(convite_store::open(&url, Default::default()).await.unwrap());
    let elsewhere = || {
        let mut config = config(home.path());
        config.database = Some(url.clone());
        config
    };
    assert_eq!(refused(elsewhere()).await.code, ErrorCode::NotFound);
    // With the database restored it starts; with the option, it starts with a new one.
    std::fs::rename(&aside, &database).unwrap();
    run(config(home.path())).await.unwrap();
    let mut anew = elsewhere();
    anew.recreate.database = true;
    run(anew).await.unwrap();
    run(elsewhere()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_keys_are_not_created_beside_a_database() {
    let home = tempfile::tempdir().unwrap();
    run(config(home.path())).await.unwrap();
    let folder = home.path().join("directory");
    for name in ["ticket.key", "authority.pem"] {
        let aside = folder.join("aside");
        std::fs::rename(folder.join(name), &aside).unwrap();
        let missing = refused(config(home.path())).await;
        assert_eq!(missing.code, ErrorCode::NotFound, "{missing:?}");
        assert!(missing.hint.unwrap().contains("--new-keys"));
        assert!(!folder.join(name).exists(), "{name}");
        std::fs::rename(&aside, folder.join(name)).unwrap();
    }
    run(config(home.path())).await.unwrap();
    // Keys of another directory are refused.
    let other = tempfile::tempdir().unwrap();
    run(config(other.path())).await.unwrap();
    let theirs = other.path().join("directory/directory.db");
    let mut mixed = config(home.path());
    mixed.database = Some(format!("sqlite:{}", theirs.display()));
    let mixed = refused(mixed).await;
    assert_eq!(mixed.code, ErrorCode::InvalidArgument, "{mixed:?}");
    // With the option, new keys are created.
    for name in ["ticket.key", "authority.pem", "authority.key"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    let mut anew = config(home.path());
    anew.recreate = Recreate {
        keys: true,
        ..Recreate::default()
    };
    run(anew).await.unwrap();
    run(config(home.path())).await.unwrap();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_its_database_is_not_ready_and_refuses_changes() {
    let running = Running::start(|_| {}).await;
    let service = &running.get().service;
    let user = "ana".parse().unwrap();
    service.local_session(&user, None).await.unwrap();
    assert!(service.readiness().await.is_ready());
    let database = running.home.path().join("directory/directory.db");
    std::fs::remove_file(&database).unwrap();
    let refused = service.local_session(&user, None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    let began = std::time::Instant::now();
    // The result of the last check is reused for a second.
    while service.readiness().await.is_ready() {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_with_a_clock_that_is_ahead_for_a_minute_deletes_nothing() {
    let clock = convite_directory::clock::Clock::default();
    let hands = clock.clone();
    let running = Running::start(move |config| config.clock = clock.clone()).await;
    let service = &running.get().service;
    let user = "ana".parse().unwrap();
    let session = service.local_session(&user, None).await.unwrap();
    let mut steadiness = JumpDetector::default();
    let minute = Duration::from_secs(60);
    let mut sweep = async |minutes: u32, shift: i64| {
        hands.set_shift(shift + i64::from(minutes) * 60_000);
        service
            .sweep(&mut steadiness, minute * minutes)
            .await
            .unwrap()
    };
    assert_eq!(sweep(0, 0).await, ClockState::Trusted);
    assert_eq!(sweep(1, 400 * DAY).await, ClockState::Jumped);
    assert_eq!(sweep(2, 400 * DAY).await, ClockState::Waiting);
    assert_eq!(sweep(3, 0).await, ClockState::Jumped);
    assert_eq!(sweep(4, 0).await, ClockState::Trusted);
    hands.set_shift(0);
    let known = service.authenticate(Some(&session.token), None).await;
    assert_eq!(known.unwrap().user, user);
    // Data that has really expired is removed.
    assert_eq!(sweep(5, 20 * 3_600_000).await, ClockState::Trusted);
}
