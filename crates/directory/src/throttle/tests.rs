#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::failure_table::KEYS_MAX;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn network(number: u32) -> Network {
    Network::of(std::net::Ipv4Addr::from(0x0a00_0000 + number).into())
}

/// Returns how many guesses were admitted, with one guess every `step` for `span`.
fn guesses(
    throttle: &mut AttemptLimiter,
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
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
fn a_day_of_guessing_from_one_network_gets_at_most_a_hundred_guesses() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
    let day = SECOND * 24 * 3600;
    let through = guesses(&mut throttle, "ana", |_| network(1), SECOND, day);
    assert!((20..=120).contains(&through), "{through}");
}

#[test]
fn distributed_guessing_is_slow_and_the_owner_can_log_in_from_a_familiar_network() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
    let home = network(9_999_999);
    let attempt = throttle
        .password(&user("ana"), home, Duration::ZERO)
        .unwrap();
    throttle.succeeded(attempt, Duration::ZERO);
    let hour = SECOND * 3600;
    let through = guesses(&mut throttle, "ana", network, SECOND, hour);
    assert!((100..=160).contains(&through), "{through}");
    // Unfamiliar networks are refused; the owner's is not.
    assert!(
        throttle
            .password(&user("ana"), network(8_888_888), hour)
            .is_err()
    );
    let attempt = throttle.password(&user("ana"), home, hour).unwrap();
    throttle.succeeded(attempt, hour);
    // Other accounts are not affected.
    throttle.password(&user("berta"), network(7), hour).unwrap();
}

#[test]
fn logging_in_to_one_account_keeps_failures_of_others() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
fn success_clears_the_failures_of_that_account_and_network() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
fn a_cancelled_attempt_does_not_count() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
    for _ in 0..1_000 {
        let attempt = throttle
            .password(&user("ana"), network(1), Duration::ZERO)
            .unwrap();
        throttle.cancelled(attempt, Duration::ZERO);
        let attempt = throttle.join(network(1), Duration::ZERO).unwrap();
        throttle.cancelled(attempt, Duration::ZERO);
    }
}

#[test]
fn many_accounts_can_join_at_once_but_a_flood_is_throttled() {
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
    let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
    assert!(throttle.account_and_network.len() <= KEYS_MAX);
    assert!(throttle.network.len() <= KEYS_MAX);
    assert!(throttle.account.len() <= KEYS_MAX);
    assert!(
        throttle
            .password(&user("ana"), network(0), Duration::ZERO)
            .is_err()
    );
    for number in 0..many {
        let friend = user(&format!("user{number}"));
        throttle.add_familiar(friend, network(number), SECOND * number);
    }
    assert!(throttle.familiar.len() <= FAMILIAR_ACCOUNTS_MAX);
    assert!(throttle.is_familiar(&user("user40000"), network(40_000), SECOND * many));
}

proptest! {
    /// In any order and at any times, the failures of one account from one network stay within the
    /// limit of a pace.
    #[test]
    fn no_sequence_of_attempts_exceeds_the_failure_rate(
        steps in prop::collection::vec((0u64..40_000, 0u8..4), 1..400),
        free in 0u32..8,
        slowest in 1u64..64,
    ) {
        let pace = FailureRate { free_failures: free, first_delay: SECOND, max_delay: SECOND * slowest as u32 };
        let open = FailureRate { free_failures: 1_000_000, ..pace };
        let paces = AttemptLimits { account_and_network: pace, network: open, account: open, joining: open, links: open };
        let mut throttle = AttemptLimiter::new(paces);
        let mut now = Duration::ZERO;
        let mut failed = 0u32;
        for (millis, kind) in steps {
            now += Duration::from_millis(millis);
            match throttle.password(&user("ana"), network(1), now) {
                Ok(attempt) if kind == 0 => throttle.cancelled(attempt, now),
                Ok(_) => failed += 1,
                Err(wait) => prop_assert!(wait > Duration::ZERO && wait <= pace.max_delay),
            }
        }
        let bound = free + 2 + slowest.ilog2() + 1
            + u32::try_from(now.as_millis() / pace.max_delay.as_millis()).unwrap();
        prop_assert!(failed <= bound, "{failed} > {bound}");
    }

    /// An attempt after the returned delay is admitted.
    #[test]
    fn an_attempt_after_the_delay_is_admitted(failures in 1u32..60, gap in 0u64..5_000) {
        let mut throttle = AttemptLimiter::new(AttemptLimits::default());
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
