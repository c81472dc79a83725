//! Folders: their manifests from one provider, and their contents from all of them.

mod content;
mod manifests;

pub use content::{FolderContent, FolderPieceVerifier};
pub use manifests::fetch_manifests;
