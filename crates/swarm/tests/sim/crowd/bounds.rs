//! The time of a crowd, relative to the bound of its links.

use std::time::Duration;

use super::{Crowd, Link, Running};
use crate::MIB;

fn mbit(up: u64, down: u64) -> Link {
    Link {
        up: up * 125_000,
        down: down * 125_000,
    }
}

/// Runs a crowd with a file of 64 MiB and prints its time relative to the bound.
fn crowd(name: &str, seed: u64, provider: Link, downloaders: Vec<Link>, vanishing: usize) -> f64 {
    let crowd = Crowd {
        size: 64 * MIB,
        provider,
        downloaders,
        vanishing,
        delay: Duration::from_millis(1),
    };
    let bound = crowd.bound();
    let report = Running::new(seed, crowd).run();
    let ratio = report.last.as_secs_f64() / bound;
    println!(
        "{name}: last finished after {:.2} s, {ratio:.3} of the bound; provider sent {:.2} copies; {:.1}% duplicates",
        report.last.as_secs_f64(),
        report.copies,
        report.waste * 100.0
    );
    assert!(
        report.copies < 1.3,
        "{name}: the provider sent {:.2} copies",
        report.copies
    );
    ratio
}

#[test]
fn a_crowd_finishes_near_the_bound() {
    let equal = |count| vec![mbit(80, 80); count];
    assert!(crowd("1+8 at 80 Mbit/s", 1, mbit(80, 80), equal(8), 0) < 1.07);
    assert!(crowd("1+16 at 80 Mbit/s", 2, mbit(80, 80), equal(16), 0) < 1.07);
    assert!(crowd("1+100 at 80 Mbit/s", 3, mbit(80, 80), equal(100), 0) < 1.20);
    let mixed: Vec<Link> = (0..8)
        .map(|i| {
            if i % 2 == 0 {
                mbit(20, 20)
            } else {
                mbit(100, 100)
            }
        })
        .collect();
    assert!(
        crowd(
            "provider 40, downloaders 20 and 100",
            4,
            mbit(40, 40),
            mixed,
            0
        ) < 1.05
    );
    assert!(crowd("1+16, 4 of them vanish", 5, mbit(80, 80), equal(16), 4) < 1.20);
}
