//! Relative paths inside a share that cannot leave it, and safe local file names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::display;
use crate::error::Problem;

/// The maximum length of a path, in bytes of UTF-8 (Linux `PATH_MAX` without the terminating NUL).
pub const PATH_MAX: usize = 4095;
/// The maximum length of a part of a path, in bytes of UTF-8.
pub const PART_MAX: usize = 255;

/// The marker file of a private folder: the home of a peer or a directory, or a backup. No share
/// publishes its contents, because they include keys, tokens and databases. The leading dot hides
/// the marker itself.
pub const PRIVATE_MARKER: &str = ".convite-private";

/// A relative path of one or more parts. No part is empty, `.` or `..`, or contains a NUL, so that
/// joined to a folder it names something below that folder, unless a part is a symbolic link.
///
/// Cheap to clone: a path of a large index is in memory once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Arc<str>);

impl SafePath {
    /// Returns the path as text, with `/` between the parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the last part, the name of the file.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the path of the folder that contains it; `None` for a path of one part.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// Returns this path below `folder`, with the separators of this platform.
    pub fn joined_to(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_path_buf();
        path.extend(self.parts());
        path
    }

    /// Converts a relative path of this platform.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the path is not UTF-8, is absolute, or has a forbidden part.
    pub fn from_relative(path: &Path) -> Result<Self, Problem> {
        let mut text = String::new();
        for component in path.components() {
            let std::path::Component::Normal(part) = component else {
                return Err(invalid_path(&path.to_string_lossy()));
            };
            let Some(part) = part.to_str() else {
                let shown = path.to_string_lossy();
                let shown = display::escape(&shown);
                return Err(
                    Problem::invalid(format!("the name of '{shown}' is not valid UTF-8"))
                        .hint("rename it to share it"),
                );
            };
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(part);
        }
        text.parse()
    }
}

impl SafePath {
    /// Creates a path from text that is known to be one.
    pub(crate) fn from_checked(text: &str) -> Self {
        debug_assert!(text.parse::<Self>().is_ok(), "{text:?}");
        Self(text.into())
    }
}

fn invalid_path(text: &str) -> Problem {
    let shown: String = display::escape(text).chars().take(200).collect();
    Problem::invalid(format!("'{shown}' is not a path inside a share")).hint(
        "a path is relative, its parts are separated by '/', and no part is empty, '.' or '..'",
    )
}

impl std::borrow::Borrow<str> for SafePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for SafePath {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let good = |part: &str| {
            !part.is_empty()
                && part.len() <= PART_MAX
                && part != "."
                && part != ".."
                && !part.contains('\0')
        };
        if text.len() > PATH_MAX || !text.split('/').all(good) {
            return Err(invalid_path(text));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SafePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SafePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::names::from_text(deserializer)
    }
}

/// Returns the name for storing a received file on this system.
///
/// Keeps the spelling, except for characters that the system cannot store, a leading dot (which
/// hides the file), a leading `-` or `~` (which a shell reads as an option or a home folder), and
/// characters that a terminal must not show.
///
/// The result is never empty, has one part of at most 255 bytes, and keeps the extension. A foreign
/// file system may still refuse it: then use [`portable_file_name`].
pub fn local_file_name(name: &str) -> String {
    if cfg!(windows) {
        return portable_file_name(name);
    }
    shorten(&visible(&replace(name, |c| c == '/')), PART_MAX)
}

/// Like [`local_file_name`], but for any file system: also without what Windows and FAT cannot
/// store.
pub fn portable_file_name(name: &str) -> String {
    let mut safe = replace(name, |c| c == '/' || is_windows_forbidden(c));
    // Windows drops trailing blanks and dots, which could make two names equal.
    let kept = safe.trim_end_matches([' ', '.']).len();
    safe.truncate(kept);
    let mut safe = visible(&safe);
    if is_windows_device(&safe) {
        safe.insert(0, '_');
    }
    // A shortened name may end like this again; its first character is neither.
    let mut short = shorten(&safe, PART_MAX);
    let kept = short.trim_end_matches([' ', '.']).len();
    short.truncate(kept);
    short
}

/// Replaces each character of `name` that is unsafe or `forbidden` with `_`.
fn replace(name: &str, forbidden: impl Fn(char) -> bool) -> String {
    display::chars_with_safety(name)
        .map(|(c, is_unsafe)| if is_unsafe || forbidden(c) { '_' } else { c })
        .collect()
}

/// Returns a name that is not empty, not hidden and not a command option.
fn visible(name: &str) -> String {
    if name.is_empty() || name.starts_with(['.', '-', ' ', '~']) {
        format!("_{name}")
    } else {
        name.to_owned()
    }
}

