//! What a file system accepts as a name, and names that replace others there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::display;
use crate::entry_kind::EntryKind;
use crate::path::{
    PART_MAX, PATH_MAX, is_windows_device, is_windows_forbidden, portable_file_name, shorten,
};

/// The least maximum length of a name in bytes for which new names are made.
const NAME_MAX_MIN: usize = 64;

/// How the file system of a target treats names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRules {
    /// Whether names that differ in case only are one name.
    pub ignores_case: bool,
    /// Whether names that differ in their Unicode normal form only are one name, as on macOS.
    pub ignores_form: bool,
    /// Whether the names that Windows and FAT reserve or cannot store are refused.
    pub windows: bool,
    /// The maximum length of a name in bytes of UTF-8, at least 64.
    pub name_max: usize,
    /// The maximum length of a path inside the target in bytes of UTF-8.
    pub path_max: usize,
}

impl Default for NameRules {
    /// The rules of most file systems of Linux: names are bytes.
    fn default() -> Self {
        Self {
            ignores_case: false,
            ignores_form: false,
            windows: false,
            name_max: PART_MAX,
            path_max: PATH_MAX,
        }
    }
}

/// Why a file system cannot store a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFault {
    /// The name contains a character that Windows forbids.
    Character(char),
    /// The name is that of a device of Windows, such as `CON` or `nul.txt`.
    Device,
    /// The name ends with a dot or a blank, which Windows drops.
    Ending,
    /// The name is too long.
    NameTooLong,
    /// The path is too long.
    PathTooLong,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(c) => {
                let shown = c.to_string();
                write!(f, "it contains '{}'", display::escape(&shown))
            }
            Self::Device => f.write_str("Windows reserves this name for a device"),
            Self::Ending => f.write_str("it ends with a dot or a blank"),
            Self::NameTooLong => f.write_str("the name is too long"),
            Self::PathTooLong => f.write_str("the path is too long"),
        }
    }
}

impl NameRules {
    /// Returns why `name` cannot be stored, if so.
    pub fn fault(&self, name: &str) -> Option<NameFault> {
        if name.len() > self.name_max {
            return Some(NameFault::NameTooLong);
        }
        if !self.windows {
            return None;
        }
        if let Some(c) = name.chars().find(|c| is_windows_forbidden(*c)) {
            Some(NameFault::Character(c))
        } else if is_windows_device(name) {
            Some(NameFault::Device)
        } else if name.ends_with(['.', ' ']) {
            Some(NameFault::Ending)
        } else {
            None
        }
    }

    /// Returns whether two different names can be one name.
    pub(super) fn joins_names(&self) -> bool {
        self.ignores_case || self.ignores_form
    }

    /// Returns the key of a name: two names with equal keys are one name.
    ///
    /// File systems differ in details (which Unicode version, whether `ß` equals `ss`, which
    /// invisible characters count), so the key joins everything that one of them joins: canonical
    /// caseless matching (Unicode Standard, section 3.13, D145) without invisible characters.
    pub fn key<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.is_ascii() {
            return match self.ignores_case && name.contains(|c: char| c.is_ascii_uppercase()) {
                true => Cow::Owned(name.to_ascii_lowercase()),
                false => Cow::Borrowed(name),
            };
        }
        let mut key = Cow::Borrowed(name);
        if self.ignores_form {
            key = Cow::Owned(key.chars().filter(|c| !is_ignorable(*c)).nfd().collect());
        }
        if self.ignores_case {
            key = Cow::Owned(fold_case(&key));
            if self.ignores_form {
                key = Cow::Owned(key.nfd().collect());
            }
        }
        key
    }

    /// Returns the maximum length of a new name: enough for an extension and a number.
    fn longest(&self) -> usize {
        self.name_max.max(NAME_MAX_MIN)
    }

    /// Returns a name that can be stored instead of `name`.
    pub(super) fn usable<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.fault(name) {
            None => Cow::Borrowed(name),
            Some(_) if !self.windows => Cow::Owned(shorten(name, self.longest())),
            // A portable name may have one character more.
            Some(_) => Cow::Owned(portable_file_name(&shorten(name, self.longest() - 1))),
        }
    }

    /// Returns `name` with a number: `film (2).mkv`, or `photos.old (2)` for a folder.
    pub(super) fn numbered(&self, name: &str, kind: EntryKind, number: usize) -> String {
        let dot = match kind {
            EntryKind::File => name.rfind('.').filter(|dot| name.len() - dot <= 32),
            EntryKind::Folder => None,
        };
        let (stem, extension) = name.split_at(dot.filter(|dot| *dot > 0).unwrap_or(name.len()));
        let number = format!(" ({number})");
        let mut end = stem
            .len()
            .min(self.longest() - extension.len() - number.len());
        while !stem.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{number}{extension}", &stem[..end])
    }
}

/// Folds case so that all texts with the same full case folding (Unicode, CaseFolding.txt) become
/// equal. `ẞ` has no upper case but a lower one, so that is first. `str::to_lowercase` would treat
/// a final sigma by its neighbours.
fn fold_case(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    let upper = lower.flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect()
}

/// Returns whether some file systems ignore `c` in comparisons (ext4 with case folding: Unicode's
/// `Default_Ignorable_Code_Point`).
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Names that replace those of a folder on one file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalNames(HashMap<u32, Box<str>>);

impl LocalNames {
    /// Returns the number of replaced names. Equal sub-folders count once.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether no name is replaced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the new name of an entry (see
    /// [`FolderTree::entry_count`](super::FolderTree::entry_count)), if it has one.
    pub fn name_of(&self, entry: usize) -> Option<&str> {
        let entry = u32::try_from(entry).ok()?;
        self.get(entry)
    }

    pub(super) fn get(&self, entry: u32) -> Option<&str> {
        self.0.get(&entry).map(|name| &**name)
    }

    pub(super) fn insert(&mut self, entry: u32, name: String) {
        self.0.insert(entry, name.into());
    }
}
