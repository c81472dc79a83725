//! Parsing and formatting of sizes and durations.

use std::time::Duration;

use convite_core::age::Age;

/// Parses a size in bytes, such as `10`, `10k`, `1.5MiB`, `2 GB`. All units are binary.
///
/// # Errors
/// Returns a message for people.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refuse = || format!("'{text}' is not a size: use a form such as 500, 10k, 1.5MiB or 2G");
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

/// Parses a duration above zero, such as `30s`, `10m`, `12h`, `7d`, `1h 30m`.
///
/// # Errors
/// Returns a message for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!(
            "'{text}' is not a duration: use a form such as 30s, 10m, 12h or 7d"
        )),
    }
}

/// Parses a duration that may be zero: `0s`.
///
/// # Errors
/// Returns a message for people.
pub fn parse_delay(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(Duration::ZERO),
        _ => parse_duration(text),
    }
}

/// Formats a configured duration in full: `7 days`, `1 hour 30 minutes`.
pub fn format_duration(duration: Duration) -> String {
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
    if parts.is_empty() {
        format!("{} ms", duration.as_millis())
    } else {
        parts.join(" ")
    }
}

/// Checks the age of a file or a day, and returns it unchanged for the directory.
///
/// # Errors
/// Returns a message for people.
pub fn parse_age(text: &str) -> Result<String, String> {
    match text.parse::<Age>() {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => {
            let hint = problem.hint.unwrap_or_default();
            Err(format!("{}: {hint}", problem.message))
        }
    }
}

/// Formats an elapsed time: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub fn format_elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Formats an estimated time: `12 s`, `3 min`, `2 h 10 min`, `3 days`.
pub fn format_estimate(duration: Duration) -> String {
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
    fn sizes_are_parsed() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("10k", 10_240),
            ("10 KB", 10_240),
            ("1.5MiB", 1_572_864),
            ("2G", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "10q", "-1", "1..2", "k"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_formatted_and_ages_checked() {
        for (seconds, said) in [
            (7 * 86_400, "7 days"),
            (5_400, "1 hour 30 minutes"),
            (61, "1 minute 1 second"),
        ] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), said);
        }
        assert_eq!(parse_age("7d"), Ok("7d".to_owned()));
        assert!(parse_age("foo").unwrap_err().contains("2026-01-31"));
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "7", "x", "0s", "-1s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
