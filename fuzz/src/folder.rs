//! Fuzz targets of `convite-core`.

use convite_core::folder::{FolderItem, FolderPieces, FolderTreeBuilder};
use convite_core::{ContentHash, Manifest};

/// A manifest: what is accepted is what the encoder writes. A folder without sub-folders is complete,
/// and its pieces cover its bytes.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::decode(bytes) else {
        return;
    };
    assert_eq!(manifest.encode(), bytes);
    assert_eq!(manifest.hash(), ContentHash::of_manifest(bytes));
    let mut builder = FolderTreeBuilder::new(manifest.hash());
    let Ok(entries) = builder.add_part(bytes, true) else {
        return;
    };
    assert_eq!(entries.len(), manifest.entries().len());
    let has_folders = manifest.entries().iter().any(|entry| !entry.kind.is_file());
    assert_eq!(builder.is_complete(), !has_folders);
    let Ok(tree) = builder.finish() else { return };
    let mut offset = 0;
    for item in tree.walk() {
        let FolderItem::File(file) = item else {
            panic!("a folder of files has a folder");
        };
        assert_eq!(file.offset, offset);
        offset += file.size;
    }
    assert_eq!((tree.file_count() as u64, offset), manifest.totals());
    let pieces = FolderPieces::new(&tree);
    let mut end = 0;
    // A file may claim petabytes.
    for index in 0..pieces.piece_count().min(1000) {
        let range = pieces.piece_range(index);
        assert_eq!(range.start, end);
        end = range.end;
    }
}
