//! A small process that removes what a run created: processes, mounts, loop devices and its folder.
//! It acts when its stdin ends, so also when the run fails, is interrupted or is killed.
//!
//! It kills processes by their ids, but only while their command line contains the folder of the
//! run, so a reused id is not affected.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use parking_lot::Mutex;

use crate::Failure;

const CLEANUP_SCRIPT: &str = r#"
trap '' INT TERM HUP
folder=$1
pids='' mounts='' loops='' removes=no
while read -r kind value; do
    case $kind in
        process) pids="$pids $value" ;;
        mount) mounts="$value $mounts" ;;
        loop) loops="$loops $value" ;;
        folder) removes=yes ;;
    esac
done
for pid in $pids; do
    { tr '\0' ' ' <"/proc/$pid/cmdline" || ps -ww -o args= -p "$pid"; } 2>/dev/null |
        grep -q -F -- "$folder" && kill -9 "$pid" 2>/dev/null
done
for mount in $mounts; do
    umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null
done
for loop in $loops; do
    losetup -d "$loop" 2>/dev/null
done
# A process that is still ending may write once more.
if [ "$removes" = yes ]; then
    for try in 1 2 3 4 5; do rm -rf -- "$folder" 2>/dev/null && break; sleep 1; done
fi
"#;

/// A resource of a run.
pub enum Resource<'a> {
    /// A process id.
    Process(u32),
    /// A mount point.
    Mount(&'a Path),
    /// A loop device.
    Loop(&'a str),
    /// The folder of the run.
    Folder,
}

/// The process. Dropping it removes all resources.
pub struct Cleanup {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
}

impl Cleanup {
    /// Starts the process for a run in `folder`.
    ///
    /// # Errors
    /// Fails if `sh` cannot be started.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let mut child = Command::new("sh")
            .args(["-c", CLEANUP_SCRIPT, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("sh cannot be started: {error}"))?;
        let input = Mutex::new(child.stdin.take());
        Ok(Self { child, input })
    }

    /// Records a resource for removal.
    pub fn add(&self, resource: &Resource<'_>) {
        let line = match resource {
            Resource::Process(id) => format!("process {id}"),
            Resource::Mount(path) => format!("mount {}", path.display()),
            Resource::Loop(device) => format!("loop {device}"),
            Resource::Folder => "folder".to_owned(),
        };
        let mut input = self.input.lock();
        if let Some(input) = input.as_mut() {
            let _ = writeln!(input, "{line}");
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let input = self.input.get_mut();
        drop(input.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_the_run_end_with_it_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let sleeper = |name: &Path| {
            let mut command = Command::new("sh");
            // The name is in the command line, like the home of a peer.
            command.args(["-c", "read word", "sh"]).arg(name);
            command.stdin(Stdio::piped()).spawn().unwrap()
        };
        let mut own = sleeper(&folder.path().join("home"));
        let mut other = sleeper(Path::new("/elsewhere"));
        let cleanup = Cleanup::new(folder.path()).unwrap();
        cleanup.add(&Resource::Process(own.id()));
        cleanup.add(&Resource::Process(other.id()));
        drop(cleanup);
        assert!(!own.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        drop(other.stdin.take());
        other.wait().unwrap();
        assert!(folder.path().exists());
    }

    #[test]
    fn the_folder_is_removed_only_if_it_was_added() {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("file"), "x").unwrap();
        let cleanup = Cleanup::new(&folder).unwrap();
        cleanup.add(&Resource::Folder);
        drop(cleanup);
        assert!(!folder.exists());
    }
}
