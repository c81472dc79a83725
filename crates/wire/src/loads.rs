//! Conversions of load messages.

use convite_core::remote_fetch::{LoadReport, LoadSummary, RemoteFetch};
use convite_core::{ContentHash, Problem, SpaceName};

use crate::convert::{hash_bytes, some_text};
use crate::v1;

impl From<&LoadSummary> for v1::LoadSummary {
    fn from(load: &LoadSummary) -> Self {
        Self {
            load: load.load.to_string(),
            peer: load.peer.to_string(),
            hash: hash_bytes(&load.hash),
            name: load.name.clone(),
            size: load.size,
            state: load.state.name().to_owned(),
            bytes: load.bytes,
            rate: load.rate,
            message: load.message.clone().unwrap_or_default(),
            created_at: load.created_at,
        }
    }
}

impl TryFrom<v1::LoadSummary> for LoadSummary {
    type Error = Problem;

    fn try_from(load: v1::LoadSummary) -> Result<Self, Problem> {
        Ok(Self {
            load: load.load.parse()?,
            peer: load.peer.parse()?,
            hash: ContentHash::from_slice(&load.hash)?,
            name: load.name,
            size: load.size,
            state: load.state.parse()?,
            bytes: load.bytes,
            rate: load.rate,
            message: some_text(load.message),
            created_at: load.created_at,
        })
    }
}

impl From<&RemoteFetch> for v1::LoadOrder {
    fn from(order: &RemoteFetch) -> Self {
        let space = order.space.as_ref();
        Self {
            load: order.load.to_string(),
            hash: hash_bytes(&order.hash),
            name: order.name.clone(),
            size: order.size,
            space: space.map_or_else(String::new, ToString::to_string),
            user: order.user.to_string(),
            user_spaces: order.user_spaces.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::LoadOrder> for RemoteFetch {
    type Error = Problem;

    fn try_from(order: v1::LoadOrder) -> Result<Self, Problem> {
        let spaces = order.user_spaces.iter().map(|space| space.parse());
        let space = some_text(order.space).map(|space| space.parse());
        Ok(Self {
            load: order.load.parse()?,
            hash: ContentHash::from_slice(&order.hash)?,
            name: order.name,
            size: order.size,
            space: space.transpose()?,
            user: order.user.parse()?,
            user_spaces: spaces.collect::<Result<Vec<SpaceName>, _>>()?,
        })
    }
}

impl TryFrom<&v1::ReportLoadRequest> for LoadReport {
    type Error = Problem;

    fn try_from(report: &v1::ReportLoadRequest) -> Result<Self, Problem> {
        Ok(Self {
            state: report.state.parse()?,
            bytes: report.bytes,
            rate: report.rate,
            message: report.message.clone(),
        })
    }
}
