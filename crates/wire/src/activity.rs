//! Checked conversions of what peers are doing.

use convite_core::activity::{Activity, RunningTransfer};
use convite_core::{ContentHash, PeerId, Problem};

use crate::convert::hash_bytes;
use crate::v1;

impl v1::HeartbeatRequest {
    /// Of a peer that does this.
    pub fn of(id: &PeerId, activity: &Activity) -> Self {
        let transfers = activity.transfers.iter();
        Self {
            id: id.to_string(),
            sent_rate: activity.sent_rate,
            received_rate: activity.received_rate,
            transfers: transfers.map(Into::into).collect(),
        }
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
