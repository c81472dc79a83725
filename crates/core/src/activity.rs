//! What peers are doing just now: how fast they move bytes, and of which files.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::hash::ContentHash;
use crate::names::PeerId;
use crate::piece::PieceGeometry;

/// The most transfers that a peer tells of at once.
pub const TRANSFERS_MAX: usize = 32;
/// The highest rate that is believed, in bytes a second: sums of many must not overflow.
pub const RATE_MAX: u64 = 1 << 40;

/// Which way the bytes of a transfer go.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Out of the peer.
    Sending,
    /// Into it.
    Receiving,
}

impl Direction {
    /// The name as it is sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Receiving => "receiving",
        }
    }
}

impl FromStr for Direction {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "sending" => Ok(Self::Sending),
            "receiving" => Ok(Self::Receiving),
            _ => {
                let shown = crate::display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is not a direction"))
                    .hint("the directions are sending and receiving"))
            }
        }
    }
}

/// One file on its way, as a peer tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningTransfer {
    /// Which file.
    pub hash: ContentHash,
    /// Which way.
    pub direction: Direction,
    /// How much of it has gone, in bytes.
    #[schema(format = "uint64")]
    pub bytes: u64,
    /// Of the file, in bytes.
    #[schema(maximum = 18_014_398_505_287_680_u64)]
    pub size: u64,
    /// Bytes a second, just now.
    #[schema(format = "uint64")]
    pub rate: u64,
}

/// What a peer is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Activity {
    /// Bytes of files that it sends a second.
    #[schema(format = "uint64")]
    pub sent_rate: u64,
    /// Bytes of files that it receives a second.
    #[schema(format = "uint64")]
    pub received_rate: u64,
    /// Files on their way, at most [`TRANSFERS_MAX`].
    #[schema(max_items = 32)]
    pub transfers: Vec<RunningTransfer>,
}

impl Activity {
    /// Whether nothing moves.
    pub fn is_idle(&self) -> bool {
        self.sent_rate == 0 && self.received_rate == 0 && self.transfers.is_empty()
    }

    /// What may be believed of it: numbers that make no sense are cut.
    ///
    /// # Errors
    /// `invalid_argument` for more than [`TRANSFERS_MAX`] transfers, or a file that is too large.
    pub fn checked(mut self) -> Result<Self, Problem> {
        if self.transfers.len() > TRANSFERS_MAX {
            return Err(Problem::invalid(format!(
                "a peer tells of at most {TRANSFERS_MAX} transfers at once"
            )));
        }
        for transfer in &mut self.transfers {
            if PieceGeometry::new(transfer.size).is_none() {
                return Err(Problem::invalid(format!(
                    "{} bytes are more than a file can have",
                    transfer.size
                )));
            }
            transfer.bytes = transfer.bytes.min(transfer.size);
            transfer.rate = transfer.rate.min(RATE_MAX);
        }
        self.sent_rate = self.sent_rate.min(RATE_MAX);
        self.received_rate = self.received_rate.min(RATE_MAX);
        Ok(self)
    }
}

/// One file on its way, as those are told of it who may see the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferSummary {
    /// Which file.
    pub hash: ContentHash,
    /// A name under which it is shared.
    pub name: String,
    /// Who moves it.
    pub peer: PeerId,
    /// Which way.
    pub direction: Direction,
    /// How much of it has gone, in bytes.
    pub bytes: u64,
    /// Of the file, in bytes, as the peer has it.
    pub size: u64,
    /// Bytes a second, just now.
    pub rate: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(bytes: u64, size: u64) -> RunningTransfer {
        RunningTransfer {
            hash: ContentHash::of(b"x"),
            direction: Direction::Sending,
            bytes,
            size,
            rate: u64::MAX,
        }
    }

    #[test]
    fn what_makes_no_sense_is_cut_or_refused() {
        let activity = Activity {
            sent_rate: u64::MAX,
            received_rate: 7,
            transfers: vec![transfer(u64::MAX, 5)],
        };
        let checked = activity.checked().unwrap();
        assert_eq!((checked.sent_rate, checked.received_rate), (RATE_MAX, 7));
        let told = &checked.transfers[0];
        assert_eq!((told.bytes, told.rate), (5, RATE_MAX));
        for transfers in [
            vec![transfer(0, 1); TRANSFERS_MAX + 1],
            vec![transfer(0, PieceGeometry::FILE_MAX + 1)],
        ] {
            let activity = Activity {
                transfers,
                ..Activity::default()
            };
            assert!(activity.checked().is_err());
        }
    }
}
