//! Conversions of peer activity and process ids.

use convite_core::activity::{Activity, RunningTransfer};
use convite_core::{ContentHash, PeerId, Problem};

use crate::convert::hash_bytes;
use crate::v1;

impl v1::HeartbeatRequest {
    /// Creates the heartbeat of peer `id` with this activity. `run` identifies the peer's process.
    pub fn of(id: &PeerId, run: Option<[u8; 16]>, activity: &Activity) -> Self {
        let transfers = activity.transfers.iter();
        Self {
            id: id.to_string(),
            sent_rate: activity.sent_rate,
            received_rate: activity.received_rate,
            transfers: transfers.map(Into::into).collect(),
            run: run_bytes(run),
        }
    }
}

/// Encodes the process id of a peer.
pub fn run_bytes(run: Option<[u8; 16]>) -> bytes::Bytes {
    run.map(|run| bytes::Bytes::copy_from_slice(&run))
        .unwrap_or_default()
}

/// Decodes the process id of a peer; `None` if empty.
///
/// # Errors
/// Returns `invalid_argument` if the length is neither 0 nor 16 bytes.
pub fn run_of(bytes: &[u8]) -> Result<Option<[u8; 16]>, Problem> {
    if bytes.is_empty() {
        Ok(None)
    } else {
        bytes
            .try_into()
            .map(Some)
            .map_err(|_| Problem::invalid("the field `run` must have 16 bytes"))
    }
}

impl From<&RunningTransfer> for v1::RunningTransfer {
    fn from(transfer: &RunningTransfer) -> Self {
        Self {
            hash: hash_bytes(&transfer.hash),
            direction: transfer.direction.name().to_owned(),
            bytes: transfer.bytes,
            size: transfer.size,
            rate: transfer.rate,
        }
    }
}

impl TryFrom<v1::RunningTransfer> for RunningTransfer {
    type Error = Problem;

    fn try_from(transfer: v1::RunningTransfer) -> Result<Self, Problem> {
        Ok(Self {
            hash: ContentHash::from_slice(&transfer.hash)?,
            direction: transfer.direction.parse()?,
            bytes: transfer.bytes,
            size: transfer.size,
            rate: transfer.rate,
        })
    }
}

impl TryFrom<v1::HeartbeatRequest> for Activity {
    type Error = Problem;

    fn try_from(beat: v1::HeartbeatRequest) -> Result<Self, Problem> {
        let transfers = beat.transfers.into_iter();
        Self {
            sent_rate: beat.sent_rate,
            received_rate: beat.received_rate,
            transfers: transfers.map(TryInto::try_into).collect::<Result<_, _>>()?,
        }
        .checked()
    }
}
