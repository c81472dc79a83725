//! Files and volumes: opening beneath a folder, positioned I/O, writing pieces, and what a file
//! system supports.

pub(crate) mod fallbacks;
pub(crate) mod folder_handle;
pub(crate) mod free_space;
pub mod identity;
pub mod mounts;
pub mod names;
pub mod open_beneath;
pub(crate) mod piece_writer;
pub(crate) mod positioned_io;
pub(crate) mod private_folders;
pub(crate) mod stamp;
pub mod volume;
