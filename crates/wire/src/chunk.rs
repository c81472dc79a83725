//! Encoding of `FileChunk` and `UploadChunk` messages without copying the file's bytes.
//!
//! The format is standard gRPC (length-prefixed messages, gRPC over HTTP/2, "Requests" and
//! "Responses") with standard protobuf, so any client can read it. A sender puts [`head`] in one
//! frame and the file's bytes in the next. A receiver feeds received bytes to a [`ChunkParser`],
//! which returns the file's bytes as reference-counted slices.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use convite_core::{ContentHash, ErrorCode, Problem};
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost::encoding::{encoded_len_varint, key_len};

/// The maximum number of file bytes in one message.
pub const CHUNK_MAX: usize = 1 << 20;
/// Length of the gRPC compression flag and message length.
const PREFIX: usize = 5;
/// Maximum length of `offset` and of the tag and length of `data`: two tags of one byte, two
/// varints of up to ten.
const HEAD_MAX: usize = 2 * (1 + 10);

const OFFSET_TAG: u32 = 1;
const DATA_TAG: u32 = 2;
/// Only in `UploadChunk`.
const HASH_TAG: u32 = 3;
/// Length of a content hash in bytes.
const HASH: usize = 32;

/// Encodes the part of a `FileChunk` message that precedes its `len` bytes of data.
pub fn head(offset: u64, len: usize) -> Bytes {
    let message = key_len(OFFSET_TAG)
        + encoded_len_varint(offset)
        + key_len(DATA_TAG)
        + encoded_len_varint(len as u64)
        + len;
    let mut out = BytesMut::with_capacity(PREFIX + HEAD_MAX);
    out.put_u8(0);
    out.put_u32(message as u32);
    encode_key(OFFSET_TAG, WireType::Varint, &mut out);
    encode_varint(offset, &mut out);
    encode_key(DATA_TAG, WireType::LengthDelimited, &mut out);
    encode_varint(len as u64, &mut out);
    out.freeze()
}

/// Encodes the last `UploadChunk` of a file, which contains its hash.
pub fn end(hash: &ContentHash) -> Bytes {
    let message = key_len(HASH_TAG) + encoded_len_varint(HASH as u64) + HASH;
    let mut out = BytesMut::with_capacity(PREFIX + message);
    out.put_u8(0);
    out.put_u32(message as u32);
    encode_key(HASH_TAG, WireType::LengthDelimited, &mut out);
    encode_varint(HASH as u64, &mut out);
    out.put_slice(hash.as_bytes());
    out.freeze()
}

/// A range of file bytes from a chunk message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkData {
    /// Position in the file.
    pub offset: u64,
    /// A slice of the input, not a copy.
    pub data: Bytes,
}

/// An incremental parser of a stream of `FileChunk` or `UploadChunk` messages, fed in parts of any
/// size.
///
/// Buffers at most the head of one message (a few bytes) between calls.
#[derive(Default)]
pub struct ChunkParser {
    /// The state of the final hash; `None` if the stream has none.
    hash: Option<Ending>,
    /// An incomplete message head.
    partial: BytesMut,
    /// Remaining data bytes of the current message.
    remaining: usize,
    /// Position of the next data byte in the file.
    offset: u64,
}

enum Ending {
    Awaited,
    /// The bytes received so far.
    Coming(Vec<u8>),
}

impl ChunkParser {
    /// Creates a parser of `UploadChunk` messages.
    pub fn of_upload() -> Self {
        Self {
            hash: Some(Ending::Awaited),
            ..Self::default()
        }
    }

    /// Returns the content hash at the end of the stream, or `None` before it is complete.
    pub fn hash(&self) -> Option<ContentHash> {
        match &self.hash {
            Some(Ending::Coming(bytes)) => ContentHash::from_slice(bytes).ok(),
            _ => None,
        }
    }

