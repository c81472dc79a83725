//! Kinds of files ("video", "document") by file name extension.
//!
//! Extensions that are not in the table can be searched for directly.

use crate::entry_kind::EntryKind;
use crate::error::Problem;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// Archives, packages and disk images.
    Archive,
    /// Music and speech.
    Audio,
    /// Source code, markup and configuration.
    Code,
    /// Texts, spreadsheets, presentations, books.
    Document,
    /// Photos and graphics.
    Image,
    /// Films and clips.
    Video,
}

/// The extensions of each kind: lower case, sorted.
const TABLE: &[(FileKind, &[&str])] = &[
    (
        FileKind::Archive,
        &[
            "7z", "apk", "bz2", "cab", "cpio", "deb", "dmg", "gz", "img", "iso", "jar", "lz4",
            "lzma", "rar", "rpm", "tar", "tbz2", "tgz", "txz", "vdi", "vmdk", "xz", "zip", "zst",
        ],
    ),
    (
        FileKind::Audio,
        &[
            "aac", "aif", "aiff", "alac", "ape", "flac", "m4a", "m4b", "mid", "midi", "mka", "mp3",
            "oga", "ogg", "opus", "wav", "wma", "wv",
        ],
    ),
    (
        FileKind::Code,
        &[
            "asm", "bash", "bat", "c", "cc", "clj", "cmake", "cpp", "cs", "css", "cu", "cxx",
            "dart", "el", "erl", "ex", "exs", "f90", "fs", "go", "gradle", "h", "hh", "hpp", "hs",
            "htm", "html", "ini", "ipynb", "java", "jl", "js", "json", "jsx", "kt", "kts", "less",
            "lisp", "lua", "m", "mjs", "ml", "nim", "patch", "php", "pl", "proto", "ps1", "py",
            "r", "rb", "rs", "scala", "scss", "sh", "sql", "svelte", "swift", "tcl", "toml", "tsx",
            "vb", "vue", "xml", "yaml", "yml", "zig",
        ],
    ),
    (
        FileKind::Document,
        &[
            "azw3", "bib", "csv", "djvu", "doc", "docm", "docx", "epub", "key", "log", "md",
            "mobi", "numbers", "odp", "ods", "odt", "org", "pages", "pdf", "ppt", "pptx", "ps",
            "rst", "rtf", "tex", "tsv", "txt", "xls", "xlsm", "xlsx",
        ],
    ),
    (
        FileKind::Image,
        &[
            "ai", "arw", "avif", "bmp", "cr2", "cr3", "dng", "eps", "gif", "heic", "heif", "ico",
            "jfif", "jpeg", "jpg", "jxl", "nef", "orf", "png", "psd", "raw", "rw2", "svg", "tga",
            "tif", "tiff", "webp", "xcf",
        ],
    ),
    (
        FileKind::Video,
        &[
            "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv",
            "ts", "vob", "webm", "wmv",
        ],
    ),
];

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Archive,
        Self::Audio,
        Self::Code,
        Self::Document,
        Self::Image,
        Self::Video,
    ];

    /// Returns the name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Audio => "audio",
            Self::Code => "code",
            Self::Document => "document",
            Self::Image => "image",
            Self::Video => "video",
        }
    }

    /// Returns the kind with this name. Ignores case and a plural `s`.
    pub fn from_name(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let singular = text.strip_suffix('s').unwrap_or(&text);
        Self::ALL.into_iter().find(|kind| kind.name() == singular)
    }

    /// Returns the kind of files with this extension (lower case, without the dot), if known.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let mut kinds = TABLE.iter();
        let found = kinds.find(|(_, known)| known.binary_search(&extension).is_ok());
        found.map(|(kind, _)| *kind)
    }

    /// Returns the extensions of this kind, sorted.
    pub fn extensions(self) -> &'static [&'static str] {
        let mut kinds = TABLE.iter();
        kinds
            .find(|(kind, _)| *kind == self)
            .map_or(&[], |(_, extensions)| *extensions)
    }
}

/// The value of a `type` filter: files or folders, a kind of files, or an extension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileType {
    /// All files, or all folders.
    Entry(EntryKind),
    /// All files of a kind.
    Kind(FileKind),
    /// Files with this extension: lower case, without the dot.
    Extension(String),
}

/// The maximum length of an extension in a filter, in bytes.
pub const EXTENSION_MAX: usize = 64;

impl std::str::FromStr for FileType {
    type Err = Problem;

    /// Parses `file` or `folder`, the name of a kind (`video`), or an extension (`pdf`, `.PDF`,
    /// `tar.gz`). A leading dot makes any text an extension.
    fn from_str(text: &str) -> Result<Self, Problem> {
        if let Some(kind) = entry_kind(text) {
            return Ok(Self::Entry(kind));
        }
        if let Some(kind) = FileKind::from_name(text) {
            return Ok(Self::Kind(kind));
        }
        let extension = text.strip_prefix('.').unwrap_or(text).to_lowercase();
        if extension.is_empty() || extension.len() > EXTENSION_MAX || extension.contains('/') {
            return Err(
                Problem::invalid("this is neither a file type nor an extension").hint(
                    "use folder, file, archive, audio, code, document, image, video, or an extension \
                     such as pdf",
                ),
            );
        }
        Ok(Self::Extension(extension))
    }
}

impl std::fmt::Display for FileType {
    /// Writes the type so that it can be parsed again: `video` or `.pdf`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry(kind) => f.write_str(kind.name()),
            Self::Kind(kind) => f.write_str(kind.name()),
            Self::Extension(extension) => write!(f, ".{extension}"),
        }
    }
}

/// Returns the kind of entries with this name. Ignores case and a plural `s`.
fn entry_kind(text: &str) -> Option<EntryKind> {
    let text = text.to_ascii_lowercase();
    let singular = text.strip_suffix('s').unwrap_or(&text);
    singular.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_an_extension_has_one_kind() {
        let kinds: Vec<_> = TABLE.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, FileKind::ALL);
        let mut all: Vec<&str> = Vec::new();
        for (kind, extensions) in TABLE {
            assert!(extensions.is_sorted(), "{kind:?}");
            for extension in *extensions {
                assert_eq!(
                    FileKind::from_extension(extension),
                    Some(*kind),
                    "{extension}"
                );
                assert_eq!(*extension, extension.to_lowercase());
            }
            all.extend(*extensions);
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(FileKind::from_extension("nothing"), None);
    }

    #[test]
    fn a_type_is_a_kind_or_an_extension() {
        let extension = |text: &str| FileType::Extension(text.to_owned());
        for (text, expected) in [
            ("video", FileType::Kind(FileKind::Video)),
            ("Images", FileType::Kind(FileKind::Image)),
            ("audio", FileType::Kind(FileKind::Audio)),
            ("folder", FileType::Entry(EntryKind::Folder)),
            ("Folders", FileType::Entry(EntryKind::Folder)),
            ("file", FileType::Entry(EntryKind::File)),
            (".folder", extension("folder")),
            ("pdf", extension("pdf")),
            (".PDF", extension("pdf")),
            ("tar.gz", extension("tar.gz")),
            (".*", extension("*")),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
        for bad in ["", ".", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<FileType>().is_err(), "{bad}");
        }
    }
}
