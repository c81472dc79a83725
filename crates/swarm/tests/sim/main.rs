//! Simulates downloads with a virtual network and clock: the production planner, thousands of
//! seeds, providers that are slow, stall, vanish and send wrong data, and a directory that goes
//! away.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod crowd;
mod folder;
mod sequential;
mod world;

use std::time::Duration;

use convite_core::PieceLayout;
use convite_swarm::{DownloadLimits, DownloadOutcome};
use world::{Behaviour, Rng, Scenario, World};

const MIB: u64 = 1 << 20;

fn honest(rate: u64) -> Behaviour {
    Behaviour {
        rate,
        delay: Duration::from_millis(5),
        ..Behaviour::default()
    }
}

fn run(seed: u64, scenario: Scenario) -> world::Report {
    World::new(seed, scenario).run()
}

#[test]
fn one_provider_is_kept_busy() {
    for size in [1, 65_536, 65_537, 10 * MIB, 200 * MIB] {
        let report = run(1, Scenario::new(size, vec![honest(100 * MIB)]));
        report.completes_near(size as f64 / (100 * MIB) as f64, 1.02, 0.05);
        assert_eq!(report.bytes_received, size, "a piece was fetched twice");
    }
}

#[test]
fn several_providers_add_up() {
    let rates = [40 * MIB, 20 * MIB, 5 * MIB, 60 * MIB];
    let size = 500 * MIB;
    let report = run(2, Scenario::new(size, rates.map(honest).to_vec()));
    let bound = size as f64 / rates.iter().sum::<u64>() as f64;
    report.completes_near(bound, 1.05, 0.1);
    report.received_at_most(size + size / 50);
}

#[test]
fn a_provider_that_lies_is_dropped_and_the_rest_go_on() {
    let mut liars = 0;
    for seed in 0..200 {
        let liar = Behaviour {
            lies: 0.3,
            ..honest(80 * MIB)
        };
        let report = run(seed, Scenario::new(40 * MIB, vec![liar, honest(20 * MIB)]));
        assert_eq!(report.outcome, DownloadOutcome::Complete, "seed {seed}");
        // Each provider that sent wrong data is banned once, and no other.
        assert!(report.banned.iter().eq(&report.lied), "seed {seed}");
        liars += report.banned.len();
    }
    assert!(
        liars > 150,
        "only {liars} providers sent wrong data in 200 runs"
    );
}

#[test]
fn only_liars_end_the_download_as_such() {
    let liar = || Behaviour {
        lies: 1.0,
        ..honest(80 * MIB)
    };
    let report = run(3, Scenario::new(MIB, vec![liar(), liar()]));
    assert_eq!(report.outcome, DownloadOutcome::AllDishonest);
    assert!(report.took < Duration::from_secs(2), "{:?}", report.took);
}

