//! What goes into the index and what comes out, and how it lies in there.

use std::collections::BTreeSet;

use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
};

use crate::words::runs;

/// Paths of one document that are searchable.
const PATHS_MAX: usize = 64;

/// What the index holds of one content (plain values: this crate knows only convite-core).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The number of the content.
    pub key: i64,
    /// In bytes.
    pub size: u64,
    /// Under which it is shared; the first 64 are searchable.
    pub paths: Vec<String>,
    /// The numbers of the peers that share it, online or not.
    pub peers: Vec<i64>,
}

/// What a match must have beside its words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// An extension of one of its names, without the dot; case does not matter.
    pub extension: Option<String>,
    /// At least as many bytes.
    pub min_size: Option<u64>,
    /// At most as many bytes.
    pub max_size: Option<u64>,
    /// This peer among those that share it.
    pub peer: Option<i64>,
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The number of the content.
    pub key: i64,
    /// How well it matches; only the order means something.
    pub score: f32,
}

/// A page of matches, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The matches.
    pub hits: Vec<Hit>,
    /// Where the next page begins; none when there are no more.
    pub next_offset: Option<u64>,
}

/// The name under which the schema knows our tokenizer.
pub(crate) const TOKENIZER: &str = "names";

/// The columns that the ranking reads, by name.
pub(crate) const KEY: &str = "key";
pub(crate) const SIZE: &str = "size";
pub(crate) const PEER: &str = "peer";
pub(crate) const LENGTH: &str = "length";

/// The fields of a document.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) key: Field,
    pub(crate) name: Field,
    pub(crate) folder: Field,
    pub(crate) extension: Field,
    size: Field,
    peer: Field,
    length: Field,
}

impl Fields {
    pub(crate) fn new() -> Self {
        // Which documents have a word is all that the ranking asks for: no frequencies, no
        // positions, no norms.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let words = TextOptions::default().set_indexing_options(indexing);
        let mut schema = Schema::builder();
        Self {
            key: schema.add_i64_field(KEY, INDEXED | FAST),
            name: schema.add_text_field("name", words.clone()),
            folder: schema.add_text_field("folder", words),
            extension: schema.add_text_field("extension", STRING),
            size: schema.add_u64_field(SIZE, FAST),
            peer: schema.add_i64_field(PEER, FAST),
            length: schema.add_u64_field(LENGTH, FAST),
            schema: schema.build(),
        }
    }

    pub(crate) fn document(&self, document: &Document) -> TantivyDocument {
        let paths = document.paths.iter().take(PATHS_MAX);
        let split = paths.map(|path| path.rsplit_once('/').unwrap_or(("", path)));
        let (folders, names): (BTreeSet<&str>, BTreeSet<&str>) = split.unzip();
        let extensions: BTreeSet<String> = names.iter().flat_map(|name| extensions(name)).collect();
        let length = names.iter().map(|name| runs(name).count() as u64).min();

        let mut out = TantivyDocument::default();
        out.add_i64(self.key, document.key);
        out.add_u64(self.size, document.size);
        out.add_u64(self.length, length.unwrap_or(0));
        for name in names {
            out.add_text(self.name, name);
        }
        for folder in folders {
            out.add_text(self.folder, folder);
        }
        for extension in extensions {
            out.add_text(self.extension, extension);
        }
        for peer in &document.peers {
            out.add_i64(self.peer, *peer);
        }
        out
    }
}

/// What a filter can ask for: `gz` and `tar.gz` of `a.tar.gz`; nothing of `.bashrc`.
fn extensions(name: &str) -> impl Iterator<Item = String> {
    let last = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    let packed = last.filter(|(stem, _)| stem.to_ascii_lowercase().ends_with(".tar"));
    let packed = packed.map(|(_, extension)| format!("tar.{extension}"));
    let last = last.map(|(_, extension)| extension.to_owned());
    last.into_iter()
        .chain(packed)
        .filter_map(|e| fold_extension(&e))
}

/// An extension as it is indexed and asked for; none for what cannot be one.
pub(crate) fn fold_extension(extension: &str) -> Option<String> {
    let extension = extension.strip_prefix('.').unwrap_or(extension);
    let sane = !extension.is_empty() && extension.len() <= 64;
    sane.then(|| extension.to_lowercase())
}
