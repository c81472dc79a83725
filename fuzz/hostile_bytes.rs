//! Generators of arbitrary and nearly valid bytes, derived from `fuzz/seeds`, for the property
//! tests that share their functions with `cargo fuzz`.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![
        any::<u8>(),
        select(b"\0\r\n\t \"%&-.,/:=?@[]{}0fF\xff".to_vec())
    ];
    prop_oneof![
        (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, new)| Edit::Insert(at, new)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: Vec<Edit>) -> Vec<u8> {
    for edit in edits {
        let ends = bytes.len() + 1;
        match edit {
            Edit::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Edit::Remove(at) if !bytes.is_empty() => {
                bytes.remove(at.index(bytes.len()));
            }
            Edit::Insert(at, new) => {
                let at = at.index(ends);
                bytes.splice(at..at, new);
            }
            Edit::Cut(at) => bytes.truncate(at.index(ends)),
            Edit::Repeat(from, to) => {
                let (from, to) = (from.index(ends), to.index(ends));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from..from, part);
            }
            Edit::Set(..) | Edit::Remove(_) => {}
        }
    }
    bytes
}

/// Generates bytes for the function `target`.
pub fn bytes_for(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let entries = std::fs::read_dir(folder.join(target)).expect("cannot read the seeds");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read(entry.expect("cannot list the seeds").path()).expect("cannot read a seed")
    };
    let mut seeds: Vec<Vec<u8>> = entries.map(read).collect();
    seeds.sort();
    prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        4 => (select(seeds), vec(edit(), 0..5)).prop_map(|(seed, edits)| edited(seed, edits)),
    ]
}