#[test]
fn a_lost_provider_costs_less_than_a_second() {
    let doomed = Behaviour {
        vanishes: Some(Duration::from_secs(2)),
        ..honest(50 * MIB)
    };
    let size = 400 * MIB;
    let report = run(4, Scenario::new(size, vec![doomed, honest(50 * MIB)]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    let ideal = 2.0 + (size - 200 * MIB) as f64 / (50 * MIB) as f64;
    let took = report.took.as_secs_f64();
    assert!(took < ideal + 1.0, "took {took} s, the ideal is {ideal} s");
}

#[test]
fn a_provider_that_stalls_is_done_without() {
    let stuck = Behaviour {
        stalls: Some(Duration::from_secs(1)),
        ..honest(50 * MIB)
    };
    let size = 300 * MIB;
    let report = run(5, Scenario::new(size, vec![stuck, honest(50 * MIB)]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    assert!(report.took < Duration::from_secs(9), "{:?}", report.took);
}

#[test]
fn a_provider_that_returns_is_used_again() {
    let blinking = Behaviour {
        vanishes: Some(Duration::from_secs(1)),
        returns: Some(Duration::from_secs(5)),
        is_named_for: Some(Duration::MAX),
        ..honest(20 * MIB)
    };
    let report = run(6, Scenario::new(100 * MIB, vec![blinking]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    assert!(report.took < Duration::from_secs(14), "{:?}", report.took);
}

#[test]
fn without_providers_it_gives_up_after_its_patience() {
    let report = run(7, Scenario::new(MIB, vec![]));
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    let give_up_after = DownloadLimits::default().give_up_after;
    assert!(report.took >= give_up_after && report.took < give_up_after + Duration::from_secs(1));
}

#[test]
fn when_all_providers_are_gone_for_good_it_gives_up_after_its_patience() {
    let doomed = || Behaviour {
        vanishes: Some(Duration::from_secs(1)),
        is_named_for: Some(Duration::from_secs(60)),
        ..honest(10 * MIB)
    };
    let report = run(8, Scenario::new(100 * MIB, vec![doomed(), doomed()]));
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    let give_up_after = DownloadLimits::default().give_up_after;
    assert!(
        report.took < give_up_after + Duration::from_secs(2),
        "{:?}",
        report.took
    );
}

/// Runs a download whose last provider is certainly lost after a second. Returns the time after
/// that.
fn given_up_at_once(seed: u64, gone: Behaviour) -> Duration {
    let gone = || gone.clone();
    let report = run(seed, Scenario::new(100 * MIB, vec![gone(), gone()]));
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    report.took - Duration::from_secs(1)
}

#[test]
fn providers_that_are_lost_for_certain_are_not_waited_for() {
    let second = Some(Duration::from_secs(1));
    // Their machine refuses connections, although the directory still names them.
    let killed = Behaviour {
        vanishes: second,
        is_certain: true,
        is_named_for: Some(Duration::from_secs(60)),
        ..honest(10 * MIB)
    };
    // They report that they no longer have the file.
    let lost_it = Behaviour {
        refuses: second,
        is_certain: true,
        ..honest(10 * MIB)
    };
    // They do not answer, and the directory no longer names them.
    let unlisted = Behaviour {
        vanishes: second,
        ..honest(10 * MIB)
    };
    for (seed, gone) in (20..).zip([killed, lost_it, unlisted]) {
        let took = given_up_at_once(seed, gone);
        assert!(took < Duration::from_secs(3), "{seed}: {took:?}");
    }
}

#[test]
fn one_certain_loss_does_not_end_a_download_that_others_may_finish() {
    let second = Some(Duration::from_secs(1));
    let lost_it = || Behaviour {
        refuses: second,
        is_certain: true,
        ..honest(10 * MIB)
    };
    let size = 40 * MIB;
    // Another provider is online; or another is offline for ten seconds, for an unknown reason.
    let away = Behaviour {
        vanishes: second,
        returns: Some(Duration::from_secs(11)),
        is_named_for: Some(Duration::MAX),
        ..honest(10 * MIB)
    };
    for (seed, other) in (30..).zip([honest(10 * MIB), away]) {
        let report = run(seed, Scenario::new(size, vec![lost_it(), other]));
        assert_eq!(report.outcome, DownloadOutcome::Complete, "{seed}");
    }
    // A peer that restarts refuses connections for a moment.
    let restarted = Behaviour {
        vanishes: second,
        returns: Some(Duration::from_millis(1_900)),
        is_certain: true,
        is_named_for: Some(Duration::MAX),
        ..honest(10 * MIB)
    };
    let report = run(32, Scenario::new(size, vec![restarted]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    // The directory does not answer, so other providers are unknown.
    let mut scenario = Scenario::new(size, vec![lost_it()]);
    scenario.directory_leaves = Some(Duration::from_millis(500));
    let report = run(33, scenario);
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    assert!(report.took > DownloadLimits::default().give_up_after);
}

/// Returns a provider that connects and then delivers nothing, or nothing more after some time.
fn delivers_nothing(rng: &mut Rng, manner: u64) -> Behaviour {
    // Slow enough that no file is complete before it stops.
    let mut behaviour = honest(MIB / 4 + rng.below(4 * MIB));
    behaviour.delay = Duration::from_millis(rng.below(300));
    let some_time = Some(Duration::from_millis(rng.below(500)));
    match manner {
        0 => behaviour.refuses = some_time,
        1 => {
            behaviour.refuses = some_time;
            behaviour.is_busy = true;
        }
        2 => behaviour.is_mute = true,
        3 => behaviour.holds_every = Some(2 + rng.below(4) as u32),
        4 => behaviour.breaks = true,
        5 => behaviour.trickles = true,
        6 => {
            behaviour.refuses = some_time;
            behaviour.is_certain = true;
        }
        _ => behaviour.stalls = some_time,
    }
    behaviour
}

const MANNERS: u64 = 8;

#[test]
fn providers_that_connect_and_deliver_nothing_hold_no_download_for_ever() {
    for seed in 0..800 {
        let mut rng = Rng::new(seed);
        let first = seed % MANNERS;
        let mut behaviours = vec![delivers_nothing(&mut rng, first)];
        for _ in 0..rng.below(4) {
            let manner = rng.below(MANNERS);
            behaviours.push(delivers_nothing(&mut rng, manner));
        }
        let trickles = behaviours.iter().any(|b| b.trickles);
        let mut scenario = Scenario::new(48 * MIB + rng.below(MIB), behaviours);
        scenario.resume = rng.below(2) == 0;
        let report = run(seed, scenario);
        assert_eq!(report.outcome, DownloadOutcome::NoProviders, "seed {seed}");
        let limits = DownloadLimits::default();
        let piece = convite_core::PieceGeometry::new(49 * MIB)
            .unwrap()
            .piece_size();
        let crawling = Duration::from_secs(if trickles { piece / limits.min_rate } else { 0 });
        let most = 3 * limits.give_up_after_busy + crawling;
        assert!(report.took < most, "seed {seed}: {:?}", report.took);
    }
}

#[test]
fn the_only_provider_that_stops_sharing_ends_the_download_after_its_patience() {
    let stops = Behaviour {
        refuses: Some(Duration::from_secs(1)),
        ..honest(20 * MIB)
    };
    let report = run(11, Scenario::new(100 * MIB, vec![stops]));
    assert_eq!(report.outcome, DownloadOutcome::NoProviders);
    let give_up_after = DownloadLimits::default().give_up_after;
    assert!(
        report.took < give_up_after + Duration::from_secs(3),
        "{:?}",
        report.took
    );
}

#[test]
fn a_provider_that_is_busy_for_a_minute_is_waited_for() {
    // Busy at first; it serves the file after its return.
    let busy = Behaviour {
        refuses: Some(Duration::ZERO),
        is_busy: true,
        relents: Some(Duration::from_secs(70)),
        ..honest(20 * MIB)
    };
    let report = run(12, Scenario::new(100 * MIB, vec![busy]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    assert!(report.took < Duration::from_secs(90), "{:?}", report.took);
}

#[test]
fn a_slow_provider_that_broke_off_once_has_the_time_that_its_pieces_take() {
    // A piece takes 40 s, longer than the timeout without any bytes.
    let size = 4 * MIB;
    let piece = convite_core::PieceGeometry::new(size).unwrap().piece_size();
    let slow = Behaviour {
        vanishes: Some(Duration::from_secs(1)),
        returns: Some(Duration::from_secs(2)),
        is_named_for: Some(Duration::MAX),
        drips: true,
        ..honest(piece / 40)
    };
    let report = run(13, Scenario::new(2 * piece, vec![slow]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
}

#[test]
fn a_pause_stops_the_bytes_and_costs_no_more_than_its_time() {
    let size = 100 * MIB;
    let mut scenario = Scenario::new(size, vec![honest(20 * MIB)]);
    let (from, to) = (Duration::from_secs(2), Duration::from_secs(60));
    scenario.paused = Some((from, to));
    let report = run(9, scenario);
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    let awake = (report.took - (to - from)).as_secs_f64();
    assert!(
        (5.0..5.5).contains(&awake),
        "{awake} s without the pause; 5 s is ideal"
    );
    // Bytes in transit at the pause may have been received in vain.
    assert!(report.bytes_received < size + 25 * MIB);
}

#[test]
fn a_cancelled_download_ends_at_once_paused_or_not() {
    for paused in [false, true] {
        let mut scenario = Scenario::new(100 * MIB, vec![honest(20 * MIB)]);
        let second = Duration::from_secs(1);
        scenario.paused = paused.then_some((second / 2, second * 10));
        scenario.cancelled = Some(second);
        let report = run(10, scenario);
        assert_eq!(report.outcome, DownloadOutcome::Cancelled);
        assert_eq!(report.took, second);
    }
}

/// Returns the seeds; those that failed before come first.
fn seeds() -> impl Iterator<Item = u64> {
    let failed = include_str!("failed_seeds.txt").lines();
    let failed = failed.filter(|line| !line.starts_with('#') && !line.is_empty());
    failed.map(|line| line.parse().unwrap()).chain(0..3_000)
}

#[test]
fn thousands_of_random_worlds_end_well() {
    for seed in seeds() {
        let mut rng = Rng::new(seed);
        let size = match rng.below(4) {
            0 => 1 + rng.below(200_000),
            1 => MIB + rng.below(8 * MIB),
            _ => 8 * MIB + rng.below(150 * MIB),
        };
        let geometry = convite_core::PieceGeometry::new(size).unwrap();
        ends_well(seed, rng, geometry.into());
    }
}

/// Checks that a download of a random world ends: it completes, because an honest provider stays.
fn ends_well(seed: u64, mut rng: Rng, layout: PieceLayout) {
    let size = layout.size();
    let mut behaviours = vec![honest(MIB + rng.below(60 * MIB))];
    for _ in 0..rng.below(6) {
        behaviours.push(random_behaviour(&mut rng));
    }
    let mut scenario = Scenario::of(layout, behaviours);
    scenario.directory_away = Duration::from_millis(rng.below(3) * 1_500);
    scenario.resume = rng.below(3) == 0;
    let mut pause = Duration::ZERO;
    if rng.below(4) == 0 {
        let from = Duration::from_millis(rng.below(4_000));
        pause = Duration::from_millis(rng.below(60_000));
        scenario.paused = Some((from, from + pause));
    }
    let slowest = scenario.behaviours[0].rate;
    let report = run(seed, scenario);
    assert_eq!(report.outcome, DownloadOutcome::Complete, "seed {seed}");
    let alone = size as f64 / slowest as f64;
    let took = report.took.as_secs_f64();
    assert!(
        took < alone * 1.1 + 12.0 + pause.as_secs_f64(),
        "seed {seed}: {took} s, alone {alone} s"
    );
    assert!(
        !report.banned.contains(&0),
        "seed {seed}: an honest provider was banned"
    );
    let unbanned: Vec<_> = report
        .lied
        .iter()
        .filter(|id| !report.banned.contains(id))
        .collect();
    assert!(
        unbanned.is_empty(),
        "seed {seed}: {unbanned:?} sent wrong data and were not banned"
    );
}

fn random_behaviour(rng: &mut Rng) -> Behaviour {
    let at = |rng: &mut Rng| Some(Duration::from_millis(rng.below(5_000)));
    let mut behaviour = honest(MIB / 4 + rng.below(60 * MIB));
    behaviour.delay = Duration::from_millis(rng.below(300));
    match rng.below(7) {
        6 => {
            let manner = rng.below(MANNERS);
            behaviour = delivers_nothing(rng, manner);
        }
        0 => behaviour.lies = rng.below(100) as f64 / 100.0,
        1 => behaviour.vanishes = at(rng),
        2 => behaviour.stalls = at(rng),
        3 => {
            behaviour.vanishes = at(rng);
            behaviour.returns = behaviour.vanishes.map(|t| t + Duration::from_secs(3));
        }
        4 => behaviour.dishonest_hashes = true,
        _ => {}
    }
    behaviour
}
