//! Downloads a file from all its providers at once. Each piece is verified before it is written,
//! and the file gets its name only when it is complete.
//!
//! [`download`] owns one [`convite_swarm::Download`] and executes its actions: dials providers and
//! receives verified pieces ([`convite_provider`]), writes them (`fs::piece_writer`), saves them for
//! a resume (`partial`), and finally moves the file to its target (`target`). From its first verified piece on it provides its pieces to other downloaders
//! (`transient_peer`). A download that is interrupted at any time resumes from disk.

pub(crate) mod disk_space;
mod engine;
mod handle;
pub(crate) mod partial;
mod request;
mod run;
mod shutdown;
mod sizes;
mod swarm_member;
pub(crate) mod target;
mod transient_peer;
pub mod unfinished;

pub use disk_space::Headroom;
pub use handle::DownloadHandle;
pub use request::{DownloadProgress, DownloadRequest, DownloadResult, QuotaCheck, Storage};
pub use run::{download, download_with_handle};
pub use target::Target;
pub use transient_peer::{TransientPeer, TransientPeerConfig};
