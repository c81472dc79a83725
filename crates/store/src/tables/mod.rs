//! Statements that several operations use, by table.

pub(crate) mod accounts;
pub(crate) mod announcements;
pub(crate) mod audit;
pub(crate) mod peers;
pub(crate) mod removals;
pub(crate) mod sessions;
pub(crate) mod spaces;
