//! The test data of the benchmarks: incompressible, the same in every run, generated once.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::cleanup::{Cleanup, Resource};
use crate::workspace;

const BUFFER: usize = 1 << 20;

/// A folder for one benchmark, on the disk of the target folder. A separate process removes it when
/// it is dropped, or when the benchmark is interrupted.
pub struct Scratch {
    path: PathBuf,
    /// Removes the folder when it is dropped.
    _cleanup: Cleanup,
}

impl Scratch {
    /// Creates the empty folder.
    ///
    /// # Errors
    /// Fails if the folder cannot be created.
    pub fn new(name: &str) -> Result<Self, Failure> {
        let process = std::process::id();
        let path = workspace::target()
            .join("bench")
            .join(format!("{name}-{process}"));
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("{} cannot be created: {error}", path.display()))?;
        let cleanup = Cleanup::new(&path)?;
        cleanup.add(&Resource::Folder);
        Ok(Self {
            path,
            _cleanup: cleanup,
        })
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a folder inside.
    ///
    /// # Errors
    /// Fails if the folder cannot be created.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("{} cannot be created: {error}", path.display()))?;
        Ok(path)
    }
}

/// Writes `size` incompressible bytes derived from `seed`, and returns their content hash.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write(path: &Path, size: u64, seed: u64) -> Result<String, Failure> {
    let failed = |error| format!("{} cannot be written: {error}", path.display());
    let mut file = File::create(path).map_err(failed)?;
    let mut stream = blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut left = size;
    while left > 0 {
        let length = left.min(BUFFER as u64) as usize;
        stream.fill(&mut buffer[..length]);
        hasher.update(&buffer[..length]);
        file.write_all(&buffer[..length]).map_err(failed)?;
        left -= length as u64;
    }
    file.sync_all().map_err(failed)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Reads a file into the page cache, and returns its content hash.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| format!("{} cannot be read: {error}", path.display());
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(failed)?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            length => hasher.update(&buffer[..length]),
        };
    }
}

/// Writes and removes a file of `size` bytes in `folder`, so that the next file uses pages that
/// were accessed before. A virtual machine returns free memory to its host, and the first access
/// afterwards can take longer than the measured transfer.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn warm_memory(folder: &Path, size: u64) -> Result<(), Failure> {
    let path = folder.join("touched");
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    let zeros = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let run = left.min(zeros.len() as u64);
        file.write_all(&zeros[..run as usize]).map_err(failed)?;
        left -= run;
    }
    drop(file);
    std::fs::remove_file(&path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let scratch = Scratch::new("payload-test").unwrap();
        let path = scratch.path().join("a.bin");
        let size = BUFFER as u64 + 7;
        let first = write(&path, size, 1).unwrap();
        assert_eq!(path.metadata().unwrap().len(), size);
        assert_eq!(read(&path).unwrap(), first);
        assert_ne!(write(&path, size, 2).unwrap(), first);
        assert_eq!(write(&path, size, 1).unwrap(), first);
        let folder = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!folder.exists());
    }
}