    /// Parses the next bytes of the stream and calls `each` with the file bytes in them, in order.
    ///
    /// # Errors
    /// Returns `invalid_argument` unless the bytes are uncompressed chunk messages of up to
    /// [`CHUNK_MAX`] bytes with `offset` before `data`.
    pub fn feed(
        &mut self,
        mut bytes: Bytes,
        mut each: impl FnMut(ChunkData),
    ) -> Result<(), Problem> {
        loop {
            if self.remaining > 0 {
                if bytes.is_empty() {
                    return Ok(());
                }
                if let Some(Ending::Coming(hash)) = &mut self.hash {
                    let part = bytes.split_to(self.remaining.min(bytes.len()));
                    self.remaining -= part.len();
                    hash.extend_from_slice(&part);
                    continue;
                }
                let data = bytes.split_to(self.remaining.min(bytes.len()));
                let offset = self.offset;
                self.remaining -= data.len();
                self.offset += data.len() as u64;
                each(ChunkData { offset, data });
                continue;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            if let Some(Ending::Coming(_)) = &self.hash {
                return Err(malformed());
            }
            // Message heads are collected in a separate buffer, because one may arrive in parts.
            let before = self.partial.len();
            let take = bytes.len().min(PREFIX + HEAD_MAX - before);
            self.partial.extend_from_slice(&bytes[..take]);
            match parse_head(&self.partial)? {
                None => bytes.advance(take),
                Some(head) => {
                    bytes.advance(head.len.saturating_sub(before));
                    self.partial.clear();
                    self.remaining = head.data;
                    self.offset = head.offset;
                    if head.is_hash {
                        match &mut self.hash {
                            Some(ending) => *ending = Ending::Coming(Vec::with_capacity(HASH)),
                            None => return Err(malformed()),
                        }
                    }
                }
            }
        }
    }

    /// Returns whether the stream may end here, between two messages.
    pub fn is_between_messages(&self) -> bool {
        self.remaining == 0 && self.partial.is_empty()
    }
}

struct Head {
    /// Length of the head itself.
    len: usize,
    /// Length of the data after it.
    data: usize,
    offset: u64,
    /// Whether the data is the hash of the file.
    is_hash: bool,
}

fn malformed() -> Problem {
    Problem::new(
        ErrorCode::InvalidArgument,
        "the peer sent a malformed chunk",
    )
}

/// Parses a message head at the start of `bytes`, or returns `None` if it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Problem> {
    let refuse = malformed;
    if bytes.len() < PREFIX {
        return Ok(None);
    }
    let mut buf = bytes;
    let compressed = buf.get_u8();
    let message = buf.get_u32() as usize;
    if compressed != 0 || message > CHUNK_MAX + HEAD_MAX {
        return Err(refuse());
    }
    let end_of_message = bytes.len().saturating_sub(PREFIX) >= message;
    let mut offset = 0;
    let mut body = &buf[..buf.len().min(message)];
    let start = body.len();
    loop {
        if body.is_empty() && end_of_message {
            // A message without data: an empty chunk.
            return Ok(Some(Head {
                len: PREFIX + message,
                data: 0,
                offset,
                is_hash: false,
            }));
        }
        if !has_varint(body) {
            return incomplete(bytes, end_of_message, refuse);
        }
        let (tag, wire_type) = decode_key(&mut body).map_err(|_| refuse())?;
        if !has_varint(body) {
            return incomplete(bytes, end_of_message, refuse);
        }
        let value = decode_varint(&mut body).map_err(|_| refuse())?;
        match (tag, wire_type) {
            (OFFSET_TAG, WireType::Varint) => offset = value,
            (DATA_TAG | HASH_TAG, WireType::LengthDelimited) => {
                let is_hash = tag == HASH_TAG;
                if is_hash && value != HASH as u64 {
                    return Err(refuse());
                }
                let head = start - body.len();
                let data = usize::try_from(value).map_err(|_| refuse())?;
                if head + data != message || offset.checked_add(value).is_none() {
                    return Err(refuse());
                }
                return Ok(Some(Head {
                    len: PREFIX + head,
                    data,
                    offset,
                    is_hash,
                }));
            }
            _ => return Err(refuse()),
        }
    }
}

/// Returns whether `bytes` starts with a complete varint.
fn has_varint(bytes: &[u8]) -> bool {
    bytes.iter().take(10).any(|byte| byte & 0x80 == 0) || bytes.len() >= 10
}

