//! Sending over the links of a crowd.
//!
//! A link sends blocks of 16 KiB to its receivers in turn. It skips a receiver whose link has a
//! backlog, like TCP when the receive window is full.

use std::time::Duration;

use super::{Happening, Running};

const BLOCK: u64 = 16 << 10;
/// The maximum backlog of a receiver's link.
const BACKLOG: Duration = Duration::from_millis(30);

impl Running {
    /// Sends a block to the next receiver whose link has room.
    pub(super) fn send_next(&mut self, id: usize) {
        if self.nodes[id].sending || self.nodes[id].gone {
            return;
        }
        let to: Vec<usize> = self.nodes[id]
            .flows
            .iter()
            .filter(|(_, flow)| !flow.queue.is_empty())
            .map(|(to, _)| *to)
            .collect();
        let after = to
            .iter()
            .position(|to| *to > self.nodes[id].turn)
            .unwrap_or(0);
        let in_turn = to[after..].iter().chain(&to[..after]).copied();
        let mut earliest: Option<Duration> = None;
        for to in in_turn {
            let room_at = self.nodes[to].down_free.saturating_sub(BACKLOG);
            if room_at > self.now {
                earliest = Some(earliest.map_or(room_at, |e| e.min(room_at)));
                continue;
            }
            self.nodes[id].turn = to;
            return self.send_block(id, to);
        }
        if let Some(time) = earliest
            && self.nodes[id].wake.is_none_or(|wake| wake > time)
        {
            self.nodes[id].wake = Some(time);
            self.at(time, Happening::Room(id));
        }
    }

    fn send_block(&mut self, id: usize, to: usize) {
        let flow = self.nodes[id].flows.get_mut(&to).unwrap();
        let connection = flow.connection;
        let (request, pieces) = flow.queue.front_mut().unwrap();
        let (request, piece) = (*request, pieces[0]);
        let bytes = BLOCK.min(self.geometry.piece_len(piece) - flow.sent);
        flow.sent += bytes;
        let ends = flow.sent == self.geometry.piece_len(piece);
        if ends {
            flow.sent = 0;
            pieces.pop_front();
            if pieces.is_empty() {
                flow.queue.pop_front();
            }
        }
        let sender = &mut self.nodes[id];
        sender.sent += bytes;
        sender.sending = true;
        let left = self.now + Duration::from_secs_f64(bytes as f64 / sender.link.up as f64);
        self.at(left, Happening::Free(id));
        let receiver = &mut self.nodes[to];
        let begins = (left + self.crowd.delay).max(receiver.down_free);
        let came = begins + Duration::from_secs_f64(bytes as f64 / receiver.link.down as f64);
        receiver.down_free = came;
        let block = Happening::Block(to, id, connection, request, piece, bytes, ends);
        self.at(came, block);
    }
}
