//! Kinds of files, by the extension of their names: what people mean by "a video".
//!
//! A table and nothing more: whoever wants an extension that is not in it asks for the extension.

use crate::error::Problem;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Packed or bundled files, disk images.
    Archive,
    /// Music and speech.
    Audio,
    /// Sources of programs, markup and configuration.
    Code,
    /// Texts, tables, slides, books.
    Document,
    /// Pictures, drawn or taken.
    Image,
    /// Moving pictures.
    Video,
}

/// Extensions of each kind, in lower case and in order.
const TABLE: &[(Kind, &[&str])] = &[
    (
        Kind::Archive,
        &[
            "7z", "apk", "bz2", "cab", "cpio", "deb", "dmg", "gz", "img", "iso", "jar", "lz4",
            "lzma", "rar", "rpm", "tar", "tbz2", "tgz", "txz", "vdi", "vmdk", "xz", "zip", "zst",
        ],
    ),
    (
        Kind::Audio,
        &[
            "aac", "aif", "aiff", "alac", "ape", "flac", "m4a", "m4b", "mid", "midi", "mka", "mp3",
            "oga", "ogg", "opus", "wav", "wma", "wv",
        ],
    ),
    (
        Kind::Code,
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
        Kind::Document,
        &[
            "azw3", "bib", "csv", "djvu", "doc", "docm", "docx", "epub", "key", "log", "md",
            "mobi", "numbers", "odp", "ods", "odt", "org", "pages", "pdf", "ppt", "pptx", "ps",
            "rst", "rtf", "tex", "tsv", "txt", "xls", "xlsm", "xlsx",
        ],
    ),
    (
        Kind::Image,
        &[
            "ai", "arw", "avif", "bmp", "cr2", "cr3", "dng", "eps", "gif", "heic", "heif", "ico",
            "jfif", "jpeg", "jpg", "jxl", "nef", "orf", "png", "psd", "raw", "rw2", "svg", "tga",
            "tif", "tiff", "webp", "xcf",
        ],
    ),
    (
        Kind::Video,
        &[
            "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv",
            "ts", "vob", "webm", "wmv",
        ],
    ),
];

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 6] = [
        Self::Archive,
        Self::Audio,
        Self::Code,
        Self::Document,
        Self::Image,
        Self::Video,
    ];

    /// The name as people write it.
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

    /// The kind of that name; case does not matter, nor a plural `s`.
    pub fn named(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let singular = text.strip_suffix('s').unwrap_or(&text);
        Self::ALL.into_iter().find(|kind| kind.name() == singular)
    }

    /// The kind of files with that extension (in lower case, without the dot), if it is known.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let mut kinds = TABLE.iter();
        let found = kinds.find(|(_, known)| known.binary_search(&extension).is_ok());
        found.map(|(kind, _)| *kind)
    }

    /// The extensions of this kind, in order.
    pub fn extensions(self) -> &'static [&'static str] {
        let mut kinds = TABLE.iter();
        kinds
            .find(|(kind, _)| *kind == self)
            .map_or(&[], |(_, extensions)| *extensions)
    }
}

/// What is asked for with `type`: a kind, or an extension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileType {
    /// All files of a kind.
    Kind(Kind),
    /// Files with this extension: in lower case, without the dot.
    Extension(String),
}

/// The longest extension that can be asked for, in bytes.
pub const EXTENSION_MAX: usize = 64;

impl std::str::FromStr for FileType {
    type Err = Problem;

    /// `video`, `pdf`, `.PDF`, `tar.gz`: the name of a kind, or else an extension.
    fn from_str(text: &str) -> Result<Self, Problem> {
        if let Some(kind) = Kind::named(text) {
            return Ok(Self::Kind(kind));
        }
        let extension = text.strip_prefix('.').unwrap_or(text).to_lowercase();
        if extension.is_empty() || extension.len() > EXTENSION_MAX || extension.contains('/') {
            return Err(
                Problem::invalid("this is neither a kind of file nor an extension").hint(
                    "write archive, audio, code, document, image or video, or an extension like pdf",
                ),
            );
        }
        Ok(Self::Extension(extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_an_extension_has_one_kind() {
        let kinds: Vec<_> = TABLE.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, Kind::ALL);
        let mut all: Vec<&str> = Vec::new();
        for (kind, extensions) in TABLE {
            assert!(extensions.is_sorted(), "{kind:?}");
            for extension in *extensions {
                assert_eq!(Kind::of_extension(extension), Some(*kind), "{extension}");
                assert_eq!(*extension, extension.to_lowercase());
            }
            all.extend(*extensions);
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(Kind::of_extension("nothing"), None);
    }

    #[test]
    fn a_type_is_a_kind_or_an_extension() {
        let extension = |text: &str| FileType::Extension(text.to_owned());
        for (text, expected) in [
            ("video", FileType::Kind(Kind::Video)),
            ("Images", FileType::Kind(Kind::Image)),
            ("audio", FileType::Kind(Kind::Audio)),
            ("pdf", extension("pdf")),
            (".PDF", extension("pdf")),
            ("tar.gz", extension("tar.gz")),
            (".*", extension("*")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in ["", ".", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<FileType>().is_err(), "{bad}");
        }
    }
}
