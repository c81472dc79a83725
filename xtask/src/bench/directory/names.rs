//! The files in the directory: realistic names, the same in every run.

use convite_core::ContentHash;
use convite_core::model::FileEntry;

/// One of this many files has the rare word.
pub const RARE_EVERY: usize = 20_000;
/// A word that few names have.
pub const RARE: &str = "zeppelin";
/// A word in the last file of each peer. When a search finds all of them, the index is up to date.
pub const LAST: &str = "terminus";
/// The word that most names have.
pub const COMMON: &str = WORDS[0];

const WORDS: [&str; 40] = [
    "report",
    "data",
    "final",
    "draft",
    "photo",
    "scan",
    "lecture",
    "notes",
    "video",
    "sample",
    "invoice",
    "model",
    "figure",
    "slides",
    "budget",
    "meeting",
    "survey",
    "results",
    "backup",
    "summer",
    "winter",
    "concert",
    "thesis",
    "chapter",
    "genome",
    "reads",
    "holiday",
    "garden",
    "mountain",
    "river",
    "interview",
    "podcast",
    "mixdown",
    "render",
    "texture",
    "manual",
    "contract",
    "offer",
    "station",
    "harbour",
];
const KINDS: [&str; 10] = [
    "pdf", "jpg", "mp4", "csv", "txt", "docx", "png", "fastq.gz", "wav", "zip",
];

/// Returns file `number` of `files`, the same in every run: a few words with a realistic, uneven
/// distribution. Paths are in the order of their numbers, because a peer sends its index in path
/// order.
pub fn entry(number: usize, files: usize, peers: usize) -> Option<FileEntry> {
    let digest = *blake3::hash(&(number as u64).to_le_bytes()).as_bytes();
    let word = |at: usize| {
        // The product of two uniform values favours the start of the list, similar to Zipf's law.
        let draw = usize::from(digest[at]) * usize::from(digest[at + 1]);
        WORDS[draw * WORDS.len() / (256 * 256)]
    };
    let kind = KINDS[usize::from(digest[8]) % KINDS.len()];
    let (year, serial) = (2005 + usize::from(digest[9]) % 22, number % 10_000);
    let mark = if number + peers >= files {
        format!("{LAST}_")
    } else if number % RARE_EVERY == RARE_EVERY / 2 {
        format!("{RARE}_")
    } else {
        String::new()
    };
    let folder = word(6);
    let name = format!("{}_{}_{mark}{year}_{serial:04}.{kind}", word(0), word(2));
    let path = format!("share/{number:09}/{year}/{folder}-{}/{name}", word(4));
    let size = 1 + (u64::from(digest[10]) << (digest[11] % 24));
    Some(FileEntry {
        modified: 1_500_000_000 + number as i64,
        ..FileEntry::file(
            path.parse().ok()?,
            size,
            ContentHash::from_slice(&digest).ok()?,
        )
    })
}
