//! What the directory knows, as plain values. The storage returns them, the use cases pass them
//! on, the two doors encode them: REST as they are, gRPC by conversion.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::address::PeerAddress;
use crate::error::Problem;
use crate::hash::ContentHash;
use crate::names::{PeerId, SpaceName, UserName};
use crate::path::SafePath;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Shares, searches, fetches, and administers.
    Admin,
    /// Shares, searches and fetches.
    Member,
    /// Searches and fetches; shares nothing.
    Guest,
}

impl Role {
    /// The name as it is stored and sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }
}

impl FromStr for Role {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            "guest" => Ok(Self::Guest),
            _ => {
                let shown = crate::display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is not a role"))
                    .hint("the roles are admin, member and guest"))
            }
        }
    }
}

/// One file that a peer shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    /// Where it is: the name of the share, then the path inside it.
    pub path: SafePath,
    /// In bytes.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub size: u64,
    /// Its identity.
    pub hash: ContentHash,
    /// When it was last changed, in seconds since 1970.
    #[serde(default)]
    pub modified: i64,
    /// Whose members may see it; none for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
}

/// A peer that is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerSummary {
    /// Its id.
    pub id: PeerId,
    /// The account it belongs to.
    pub user: UserName,
    /// Where it can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
    /// How many files it shares.
    pub files: u64,
    /// Since when it has been online without a break, in seconds since 1970.
    pub since: i64,
    /// Whether it takes files from the account that asks.
    #[serde(default)]
    pub uploads: bool,
    /// Whether it fetches files for the account that asks.
    #[serde(default)]
    pub loads: bool,
    /// Bytes of files that it sends a second, just now, as far as the replica that is asked knows.
    #[serde(default)]
    pub sent_rate: u64,
    /// Bytes of files that it receives a second, its downloads included.
    #[serde(default)]
    pub received_rate: u64,
}

/// One file of one peer, as the whole index lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexEntry {
    /// Who shares it.
    pub peer: PeerId,
    /// What is shared.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// Someone who holds a file, and how to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// Its id.
    pub peer: PeerId,
    /// Where it can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
    /// The size it claims the file has, in bytes: not proven until the last piece is verified.
    pub size: u64,
    /// A ticket for this peer and this file; empty where none is issued.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ticket: String,
    /// It is fetching the file itself, and holds a part of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// A file and all who hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocatedFile {
    /// Its identity.
    pub hash: ContentHash,
    /// The size that most providers claim, in bytes.
    pub size: u64,
    /// The names under which it is shared, the most common first, at most ten.
    pub names: Vec<String>,
    /// Those who are online.
    pub providers: Vec<Provider>,
}

/// A provider as a search result shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HitPeer {
    /// Its id.
    pub id: PeerId,
    /// Where it can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
}

/// One search result: a content under all its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// Its identity.
    pub hash: ContentHash,
    /// The name that matches best; of several the one under which most share it.
    pub name: String,
    /// The matching parts of `name`: from a character to before another, counted in Unicode scalar
    /// values from 0; in order, without overlaps.
    #[serde(default)]
    pub matches: Vec<[u32; 2]>,
    /// The names under which it is shared, the most common first, at most ten.
    pub names: Vec<String>,
    /// The folder in which `name` lies, as its peer publishes it; of several the first by alphabet,
    /// and absent if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// In bytes.
    pub size: u64,
    /// The spaces in which it lies, by name, of those that the caller belongs to; absent if
    /// everyone may see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spaces: Vec<SpaceName>,
    /// How many peers that are online hold it.
    pub providers: u64,
    /// Up to ten of them.
    pub peers: Vec<HitPeer>,
    /// How well it matches; only the order means something. 0 if something else is sorted by.
    pub score: f32,
}

/// A page of a list: its items, and what to ask for to get the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next_cursor: Option<String>,
}
