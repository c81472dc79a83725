//! Client of the directory, used by peers and commands: home folder, pinning, login, retry, and
//! failover between replicas.

mod addresses;
mod administration;
mod answers;
mod calls;
mod channel;
mod convert;
pub mod credentials;
pub mod directory;
mod happy_eyeballs;
pub mod home;
mod index;
mod links;
mod liveness;
mod loads;
mod peers;
mod permissions;
mod resubscribe;
mod retry;
mod search;
mod sessions;
mod swarm;
mod uploads;

pub use addresses::ADDRESSES_MAX;
pub use answers::{Found, Invite, Lease, Named, Published, Registered, Registering, Session};
pub use channel::Channel;
pub use credentials::Credentials;
pub use directory::DirectoryClient;
pub use home::Home;
pub use links::Link;
