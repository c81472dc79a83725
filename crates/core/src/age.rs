//! Points in time as users write them: a duration before now, or a date.

use std::fmt;
use std::str::FromStr;

use crate::display;
use crate::error::Problem;
use crate::time::UnixMillis;

const DAY: i64 = 86_400;

/// A point in time, absolute or relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Age {
    /// Seconds before now.
    Ago(i64),
    /// Seconds since 1970.
    At(i64),
}

impl Age {
    /// Returns the point in time, in seconds since 1970.
    pub fn at(self, now: UnixMillis) -> i64 {
        match self {
            Self::Ago(seconds) => now.seconds().saturating_sub(seconds),
            Self::At(seconds) => seconds,
        }
    }
}

impl FromStr for Age {
    type Err = Problem;

    /// Parses `30s`, `90m`, `12h`, `7d`, `2w`, `1y` (365 days), or a date such as `2026-01-31`,
    /// which means its start in UTC.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let parsed = span(text)
            .map(Self::Ago)
            .or_else(|| day(text).map(Self::At));
        parsed.ok_or_else(|| {
            let shown = display::escape(text);
            Problem::invalid(format!("'{shown}' is not an age"))
                .hint("use a duration such as 12h, 7d, 2w or 1y, or a date such as 2026-01-31")
        })
    }
}

impl fmt::Display for Age {
    /// Writes the age so that it can be parsed again: `604800s` or `2026-01-31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ago(seconds) => write!(f, "{seconds}s"),
            Self::At(seconds) => {
                let (year, month, day) = date(seconds.div_euclid(DAY));
                write!(f, "{year:04}-{month:02}-{day:02}")
            }
        }
    }
}

/// Parses a whole number with a unit and returns it in seconds; at most 1,000 years.
fn span(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => DAY,
        "w" => 7 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    (seconds <= 365_000 * DAY).then_some(seconds)
}

/// Parses a date `YYYY-MM-DD` and returns its start in seconds since 1970, by the algorithm
/// `days_from_civil` (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn day(text: &str) -> Option<i64> {
    let mut fields = text.split('-');
    let mut field = |length: usize| {
        let field = fields.next()?;
        let plain = field.len() == length && field.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| field.parse::<i64>().ok())?
    };
    let (year, month, day) = (field(4)?, field(2)?, field(2)?);
    if fields.next().is_some() {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if day < 1 || day > days {
        return None;
    }
    // Years begin in March, so that the leap day is the last day of a year.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let since = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some((since - 719_468) * DAY)
}

/// Returns year, month and day of a day since 1970, by the algorithm `civil_from_days` (see [`day`]).
fn date(days: i64) -> (i64, i64, i64) {
    let since = days + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_as_people_write_them() {
        for (text, age) in [
            ("30s", Age::Ago(30)),
            ("90m", Age::Ago(5_400)),
            ("12h", Age::Ago(43_200)),
            ("7d", Age::Ago(604_800)),
            ("2 w", Age::Ago(1_209_600)),
            ("1y", Age::Ago(31_536_000)),
            ("1970-01-01", Age::At(0)),
            ("1969-12-31", Age::At(-86_400)),
            ("2000-02-29", Age::At(951_782_400)),
            ("2026-01-31", Age::At(1_769_817_600)),
            ("2100-03-01", Age::At(4_107_542_400)),
        ] {
            assert_eq!(text.parse(), Ok(age), "{text}");
            assert_eq!(age.to_string().parse(), Ok(age), "{text}");
        }
        for bad in [
            "",
            "7",
            "d",
            "7x",
            "-7d",
            "1.5d",
            "99999999999y",
            "9223372036854775807y",
            "2001y",
            "2026-1-31",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "2026-01-31-",
            "2026-01",
            "+026-01-01",
            "٢٠٢٦-01-01",
        ] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_is_seen_from_now() {
        let now = UnixMillis::from_seconds(1_000_000);
        assert_eq!(Age::Ago(10).at(now), 999_990);
        assert_eq!(Age::At(10).at(now), 10);
    }
}
