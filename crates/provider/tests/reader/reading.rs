//! Reading from honest providers: order, ranges, seeks and memory.

use std::time::{Duration, Instant};

use crate::fake_provider::Behaviour::Honest;
use crate::world::{WINDOW, World, until};

const SIZE: usize = (9 << 20) + 12_345;
const PIECE: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn all_bytes_are_read_in_order_from_several_providers() {
    let world = World::new(SIZE, &[Honest, Honest]).await;
    let (read, error) = world.read(&mut world.reader(0..SIZE as u64)).await;
    assert!(error.is_none() && read == world.bytes);
    assert!(world.peers.iter().all(|peer| peer.sent() > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pieces_of_a_range_are_received() {
    let world = World::new(SIZE, &[Honest]).await;
    let range = 3_000_000..3_500_000;
    let (read, error) = world.read(&mut world.reader(range.clone())).await;
    assert!(error.is_none());
    assert!(read == world.bytes[range.start as usize..range.end as usize]);
    let pieces = range.start / PIECE * PIECE..range.end.next_multiple_of(PIECE);
    let requested = world.peers[0].ranges.lock().unwrap().clone();
    let inside = |asked: &std::ops::Range<u64>| {
        asked.start >= pieces.start && asked.end <= pieces.end && !asked.is_empty()
    };
    assert!(requested.iter().all(inside), "{requested:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_contents_and_empty_ranges_are_read() {
    for size in [1, PIECE as usize, PIECE as usize + 1] {
        let world = World::new(size, &[Honest]).await;
        let mut reader = world.reader(0..size as u64);
        for _ in 0..3 {
            let (read, error) = world.read(&mut reader).await;
            assert!(error.is_none() && read == world.bytes, "{size}");
            reader.seek(0..size as u64);
        }
        // When every piece has arrived, the content is read again from memory.
        if size as u64 <= PIECE {
            assert_eq!(world.peers[0].sent(), size as u64);
        }
    }
    let world = World::new(1000, &[Honest]).await;
    let (read, error) = world.read(&mut world.reader(7..7)).await;
    assert!(error.is_none() && read.is_empty());
    assert_eq!(world.peers[0].sent(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_seeks_forward_and_back_at_any_time() {
    let world = World::new(SIZE, &[Honest, Honest]).await;
    let size = SIZE as u64;
    let mut reader = world.reader(size - 1..size);
    let mut seed = 7u64;
    for round in 0..150 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let start = (seed >> 20) % size;
        let end = (start + 1 + (seed >> 8) % 900_000).min(size);
        reader.seek(start..end);
        // Some ranges are left before their end, or before their first byte.
        let mut read = Vec::new();
        for _ in 0..round % 4 {
            if let Some(bytes) = reader.next().await.unwrap() {
                read.extend_from_slice(&bytes);
            }
        }
        if round % 3 == 0 {
            read.extend(world.read(&mut reader).await.0);
            assert_eq!(read.len() as u64, end - start);
        }
        let start = start as usize;
        assert!(read == world.bytes[start..start + read.len()]);
    }
    reader.seek(0..size);
    let (read, error) = world.read(&mut reader).await;
    assert!(error.is_none() && read == world.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_stops_the_transfer_at_the_window() {
    let world = World::new(8 * WINDOW as usize, &[Honest]).await;
    let mut reader = world.reader(0..world.bytes.len() as u64);
    let first = reader.next().await.unwrap().unwrap();
    let full = WINDOW + first.len() as u64;
    until("the window is full", || world.peers[0].sent() == full).await;
    // Nothing else is sent while the reader takes nothing.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(700) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.peers[0].sent(), full);
    }
    let (rest, error) = world.read(&mut reader).await;
    assert!(error.is_none() && [first.to_vec(), rest].concat() == world.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_reader_ends_its_requests() {
    use crate::fake_provider::Behaviour::StallsAt;
    let mut world = World::new(SIZE, &[StallsAt(1 << 20)]).await;
    // The requests would last longer than the test.
    world.limits.stall_timeout = Duration::from_secs(600);
    let mut reader = world.reader(0..SIZE as u64);
    reader.next().await.unwrap();
    until("the provider stalls", || world.peers[0].open() > 0).await;
    drop(reader);
    until("the requests end", || world.peers[0].open() == 0).await;
}
