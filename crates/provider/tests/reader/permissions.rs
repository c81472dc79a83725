//! The permission to read, and tickets, which expire during a transfer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_provider::ReadError;

use crate::fake_provider::Behaviour::Honest;
use crate::world::{WINDOW, World, until};

const SIZE: usize = 8 * WINDOW as usize;

async fn world() -> World {
    let mut world = World::new(SIZE, &[Honest]).await;
    world.limits.locate_interval = Duration::from_millis(100);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_permission_gets_nothing_more() {
    for code in [ErrorCode::Unauthenticated, ErrorCode::NotFound] {
        let world = world().await;
        let mut reader = world.reader(0..SIZE as u64);
        reader.next().await.unwrap();
        let full = WINDOW + (64 << 10);
        until("the window is full", || world.peers[0].sent() == full).await;
        world.refuse(Some(Problem::new(code, "refused")));
        let seen = world.queries();
        until("the permission is checked", || world.queries() > seen).await;
        // Once the refusal has arrived, not even the bytes in the window are returned.
        let mut read = 0;
        let error = loop {
            match reader.next().await {
                Ok(Some(bytes)) => {
                    read += bytes.len() as u64;
                    assert!(read < WINDOW / 2, "{read} bytes after the refusal");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(None) => panic!("everything was read"),
                Err(error) => break error,
            }
        };
        let ReadError::Refused(problem) = error else {
            panic!("{error:?}");
        };
        assert_eq!(problem.code, code);
        until("the requests end", || world.peers[0].open() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_for_a_moment_ends_no_reader() {
    let world = world().await;
    let mut reader = world.reader(0..SIZE as u64);
    let first = reader.next().await.unwrap().unwrap();
    world.refuse(Some(Problem::new(ErrorCode::Unavailable, "away")));
    let seen = world.queries();
    until("the directory is asked", || world.queries() > seen).await;
    world.refuse(None);
    let (rest, error) = world.read(&mut reader).await;
    assert!(error.is_none() && [first.to_vec(), rest].concat() == world.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tickets_are_used_on_the_same_connection() {
    let world = world().await;
    let mut reader = world.reader(0..SIZE as u64);
    let first = reader.next().await.unwrap().unwrap();
    let current = world.issue_tickets();
    let seen = world.queries();
    // The second query begins after the answer to the first was handled.
    until("the tickets are renewed", || world.queries() > seen + 1).await;
    world.expire_tickets_before(current);
    let refused = world.peers[0].refused.load(Ordering::SeqCst);
    let (rest, error) = world.read(&mut reader).await;
    assert!(error.is_none() && [first.to_vec(), rest].concat() == world.bytes);
    assert_eq!(world.peers[0].refused.load(Ordering::SeqCst), refused);
}
