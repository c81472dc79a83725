//! The manifest of a backup.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem, UnixMillis};
use serde::{Deserialize, Serialize};

use super::folder::{self, shown};

/// Its file name.
pub(super) const MANIFEST: &str = "manifest.json";
/// The version of the backup's layout.
const FORMAT: u32 = 1;
/// Maximum size of a manifest, in bytes.
const SIZE_MAX: u64 = 64 << 10;

/// A backup that was created, or a directory that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// Its path.
    pub path: PathBuf,
    /// Number of files.
    pub files: usize,
    /// Total size in bytes.
    pub bytes: u64,
    /// When the backup was created.
    pub created: UnixMillis,
    /// The new path of the previous contents, if there were any.
    pub replaced: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// The version of the program that wrote it, for information.
    program: String,
    /// The time of the backup, in milliseconds since 1970.
    #[serde(rename = "made")]
    created: i64,
    /// The version of the database's tables, for information.
    schema: u32,
    pub(super) files: Vec<ManifestEntry>,
}

/// A file of a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestEntry {
    pub(super) name: String,
    bytes: u64,
    /// The BLAKE3 hash in hex, as `b3sum` prints it.
    blake3: String,
}

impl ManifestEntry {
    /// Returns the entry for the file `name` in `folder`.
    pub(super) fn of(folder: &Path, name: &str) -> Result<Self, Problem> {
        let path = folder.join(name);
        let mut hasher = blake3::Hasher::new();
        File::open(&path)
            .and_then(|file| hasher.update_reader(file).map(drop))
            .map_err(|e| folder::failed("read", &path, &e))?;
        Ok(Self {
            name: name.to_owned(),
            bytes: hasher.count(),
            blake3: hasher.finalize().to_hex().to_string(),
        })
    }
}

impl Manifest {
    pub(super) fn new(now: UnixMillis, schema: u32, files: Vec<ManifestEntry>) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created: now.0,
            schema,
            files,
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("manifest: {e}")))
    }

    /// Reads the manifest of the backup at `source`. It may only list files named in `known`, each
    /// at most once, and must list the first.
    pub(super) fn read(source: &Path, known: &[&str]) -> Result<Self, Problem> {
        let no_backup = || {
            Problem::not_found(format!("there is no backup at {}", shown(source)))
                .hint("give the folder that `convite directory backup` created")
        };
        let mut text = String::new();
        File::open(source.join(MANIFEST))
            .and_then(|file| file.take(SIZE_MAX).read_to_string(&mut text))
            .map_err(|_| no_backup())?;
        let damaged = |why: &str| {
            Problem::new(
                ErrorCode::CorruptContents,
                format!("the manifest is damaged: {why}"),
            )
            .hint("use another backup")
        };
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(Problem::invalid(format!(
                "this backup has format {}, but this program supports format {FORMAT}",
                manifest.format
            ))
            .hint("use the version of convite that created it"));
        }
        let named = |name: &str| manifest.files.iter().filter(|f| f.name == name).count();
        let strange = manifest
            .files
            .iter()
            .any(|file| !known.contains(&file.name.as_str()));
        if strange || known.iter().any(|name| named(name) > 1) || named(known[0]) != 1 {
            return Err(damaged("its list of files is invalid"));
        }
        Ok(manifest)
    }

    pub(super) fn summary(&self, path: &Path, aside: Option<PathBuf>) -> BackupSummary {
        BackupSummary {
            path: path.to_path_buf(),
            files: self.files.len(),
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            created: UnixMillis(self.created),
            replaced: aside,
        }
    }
}
