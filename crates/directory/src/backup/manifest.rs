//! What a backup says of itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use convite_core::{ErrorCode, Problem, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{Copied, folder, shown};

/// Its name in the folder.
pub(super) const MANIFEST: &str = "manifest.json";
/// The layout of a backup; another one gets another number.
const FORMAT: u32 = 1;
/// Larger than any manifest, in bytes.
const SIZE_MAX: u64 = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// The version of the program that wrote it, for people.
    program: String,
    /// When, in milliseconds since 1970.
    made: i64,
    /// The version of the database's tables, for people.
    schema: u32,
    pub(super) files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    bytes: u64,
    /// Hexadecimal, what `b3sum` prints.
    blake3: String,
}

impl Entry {
    /// What the file `name` in `folder` is.
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
    pub(super) fn new(now: UnixMillis, schema: u32, files: Vec<Entry>) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made: now.0,
            schema,
            files,
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("manifest: {e}")))
    }

    /// The manifest of the backup at `source`, in which only files of `known` names may be, the
    /// first of them always and each once.
    pub(super) fn read(source: &Path, known: &[&str]) -> Result<Self, Problem> {
        let no_backup = || {
            Problem::not_found(format!("there is no backup at {}", shown(source)))
                .hint("name the folder that `convite directory backup` made")
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
                "this backup has format {}, and this program knows {FORMAT}",
                manifest.format
            ))
            .hint("use the version of convite that made it"));
        }
        let named = |name: &str| manifest.files.iter().filter(|f| f.name == name).count();
        let strange = manifest
            .files
            .iter()
            .any(|file| !known.contains(&file.name.as_str()));
        if strange || known.iter().any(|name| named(name) > 1) || named(known[0]) != 1 {
            return Err(damaged("it names other files than a backup has"));
        }
        Ok(manifest)
    }

    pub(super) fn copied(&self, path: &Path, aside: Option<std::path::PathBuf>) -> Copied {
        Copied {
            path: path.to_path_buf(),
            files: self.files.len(),
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            made: UnixMillis(self.made),
            aside,
        }
    }
}
