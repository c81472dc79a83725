//! The operations of the store, by noun. Each is one transaction over [`Backend`], so it exists once
//! for both databases. The queries of contents and the storage of files, which must be fast, are
//! written for each database (`sqlite`, `postgres`).
//!
//! [`Backend`]: crate::database::Backend

mod accounts;
mod audit;
mod files;
mod invites;
mod links;
mod loads;
mod peers;
mod sessions;
mod spaces;
mod swarm;
mod upkeep;
mod wrong_times;
