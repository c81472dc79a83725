//! The piece writer: a file that a download or an upload fills piece by piece, each piece at its
//! offset.
//!
//! A large file is written past the page cache (`O_DIRECT` of open(2)). It must be on disk when it
//! is complete, so a copy in the page cache costs a second copy, evicts pages that others need, and
//! has to be flushed at the end. A piece is therefore collected in memory aligned to [`ALIGN`];
//! that copy replaces the kernel's. Small files, unaligned pieces and file systems without direct
//! writes use the page cache, straight from the network buffers.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use convite_core::PieceIndex;
use convite_net::task;
use convite_provider::{PieceBuffer, PieceSink, PieceWrite};
use crc32fast::Hasher as Crc32;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

#[cfg(unix)]
use crate::fs::fallbacks::is_unsupported;
#[cfg(target_os = "linux")]
use crate::fs::fallbacks::reserve;
use crate::fs::positioned_io::write_all_at;

/// Files of at least this many bytes are written past the page cache. Smaller files are likely to
/// be read soon and use little memory.
const DIRECT_SIZE_MIN: u64 = 256 << 20;
/// The alignment that `O_DIRECT` requires of offsets, lengths and memory on nearly all devices.
const ALIGN: usize = 4096;
/// Concurrent direct writes. More than one is needed to keep the disk busy.
const DIRECT_WRITES_MAX: usize = 4;
/// The number of aligned buffers kept for reuse.
const FREE_BUFFERS_MAX: usize = 8;
/// Parts of a piece below this many bytes are copied together, so that a sender of tiny frames
/// cannot make a piece cost many times its size.
const SMALL_PART: usize = 8 << 10;

/// A file open for writing through the page cache and, if it is large, also past it.
pub(crate) struct PieceWriter {
    file: Arc<File>,
    direct: Option<File>,
    /// Permits to write: one through the page cache, where the kernel locks the file for each write
    /// and a second writer would only spin on that lock; `DIRECT_WRITES_MAX` past it.
    turns: Arc<Semaphore>,
    kept: Mutex<Vec<AlignedBuffer>>,
    /// The CRC-32 of each piece that was written, if they are wanted.
    checksums: OnceLock<Mutex<Vec<Option<Crc32>>>>,
}

impl PieceWriter {
    /// Creates a writer for `file`, which is `size` bytes long and is at `path`.
    pub(crate) fn new(file: File, path: &Path, size: u64) -> Self {
        let direct = (size >= DIRECT_SIZE_MIN)
            .then(|| open_direct(&file, path, size))
            .flatten();
        Self::with(file, direct)
    }

    fn with(file: File, direct: Option<File>) -> Self {
        Self {
            file: Arc::new(file),
            turns: Arc::new(Semaphore::new(match direct {
                Some(_) => DIRECT_WRITES_MAX,
                None => 1,
            })),
            direct,
            kept: Mutex::default(),
            checksums: OnceLock::new(),
        }
    }

    /// Computes the CRC-32 of the file, which has this many pieces, from now on.
    pub(crate) fn compute_crc32(&self, piece_count: u32) {
        // Already set: nothing to do.
        let _ = self
            .checksums
            .set(Mutex::new(vec![None; piece_count as usize]));
    }

    fn note_crc32(&self, index: PieceIndex, piece: &mut FileBuffer) {
        if let (Some(checksums), Some(crc32)) = (self.checksums.get(), piece.crc32.take())
            && let Some(known) = checksums.lock().get_mut(index as usize)
        {
            *known = Some(crc32);
        }
    }

    /// Returns the CRC-32 of the file; `None` if it was not wanted, or if a piece was written before.
    pub(crate) fn crc32(&self) -> Option<u32> {
        let pieces = self.checksums.get()?.lock();
        let mut whole = Crc32::new();
        for piece in &*pieces {
            whole.combine(piece.as_ref()?);
        }
        Some(whole.finalize())
    }

    /// Returns the file, to read or sync it.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Waits until no write is in progress. A write continues when the task that requested it is
    /// gone.
    pub(crate) async fn wait_idle(&self) {
        let all = match self.direct {
            Some(_) => DIRECT_WRITES_MAX,
            None => 1,
        };
        // The semaphore is never closed.
        let _ = self.turns.acquire_many(all as u32).await;
    }

    /// Returns a buffer for the piece at `range`.
    pub(crate) fn buffer_for(&self, range: &Range<u64>) -> FileBuffer {
        let is_aligned = |at: u64| at.is_multiple_of(ALIGN as u64);
        let bytes = if self.direct.is_some() && is_aligned(range.start) && is_aligned(range.end) {
            let len = (range.end - range.start) as usize;
            let mut kept = self.kept.lock();
            let place = kept.iter().position(|buffer| buffer.capacity() >= len);
            let buffer = place.map(|place| kept.swap_remove(place));
            PieceBytes::Aligned(buffer.unwrap_or_else(|| AlignedBuffer::new(len)))
        } else {
            PieceBytes::Parts(Vec::new(), BytesMut::new())
        };
        FileBuffer {
            offset: range.start,
            bytes,
            crc32: self.checksums.get().map(|_| Crc32::new()),
        }
    }

