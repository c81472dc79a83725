//! The connection to the directory: registration, publishing the index, and refused spaces.

pub(crate) mod addresses;
pub mod directory;
pub mod presence;
pub mod publish;
pub mod refused_spaces;
pub mod registration;
pub mod tickets;
