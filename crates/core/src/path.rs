//! Paths inside a share: relative, with `/` between the parts, never able to leave the share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::display;
use crate::error::Problem;

/// The longest path, in bytes of UTF-8 (Linux `PATH_MAX` less its terminating NUL).
pub const PATH_MAX: usize = 4095;
/// The longest part of a path, in bytes of UTF-8.
pub const PART_MAX: usize = 255;

/// The file that marks a folder whose insides no share gives away: the home of a peer or a directory, or
/// a backup. They hold keys, tokens and databases. A leading dot hides the mark itself.
pub const PRIVATE_MARK: &str = ".convite-private";

/// A relative path of one or more parts. No part is empty, `.` or `..`, and none holds a NUL;
/// so joined to a folder it names something below that folder, links aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SafePath(Box<str>);

impl SafePath {
    /// The path as text, `/` between the parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part: the name of the file.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// This path below `folder`, with the separators of this platform.
    pub fn below(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_path_buf();
        path.extend(self.parts());
        path
    }

    /// The path that a relative path of this platform stands for.
    ///
    /// # Errors
    /// `invalid_argument` if it is not UTF-8, is absolute, or has a part that is not allowed.
    pub fn from_relative(path: &Path) -> Result<Self, Problem> {
        let mut text = String::new();
        for component in path.components() {
            let std::path::Component::Normal(part) = component else {
                return Err(refuse(&path.to_string_lossy()));
            };
            let Some(part) = part.to_str() else {
                let shown = path.to_string_lossy();
                let shown = display::escape(&shown);
                return Err(Problem::invalid(format!("'{shown}' is not named in UTF-8"))
                    .hint("rename it to share it"));
            };
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(part);
        }
        text.parse()
    }
}

fn refuse(text: &str) -> Problem {
    let shown: String = display::escape(text).chars().take(200).collect();
    Problem::invalid(format!("'{shown}' is not a path inside a share"))
        .hint("a path is relative, has '/' between its parts, and no part is empty, '.' or '..'")
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
            return Err(refuse(text));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SafePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::names::from_text(deserializer)
    }
}

/// The name under which a file from elsewhere is kept here: the stranger's name with everything
/// replaced that a disk, a shell or a person could stumble over on any of our platforms.
///
/// Never empty, never hidden, never a Windows device, at most 255 bytes, extension kept.
pub fn local_file_name(name: &str) -> String {
    let forbidden = |c: char| {
        display::is_unsafe(c) || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
    };
    let mut safe: String = name
        .chars()
        .map(|c| if forbidden(c) { '_' } else { c })
        .collect();
    // Windows drops these at the end of a name, so that two names would be one.
    let kept = safe.trim_end_matches([' ', '.']).len();
    safe.truncate(kept);
    if safe.starts_with(['.', '-', ' ', '~']) {
        safe.insert(0, '_');
    }
    if safe.is_empty() || is_device(&safe) {
        safe.insert(0, '_');
    }
    shorten(&safe)
}

/// Whether a name is a device's on Windows, whatever its extension and case (Microsoft, "Naming
/// Files, Paths, and Namespaces"): blanks before the extension do not count, the digits of `COM` and
/// `LPT` may be raised.
fn is_device(name: &str) -> bool {
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

/// Cuts the stem so that the name has at most 255 bytes and keeps an extension of up to 32.
fn shorten(name: &str) -> String {
    if name.len() <= PART_MAX {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= 32);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mut end = (PART_MAX - extension.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
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
        for (name, kept) in [
            ("data.csv", "data.csv"),
            ("../../x", "_.._.._x"),
            (".bashrc", "_.bashrc"),
            ("-rf", "_-rf"),
            ("a\u{1b}[31m", "a_[31m"),
            ("CON.txt", "_CON.txt"),
            ("com1", "_com1"),
            ("command", "command"),
            ("Aux .tar.gz", "_Aux .tar.gz"),
            ("lpt².txt", "_lpt².txt"),
            ("conin$", "_conin$"),
            ("COM10", "COM10"),
            ("nul", "_nul"),
            ("a. . ", "a"),
            ("", "_"),
            ("...", "_"),
            ("c:\\x", "c__x"),
        ] {
            assert_eq!(local_file_name(name), kept, "{name:?}");
        }
        let long = format!("{}.tar.gz", "ñ".repeat(300));
        let kept = local_file_name(&long);
        assert!(kept.len() <= 255 && kept.ends_with(".gz"), "{kept}");
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_folder(text in "[a-z./\\\\\0]{0,12}") {
            if let Ok(path) = text.parse::<SafePath>() {
                let below = path.below(Path::new("/share"));
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
            let kept = local_file_name(&name);
            prop_assert!(kept.parse::<SafePath>().is_ok_and(|p| p.parts().count() == 1));
            prop_assert!(!kept.starts_with('.'));
            prop_assert!(!kept.chars().any(display::is_unsafe));
        }
    }
}
