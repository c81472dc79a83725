//! A file that is filled from the network, by a download or an upload: pieces are written whole, where
//! they belong.
//!
//! A large file is written past the page cache (`O_DIRECT` of open(2)). It has to be on the disk
//! when it is whole, so that a copy in the page cache is a second copy to make, which drives
//! out what others need, and then one to wait for. For that a piece is gathered in memory aligned
//! to [`ALIGN`]; that copy takes the place of the kernel's. Small files, what is not aligned, and
//! file systems that have no such writes go through the page cache, from where the network left
//! the bytes.

use crate::positioned::write_all_at;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

/// Files of at least so many bytes are written past the page cache: smaller ones are likely to be
/// read soon, and cost little memory.
const DIRECT_FROM: u64 = 256 << 20;
/// What `O_DIRECT` asks of offsets, lengths and memory, on all but the rarest devices.
const ALIGN: usize = 4096;
/// Writes past the page cache at once. The disk wants more than one, to be busy always.
const DIRECT_AT_ONCE: usize = 4;
/// Aligned buffers that are kept for use again.
const KEPT: usize = 8;
/// Parts of a piece below this many bytes are gathered, so that a sender of tiny frames cannot
/// make a piece cost many times its size.
const SMALL: usize = 8 << 10;

/// The file, open for writing in one way or two.
pub(crate) struct Contents {
    file: Arc<File>,
    direct: Option<File>,
    /// Through the page cache one writer at a time: the kernel locks a file for each write, and a
    /// second writer would only spin on that lock.
    turns: Arc<Semaphore>,
    kept: Mutex<Vec<Aligned>>,
}

impl Contents {
    /// `file`, which is `size` bytes long and at `path`.
    pub(crate) fn new(file: File, path: &Path, size: u64) -> Self {
        let direct = (size >= DIRECT_FROM)
            .then(|| open_direct(&file, path, size))
            .flatten();
        Self::with(file, direct)
    }

    fn with(file: File, direct: Option<File>) -> Self {
        Self {
            file: Arc::new(file),
            turns: Arc::new(Semaphore::new(match direct {
                Some(_) => DIRECT_AT_ONCE,
                None => 1,
            })),
            direct,
            kept: Mutex::default(),
        }
    }

    /// The file, for whoever reads it or syncs it.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns when nothing is being written: a write goes on when the task is gone that wanted it.
    pub(crate) async fn settled(&self) {
        let all = match self.direct {
            Some(_) => DIRECT_AT_ONCE,
            None => 1,
        };
        // The semaphore is never closed.
        let _ = self.turns.acquire_many(all as u32).await;
    }

    /// Room for a piece that belongs at `range`.
    pub(crate) fn gather(&self, range: &Range<u64>) -> Gathered {
        let is_aligned = |at: u64| at.is_multiple_of(ALIGN as u64);
        let bytes = if self.direct.is_some() && is_aligned(range.start) && is_aligned(range.end) {
            let len = (range.end - range.start) as usize;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let place = kept.iter().position(|buffer| buffer.capacity() >= len);
            let buffer = place.map(|place| kept.swap_remove(place));
            PieceBytes::Aligned(buffer.unwrap_or_else(|| Aligned::new(len)))
        } else {
            PieceBytes::Parts(Vec::new(), BytesMut::new())
        };
        Gathered {
            offset: range.start,
            bytes,
        }
    }

    /// The job of writing a piece, when it is its turn.
    pub(crate) async fn writing(
        self: Arc<Self>,
        piece: Gathered,
    ) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        move || {
            let _turn = turn;
            self.write(piece)
        }
    }

    fn write(&self, piece: Gathered) -> io::Result<()> {
        let offset = piece.offset;
        match piece.bytes {
            PieceBytes::Parts(parts, _) => write_parts(&self.file, &parts, offset),
            PieceBytes::Aligned(buffer) => {
                let direct = self.direct.as_ref().unwrap_or(&self.file);
                let written = match write_all_at(direct, buffer.filled(), offset) {
                    // The device wants more than `ALIGN`.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        write_all_at(&self.file, buffer.filled(), offset)
                    }
                    other => other,
                };
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT {
                    kept.push(buffer.emptied());
                }
                written
            }
        }
    }
}

/// A piece as far as it has come.
pub(crate) struct Gathered {
    offset: u64,
    bytes: PieceBytes,
}

