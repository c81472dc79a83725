//! A reader that takes the pieces of a download in order, with a buffer of bounded size.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use convite_swarm::{DownloadLimits, Event, PieceSet};

use super::{CHUNK, Happening, World};

/// The behaviour of a reader.
#[derive(Clone)]
pub struct ReaderPlan {
    /// Bytes per second; `None` for no limit.
    pub rate: Option<u64>,
    /// Size of the buffer in bytes; it holds at least one piece.
    pub buffer: u64,
    /// The bytes to read.
    pub range: Range<u64>,
    /// The times and offsets of jumps.
    pub seeks: Vec<(Duration, u64)>,
}

pub struct Reader {
    plan: ReaderPlan,
    wanted: Range<u32>,
    /// The next piece to read.
    position: u32,
    window: Range<u32>,
    buffer: BTreeSet<u32>,
    /// Number of jumps; a read that began before one is void.
    jumps: usize,
    reading: bool,
    /// Time since which the reader waits for the piece at its position.
    waits_since: Option<Duration>,
    pub waits: Vec<Duration>,
}

impl Reader {
    pub fn new(plan: ReaderPlan, wanted: Range<u32>) -> Self {
        Self {
            plan,
            position: wanted.start,
            wanted,
            window: 0..0,
            buffer: BTreeSet::new(),
            jumps: 0,
            reading: false,
            waits_since: Some(Duration::ZERO),
            waits: Vec::new(),
        }
    }

    /// Returns the pieces that a download for it wants, of `count` pieces.
    pub fn wanted(&self, count: u32) -> PieceSet {
        let mut wanted = PieceSet::empty(count);
        for piece in self.wanted.clone() {
            wanted.insert(piece);
        }
        wanted
    }
}

impl World {
    pub(super) fn begin_reading(&mut self) {
        let Some(reader) = &self.reader else {
            return;
        };
        for (number, (time, _)) in reader.plan.seeks.clone().into_iter().enumerate() {
            self.at(time, Happening::Seek(number));
        }
        self.move_window();
    }

    fn move_window(&mut self) {
        let reader = self.reader.as_mut().unwrap();
        let mut window = reader.position..reader.position;
        let mut bytes = 0;
        while window.end < reader.wanted.end && (bytes < reader.plan.buffer || window.is_empty()) {
            bytes += self.layout.piece_len(window.end);
            window.end += 1;
        }
        if window.len() > 1 && bytes > reader.plan.buffer {
            window.end -= 1;
        }
        reader.window = window.clone();
        self.tell(Event::Window(window));
    }

    /// Puts a verified piece into the buffer. A stalled provider may still send a piece that another
    /// one has sent, and that was read.
    pub(super) fn buffer(&mut self, piece: u32) {
        if let Some(reader) = &mut self.reader
            && reader.window.contains(&piece)
        {
            reader.buffer.insert(piece);
        }
    }

    /// Checks that a request is for pieces that fit into the buffer.
    pub(super) fn check_request(&self, pieces: &[u32]) {
        if let Some(reader) = &self.reader {
            let outside = pieces.iter().find(|piece| !reader.window.contains(piece));
            assert!(outside.is_none(), "{outside:?} is not in the window");
            let twice = pieces.iter().find(|piece| reader.buffer.contains(piece));
            assert!(twice.is_none(), "{twice:?} is in the buffer");
        }
    }

