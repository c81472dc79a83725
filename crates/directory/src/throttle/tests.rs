#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::book::KEYS_MAX;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn network(number: u32) -> Network {
    Network::of(std::net::Ipv4Addr::from(0x0a00_0000 + number).into())
}

/// How many of the guesses made every `step` for `span` were let through.
fn guesses(
    throttle: &mut Throttle,
    account: &str,
    from: impl Fn(u32) -> Network,
    step: Duration,
    span: Duration,
) -> u32 {
    let mut through = 0;
    let mut now = Duration::ZERO;
    let mut number = 0;
    while now < span {
        through += u32::from(throttle.password(&user(account), from(number), now).is_ok());
        now += step;
        number += 1;
    }
    through
}

#[test]
fn delays_double_after_the_free_failures() {
    let mut throttle = Throttle::new(Paces::default());
    let mut now = Duration::ZERO;
    for _ in 0..=5 {
        throttle.password(&user("ana"), network(1), now).unwrap();
    }
    for wait in [1, 2, 4, 8, 16] {
        let refused = throttle.password(&user("ana"), network(1), now);
        assert_eq!(refused, Err(SECOND * wait));
        now += SECOND * wait;
        throttle.password(&user("ana"), network(1), now).unwrap();
    }
}

#[test]
fn guessing_from_one_network_all_day_gets_a_hundred_guesses() {
    let mut throttle = Throttle::new(Paces::default());
    let day = SECOND * 24 * 3600;
    let through = guesses(&mut throttle, "ana", |_| network(1), SECOND, day);
    assert!((20..=120).contains(&through), "{through}");
}

#[test]
fn guessing_from_everywhere_is_slow_and_the_owner_gets_in_from_where_she_was_before() {
    let mut throttle = Throttle::new(Paces::default());
    let home = network(9_999_999);
    let attempt = throttle
        .password(&user("ana"), home, Duration::ZERO)
        .unwrap();
    throttle.succeeded(attempt, Duration::ZERO);
    let hour = SECOND * 3600;
    let through = guesses(&mut throttle, "ana", network, SECOND, hour);
    assert!((100..=160).contains(&through), "{through}");
    // The account is closed to strangers, and open to its owner.
    assert!(
        throttle
            .password(&user("ana"), network(8_888_888), hour)
            .is_err()
    );
    let attempt = throttle.password(&user("ana"), home, hour).unwrap();
    throttle.succeeded(attempt, hour);
    // A stranger's success elsewhere is needed for nothing: others are not held up at all.
    throttle.password(&user("berta"), network(7), hour).unwrap();
}

#[test]
fn an_account_of_ones_own_does_not_wipe_out_failures_at_others() {
    let mut throttle = Throttle::new(Paces::default());
    let mut through = 0;
    for number in 0..1_000 {
        if let Ok(attempt) = throttle.password(&user("mallory"), network(1), Duration::ZERO) {
            throttle.succeeded(attempt, Duration::ZERO);
        }
        let victim = user(&format!("user{number}"));
        through += u32::from(
            throttle
                .password(&victim, network(1), Duration::ZERO)
                .is_ok(),
        );
    }
    assert_eq!(through, 21);
}

#[test]
fn success_ends_the_delay_and_the_count_of_that_account_there() {
    let mut throttle = Throttle::new(Paces::default());
    for _ in 0..5 {
        throttle
            .password(&user("ana"), network(1), Duration::ZERO)
            .unwrap();
    }
    let last = throttle
        .password(&user("ana"), network(1), Duration::ZERO)
        .unwrap();
    throttle.succeeded(last, Duration::ZERO);
    for _ in 0..5 {
        throttle
            .password(&user("ana"), network(1), Duration::ZERO)
            .unwrap();
    }
}

#[test]
fn what_was_not_looked_at_does_not_count() {
    let mut throttle = Throttle::new(Paces::default());
    for _ in 0..1_000 {
        let attempt = throttle
            .password(&user("ana"), network(1), Duration::ZERO)
            .unwrap();
        throttle.void(attempt, Duration::ZERO);
        let attempt = throttle.join(network(1), Duration::ZERO).unwrap();
        throttle.void(attempt, Duration::ZERO);
    }
}

#[test]
fn a_class_joins_at_once_and_a_flood_of_new_accounts_does_not() {
    let mut throttle = Throttle::new(Paces::default());
    let mut made = 0;
    for _ in 0..1_000 {
        if let Ok(attempt) = throttle.join(network(1), Duration::ZERO) {
            throttle.succeeded(attempt, Duration::ZERO);
            made += 1;
        }
    }
    assert_eq!(made, 101);
}

#[test]
fn memory_is_bounded_and_a_flood_of_keys_does_not_free_who_failed_often() {
    let mut throttle = Throttle::new(Paces::default());
    for _ in 0..6 {
        throttle
            .password(&user("ana"), network(0), Duration::ZERO)
            .unwrap();
    }
    let many = u32::try_from(KEYS_MAX).unwrap() * 3;
    for number in 1..many {
        let victim = user(&format!("user{number}"));
        throttle
            .password(&victim, network(number), Duration::ZERO)
            .unwrap();
    }
    assert!(throttle.account_there.len() <= KEYS_MAX);
    assert!(throttle.network.len() <= KEYS_MAX);
    assert!(throttle.account.len() <= KEYS_MAX);
    assert!(
        throttle
            .password(&user("ana"), network(0), Duration::ZERO)
            .is_err()
    );
    for number in 0..many {
        let friend = user(&format!("user{number}"));
        throttle.befriend(friend, network(number), SECOND * number);
    }
    assert!(throttle.familiar.len() <= FAMILIAR_ACCOUNTS_MAX);
    assert!(throttle.is_familiar(&user("user40000"), network(40_000), SECOND * many));
}

proptest! {
    /// Whatever the order and the times, failures of one account from one network stay within
    /// what a pace promises.
    #[test]
    fn no_order_of_attempts_beats_the_pace(
        steps in prop::collection::vec((0u64..40_000, 0u8..4), 1..400),
        free in 0u32..8,
        slowest in 1u64..64,
    ) {
        let pace = Pace { free, first: SECOND, slowest: SECOND * slowest as u32 };
        let open = Pace { free: 1_000_000, ..pace };
        let paces = Paces { account_there: pace, network: open, account: open, joining: open, links: open };
        let mut throttle = Throttle::new(paces);
        let mut now = Duration::ZERO;
        let mut failed = 0u32;
        for (millis, kind) in steps {
            now += Duration::from_millis(millis);
            match throttle.password(&user("ana"), network(1), now) {
                Ok(attempt) if kind == 0 => throttle.void(attempt, now),
                Ok(_) => failed += 1,
                Err(wait) => prop_assert!(wait > Duration::ZERO && wait <= pace.slowest),
            }
        }
        let bound = free + 2 + slowest.ilog2() + 1
            + u32::try_from(now.as_millis() / pace.slowest.as_millis()).unwrap();
        prop_assert!(failed <= bound, "{failed} > {bound}");
    }

    /// Whoever waits as long as told is let through.
    #[test]
    fn who_waits_as_told_is_let_through(failures in 1u32..60, gap in 0u64..5_000) {
        let mut throttle = Throttle::new(Paces::default());
        let mut now = Duration::ZERO;
        for _ in 0..failures {
            now += Duration::from_millis(gap);
            if let Err(wait) = throttle.password(&user("ana"), network(1), now) {
                now += wait;
                prop_assert!(throttle.password(&user("ana"), network(1), now).is_ok());
            }
        }
    }
}
