//! The state of a scripted peer ([`super::publish`]).

use std::collections::BTreeSet;

/// The state of the script.
#[derive(Debug, Default)]
pub struct Publisher {
    pub(super) token: Option<String>,
    pub(super) generation: u64,
    pub(super) next: u64,
    /// The numbers of the acknowledged files.
    pub(super) files: BTreeSet<u64>,
    /// A change that was sent but not answered.
    pub(super) pending: Option<Pending>,
    pub(super) turn: usize,
}

/// A change of the published files.
#[derive(Debug, Clone)]
pub struct Pending {
    pub(super) files: BTreeSet<u64>,
    pub(super) upsert: Vec<u64>,
    pub(super) remove: Vec<u64>,
}
