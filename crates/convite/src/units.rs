//! Sizes and times as people type them.

use std::time::Duration;

use convite_core::age::Age;

/// `10`, `10k`, `1.5MiB`, `2 GB`: bytes, in binary units whichever way they are written.
///
/// # Errors
/// A message for people.
pub fn size(text: &str) -> Result<u64, String> {
    let refuse = || format!("'{text}' is not a size: write it like 500, 10k, 1.5MiB or 2G");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| refuse())?;
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(refuse()),
    };
    let bytes = number * 1024f64.powi(power);
    if bytes.is_finite() && bytes <= u64::MAX as f64 {
        Ok(bytes.round() as u64)
    } else {
        Err(refuse())
    }
}

/// `30s`, `10m`, `12h`, `7d`, `1h 30m`; not zero.
///
/// # Errors
/// A message for people.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!(
            "'{text}' is not a duration: write it like 30s, 10m, 12h or 7d"
        )),
    }
}

/// A duration that may be none at all: `0s`.
///
/// # Errors
/// A message for people.
pub fn delay(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

/// A length of time that somebody chose, as they would say it: `7 days`, `1 hour 30 minutes`.
pub fn span(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut parts = Vec::new();
    for (name, seconds) in [
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
        ("second", 1),
    ] {
        let count = left / seconds;
        left %= seconds;
        match count {
            0 => {}
            1 => parts.push(format!("1 {name}")),
            count => parts.push(format!("{count} {name}s")),
        }
    }
    match parts.is_empty() {
        true => format!("{} ms", duration.as_millis()),
        false => parts.join(" "),
    }
}

/// The age of a file, or a day, as the directory reads it.
///
/// # Errors
/// A message for people.
pub fn age(text: &str) -> Result<String, String> {
    match text.parse::<Age>() {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => {
            let hint = problem.hint.unwrap_or_default();
            Err(format!("{}: {hint}", problem.message))
        }
    }
}

/// How long something takes, for a person: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long something will take, about: `12 s`, `3 min`, `2 h 10 min`, `3 days`.
pub fn took_about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_type_them() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("10k", 10_240),
            ("10 KB", 10_240),
            ("1.5MiB", 1_572_864),
            ("2G", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "10q", "-1", "1..2", "k"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_and_ages_as_people_say_them() {
        for (seconds, said) in [
            (7 * 86_400, "7 days"),
            (5_400, "1 hour 30 minutes"),
            (61, "1 minute 1 second"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
        assert_eq!(age("7d"), Ok("7d".to_owned()));
        assert!(age("foo").unwrap_err().contains("2026-01-31"));
    }

    #[test]
    fn durations_as_people_type_them() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "7", "x", "0s", "-1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