/// Returns whether `c` cannot be part of a name on Windows or FAT. `/` is excluded everywhere.
pub(crate) fn is_windows_forbidden(c: char) -> bool {
    c < ' ' || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Returns whether a name is a device name on Windows, with any extension and case (Microsoft,
/// "Naming Files, Paths, and Namespaces"). Blanks before the extension are ignored; the digits of
/// `COM` and `LPT` may be superscripts.
pub(crate) fn is_windows_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").trim_end_matches(' ');
    let stem = stem.to_ascii_uppercase();
    let numbered = |prefix: &str| {
        let mut number = stem.strip_prefix(prefix).unwrap_or("").chars();
        let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³');
        number.next().is_some_and(is_digit) && number.next().is_none()
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

/// Shortens the stem so that the name has at most `max` bytes, at least 64, and keeps an extension
/// of up to 32.
pub(crate) fn shorten(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= 32);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mut end = (max - extension.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    // A trailing joiner has nothing left to join.
    let stem = stem[..end].trim_end_matches(['\u{200c}', '\u{200d}']);
    format!("{stem}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_leave_the_share_are_refused() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\0b",
        ] {
            assert!(bad.parse::<SafePath>().is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.txt", "...", "..a/b..", "ñ/文 .txt", "a\\b", "-"] {
            assert_eq!(good.parse::<SafePath>().unwrap().as_str(), good);
        }
        assert!("x".repeat(256).parse::<SafePath>().is_err());
    }

    #[test]
    fn names_from_strangers_become_harmless() {
        for (name, local, portable) in [
            ("data.csv", "data.csv", "data.csv"),
            ("../../x", "_.._.._x", "_.._.._x"),
            (".bashrc", "_.bashrc", "_.bashrc"),
            ("-rf", "_-rf", "_-rf"),
            ("a\u{1b}[31m", "a_[31m", "a_[31m"),
            ("CON.txt", "CON.txt", "_CON.txt"),
            ("com1", "com1", "_com1"),
            ("command", "command", "command"),
            ("Aux .tar.gz", "Aux .tar.gz", "_Aux .tar.gz"),
            ("lpt².txt", "lpt².txt", "_lpt².txt"),
            ("conin$", "conin$", "_conin$"),
            ("COM10", "COM10", "COM10"),
            ("nul", "nul", "_nul"),
            ("a. . ", "a. . ", "a"),
            ("", "_", "_"),
            ("...", "_...", "_"),
            ("c:\\x", "c:\\x", "c__x"),
            ("why?.txt", "why?.txt", "why_.txt"),
            ("👩\u{200d}💻", "👩\u{200d}💻", "👩\u{200d}💻"),
            ("gpj.\u{202e}exe", "gpj._exe", "gpj._exe"),
        ] {
            assert_eq!(portable_file_name(name), portable, "{name:?}");
            if cfg!(not(windows)) {
                assert_eq!(local_file_name(name), local, "{name:?}");
            }
        }
        let long = format!("{}.tar.gz", "ñ".repeat(300));
        let kept = local_file_name(&long);
        assert!(kept.len() <= 255 && kept.ends_with(".gz"), "{kept}");
        let joined = local_file_name(&"👩\u{200d}".repeat(99));
        assert_eq!(display::escape(&joined), joined);
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_folder(text in "[a-z./\\\\\0]{0,12}") {
            if let Ok(path) = text.parse::<SafePath>() {
                let below = path.joined_to(Path::new("/share"));
                let normal = below
                    .components()
                    .skip(2)
                    .all(|c| matches!(c, std::path::Component::Normal(_)));
                prop_assert!(normal && below.starts_with("/share"));
                prop_assert!(below != Path::new("/share"));
            }
        }

        #[test]
        fn a_local_name_is_one_plain_part(name in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            for kept in [local_file_name(&name), portable_file_name(&name)] {
                prop_assert!(kept.parse::<SafePath>().is_ok_and(|p| p.parts().count() == 1));
                prop_assert!(!kept.starts_with(['.', '-', ' ', '~']));
                prop_assert_eq!(display::escape(&kept), kept.as_str());
            }
        }
    }

    #[test]
    fn a_portable_name_that_is_cut_does_not_end_in_what_windows_drops() {
        for end in [" b", "   b"] {
            let name = format!("{}{end}", "a".repeat(PART_MAX - 1));
            assert_eq!(
                portable_file_name(&name),
                "a".repeat(PART_MAX - 1),
                "{end:?}"
            );
        }
    }
}
