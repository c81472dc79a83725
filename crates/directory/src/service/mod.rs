//! The use cases of the directory, in the types of `core`.
//!
//! One method per operation. Operations that require a session take a [`Caller`], which is made
//! from a session token. Methods fail with a [`Problem`](convite_core::Problem); `rest/` and
//! `grpc/` encode both.

mod accounts;
mod activity;
mod attempts;
mod audit;
mod caller;
mod contents;
mod events;
mod fetch_requests;
mod find_by_name;
mod folders;
mod index;
mod invites;
mod links;
mod locate;
mod metrics;
mod page_tokens;
mod paging;
mod peers;
mod readiness;
mod remote_fetches;
mod replicas;
mod search;
mod sessions;
mod spaces;
mod state;
mod swarm;
mod sweep;
mod uploads;
mod users;

pub use caller::{Caller, ClientAddress};
pub use contents::Contents;
pub(crate) use events::PageEvent;
pub use find_by_name::NameMatches;
pub use index::{BATCH_MAX, CHANGE_MAX, IndexUpload};
pub(crate) use index::{check_change, removals_without_base};
pub use invites::{NewInvite, NewInviteLink};
pub use links::{LinkPermit, NewLinkUrl, OpenedLink};
pub use page_tokens::PageToken;
pub use peers::{PeerRegistered, PeerRegistration};
pub use readiness::Readiness;
pub(crate) use replicas::RENEWAL;
pub use search::SearchResults;
pub use sessions::{Login, PeerLogin, Session, SessionAccount, TokenStorage};
pub use state::Service;
pub(crate) use state::ServiceParts;
pub use users::UserChange;
