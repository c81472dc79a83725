//! The setup of a swarm, the same for each system, and the results of one swarm.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::bound::Swarm;
use crate::Failure;
use crate::bench::netns::Host;
use crate::bench::payload;

/// The results of one swarm.
pub struct SwarmResult {
    /// The seconds until the last downloader finished.
    pub seconds: f64,
    /// The bytes of the file that the first provider sent; none if it does not report them.
    pub served: Option<u64>,
    /// The bytes that its link carried, including headers; none on the loopback.
    pub sent_on_link: Option<u64>,
}

/// The hosts, the file and the folders of a swarm.
pub struct SwarmSetup {
    /// The host of the directory or tracker, without limits.
    pub directory: Host,
    pub provider: Host,
    pub downloaders: Vec<Host>,
    /// The file, which is alone in its folder.
    pub file: PathBuf,
    pub hash: String,
    /// The folder for files that the systems write.
    pub folder: PathBuf,
    pub swarm: Swarm,
}

impl SwarmSetup {
    /// Returns the time limit of a swarm.
    pub fn deadline(&self) -> Instant {
        // From a single server it takes the bound multiplied by the number of downloaders.
        let worst = self.swarm.bound() * (2.0 * self.downloaders.len() as f64 + 4.0);
        Instant::now() + Duration::from_secs(60) + Duration::from_secs_f64(worst)
    }

    /// Creates an empty folder `name`, and removes files of an earlier round.
    ///
    /// # Errors
    /// Fails if the folder cannot be created.
    pub fn empty_folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("{} cannot be created: {error}", path.display()))?;
        Ok(path)
    }

    /// Returns the name of the file.
    pub fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Compares a downloaded copy with the file.
    ///
    /// # Errors
    /// Fails if they differ.
    pub fn check(&self, copy: &Path) -> Result<(), Failure> {
        if payload::read(copy)? == self.hash {
            return Ok(());
        }
        Err(format!("{} differs from the sent file", copy.display()))
    }
}
