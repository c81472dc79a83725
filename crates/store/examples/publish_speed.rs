//! Measures how fast indexes are published and files are located.
//!
//! `cargo run --release -p convite-store --example publish_speed [FILES]` (default 100,000).
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::time::{Duration, Instant};

use convite_core::model::{FileEntry, Role};
use convite_core::{ContentHash, SharingPolicy, UnixMillis};
use convite_store::{Admission, ContentKey, Holder, IndexChange, Registration, Settings, Viewer};

const BATCH: u64 = 5_000;
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LEASE: UnixMillis = UnixMillis(NOW.0 + 1);

fn file(n: u64) -> Result<FileEntry, Box<dyn Error>> {
    Ok(FileEntry::file(
        format!("share/folder{}/report_{n:07}.pdf", n % 1000).parse()?,
        n,
        ContentHash::of(&n.to_le_bytes()),
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 100_000,
    };
    let folder = std::env::temp_dir().join(format!("convite-measure-{}", std::process::id()));
    let store = convite_store::open(
        &format!("sqlite:{}/d.sqlite", folder.display()),
        Settings::default(),
    )
    .await?;
    let granted = Admission::Granted(Role::Member);
    let account = store
        .create_account(&"ana".parse()?, "", granted, NOW)
        .await?;
    let registration = Registration {
        id: "laptop".parse()?,
        account: account.id,
        session: [0; 32],
        addresses: vec!["192.0.2.7:5001".parse()?],
        lease: LEASE,
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    let peer = &registration.id;
    store.register_peer(&registration, NOW).await?;

    for round in ["first", "unchanged"] {
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        let sync = store.begin_full(peer, account.id, NOW).await?;
        for first in (0..count).step_by(BATCH as usize) {
            let batch = (first..count.min(first + BATCH)).map(file);
            let batch = batch.collect::<Result<Vec<_>, _>>()?;
            let began = Instant::now();
            store.add_full(sync, batch, NOW).await?;
            longest = longest.max(began.elapsed());
        }
        store.finish_full(sync, 1, NOW).await?;
        let took = began.elapsed();
        println!("{count} files published ({round}) in {took:.2?}, longest batch {longest:.2?}");
    }

    let mut times = Vec::new();
    for n in 1..=200 {
        let change = IndexChange {
            upsert: vec![file(count + n)?],
            remove: Vec::new(),
        };
        let began = Instant::now();
        store
            .publish_change(peer, account.id, n, n + 1, change, NOW)
            .await?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "a change of one file: median {:.2?}, p99 {:.2?}",
        times[100], times[198]
    );

    let began = Instant::now();
    let renewals: Vec<_> = (0..2000)
        .map(|_| {
            let (store, peer) = (store.clone(), peer.clone());
            tokio::spawn(
                async move { store.renew_lease(&peer, account.id, None, LEASE, NOW).await },
            )
        })
        .collect();
    for renewal in renewals {
        renewal.await??;
    }
    println!("2000 leases renewed at once in {:.2?}", began.elapsed());

    let began = Instant::now();
    for n in 0..10_000 {
        let located = store
            .locate(&Viewer::everyone(), &file(n % count)?.hash, None, NOW)
            .await?;
        assert!(located.is_some());
    }
    println!("10000 files located in {:.2?}", began.elapsed());

    let began = Instant::now();
    let (mut after, mut walked) = (ContentKey(0), 0);
    loop {
        let run = store.contents(after, 5_000).await?;
        let Some(last) = run.last() else {
            break;
        };
        after = last.key;
        walked += run.len();
    }
    println!("{walked} contents listed in {:.2?}", began.elapsed());
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
