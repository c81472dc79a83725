//! The progress of a transfer: a bar on a terminal, lines when piped, objects with `--json`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use convite_core::display;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Output;
use crate::units;

/// How often a bar is drawn.
const DRAW: Duration = Duration::from_millis(100);
/// How often an object is printed.
const OBJECT: Duration = Duration::from_millis(500);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(5);
/// The rate shown is the mean over this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Shows one transfer.
pub struct Reporter<'a> {
    output: &'a Output,
    /// The key that tells it from others, and its value.
    of: (&'static str, String),
    name: String,
    bar: Option<ProgressBar>,
    samples: VecDeque<(Instant, u64)>,
}

impl<'a> Reporter<'a> {
    /// Begins to show a transfer, which `of` tells from others.
    pub fn new(output: &'a Output, of: (&'static str, String), name: &str, size: u64) -> Self {
        let bar = output.can_draw().then(|| {
            let bar = ProgressBar::new(size);
            // The bar takes what the terminal has left: nothing wraps at 80 columns.
            let template = "{prefix} {wide_bar} {percent:>3}%  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            let short: String = display::escape(name).chars().take(20).collect();
            bar.set_prefix(short);
            bar
        });
        Self {
            output,
            of,
            name: name.to_owned(),
            bar,
            samples: VecDeque::new(),
        }
    }

    /// How often [`Self::show`] should be called.
    pub fn interval(&self) -> Duration {
        match (&self.bar, self.output.is_json()) {
            (Some(_), _) => DRAW,
            (None, true) => OBJECT,
            (None, false) => LINE,
        }
    }

    /// Shows where the transfer is now: `done` of `size` bytes, by way of so many `others`, which is
    /// said of downloads.
    pub fn show(&mut self, done: u64, size: u64, others: Option<usize>) {
        let now = Instant::now();
        self.samples.push_back((now, done));
        while self
            .samples
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW)
        {
            self.samples.pop_front();
        }
        let rate = self.rate();
        let left = size.saturating_sub(done);
        let left = (rate > 0.0).then(|| Duration::from_secs_f64((left as f64 / rate).min(1e9)));
        if self.output.is_json() {
            let mut event = json!({
                "event": "progress",
                "name": self.name,
                "bytes": done,
                "size": size,
                "rate": rate.round() as u64,
                "seconds_left": left.map(|left| left.as_secs()),
            });
            event[self.of.0] = Value::from(self.of.1.as_str());
            if let Some(others) = others {
                event["providers"] = Value::from(others);
            }
            self.output.event(&event);
            return;
        }
        let others = others.map(providers);
        let text = format!(
            "{}  {}/s  {}  {}",
            display::bytes(size),
            display::bytes(rate as u64),
            match left {
                Some(left) => format!("{} left", units::took(left)),
                None => "waiting".to_owned(),
            },
            others.unwrap_or_default(),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_length(size);
                bar.set_position(done);
                bar.set_message(text.trim_end().to_owned());
            }
            None => self.output.note(&format!(
                "{}: {} of {}",
                display::escape(&self.name),
                display::bytes(done),
                text.trim_end()
            )),
        }
    }

    /// Bytes a second over the last few seconds.
    fn rate(&self) -> f64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0.0;
        };
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        if seconds <= 0.0 {
            return 0.0;
        }
        last.1.saturating_sub(first.1) as f64 / seconds
    }

    /// Takes the bar away: what comes next says how it ended.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How wide [`bar`] is, in characters.
const BAR: u64 = 20;

/// So many hundredths of `size` are done: 0 to 100, and 100 only when all is.
pub fn percent(done: u64, size: u64) -> u64 {
    let percent = u128::from(done) * 100 / u128::from(size.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

/// A bar that does not move.
pub fn bar(done: u64, size: u64) -> String {
    let filled = percent(done, size) * BAR / 100;
    let part = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap_or(0));
    part("━", filled) + &part("─", BAR - filled)
}

/// `1 provider`, `3 providers`.
pub fn providers(count: usize) -> String {
    match count {
        1 => "1 provider".to_owned(),
        count => format!("{count} providers"),
    }
}
