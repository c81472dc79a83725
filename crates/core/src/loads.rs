//! Loading on another peer: a file that an account has a peer fetch, and how that goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::hash::ContentHash;
use crate::names::{PeerId, SpaceName, UserName, from_text};

/// What a load is named by: 64 random bits, as 16 digits of hex.
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
            Problem::invalid(format!("'{shown}' is not the id of a load"))
                .hint("an id has 16 digits of hex, as `convite load --list` shows them")
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

/// How a load stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadState {
    /// The peer has not begun, or is away.
    Waiting,
    /// The peer fetches the file.
    Running,
    /// The peer has the file and shares it.
    Done,
    /// The peer has given up, or did not come back in time.
    Failed,
}

impl LoadState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// The name as it is stored and sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing happens any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

impl FromStr for LoadState {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let state = Self::ALL.into_iter().find(|state| state.name() == text);
        state.ok_or_else(|| {
            let shown = crate::display::escape(text);
            Problem::invalid(format!("'{shown}' is not a state of a load"))
                .hint("the states are waiting, running, done and failed")
        })
    }
}

/// A load as who asked for it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadSummary {
    /// What to name it by.
    pub load: LoadId,
    /// Who fetches.
    pub peer: PeerId,
    /// What.
    pub hash: ContentHash,
    /// The most common name of the file when it was asked for.
    pub name: String,
    /// Of the file, in bytes.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub size: u64,
    /// How it stands.
    pub state: LoadState,
    /// Bytes that the peer has verified.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub bytes: u64,
    /// Bytes a second, just now.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub rate: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was asked for, in seconds since 1970.
    pub created_at: i64,
}

/// A load as the peer is told of it that is to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOrder {
    /// What to name it by.
    pub load: LoadId,
    /// What to fetch.
    pub hash: ContentHash,
    /// What the file is called; a stranger's word.
    pub name: String,
    /// Of the file, in bytes, as claimed.
    pub size: u64,
    /// Whose members may see the copy; none for everyone.
    pub space: Option<SpaceName>,
    /// Who asks.
    pub user: UserName,
    /// The spaces on the peer's list that this account belongs to.
    pub user_spaces: Vec<SpaceName>,
}

/// The longest reason that a peer gives, in characters.
pub const LOAD_MESSAGE_MAX: usize = 200;

/// What a peer says of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// How it stands.
    pub state: LoadState,
    /// Bytes verified.
    pub bytes: u64,
    /// Bytes a second, just now.
    pub rate: u64,
    /// Why it failed; empty for no reason.
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
