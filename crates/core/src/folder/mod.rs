//! Folders: one content made of many files.
//!
//! A folder is identified by the hash of its [manifest](crate::manifest). [`FolderTreeBuilder`]
//! verifies the manifests that another peer sends, [`FolderTree`] is the result: all files in
//! canonical order with their offsets in the folder bytes. [`Assembly`] computes the manifests of
//! local files. [`FolderPieces`] divides these bytes
//! into pieces; docs/formats.md describes both. [`judge_names`] finds the names that a file system
//! cannot store, [`rename_collisions`] replaces them.

mod arena;
mod assemble;
mod builder;
mod collisions;
mod cursor;
mod item;
mod local_names;
mod pieces;
mod tree;

pub use assemble::{Assembly, FileContents, canonical_order};
pub use builder::{DEPTH_MAX, FOLDERS_MAX, FolderTreeBuilder};
pub use collisions::{
    Collision, NameReport, REPORT_MAX, UnusableName, judge_names, rename_collisions,
};
pub use item::{FolderFile, FolderItem};
pub use local_names::{LocalNames, NameFault, NameRules};
pub use pieces::{
    FOLDER_PIECES_TARGET, FolderPiece, FolderPieces, LARGE_FILE, PACK_FILES_MAX, PACK_MAX,
};
pub use tree::{Files, FolderTree, ManifestPart, ManifestParts, Walk};

#[cfg(test)]
mod tests;
