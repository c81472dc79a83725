//! Loads (remote downloads): files that a peer fetches at the request of an account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::hash::ContentHash;
use crate::names::{PeerId, SpaceName, UserName, from_text};

/// The id of a load: 64 random bits, written as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadId(pub u64);

impl fmt::Display for LoadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

impl FromStr for LoadId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let is_id = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| {
            let shown = crate::display::escape(text);
            Problem::invalid(format!("'{shown}' is not the id of a remote download"))
                .hint("an id has 16 hexadecimal digits; `convite load --list` shows it")
        })
    }
}

impl Serialize for LoadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LoadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// The state of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadState {
    /// The peer has not started, or is offline.
    Waiting,
    /// The peer is fetching the file.
    Running,
    /// The peer has the file and shares it.
    Done,
    /// The peer gave up, or did not come back in time.
    Failed,
}

impl LoadState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// Returns the name used in the database and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Returns whether the state is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

impl FromStr for LoadState {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let state = Self::ALL.into_iter().find(|state| state.name() == text);
        state.ok_or_else(|| {
            let shown = crate::display::escape(text);
            Problem::invalid(format!("'{shown}' is not a state of a remote download"))
                .hint("the states are waiting, running, done and failed")
        })
    }
}

/// A load, as the account that requested it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadSummary {
    /// Id of the load.
    pub load: LoadId,
    /// The peer that fetches the file.
    pub peer: PeerId,
    /// Content hash of the file.
    pub hash: ContentHash,
    /// The most common name of the file at the time of the request.
    pub name: String,
    /// Size of the file in bytes.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub size: u64,
    /// State of the load.
    pub state: LoadState,
    /// Bytes that the peer has verified.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub bytes: u64,
    /// Current rate in bytes per second.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub rate: u64,
    /// Reason of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Time of the request, in seconds since 1970.
    pub created_at: i64,
}

/// A load, as the directory sends it to the peer that fetches the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFetch {
    /// Id of the load.
    pub load: LoadId,
    /// Content hash of the file.
    pub hash: ContentHash,
    /// Name of the file; untrusted.
    pub name: String,
    /// Claimed size of the file in bytes.
    pub size: u64,
    /// The space whose members may see the copy; `None` for everyone.
    pub space: Option<SpaceName>,
    /// The account that requested the load.
    pub user: UserName,
    /// The spaces on the access list of the peer that this account is a member of.
    pub user_spaces: Vec<SpaceName>,
}

/// The maximum length of the message of a failed load, in characters.
pub const LOAD_MESSAGE_MAX: usize = 200;

/// A report of the peer about a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// State of the load.
    pub state: LoadState,
    /// Verified bytes.
    pub bytes: u64,
    /// Current rate in bytes per second.
    pub rate: u64,
    /// Reason of the failure; empty if there is none.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_digits_of_hex() {
        let id = LoadId(0xAB);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!("00000000000000AB".parse::<LoadId>().unwrap(), id);
        for bad in [
            "",
            "ab",
            "+0000000000000ab",
            "00000000000000abc",
            "000000000000000é",
        ] {
            assert!(bad.parse::<LoadId>().is_err(), "{bad}");
        }
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<LoadId>(&json).unwrap(), id);
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in LoadState::ALL {
            assert_eq!(state.name().parse::<LoadState>().unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        assert!("paused".parse::<LoadState>().is_err());
    }
}