    /// Begins to read the next piece if it is in the buffer.
    pub(super) fn read(&mut self) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        if reader.reading || reader.position >= reader.wanted.end {
            return;
        }
        if !reader.buffer.contains(&reader.position) {
            reader.waits_since.get_or_insert(self.now);
            return;
        }
        if let Some(since) = reader.waits_since.take() {
            reader.waits.push(self.now - since);
        }
        reader.reading = true;
        let bytes = self.layout.piece_len(reader.position) as f64;
        let seconds = reader.plan.rate.map_or(0.0, |rate| bytes / rate as f64);
        let (jumps, time) = (reader.jumps, self.now + Duration::from_secs_f64(seconds));
        self.at(time, Happening::Read(jumps));
    }

    pub(super) fn has_read(&mut self, jumps: usize) {
        let reader = self.reader.as_mut().unwrap();
        if reader.jumps != jumps {
            return;
        }
        reader.reading = false;
        assert!(reader.buffer.remove(&reader.position));
        reader.position += 1;
        if reader.position < reader.wanted.end {
            self.move_window();
        } else if self.outcome.is_none() {
            // Returns to what it omitted.
            let mut wanted = reader.wanted.clone();
            let verified = self.download.verified();
            let omitted = wanted.find(|piece| !verified.contains(*piece)).unwrap();
            self.seek(omitted);
        }
        self.read();
    }

    pub(super) fn seek_planned(&mut self, number: usize) {
        let reader = self.reader.as_ref().unwrap();
        let offset = reader.plan.seeks[number].1;
        self.seek(self.layout.pieces_of(offset..offset + 1).start);
        self.read();
    }

    fn seek(&mut self, position: u32) {
        let reader = self.reader.as_mut().unwrap();
        reader.jumps += 1;
        reader.reading = false;
        reader.waits_since = None;
        reader.position = position;
        let last = reader.window.clone();
        self.move_window();
        let reader = self.reader.as_mut().unwrap();
        let window = reader.window.clone();
        reader.buffer.retain(|piece| window.contains(piece));
        // Pieces that were read before are read again. Those that were not read are lost.
        let (position, end) = (reader.position, reader.wanted.end);
        let buffer = reader.buffer.clone();
        let lost = last.chain(position..end);
        let lost: BTreeSet<u32> = lost.filter(|piece| !buffer.contains(piece)).collect();
        for piece in lost {
            self.tell(Event::Discarded(piece..piece + 1));
        }
    }

    /// Checks that the reader does not wait for a provider that stalls while a usable one is idle.
    pub(super) fn check_wait(&self) {
        let Some(reader) = &self.reader else {
            return;
        };
        let position = reader.position;
        if reader.waits_since.is_none() || self.outcome.is_some() {
            return;
        }
        let ids = || 0..self.lines.len();
        let sends = |id: &usize| {
            let queue = &self.lines[*id].queue;
            queue.iter().any(|(_, pieces)| pieces.contains(&position))
        };
        let stalls = |id: usize| {
            let usual = 2 * (self.scenario.behaviours[id].delay + CHUNK);
            let after = DownloadLimits::default().hedge_after.max(usual);
            self.now > self.lines[id].last_sent + after + Duration::from_millis(1)
        };
        let mut senders = ids().filter(sends).peekable();
        if senders.peek().is_none() || !senders.all(stalls) {
            return;
        }
        let idle = |id: &usize| {
            let (line, behaviour) = (&self.lines[*id], &self.scenario.behaviours[*id]);
            line.connected && line.queue.is_empty() && behaviour.is_usable(position)
        };
        if let Some(idle) = ids().find(idle) {
            panic!(
                "seed {}: at {:?} the reader waits for piece {position} from a stalled provider, \
                 and provider {idle} is idle",
                self.seed, self.now
            );
        }
    }

    /// Returns how long the reader waited, when all pieces are verified.
    pub(super) fn finish_reading(&mut self) -> Vec<Duration> {
        let Some(reader) = self.reader.take() else {
            return Vec::new();
        };
        let all = self.outcome == Some(convite_swarm::DownloadOutcome::Complete);
        let left = reader.position..reader.wanted.end;
        let has = |piece: &u32| reader.buffer.contains(piece);
        assert!(
            !all || left.clone().all(|piece| has(&piece)),
            "complete, although the reader lacks pieces"
        );
        let waits_since = reader.waits_since.filter(|_| !left.is_empty());
        let last = waits_since.map(|since| self.now - since);
        reader.waits.into_iter().chain(last).collect()
    }
}
