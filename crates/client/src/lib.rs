//! A peer's and a command's way to the directory: the home folder that remembers who we are, and
//! a client that dials, pins, logs in and retries.

mod answers;
mod channel;
mod convert;
pub mod credentials;
pub mod directory;
pub mod home;
mod swarm;

pub use answers::{Invite, Lease, Published, Query, Registered, Session};
pub use channel::Channel;
pub use credentials::Credentials;
pub use directory::DirectoryClient;
pub use home::Home;
