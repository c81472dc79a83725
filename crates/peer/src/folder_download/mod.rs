//! Downloads a folder from all its providers as one transfer.
//!
//! [`download_folder`] fetches the manifests from one provider and verifies them, opens the target
//! ([`crate::folder_target`]), and drives one [`convite_swarm::Download`] over the missing pieces. A
//! pack is verified file by file, a part of a large file against its piece hashes
//! ([`convite_provider::FolderContent`]). Complete files get their names in batches while the download
//! runs. When it is interrupted, everything that is complete or verified stays in the target, and the
//! same download resumes it.
//!
//! A running download of a folder does not serve its pieces to others yet.

mod engine;
mod manifests;
mod request;
mod run;
mod sink;

pub use request::{FolderDownload, FolderProgress, FolderRequest, FolderResult};
pub use run::download_folder;
