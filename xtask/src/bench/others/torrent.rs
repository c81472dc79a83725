//! Writes a .torrent file (BEP 3) of one file, which aria2 and libtorrent can read.
//!
//! The SHA-1 of the pieces are computed with coreutils, so that no library is needed.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::workspace;

const PIECE: u64 = 256 << 10;
/// The maximum number of pieces; above it the piece size doubles.
const PIECES_MAX: u64 = 2_048;

/// Writes the torrent of `file` to `to`, with the tracker `announce`. Returns its info hash in
/// hexadecimal digits.
///
/// # Errors
/// Fails if the file cannot be read, or if the torrent cannot be written.
pub fn write(file: &Path, announce: Option<&str>, to: &Path) -> Result<String, Failure> {
    let failed = |error| format!("{} cannot be read: {error}", file.display());
    let size = file.metadata().map_err(failed)?.len();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let piece = piece_size(size);
    let mut split = Command::new("split");
    split.args(["-b", &piece.to_string(), "--filter=sha1sum"]);
    let sums = workspace::output(split.arg(file))?;
    let pieces = sums.lines().map(sum).collect::<Option<Vec<_>>>();
    let pieces = pieces.ok_or("sha1sum printed no sum")?.concat();
    let info = info(&name, size, piece, &pieces);
    let failed = |error| format!("{} cannot be written: {error}", to.display());
    // First only `info`, to compute its hash, then the whole torrent.
    std::fs::write(to, &info).map_err(failed)?;
    let sums = workspace::output(Command::new("sha1sum").arg(to))?;
    let digits = sums.get(..40).ok_or("sha1sum printed no sum")?;
    std::fs::write(to, frame(&info, announce)).map_err(failed)?;
    Ok(digits.to_owned())
}

fn piece_size(size: u64) -> u64 {
    let mut piece = PIECE;
    while size.div_ceil(piece) > PIECES_MAX {
        piece *= 2;
    }
    piece
}

/// Parses the 20 bytes in a line of sha1sum.
fn sum(line: &str) -> Option<Vec<u8>> {
    let digits = line.get(..40)?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..40).step_by(2).map(byte).collect()
}

fn string(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// Encodes the dictionary `info`; its SHA-1 is the torrent's info hash.
fn info(name: &str, size: u64, piece: u64, pieces: &[u8]) -> Vec<u8> {
    let name = string(name);
    let count = pieces.len();
    let head = format!("d6:lengthi{size}e4:name{name}12:piece lengthi{piece}e6:pieces{count}:");
    [head.as_bytes(), pieces, b"e"].concat()
}

fn frame(info: &[u8], announce: Option<&str>) -> Vec<u8> {
    let announce = announce.map_or_else(String::new, |url| format!("8:announce{}", string(url)));
    [b"d", announce.as_bytes(), b"4:info", info, b"e"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::payload::Scratch;

    #[test]
    fn a_torrent_is_a_sorted_dictionary_with_hashes() {
        let scratch = Scratch::new("torrent-test").unwrap();
        let (file, torrent) = (scratch.path().join("a"), scratch.path().join("a.torrent"));
        std::fs::write(&file, b"abc").unwrap();
        let digits = write(&file, Some("http://t/"), &torrent).unwrap();
        let mut wanted =
            b"d8:announce9:http://t/4:infod6:lengthi3e4:name1:a12:piece lengthi262144e6:pieces20:"
                .to_vec();
        // SHA-1 of "abc", from FIPS 180-4.
        wanted.extend(sum("a9993e364706816aba3e25717850c26c9cd0d89d").unwrap());
        wanted.extend(b"ee");
        assert_eq!(std::fs::read(&torrent).unwrap(), wanted);
        assert_eq!(digits, "51e2cd296c9061d89924444fb0fd4b1170eeab39");
    }

    #[test]
    fn pieces_grow_with_the_file() {
        assert_eq!(piece_size(1), 256 << 10);
        assert_eq!(piece_size(64 << 20), 256 << 10);
        assert_eq!(piece_size(2 << 30), 1 << 20);
    }
}
