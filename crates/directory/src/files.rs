//! Files that only their owner reads: keys, codes, certificates. Blocking, at start only.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use convite_core::{ErrorCode, Problem};

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot {what} {}: {error}", path.display()),
    )
    .hint("check that the folder exists, is yours, and has room")
}

/// Makes `folder` and what is missing above it; on Unix nobody else may look into it.
///
/// # Errors
/// `internal` if it cannot be made.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Problem> {
    fs::create_dir_all(folder).map_err(|e| failed("make", folder, &e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|e| failed("protect", folder, &e))?;
    }
    Ok(())
}

/// The contents of a file, if it exists.
///
/// # Errors
/// `internal` if it exists and cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Problem> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Puts a file in place whole, readable by its owner only, safe against a crash at any instant.
///
/// # Errors
/// `internal` if it cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let write = || {
        let partial = path.with_extension("partial");
        // A leftover could have other permissions.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|e| failed("write", path, &e))
}
