//! What goes into the index, and how it lies in there.

use std::collections::BTreeSet;

use convite_core::kind::{EXTENSION_MAX, FileType, Kind};
use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use crate::words::runs;

/// Paths of one document that are searchable.
const PATHS_MAX: usize = 64;
/// Contents are numbered in the order in which they came; so many of them are an era.
const ERA_BITS: u32 = 16;

/// What the index holds of one content in one space (plain values: this crate knows only
/// convite-core).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The number of the content.
    pub key: i64,
    /// The number of the space; 0 for everyone.
    pub space: i64,
    /// In bytes.
    pub size: u64,
    /// When the newest of its files was last changed, in seconds since 1970.
    pub modified: i64,
    /// Under which it is shared in this space; the first 64 are searchable.
    pub paths: Vec<String>,
    /// The numbers of the peers that share it in this space, online or not.
    pub peers: Vec<i64>,
}

/// The names under which the schema knows our tokenizers.
pub(crate) const WORDS: &str = "words";
pub(crate) const BEGINNINGS: &str = "beginnings";

/// The columns that are read while matches are collected, by name.
pub(crate) const KEY: &str = "key";
pub(crate) const SPACE: &str = "space";
pub(crate) const SIZE: &str = "size";
pub(crate) const MODIFIED: &str = "modified";
pub(crate) const PEER: &str = "peer";

/// The fields of a document.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) key: Field,
    /// The era of the key, so that the newest can be looked at first.
    pub(crate) era: Field,
    pub(crate) name: Field,
    /// The first letters of the words of the name.
    pub(crate) beginning: Field,
    pub(crate) folder: Field,
    /// Extensions, and kinds: see [`type_term`].
    pub(crate) file_type: Field,
    /// How many words the shortest of its names has.
    pub(crate) length: Field,
    space: Field,
    size: Field,
    modified: Field,
    peer: Field,
}

impl Fields {
    pub(crate) fn new() -> Self {
        // Which documents have a word is all that ranking asks for: no frequencies, no norms.
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
            folder: schema.add_text_field("folder", text(WORDS, basic)),
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
        let split = paths.map(|path| path.rsplit_once('/').unwrap_or(("", path)));
        let (folders, names): (BTreeSet<&str>, BTreeSet<&str>) = split.unzip();
        let types: BTreeSet<String> = names.iter().flat_map(|name| types(name)).collect();
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

/// The era of a key.
pub(crate) fn era(key: i64) -> u64 {
    u64::try_from(key).unwrap_or(0) >> ERA_BITS
}

/// The first key of an era.
pub(crate) fn era_begin(era: u64) -> i64 {
    i64::try_from(era << ERA_BITS).unwrap_or(i64::MAX)
}

/// Under what a type is kept: no extension has a slash in it.
pub(crate) fn type_term(file_type: &FileType) -> String {
    match file_type {
        FileType::Kind(kind) => format!("/{}", kind.name()),
        FileType::Extension(extension) => extension.clone(),
    }
}

/// What can be asked for by type: `gz`, `tar.gz` and archives for `a.tar.gz`; nothing for
/// `.bashrc`.
fn types(name: &str) -> Vec<String> {
    let Some((stem, last)) = name.rsplit_once('.') else {
        return Vec::new();
    };
    if stem.is_empty() || last.is_empty() || last.len() > EXTENSION_MAX {
        return Vec::new();
    }
    let last = last.to_lowercase();
    let packed = stem.to_ascii_lowercase().ends_with(".tar");
    let packed = packed.then(|| format!("tar.{last}"));
    let kind = Kind::of_extension(&last).map(|kind| type_term(&FileType::Kind(kind)));
    packed.into_iter().chain(kind).chain([last]).collect()
}

/// Changes whenever the table of kinds does, which is in the index.
pub(crate) fn kinds_digest() -> u64 {
    let kinds = Kind::ALL.iter();
    let words = kinds
        .flat_map(|kind| std::iter::once(kind.name()).chain(kind.extensions().iter().copied()));
    // FNV-1a, 64 bits (Fowler, Noll, Vo).
    let bytes = words.flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
