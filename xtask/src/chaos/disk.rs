//! A small file system in an image file that can be filled, unmounted and mounted again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cleanup::{Cleanup, Resource};
use crate::{Failure, workspace};

/// The name of the file that fills a disk.
const FILLER: &str = "filler";

/// A disk and its mount point.
#[derive(Debug)]
pub struct Disk {
    device: String,
    /// The mount point.
    pub place: PathBuf,
    /// Whether it is mounted.
    pub mounted: bool,
}

impl Disk {
    /// Creates a disk of `size` bytes and mounts it at `place`.
    ///
    /// # Errors
    /// Fails if the user lacks the permission, or if the machine does not support it.
    pub fn new(place: &Path, size: u64, cleanup: &Cleanup) -> Result<Self, Failure> {
        let image = place.with_extension("img");
        let failed = |error: std::io::Error| format!("{}: {error}", image.display());
        fs::create_dir_all(place).map_err(failed)?;
        let file = File::create(&image).map_err(failed)?;
        file.set_len(size).map_err(failed)?;
        let mut format = Command::new("mkfs.ext4");
        workspace::output(format.args(["-q", "-m", "0"]).arg(&image))?;
        let mut attach = Command::new("losetup");
        let device = workspace::output(attach.args(["--find", "--show"]).arg(&image))?;
        let device = device.trim().to_owned();
        cleanup.add(&Resource::Loop(&device));
        let mut disk = Self {
            device,
            place: place.to_path_buf(),
            mounted: false,
        };
        cleanup.add(&Resource::Mount(place));
        disk.mount()?;
        Ok(disk)
    }

    /// Mounts the disk.
    ///
    /// # Errors
    /// Fails if `mount` fails.
    pub fn mount(&mut self) -> Result<(), Failure> {
        if self.mounted {
            return Ok(());
        }
        workspace::output(Command::new("mount").arg(&self.device).arg(&self.place))?;
        self.mounted = true;
        Ok(())
    }

    /// Unmounts the disk, even if files on it are open, like a disk that is unplugged.
    ///
    /// # Errors
    /// Fails if `umount` fails.
    pub fn unmount(&mut self) -> Result<(), Failure> {
        if self.mounted {
            workspace::output(Command::new("umount").arg("--lazy").arg(&self.place))?;
            self.mounted = false;
        }
        Ok(())
    }

    /// Returns the files in the mount point, which is an empty folder, while the disk is unmounted.
    pub fn below(&self) -> Vec<PathBuf> {
        if self.mounted {
            return Vec::new();
        }
        let entries = fs::read_dir(&self.place).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Fills the free space.
    ///
    /// # Errors
    /// Fails if the free space cannot be determined.
    pub fn fill(&self) -> Result<(), Failure> {
        let filler = self.place.join(FILLER);
        let shown = workspace::output(
            Command::new("df")
                .args(["--output=avail", "--block-size=1"])
                .arg(&self.place),
        )?;
        let free: u64 = shown
            .lines()
            .last()
            .and_then(|line| line.trim().parse().ok())
            .ok_or("df printed no size")?;
        // The file's metadata needs a few blocks too, so the size is reduced until the file fits.
        let mut size = free;
        while size > 0 {
            let mut take = Command::new("fallocate");
            take.arg("--length").arg(size.to_string()).arg(&filler);
            if take.output().is_ok_and(|done| done.status.success()) {
                break;
            }
            size = size.saturating_sub(64 << 10);
        }
        Ok(())
    }

    /// Frees the space again.
    pub fn free_space(&self) {
        let _ = fs::remove_file(self.place.join(FILLER));
    }
}
