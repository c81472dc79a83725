//! The limit on open files of the process, and the connection limits derived from it.

use crate::limits::Limits;

/// The limit to try on systems without a hard limit (`OPEN_MAX` of macOS).
#[cfg(unix)]
const FALLBACK_OPEN_FILES: u64 = 10_240;

/// Raises the soft limit on open files (`RLIMIT_NOFILE`, getrlimit(2)) to the hard limit. The usual
/// soft limit of 1,024 exists for select(2), and the connections of one network would exhaust it.
/// Returns the new limit, or `None` if there is no limit or it is unknown.
#[cfg(unix)]
pub(crate) fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let soft = before.current?;
    for wanted in [
        before.maximum.unwrap_or(FALLBACK_OPEN_FILES),
        FALLBACK_OPEN_FILES,
    ] {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: before.maximum,
        };
        if wanted > soft && setrlimit(Resource::Nofile, raised).is_ok() {
            tracing::debug!(soft, wanted, "raised the open file limit");
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
    /// Returns these limits with at most half of `open_files` for connections, and a quarter for
    /// those of one network. The rest remains for files, outgoing connections and other networks.
    pub(crate) fn capped_by_open_files(self, open_files: Option<u64>) -> Self {
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
            let limits = limits.capped_by_open_files(files);
            (limits.connections, limits.connections_per_network)
        };
        assert_eq!(within(Some(1024)), (512, 256));
        assert_eq!(within(Some(1 << 20)), (8192, 1024));
        assert_eq!(within(None), (8192, 1024));
        assert_eq!(within(Some(0)), (1, 1));
    }
}
