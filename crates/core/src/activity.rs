//! What a peer is doing at the moment: transfer rates and running transfers.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::hash::ContentHash;
use crate::names::PeerId;
use crate::piece::PieceGeometry;

/// The maximum number of transfers in one report of a peer.
pub const TRANSFERS_MAX: usize = 32;
/// The highest rate that is accepted, in bytes per second. Higher values are reduced to it, so that
/// sums over many peers do not overflow.
pub const RATE_MAX: u64 = 1 << 40;

/// The direction of a transfer, seen from the peer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer sends the file.
    Sending,
    /// The peer receives the file.
    Receiving,
}

impl Direction {
    /// Returns the name used in the protocol.
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

/// A running transfer, as the peer reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningTransfer {
    /// Content hash of the file.
    pub hash: ContentHash,
    /// Whether the peer sends or receives the file.
    pub direction: Direction,
    /// Bytes transferred so far.
    #[schema(format = "uint64")]
    pub bytes: u64,
    /// Size of the file in bytes.
    #[schema(maximum = 18_014_398_505_287_680_u64)]
    pub size: u64,
    /// Current rate in bytes per second.
    #[schema(format = "uint64")]
    pub rate: u64,
}

/// What a peer reports about its transfers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Activity {
    /// File bytes sent per second.
    #[schema(format = "uint64")]
    pub sent_rate: u64,
    /// File bytes received per second.
    #[schema(format = "uint64")]
    pub received_rate: u64,
    /// The running transfers, at most [`TRANSFERS_MAX`].
    #[schema(max_items = 32)]
    pub transfers: Vec<RunningTransfer>,
}

impl Activity {
    /// Returns whether nothing is being transferred.
    pub fn is_idle(&self) -> bool {
        self.sent_rate == 0 && self.received_rate == 0 && self.transfers.is_empty()
    }

    /// Returns this report with implausible numbers reduced: rates to [`RATE_MAX`], transferred
    /// bytes to the size of the file.
    ///
    /// # Errors
    /// Returns `invalid_argument` if there are more than [`TRANSFERS_MAX`] transfers, or if a file
    /// is larger than [`PieceGeometry::FILE_MAX`].
    pub fn checked(mut self) -> Result<Self, Problem> {
        if self.transfers.len() > TRANSFERS_MAX {
            return Err(Problem::invalid(format!(
                "a peer may report at most {TRANSFERS_MAX} transfers"
            )));
        }
        for transfer in &mut self.transfers {
            if PieceGeometry::new(transfer.size).is_none() {
                return Err(Problem::invalid(format!(
                    "{} bytes exceed the maximum file size",
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

/// A running transfer, as the directory shows it to accounts that may see the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferSummary {
    /// Content hash of the file.
    pub hash: ContentHash,
    /// A name under which the file is shared.
    pub name: String,
    /// The peer that sends or receives the file.
    pub peer: PeerId,
    /// Whether the peer sends or receives the file.
    pub direction: Direction,
    /// Bytes transferred so far.
    pub bytes: u64,
    /// Size of the file in bytes, as the peer reports it.
    pub size: u64,
    /// Current rate in bytes per second.
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
