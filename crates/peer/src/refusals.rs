//! Spaces that the directory takes no files of this peer in: those that its account does not belong
//! to, or that there are none of.
//!
//! Files in a refused space are published nowhere, above all not to everyone, and what had been
//! published of them before is taken back. The directory is asked again when it has begun a peer's
//! index anew, as it does for who comes to belong to a space; when the peer comes back onto its
//! list; and when somebody shares something in that space.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use convite_core::{Problem, SpaceName};

/// The refused spaces, with what the directory said.
#[derive(Default)]
pub struct Refusals(Mutex<BTreeMap<SpaceName, Problem>>);

impl Refusals {
    /// Notes that the directory refused files in `space`; whether that is news.
    pub fn note(&self, space: SpaceName, problem: Problem) -> bool {
        self.all().insert(space, problem).is_none()
    }

    /// What the directory said of a space, if it refused it.
    pub fn of(&self, space: &SpaceName) -> Option<Problem> {
        self.all().get(space).cloned()
    }

    /// Whether files in `space` (none: in that of everyone) may be published.
    pub fn allow(&self, space: Option<&SpaceName>) -> bool {
        space.is_none_or(|space| !self.all().contains_key(space))
    }

    /// Asks again for one space.
    pub fn forget(&self, space: &SpaceName) {
        self.all().remove(space);
    }

    /// Asks again for all of them. Whether there were any.
    pub fn forget_all(&self) -> bool {
        !std::mem::take(&mut *self.all()).is_empty()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<SpaceName, Problem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