/// Returns `None` for an incomplete head, or an error if no more of it can follow.
fn incomplete(
    bytes: &[u8],
    end_of_message: bool,
    refuse: impl Fn() -> Problem,
) -> Result<Option<Head>, Problem> {
    if end_of_message || bytes.len() >= PREFIX + HEAD_MAX {
        Err(refuse())
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{FileChunk, UploadChunk};
    use prost::Message;

    fn parse(stream: &[u8], run: usize) -> Result<(Vec<ChunkData>, bool), Problem> {
        let mut parser = ChunkParser::default();
        let mut out = Vec::new();
        for part in stream.chunks(run) {
            parser.feed(Bytes::copy_from_slice(part), |chunk| out.push(chunk))?;
        }
        Ok((out, parser.is_between_messages()))
    }

    fn joined(chunks: &[ChunkData]) -> (u64, Vec<u8>) {
        let mut data = Vec::new();
        for chunk in chunks {
            assert_eq!(chunk.offset, chunks[0].offset + data.len() as u64);
            data.extend_from_slice(&chunk.data);
        }
        (chunks.first().map_or(0, |c| c.offset), data)
    }

    #[test]
    fn a_head_and_data_are_what_prost_encodes() {
        for (offset, len) in [(1, 1), (300, 5), (1 << 40, 70_000), (u64::MAX / 2, 1 << 20)] {
            let data = Bytes::from(vec![7u8; len]);
            let mut wire = head(offset, len).to_vec();
            wire.extend_from_slice(&data);
            assert_eq!(wire[0], 0);
            let message = FileChunk::decode(&wire[5..]).unwrap();
            assert_eq!((message.offset, message.data), (offset, data));
            let length = u32::from_be_bytes(wire[1..5].try_into().unwrap()) as usize;
            assert_eq!(length, wire.len() - 5);
        }
    }

    #[test]
    fn a_stream_is_read_in_any_runs_also_from_stock_encoders() {
        let mut ours = Vec::new();
        let mut stock = Vec::new();
        let mut expected = Vec::new();
        let mut offset = 0;
        for len in [1usize, 127, 128, 300, 5000] {
            let data = vec![len as u8; len];
            ours.extend_from_slice(&head(offset, len));
            ours.extend_from_slice(&data);
            let message = FileChunk {
                offset,
                data: data.clone().into(),
            };
            stock.push(0);
            stock.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
            message.encode(&mut stock).unwrap();
            expected.extend_from_slice(&data);
            offset += len as u64;
        }
        for run in [1, 2, 3, 7, 26, 100, 10_000] {
            for stream in [&ours, &stock] {
                let (chunks, ended) = parse(stream, run).unwrap();
                assert_eq!(joined(&chunks), (0, expected.clone()), "runs of {run}");
                assert!(ended);
            }
        }
        assert!(!parse(&ours[..ours.len() - 1], 64).unwrap().1);
    }

    #[test]
    fn an_upload_ends_with_its_hash() {
        let hash = ContentHash::of(b"abc");
        let mut wire = head(0, 3).to_vec();
        wire.extend_from_slice(b"abc");
        wire.extend_from_slice(&end(&hash));
        let last = UploadChunk {
            hash: hash.as_bytes().to_vec().into(),
            ..UploadChunk::default()
        };
        assert_eq!(UploadChunk::decode(&end(&hash)[5..]).unwrap(), last);
        for run in [1, 2, 7, 36, 100] {
            let mut parser = ChunkParser::of_upload();
            let mut data = Vec::new();
            for part in wire.chunks(run) {
                assert_eq!(parser.hash(), None);
                let part = Bytes::copy_from_slice(part);
                parser
                    .feed(part, |chunk| data.extend_from_slice(&chunk.data))
                    .unwrap();
            }
            assert_eq!(data, b"abc");
            assert_eq!(parser.hash(), Some(hash));
            assert!(parser.is_between_messages());
            // Nothing may follow the hash, and a download must not contain one.
            assert!(parser.feed(head(3, 1), |_| {}).is_err());
            assert!(parse(&wire, run).is_err());
        }
        let short = [0, 0, 0, 0, 3, 0x1a, 1, 9];
        let fed = ChunkParser::of_upload().feed(Bytes::copy_from_slice(&short), |_| {});
        assert!(fed.is_err());
    }

    #[test]
    fn hostile_streams_are_refused() {
        let compressed = [1, 0, 0, 0, 2, 8, 1];
        let huge = [0, 0xff, 0xff, 0xff, 0xff, 8, 1];
        let lengths_disagree = [0, 0, 0, 0, 4, 0x12, 9, 1, 1];
        let unknown_field = [0, 0, 0, 0, 2, 0x18, 1];
        let cut_head = [0, 0, 0, 0, 1, 8];
        let endless = [
            0, 0, 0, 0, 30, 8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        ];
        let overflow = {
            let mut wire = head(u64::MAX, 2).to_vec();
            wire.extend_from_slice(&[1, 2]);
            wire
        };
        for stream in [
            &compressed[..],
            &huge,
            &lengths_disagree,
            &unknown_field,
            &cut_head,
            &endless,
            &overflow,
        ] {
            for run in [1, 4, 64] {
                assert!(parse(stream, run).is_err(), "{stream:?} in runs of {run}");
            }
        }
    }
}
