//! A peer's and a command's way to the directory: the home folder that remembers who we are, and
//! a client that dials, pins, logs in and retries.

mod channel;
mod convert;
pub mod credentials;
pub mod directory;
pub mod home;

pub use channel::Channel;
pub use credentials::Credentials;
pub use directory::{DirectoryClient, Lease, Published, Registered, Session};
pub use home::Home;
