//! Progress of remote downloads: bars on a terminal, lines when piped, objects with `--json`.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use convite_core::remote_fetch::{LoadId, LoadState, LoadSummary};
use convite_core::{PeerId, display};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Output;
use super::progress::percent;

/// The interval between lines for a running remote download.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// The maximum length of the peer id before a bar, in characters.
const PEER_ID_WIDTH: usize = 20;

/// Shows the progress of several remote downloads.
pub struct RemoteFetchProgress<'a> {
    output: &'a Output,
    bars: Option<MultiProgress>,
    /// Peers that had the file before the request.
    holders: BTreeSet<PeerId>,
    shown: HashMap<LoadId, ShownFetch>,
}

struct ShownFetch {
    last: LoadSummary,
    printed_at: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> RemoteFetchProgress<'a> {
    /// Shows no remote download yet. `holders` are the peers that already had the file.
    pub fn new(output: &'a Output, holders: BTreeSet<PeerId>) -> Self {
        Self {
            output,
            bars: output.can_draw().then(MultiProgress::new),
            holders,
            shown: HashMap::new(),
        }
    }

    /// Shows the current state of a remote download.
    pub fn show(&mut self, load: &LoadSummary) {
        let before = self.shown.get(&load.load);
        if before.is_some_and(|shown| shown.last == *load) {
            return;
        }
        let bar = match before {
            Some(shown) => shown.bar.clone(),
            None => self.bars.as_ref().map(|bars| bars.add(new_bar(load))),
        };
        let is_due = before.is_none_or(|shown| {
            shown.last.state != load.state || shown.printed_at.elapsed() >= LINE_INTERVAL
        });
        if load.state.is_final() {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            self.print_end(load);
        } else if self.output.is_json() {
            self.output.json_event(&event_object("progress", load));
        } else if let Some(bar) = &bar {
            bar.set_position(load.bytes);
            bar.set_message(format_state(load));
        } else if is_due {
            let peer = display::escape(load.peer.as_str()).into_owned();
            self.output.note(&format!("{peer}: {}", format_state(load)));
        }
        let printed_at = match before {
            Some(shown) if !is_due => shown.printed_at,
            _ => Instant::now(),
        };
        let shown = ShownFetch {
            last: load.clone(),
            printed_at,
            bar,
        };
        self.shown.insert(load.load, shown);
    }

    fn print_end(&self, load: &LoadSummary) {
        let name = display::escape(&load.name).into_owned();
        let already_there = self.holders.contains(&load.peer);
        let line = match load.state {
            LoadState::Done if already_there => format!(
                "{}: {name}, {}, already there",
                load.peer,
                display::format_bytes(load.size)
            ),
            LoadState::Done => format!(
                "{}: {name}, {}, downloaded and shared",
                load.peer,
                display::format_bytes(load.size)
            ),
            _ => format!("{}: {name} failed: {}", load.peer, reason(load)),
        };
        match (&self.bars, self.output.is_json()) {
            (_, true) => {
                let event = match load.state {
                    LoadState::Done => "done",
                    _ => "failed",
                };
                let mut object = event_object(event, load);
                if load.state == LoadState::Done {
                    object["already_there"] = Value::from(already_there);
                }
                self.output.json_event(&object);
            }
            (Some(bars), false) => bars.suspend(|| self.output.line(&line)),
            (None, false) => self.output.line(&line),
        }
    }

    /// Removes all bars.
    pub fn end(self) {
        if let Some(bars) = self.bars {
            // This fails only if the terminal is gone, and the bars with it.
            let _ = bars.clear();
        }
    }
}

fn new_bar(load: &LoadSummary) -> ProgressBar {
    let bar = ProgressBar::new(load.size);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3}%  {msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(
        load.peer
            .as_str()
            .chars()
            .take(PEER_ID_WIDTH)
            .collect::<String>(),
    );
    bar
}

/// Returns the JSON object of an event.
pub fn event_object(event: &str, load: &LoadSummary) -> Value {
    json!({
        "event": event,
        "load": load.load,
        "peer": load.peer,
        "hash": load.hash,
        "name": load.name,
        "size": load.size,
        "state": load.state,
        "bytes": load.bytes,
        "rate": load.rate,
        "message": load.message,
    })
}

/// Returns the reason of a failure, which is text from another peer, escaped.
fn reason(load: &LoadSummary) -> String {
    let message = load.message.as_deref().unwrap_or("unknown reason");
    display::escape(message).into_owned()
}

/// Formats the state: `waiting for the peer`, or `12 MiB of 40 MiB  3 MiB/s`.
pub fn format_state(load: &LoadSummary) -> String {
    match load.state {
        LoadState::Waiting => "waiting for the peer".to_owned(),
        LoadState::Running => format!(
            "{} of {}  {}/s",
            display::format_bytes(load.bytes),
            display::format_bytes(load.size),
            display::format_bytes(load.rate)
        ),
        LoadState::Done => "done".to_owned(),
        LoadState::Failed => format!("failed: {}", reason(load)),
    }
}

/// Formats the state with the percentage instead of the bytes, for a table.
pub fn format_state_short(load: &LoadSummary) -> String {
    match load.state {
        LoadState::Running => {
            let done = percent(load.bytes, load.size);
            format!("{done}%  {}/s", display::format_bytes(load.rate))
        }
        _ => format_state(load),
    }
}
