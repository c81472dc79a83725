//! Bodies of `/files/{hash}/link`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /files/{hash}/link`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkBody {
    /// For how long, in seconds, a minute to 30 days; an hour if not given.
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub expires_in: Option<u64>,
    /// How often it can be used; 1 if not given.
    #[schema(minimum = 1, maximum = 1_000)]
    pub uses: Option<u32>,
}

/// What making a link gives.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkMade {
    /// Its path here; the last part is a secret.
    pub path: String,
    /// The whole of it.
    pub url: String,
    /// In seconds since 1970.
    pub expires_at: i64,
}
