//! Bodies of `/loadfiles`.

use convite_core::loads::{LoadId, LoadSummary};
use convite_core::{ContentHash, PeerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /loadfiles`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBody {
    /// What to fetch.
    pub hash: ContentHash,
    /// Who is to.
    pub peer: PeerId,
}

/// What asking for a load gives.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoadMade {
    /// What to ask by how it goes.
    pub load: LoadId,
}

/// A page of loads, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoadsPage {
    /// The loads.
    pub loads: Vec<LoadSummary>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