enum PieceBytes {
    /// As they came; the small ones that came last are copied together.
    Parts(Vec<Bytes>, BytesMut),
    Aligned(Aligned),
}

impl Gathered {
    /// Adds the next bytes.
    pub(crate) fn push(&mut self, part: Bytes) {
        match &mut self.bytes {
            PieceBytes::Aligned(buffer) => buffer.push(&part),
            PieceBytes::Parts(_, small) if part.len() < SMALL => small.extend_from_slice(&part),
            PieceBytes::Parts(parts, small) => {
                if !small.is_empty() {
                    parts.push(small.split().freeze());
                }
                parts.push(part);
            }
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(mut self) -> Self {
        if let PieceBytes::Parts(parts, small) = &mut self.bytes
            && !small.is_empty()
        {
            parts.push(small.split().freeze());
        }
        self
    }
}

/// Memory that begins at a multiple of [`ALIGN`].
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(capacity: usize) -> Self {
        let memory = vec![0; capacity + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self {
            memory,
            start,
            len: 0,
        }
    }

    fn capacity(&self) -> usize {
        self.memory.len() - ALIGN
    }

    fn push(&mut self, part: &[u8]) {
        let at = self.start + self.len;
        self.memory[at..at + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn filled(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    fn emptied(mut self) -> Self {
        self.len = 0;
        self
    }
}

/// Opens the file a second time, for writes past the page cache; none where there are none.
#[cfg(target_os = "linux")]
fn open_direct(file: &File, path: &Path, size: u64) -> Option<File> {
    use rustix::fs::{FallocateFlags, Mode, OFlags};
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let direct = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // Writes to space that the file has already need not take turns. Without, they do.
    let _ = rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size);
    Some(direct.into())
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &File, _: &Path, _: u64) -> Option<File> {
    None
}

/// Writes the parts of a piece in one go, as far as the system takes them.
#[cfg(unix)]
fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
    /// What Linux takes at once (UIO_MAXIOV).
    const AT_ONCE: usize = 1024;
    let mut slices: Vec<io::IoSlice<'_>> =
        parts.iter().map(|part| io::IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let at_once = rest.len().min(AT_ONCE);
        let written = match rustix::io::pwritev(file, &rest[..at_once], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        io::IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

#[cfg(windows)]
fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
    for part in parts {
        write_all_at(file, part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::PieceGeometry;
    use proptest::prelude::*;

    /// Writes a file piece by piece, the last piece first, each in parts of the lengths given.
    fn written(size: u64, parts: &[usize], direct: bool) -> (Vec<u8>, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|i| ((i * 31) >> 3) as u8).collect();
        // Not in the system's folder for temporary files, which may be in memory.
        let here = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        let path = folder.path().join("contents");
        let file = File::create_new(&path).unwrap();
        file.set_len(size).unwrap();
        let second = direct.then(|| open_direct(&file, &path, size)).flatten();
        let contents = Contents::with(file, second);
        let geometry = PieceGeometry::new(size).unwrap();
        let mut lengths = parts.iter().cycle();
        for index in (0..geometry.piece_count()).rev() {
            let range = geometry.piece_range(index);
            let mut piece = contents.gather(&range);
            let mut rest = &bytes[range.start as usize..range.end as usize];
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
                piece.push(Bytes::copy_from_slice(part));
                rest = after;
            }
            contents.write(piece.finish()).unwrap();
        }
        let got = std::fs::read(&path).unwrap();
        (got, bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_gathered_in_any_parts_is_what_is_on_the_disk(
            size in 1u64..400_000,
            parts in prop::collection::vec(1usize..40_000, 1..8),
            direct in any::<bool>(),
        ) {
            let (got, bytes) = written(size, &parts, direct);
            prop_assert!(got == bytes);
        }
    }

    #[test]
    fn a_whole_piece_goes_past_the_page_cache_and_a_part_of_a_block_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contents");
        let file = File::create_new(&path).unwrap();
        let other = file.try_clone().unwrap();
        let contents = Contents::with(file, Some(other));
        let is_direct = |range| matches!(contents.gather(&range).bytes, PieceBytes::Aligned(_));
        assert!(is_direct(65_536..131_072));
        assert!(!is_direct(131_072..131_073));
    }
}
