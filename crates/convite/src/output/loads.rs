//! The progress of loads on other peers: a bar for each on a terminal, lines when piped, objects
//! with `--json`.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use convite_core::loads::{LoadId, LoadState, LoadSummary};
use convite_core::{PeerId, display};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Output;
use super::progress::percent;

/// How often a line is printed of a load that moves.
const LINE: Duration = Duration::from_secs(5);
/// The most of a peer's id that stands before a bar, in characters.
const PREFIX: usize = 20;

/// Shows several loads.
pub struct Board<'a> {
    output: &'a Output,
    bars: Option<MultiProgress>,
    /// Peers that had the file before they were asked.
    holders: BTreeSet<PeerId>,
    shown: HashMap<LoadId, Shown>,
}

struct Shown {
    last: LoadSummary,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> Board<'a> {
    /// Shows nothing yet. `holders` had the file before.
    pub fn new(output: &'a Output, holders: BTreeSet<PeerId>) -> Self {
        Self {
            output,
            bars: output.can_draw().then(MultiProgress::new),
            holders,
            shown: HashMap::new(),
        }
    }

    /// Shows how a load stands now.
    pub fn show(&mut self, load: &LoadSummary) {
        let before = self.shown.get(&load.load);
        if before.is_some_and(|shown| shown.last == *load) {
            return;
        }
        let bar = match before {
            Some(shown) => shown.bar.clone(),
            None => self.bars.as_ref().map(|bars| bars.add(new_bar(load))),
        };
        let is_due = before
            .is_none_or(|shown| shown.last.state != load.state || shown.told.elapsed() >= LINE);
        if load.state.is_over() {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            self.tell_end(load);
        } else if self.output.is_json() {
            self.output.event(&object("progress", load));
        } else if let Some(bar) = &bar {
            bar.set_position(load.bytes);
            bar.set_message(how_far(load));
        } else if is_due {
            let peer = display::escape(load.peer.as_str()).into_owned();
            self.output.note(&format!("{peer}: {}", how_far(load)));
        }
        let told = match before {
            Some(shown) if !is_due => shown.told,
            _ => Instant::now(),
        };
        let shown = Shown {
            last: load.clone(),
            told,
            bar,
        };
        self.shown.insert(load.load, shown);
    }

    fn tell_end(&self, load: &LoadSummary) {
        let name = display::escape(&load.name).into_owned();
        let was_there = self.holders.contains(&load.peer);
        let line = match load.state {
            LoadState::Done if was_there => format!(
                "{}: {name}, {}, was there already",
                load.peer,
                display::bytes(load.size)
            ),
            LoadState::Done => format!(
                "{}: {name}, {}, fetched and shared",
                load.peer,
                display::bytes(load.size)
            ),
            _ => format!("{}: {name} failed: {}", load.peer, reason(load)),
        };
        match (&self.bars, self.output.is_json()) {
            (_, true) => {
                let event = match load.state {
                    LoadState::Done => "done",
                    _ => "failed",
                };
                let mut object = object(event, load);
                if load.state == LoadState::Done {
                    object["already_there"] = Value::from(was_there);
                }
                self.output.event(&object);
            }
            (Some(bars), false) => bars.suspend(|| self.output.line(&line)),
            (None, false) => self.output.line(&line),
        }
    }

    /// Takes all bars away.
    pub fn end(self) {
        if let Some(bars) = self.bars {
            // The terminal may be gone, and then nobody sees the bars either.
            let _ = bars.clear();
        }
    }
}

fn new_bar(load: &LoadSummary) -> ProgressBar {
    let bar = ProgressBar::new(load.size);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3}%  {msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(load.peer.as_str().chars().take(PREFIX).collect::<String>());
    bar
}

/// What a program is told of a load.
pub fn object(event: &str, load: &LoadSummary) -> Value {
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

/// Why it failed; a peer's words.
fn reason(load: &LoadSummary) -> String {
    let message = load.message.as_deref().unwrap_or("no reason is known");
    display::escape(message).into_owned()
}

/// `waiting for the peer`, or `12 MiB of 40 MiB  3 MiB/s`.
pub fn how_far(load: &LoadSummary) -> String {
    match load.state {
        LoadState::Waiting => "waiting for the peer".to_owned(),
        LoadState::Running => format!(
            "{} of {}  {}/s",
            display::bytes(load.bytes),
            display::bytes(load.size),
            display::bytes(load.rate)
        ),
        LoadState::Done => "done".to_owned(),
        LoadState::Failed => format!("failed: {}", reason(load)),
    }
}

/// The same with how much of it that is, for a table.
pub fn stands(load: &LoadSummary) -> String {
    match load.state {
        LoadState::Running => {
            let done = percent(load.bytes, load.size);
            format!("{done}%  {}/s", display::bytes(load.rate))
        }
        _ => how_far(load),
    }
}
