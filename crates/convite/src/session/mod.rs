//! The session of a home: login, the settings of its peer, and the start of both.
//!
//! The commands and the menu use it; it knows neither.

mod login;
mod peer;
mod start;

pub use login::{Joined, join_or_login, login, other_directory_error, require_same_directory};
pub use peer::{PeerStart, choose_and_save_id, choose_id, transient_peer_config};
pub use start::{AccountInfo, LoginData, RunningSession, SessionContext, SessionStart};
