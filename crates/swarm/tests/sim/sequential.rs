//! Readers that need the pieces in order.

use std::time::Duration;

use convite_core::{PieceGeometry, PieceLayout};
use convite_swarm::DownloadOutcome;

use crate::folder::{folder, random_files};
use crate::world::{Behaviour, ReaderPlan, Report, Rng, Scenario};
use crate::{MIB, honest, random_behaviour, run};

fn file(size: u64) -> PieceLayout {
    PieceGeometry::new(size).unwrap().into()
}

/// Creates a reader of the whole content with a buffer of 16 MiB.
fn reader(layout: PieceLayout, rate: Option<u64>, behaviours: Vec<Behaviour>) -> Scenario {
    let plan = ReaderPlan {
        rate,
        buffer: 16 * MIB,
        range: 0..layout.size(),
        seeks: Vec::new(),
    };
    Scenario {
        reader: Some(plan),
        ..Scenario::of(layout, behaviours)
    }
}

fn longest_wait(report: &Report) -> Duration {
    report.waits.iter().copied().max().unwrap_or_default()
}

#[test]
fn a_reader_gets_the_rate_of_one_provider() {
    for size in [1, 65_537, 10 * MIB, 200 * MIB, 3_000 * MIB] {
        let report = run(1, reader(file(size), None, vec![honest(100 * MIB)]));
        report.completes_near(size as f64 / (100 * MIB) as f64, 1.02, 0.05);
        assert_eq!(report.bytes_received, size, "a piece was fetched twice");
    }
}

#[test]
fn a_reader_gets_the_rates_of_several_providers() {
    let rates = [40 * MIB, 20 * MIB, 5 * MIB, 60 * MIB];
    let size = 500 * MIB;
    let report = run(2, reader(file(size), None, rates.map(honest).to_vec()));
    let bound = size as f64 / rates.iter().sum::<u64>() as f64;
    report.completes_near(bound, 1.1, 0.1);
    report.received_at_most(size + size / 50);
}

#[test]
fn a_slow_reader_waits_only_at_the_start_and_nothing_is_sent_twice() {
    let rates = [40 * MIB, MIB, 3 * MIB];
    let size = 100 * MIB;
    let slow = Some(4 * MIB);
    let report = run(3, reader(file(size), slow, rates.map(honest).to_vec()));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    assert!(report.waits.len() <= 3, "{:?}", report.waits);
    assert!(longest_wait(&report) < Duration::from_millis(150));
    assert_eq!(report.bytes_received, size);
    // About two per second, and not one for each piece.
    assert!(report.requests < 100, "{} requests", report.requests);
}

#[test]
fn a_reader_does_not_wait_for_a_provider_that_stalls() {
    for seed in 0..50 {
        let stalls = Behaviour {
            stalls: Some(Duration::from_millis(500 + 37 * seed)),
            ..honest(50 * MIB)
        };
        let scenario = reader(file(300 * MIB), None, vec![stalls, honest(50 * MIB)]);
        let report = run(seed, scenario);
        assert_eq!(report.outcome, DownloadOutcome::Complete);
        let wait = longest_wait(&report);
        assert!(wait < Duration::from_millis(700), "seed {seed}: {wait:?}");
    }
}

#[test]
fn a_reader_does_not_wait_for_a_slow_provider_while_a_fast_one_is_idle() {
    // A piece of 2 MiB takes four seconds from the slow one, and its rate is unknown at first.
    let mut scenario = reader(
        file(2_500 * MIB),
        None,
        vec![honest(MIB / 2), honest(50 * MIB)],
    );
    scenario.reader.as_mut().unwrap().range = 0..200 * MIB;
    let report = run(4, scenario);
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    let wait = longest_wait(&report);
    assert!(wait < Duration::from_millis(700), "{wait:?}");
    assert!(
        report.took < Duration::from_millis(5_000),
        "{:?}",
        report.took
    );
}

#[test]
fn a_provider_whose_pieces_are_out_of_the_window_makes_room_for_another() {
    for seed in 0..50 {
        let partial = || Behaviour {
            holds_every: Some(2),
            ..honest(50 * MIB)
        };
        let behaviours = vec![partial(), partial(), partial(), honest(50 * MIB)];
        let mut scenario = reader(file(50 * MIB), None, behaviours);
        scenario.limits.max_providers = 2;
        let report = run(seed, scenario);
        assert_eq!(report.outcome, DownloadOutcome::Complete, "seed {seed}");
        assert!(report.took < Duration::from_secs(4), "{:?}", report.took);
    }
    // If no provider holds a piece, the reader does not wait forever.
    let partial = || Behaviour {
        holds_every: Some(2),
        ..honest(50 * MIB)
    };
    let mut scenario = reader(file(50 * MIB), None, (0..5).map(|_| partial()).collect());
    scenario.limits.max_providers = 2;
    let report = run(1, scenario);
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    assert!(report.took < Duration::from_secs(150), "{:?}", report.took);
}

/// Every reader gets its bytes in order, if an honest provider stays.
#[test]
fn thousands_of_random_readers_end_well() {
    let (mut received, mut needed) = (0, 0);
    for seed in 0..1_000 {
        let mut rng = Rng::new(seed);
        let size = 1 + match rng.below(4) {
            0 => rng.below(200_000),
            1 => rng.below(8 * MIB),
            _ => 8 * MIB + rng.below(100 * MIB),
        };
        let layout = if rng.below(2) == 0 {
            file(size)
        } else {
            folder(&random_files(&mut rng, size))
        };
        let mut behaviours = vec![honest(MIB + rng.below(60 * MIB))];
        for _ in 0..rng.below(6) {
            behaviours.push(random_behaviour(&mut rng));
        }
        let slowest = behaviours[0].rate;
        let mut scenario = reader(layout, None, behaviours);
        let plan = scenario.reader.as_mut().unwrap();
        plan.rate = [None, Some(MIB / 2 + rng.below(20 * MIB))][rng.below(2) as usize];
        plan.buffer = 1 + rng.below(32 * MIB);
        if rng.below(2) == 0 {
            let start = rng.below(size);
            plan.range = start..start + 1 + rng.below(size - start);
        }
        let length = plan.range.end - plan.range.start;
        let seeks = [0, 0, 1 + rng.below(4)][rng.below(3) as usize];
        for _ in 0..seeks {
            let time = Duration::from_millis(rng.below(4_000));
            let offset = plan.range.start + rng.below(length);
            plan.seeks.push((time, offset));
        }
        let rate = plan.rate.unwrap_or(u64::MAX).min(slowest);
        scenario.directory_away = Duration::from_millis(rng.below(3) * 1_500);
        let pieces = scenario
            .layout
            .pieces_of(scenario.reader.as_ref().unwrap().range.clone());
        let pieces: u64 = pieces.map(|piece| scenario.layout.piece_len(piece)).sum();
        let report = run(seed, scenario);
        assert_eq!(report.outcome, DownloadOutcome::Complete, "seed {seed}");
        let alone = (1 + seeks) as f64 * pieces as f64 / rate as f64;
        let took = report.took.as_secs_f64();
        assert!(
            took < alone * 1.15 + 12.0,
            "seed {seed}: {took} s, alone {alone} s"
        );
        assert!(
            !report.banned.contains(&0),
            "seed {seed}: an honest provider was banned"
        );
        if seeks == 0 {
            received += report.bytes_received;
            needed += pieces;
        }
    }
    let waste = received as f64 / needed as f64 - 1.0;
    println!("readers received {:.1}% twice", waste * 100.0);
    assert!(waste < 0.05);
}