    /// Waits for a permit and returns the job that writes the piece.
    pub(crate) async fn write_job(
        self: Arc<Self>,
        piece: FileBuffer,
    ) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        move || {
            let _turn = turn;
            self.write_piece(piece)
        }
    }

    fn write_piece(&self, piece: FileBuffer) -> io::Result<()> {
        let offset = piece.offset;
        match piece.bytes {
            PieceBytes::Parts(mut parts, small) => {
                if !small.is_empty() {
                    parts.push(small.freeze());
                }
                write_parts(&self.file, &parts, offset)
            }
            PieceBytes::Aligned(buffer) => {
                let direct = self.direct.as_ref().unwrap_or(&self.file);
                let written = match write_all_at(direct, buffer.filled(), offset) {
                    // The device requires a larger alignment than `ALIGN`, or the file system opens
                    // files with `O_DIRECT` and then refuses to write them.
                    Err(error) if !is_full(&error) => {
                        write_all_at(&self.file, buffer.filled(), offset)
                    }
                    other => other,
                };
                let mut kept = self.kept.lock();
                if kept.len() < FREE_BUFFERS_MAX {
                    kept.push(buffer.cleared());
                }
                written
            }
        }
    }
}

impl PieceSink for PieceWriter {
    type Buffer = FileBuffer;

    fn buffer(&self, range: &Range<u64>) -> FileBuffer {
        self.buffer_for(range)
    }

    async fn write(self: Arc<Self>, index: PieceIndex, mut piece: FileBuffer) -> PieceWrite {
        self.note_crc32(index, &mut piece);
        PieceWrite::Running(task::start_blocking(self.write_job(piece).await))
    }
}

/// A piece, or the part of it that has arrived.
pub(crate) struct FileBuffer {
    offset: u64,
    bytes: PieceBytes,
    /// The CRC-32 of what has arrived, if it is wanted.
    crc32: Option<Crc32>,
}

enum PieceBytes {
    /// The parts as they arrived; the last small ones are being copied together.
    Parts(Vec<Bytes>, BytesMut),
    Aligned(AlignedBuffer),
}

impl PieceBuffer for FileBuffer {
    fn push(&mut self, part: Bytes) {
        if let Some(crc32) = &mut self.crc32 {
            crc32.update(&part);
        }
        match &mut self.bytes {
            PieceBytes::Aligned(buffer) => buffer.push(&part),
            PieceBytes::Parts(_, small) if part.len() < SMALL_PART => {
                small.extend_from_slice(&part)
            }
            PieceBytes::Parts(parts, small) => {
                if !small.is_empty() {
                    parts.push(small.split().freeze());
                }
                parts.push(part);
            }
        }
    }
}

/// Memory that begins at a multiple of [`ALIGN`].
struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
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

    fn cleared(mut self) -> Self {
        self.len = 0;
        self
    }
}

/// Returns whether the error means that the disk or the quota is full. Another way of writing would
/// fail too.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Opens the file a second time for direct writes; `None` where they are not supported.
#[cfg(target_os = "linux")]
fn open_direct(file: &File, path: &Path, size: u64) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let direct = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // Direct writes into reserved space can run concurrently. Without it, the kernel serializes
    // them.
    let _ = reserve(file, size);
    Some(direct.into())
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &File, _: &Path, _: u64) -> Option<File> {
    None
}

/// Writes the parts of a piece with as few system calls as possible.
///
/// # Errors
/// Fails as the file system does.
#[cfg(unix)]
pub(crate) fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
    /// The maximum number of buffers in one call on Linux (UIO_MAXIOV).
    const BUFFERS_PER_CALL: usize = 1024;
    let mut slices: Vec<io::IoSlice<'_>> =
        parts.iter().map(|part| io::IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let at_once = rest.len().min(BUFFERS_PER_CALL);
        let written = match rustix::io::pwritev(file, &rest[..at_once], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(rustix::io::Errno::INTR) => continue,
            // Some file systems support only one buffer per write.
            Err(error) if is_unsupported(&error.into()) => {
                for part in rest {
                    write_all_at(file, part, offset)?;
                    offset += part.len() as u64;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        io::IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Writes the parts of a piece.
///
/// # Errors
/// Fails as the file system does.
#[cfg(windows)]
pub(crate) fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
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

    /// Writes a file piece by piece from the last to the first, each in parts of the given lengths.
    fn written(size: u64, parts: &[usize], direct: bool) -> (Vec<u8>, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|i| ((i * 31) >> 3) as u8).collect();
        // Not the system's temporary folder, which may be in memory.
        let here = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        let path = folder.path().join("contents");
        let file = File::create_new(&path).unwrap();
        file.set_len(size).unwrap();
        let second = direct.then(|| open_direct(&file, &path, size)).flatten();
        let contents = PieceWriter::with(file, second);
        let geometry = PieceGeometry::new(size).unwrap();
        contents.compute_crc32(geometry.piece_count());
        let mut lengths = parts.iter().cycle();
        for index in (0..geometry.piece_count()).rev() {
            let range = geometry.piece_range(index);
            let mut piece = contents.buffer_for(&range);
            let mut rest = &bytes[range.start as usize..range.end as usize];
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
                piece.push(Bytes::copy_from_slice(part));
                rest = after;
            }
            assert_eq!(contents.crc32(), None);
            contents.note_crc32(index, &mut piece);
            contents.write_piece(piece).unwrap();
        }
        assert_eq!(contents.crc32(), Some(crc32fast::hash(&bytes)));
        let got = std::fs::read(&path).unwrap();
        (got, bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn buffered_parts_are_written_unchanged(
            size in 1u64..400_000,
            parts in prop::collection::vec(1usize..40_000, 1..8),
            direct in any::<bool>(),
        ) {
            let (got, bytes) = written(size, &parts, direct);
            prop_assert!(got == bytes);
        }
    }

    #[test]
    fn aligned_pieces_bypass_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contents");
        let file = File::create_new(&path).unwrap();
        let other = file.try_clone().unwrap();
        let contents = PieceWriter::with(file, Some(other));
        let is_direct = |range| matches!(contents.buffer_for(&range).bytes, PieceBytes::Aligned(_));
        assert!(is_direct(65_536..131_072));
        assert!(!is_direct(131_072..131_073));
    }
}
