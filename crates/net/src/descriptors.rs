//! How many files and sockets the process may have open, and how many of those connections may take.

use crate::Limits;

/// What systems that name no hard limit take all the same (macOS' `OPEN_MAX`).
#[cfg(unix)]
const MODEST: u64 = 10_240;

/// Raises the soft limit on open files (`RLIMIT_NOFILE` of getrlimit(2)) to the hard one: the usual
/// soft one of 1,024 is for programs that use select(2), and one network's connections would use it up.
/// Returns what the limit is now; none if there is none, or no telling.
#[cfg(unix)]
pub(crate) fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let soft = before.current?;
    for wanted in [before.maximum.unwrap_or(MODEST), MODEST] {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: before.maximum,
        };
        if wanted > soft && setrlimit(Resource::Nofile, raised).is_ok() {
            tracing::debug!(soft, wanted, "raised the limit on open files");
            return Some(wanted);
        }
    }
    Some(soft)
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_open_files() -> Option<u64> {
    None
}

impl Limits {
    /// These, with no more connections than half of so many open files, and a quarter from one network:
    /// the rest is for files, for what is dialled, and for everybody else.
    pub(crate) fn within(self, open_files: Option<u64>) -> Self {
        let part = |of: u64| {
            let part = open_files.map_or(u64::MAX, |files| (files / of).max(1));
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        Self {
            connections: self.connections.min(part(2)),
            connections_per_network: self.connections_per_network.min(part(4)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let low = Rlimit {
            current: Some(512),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, low).unwrap();
        let raised = raise_open_files();
        assert!(raised > Some(512), "{raised:?}");
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
    }

    #[test]
    fn connections_leave_room_for_files() {
        let limits = Limits::default();
        let within = |files| {
            let limits = limits.within(files);
            (limits.connections, limits.connections_per_network)
        };
        assert_eq!(within(Some(1024)), (512, 256));
        assert_eq!(within(Some(1 << 20)), (8192, 1024));
        assert_eq!(within(None), (8192, 1024));
        assert_eq!(within(Some(0)), (1, 1));
    }
}
