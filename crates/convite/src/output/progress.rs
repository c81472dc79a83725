//! Progress of a transfer: a bar on a terminal, lines when piped, objects with `--json`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use convite_core::display;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Output;
use crate::units;

/// The interval between drawings of a bar.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
/// The interval between JSON objects.
const JSON_INTERVAL: Duration = Duration::from_millis(500);
/// The interval between lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// The period over which the rate is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Shows the progress of one transfer.
pub struct ProgressReporter<'a> {
    output: &'a Output,
    /// The JSON field that identifies the transfer, and its value.
    id: (&'static str, String),
    name: String,
    bar: Option<ProgressBar>,
    /// Of a folder, the number of files that are done, and of all files.
    files: Option<(u64, u64)>,
    samples: VecDeque<(Instant, u64)>,
}

impl<'a> ProgressReporter<'a> {
    /// Starts showing a transfer; `id` is the JSON field that identifies it, with its value.
    pub fn new(output: &'a Output, id: (&'static str, String), name: &str, size: u64) -> Self {
        let bar = output.can_draw().then(|| {
            let bar = ProgressBar::new(size);
            // The bar fills the rest of the line, so that nothing wraps at 80 columns.
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
            id,
            name: name.to_owned(),
            bar,
            files: None,
            samples: VecDeque::new(),
        }
    }

    /// Returns the interval at which [`Self::show`] should be called.
    pub fn interval(&self) -> Duration {
        match (&self.bar, self.output.is_json()) {
            (Some(_), _) => DRAW_INTERVAL,
            (None, true) => JSON_INTERVAL,
            (None, false) => LINE_INTERVAL,
        }
    }

    /// Sets the number of files of a folder that are done, and of all its files.
    pub fn set_files(&mut self, done: u64, total: u64) {
        self.files = Some((done, total));
    }

    /// Shows the current progress: `done` of `size` bytes and, for downloads, the number of sources,
    /// `others`.
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
            event[self.id.0] = Value::from(self.id.1.as_str());
            if let Some((files, files_total)) = self.files {
                event["kind"] = Value::from("folder");
                event["files"] = Value::from(files);
                event["files_total"] = Value::from(files_total);
            }
            if let Some(others) = others {
                event["providers"] = Value::from(others);
            }
            self.output.json_event(&event);
            return;
        }
        let others = others.map(format_sources);
        let files = self.files.map_or_else(String::new, |(files, total)| {
            format!("  {files} of {}", format_files(total))
        });
        let text = format!(
            "{}{files}  {}/s  {}  {}",
            display::format_bytes(size),
            display::format_bytes(rate as u64),
            match left {
                Some(left) => format!("{} left", units::format_elapsed(left)),
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
                display::format_bytes(done),
                text.trim_end()
            )),
        }
    }

    /// Returns the mean rate over [`RATE_WINDOW`] in bytes per second.
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

    /// Removes the bar.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The width of [`bar`] in characters.
const BAR_WIDTH: u64 = 20;

/// Returns the percentage of `size` that is done, 0 to 100, rounded down.
pub fn percent(done: u64, size: u64) -> u64 {
    let percent = u128::from(done) * 100 / u128::from(size.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

/// Returns a static bar.
pub fn bar(done: u64, size: u64) -> String {
    let filled = percent(done, size) * BAR_WIDTH / 100;
    let part = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap_or(0));
    part("━", filled) + &part("─", BAR_WIDTH - filled)
}

/// Returns a number of files in words: `1 file`, `5 files`.
pub fn format_files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

/// Formats a number of sources: `1 source`, `3 sources`.
pub fn format_sources(count: usize) -> String {
    match count {
        1 => "1 source".to_owned(),
        count => format!("{count} sources"),
    }
}
