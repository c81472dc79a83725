//! A peer's and a command's way to the directory: the home folder that remembers who we are, and
//! a client that dials, pins, logs in, retries, and turns from a replica that is gone to another.

mod addresses;
mod administration;
mod answers;
mod calls;
mod channel;
mod convert;
pub mod credentials;
pub mod directory;
pub mod home;
mod lasting;
mod links;
mod loads;
mod race;
mod retry;
mod sessions;
mod silence;
mod standing;
mod swarm;
mod uploads;

pub use addresses::ADDRESSES_MAX;
pub use answers::{Found, Invite, Lease, Published, Query, Registered, Session};
pub use channel::Channel;
pub use credentials::Credentials;
pub use directory::DirectoryClient;
pub use home::Home;
pub use links::Link;
