//! The documents of the index and their schema.

use std::collections::BTreeSet;

use convite_core::EntryKind;
use convite_core::file_kind::{EXTENSION_MAX, FileKind, FileType};
use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use crate::words::{folded, runs};

/// The maximum number of searchable paths of a document.
const PATHS_MAX: usize = 64;
/// The number of low bits of a key that do not belong to its era. Keys are assigned in the order of
/// arrival, so an era is a group of contents that arrived together.
const ERA_BITS: u32 = 16;

/// The indexed data of a content in a space, as plain values (this crate depends only on
/// convite-core).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Key of the content.
    pub key: i64,
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// Number of the space; 0 for everyone.
    pub space: i64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time of the newest of its files, in seconds since 1970.
    pub modified: i64,
    /// The paths of the content in this space; the first 64 are searchable.
    pub paths: Vec<String>,
    /// Numbers of the peers that share it in this space, online or offline.
    pub peers: Vec<i64>,
}

/// The names of the tokenizers in the schema.
pub(crate) const WORDS: &str = "words";
pub(crate) const BEGINNINGS: &str = "beginnings";
pub(crate) const FOLDERS: &str = "folders";
pub(crate) const SYMBOLS: &str = "symbols";

/// The names of the columns that are read while collecting matches.
pub(crate) const KEY: &str = "key";
pub(crate) const SPACE: &str = "space";
pub(crate) const SIZE: &str = "size";
pub(crate) const MODIFIED: &str = "modified";
pub(crate) const PEER: &str = "peer";

/// The fields of the schema.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) key: Field,
    /// Era of the key, for searching the newest contents first.
    pub(crate) era: Field,
    pub(crate) name: Field,
    /// Prefixes of the words of the name.
    pub(crate) beginning: Field,
    pub(crate) folder: Field,
    /// The symbols of the name.
    pub(crate) symbol: Field,
    /// Hash of each whole name and path: see [`exact`].
    pub(crate) exact: Field,
    /// File or folder, extensions and kinds: see [`type_term`].
    pub(crate) file_type: Field,
    /// Number of words of the shortest name.
    pub(crate) length: Field,
    space: Field,
    size: Field,
    modified: Field,
    peer: Field,
}

impl Fields {
    pub(crate) fn new() -> Self {
        // Ranking only needs to know which documents contain a word: no frequencies, no norms.
        // Phrases need positions, which only names have.
        let text = |tokenizer: &str, option: IndexRecordOption| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_index_option(option)
                .set_fieldnorms(false);
            TextOptions::default().set_indexing_options(indexing)
        };
        let (basic, positions) = (
            IndexRecordOption::Basic,
            IndexRecordOption::WithFreqsAndPositions,
        );
        let mut schema = Schema::builder();
        Self {
            key: schema.add_i64_field(KEY, INDEXED | FAST),
            era: schema.add_u64_field("era", INDEXED),
            name: schema.add_text_field("name", text(WORDS, positions)),
            beginning: schema.add_text_field("beginning", text(BEGINNINGS, basic)),
            folder: schema.add_text_field("folder", text(FOLDERS, basic)),
            symbol: schema.add_text_field("symbol", text(SYMBOLS, basic)),
            exact: schema.add_u64_field("exact", INDEXED),
            file_type: schema.add_text_field("type", text("raw", basic)),
            length: schema.add_u64_field("length", INDEXED),
            space: schema.add_i64_field(SPACE, FAST),
            size: schema.add_u64_field(SIZE, FAST),
            modified: schema.add_i64_field(MODIFIED, FAST),
            peer: schema.add_i64_field(PEER, FAST),
            schema: schema.build(),
        }
    }

    pub(crate) fn document(&self, document: &Document) -> TantivyDocument {
        let paths = document.paths.iter().take(PATHS_MAX);
        let mut whole: BTreeSet<u64> = paths.clone().map(|path| exact(path)).collect();
        let split = paths.map(|path| path.rsplit_once('/').unwrap_or(("", path)));
        let (folders, names): (BTreeSet<&str>, BTreeSet<&str>) = split.unzip();
        let mut types = BTreeSet::from([type_term(&FileType::Entry(document.kind))]);
        if document.kind.is_file() {
            types.extend(names.iter().flat_map(|name| extensions_and_kind(name)));
        }
        let length = names.iter().map(|name| runs(name).count() as u64).min();

        let mut out = TantivyDocument::default();
        out.add_i64(self.key, document.key);
        out.add_u64(self.era, era(document.key));
        out.add_i64(self.space, document.space);
        out.add_u64(self.size, document.size);
        out.add_i64(self.modified, document.modified);
        out.add_u64(self.length, length.unwrap_or(0));
        for name in names {
            out.add_text(self.name, name);
            out.add_text(self.beginning, name);
            out.add_text(self.symbol, name);
            whole.insert(exact(name));
        }
        for text in whole {
            out.add_u64(self.exact, text);
        }
        for folder in folders {
            out.add_text(self.folder, folder);
        }
        for file_type in types {
            out.add_text(self.file_type, file_type);
        }
        for peer in &document.peers {
            out.add_i64(self.peer, *peer);
        }
        out
    }
}

/// Returns the era of a key.
pub(crate) fn era(key: i64) -> u64 {
    u64::try_from(key).unwrap_or(0) >> ERA_BITS
}

/// Returns the first key of an era.
pub(crate) fn era_begin(era: u64) -> i64 {
    i64::try_from(era << ERA_BITS).unwrap_or(i64::MAX)
}

/// Returns the term of a type. Kinds start with a slash, which no extension contains.
pub(crate) fn type_term(file_type: &FileType) -> String {
    match file_type {
        FileType::Entry(kind) => format!("/{}", kind.name()),
        FileType::Kind(kind) => format!("/{}", kind.name()),
        FileType::Extension(extension) => extension.clone(),
    }
}

/// Returns the terms that follow from the name of a file: `gz`, `tar.gz` and the kind archive for
/// `a.tar.gz`; none for `.bashrc`.
fn extensions_and_kind(name: &str) -> Vec<String> {
    let Some((stem, last)) = name.rsplit_once('.') else {
        return Vec::new();
    };
    if stem.is_empty() || last.is_empty() || last.len() > EXTENSION_MAX {
        return Vec::new();
    }
    let last = last.to_lowercase();
    let packed = stem.to_ascii_lowercase().ends_with(".tar");
    let packed = packed.then(|| format!("tar.{last}"));
    let kind = FileKind::from_extension(&last).map(|kind| type_term(&FileType::Kind(kind)));
    packed.into_iter().chain(kind).chain([last]).collect()
}

/// Returns a digest of the kinds, which are part of the index.
pub(crate) fn kind_table_digest() -> u64 {
    let kinds = FileKind::ALL.iter();
    let words = kinds
        .flat_map(|kind| std::iter::once(kind.name()).chain(kind.extensions().iter().copied()));
    let words = words.chain([EntryKind::File.name(), EntryKind::Folder.name()]);
    fnv(words.flat_map(|word| word.bytes().chain([0])))
}

/// Returns the hash of a whole name or path. Texts that differ only in case, accents or invisible
/// characters have the same hash.
pub(crate) fn exact(text: &str) -> u64 {
    fnv(folded(text).bytes())
}

/// The FNV-1a hash, 64 bits (Fowler, Noll, Vo).
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
