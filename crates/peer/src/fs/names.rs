//! Names of files on disk: hidden names and free names.

use std::path::{Path, PathBuf};

use convite_core::path::local_file_name;

/// The prefix of the names of partial downloads; it makes them hidden.
pub const PARTIAL_PREFIX: &str = ".convite-";
/// The marker file of a folder that is being downloaded: it is not complete, so it is not published
/// as a folder.
pub const UNFINISHED_MARKER: &str = ".convite-unfinished";
/// The maximum length of a name in bytes.
const NAME_MAX: usize = 255;

/// Returns whether files and folders with this name are hidden, and so not shared.
pub(crate) fn is_hidden(name: &std::ffi::OsStr) -> bool {
    debug_assert!(PARTIAL_PREFIX.starts_with('.'));
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// Returns the path in `folder` for a name and a number: `film.mkv` for 0, `film (1).mkv` for 1,
/// within the maximum name length. The name may come from another peer and is made safe.
pub fn numbered(folder: &Path, name: &str, number: u32) -> PathBuf {
    let name = local_file_name(name);
    if number == 0 {
        return folder.join(name);
    }
    let dot = name
        .rfind('.')
        .filter(|dot| *dot > 0 && name.len() - dot <= 32);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let number = format!(" ({number})");
    let mut end = stem.len().min(NAME_MAX - extension.len() - number.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    folder.join(format!("{}{number}{extension}", &stem[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_name_gets_a_number() {
        let folder = Path::new("/d");
        for (name, number, path) in [
            ("film.mkv", 0, "/d/film.mkv"),
            ("film.mkv", 1, "/d/film (1).mkv"),
            ("README", 12, "/d/README (12)"),
        ] {
            assert_eq!(numbered(folder, name, number), Path::new(path));
        }
        assert!(numbered(folder, "../../etc/passwd", 0).starts_with("/d"));
        assert_eq!(
            numbered(folder, "../x", 1).parent(),
            Some(folder),
            "must be in the folder"
        );
    }
}
