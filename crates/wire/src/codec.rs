//! The gRPC codec, which limits the number of list entries in a message.
//!
//! An empty list entry takes two bytes in the encoding and up to two hundred in memory, so a limit
//! on the message length does not limit memory. The entries of all lists, at every level, are
//! counted in the encoded bytes, with the help of the message descriptors, before anything is
//! decoded. Numbers are not counted: they take only a few times as much memory as encoded bytes.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::OnceLock;

use bytes::{Buf, Bytes};
use convite_core::{ErrorCode, Problem};
use prost::encoding::{WireType, decode_key, decode_varint};
use prost::{Message, Name};
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::{Label, Type};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::DESCRIPTORS;
use crate::status::to_status;

/// The maximum number of entries in a request message.
pub const ENTRIES_MAX: usize = 5_000;
/// The maximum number of entries in a reply. Pages have a thousand items, each with its own lists.
const REPLY_ENTRIES_MAX: usize = 500_000;
/// The maximum nesting depth of messages; the protocol needs less than half of it.
const DEPTH_MAX: usize = 16;

/// The list and message fields of a message type.
#[derive(Default)]
struct Shape {
    fields: HashMap<u32, Field>,
}

struct Field {
    /// Whether it is a list of strings, bytes or messages.
    counts: bool,
    /// Index of its message type, if any.
    message: Option<usize>,
}

/// The shapes of all message types.
#[derive(Default)]
struct Shapes {
    by_name: HashMap<String, usize>,
    all: Vec<Shape>,
}

impl Shapes {
    fn get() -> &'static Self {
        static SHAPES: OnceLock<Shapes> = OnceLock::new();
        SHAPES.get_or_init(|| {
            // Written by the build. If it were damaged, server reflection would fail at the start.
            Self::of(&FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default())
        })
    }

    fn of(files: &FileDescriptorSet) -> Self {
        let types = || {
            files.file.iter().flat_map(|file| {
                let types = file.message_type.iter();
                types.map(move |of| (format!("{}.{}", file.package(), of.name()), of))
            })
        };
        let by_name: HashMap<String, usize> = types()
            .enumerate()
            .map(|(index, (name, _))| (name, index))
            .collect();
        let all = types()
            .map(|(_, of)| Shape {
                fields: of
                    .field
                    .iter()
                    .filter_map(|field| {
                        let number = u32::try_from(field.number()).ok()?;
                        let kind = field.r#type();
                        let is_list = field.label() == Label::Repeated;
                        let is_long = matches!(kind, Type::Message | Type::String | Type::Bytes);
                        let name = field.type_name().trim_start_matches('.');
                        let field = Field {
                            counts: is_list && is_long,
                            message: by_name.get(name).copied(),
                        };
                        Some((number, field))
                    })
                    .filter(|(_, field)| field.counts || field.message.is_some())
                    .collect(),
            })
            .collect();
        Self { by_name, all }
    }

    /// Counts the entries of a message down from `left`, and fails below zero.
    fn count(&self, shape: usize, mut body: Bytes, depth: usize, left: &mut usize) -> Counted {
        let Some(shape) = self.all.get(shape).filter(|_| depth < DEPTH_MAX) else {
            return Err(Stop::Malformed);
        };
        while body.has_remaining() {
            let (tag, wire_type) = decode_key(&mut body).map_err(|_| Stop::Malformed)?;
            let length = match wire_type {
                WireType::Varint => {
                    decode_varint(&mut body).map_err(|_| Stop::Malformed)?;
                    continue;
                }
                WireType::ThirtyTwoBit => 4,
                WireType::SixtyFourBit => 8,
                WireType::LengthDelimited => {
                    decode_varint(&mut body).map_err(|_| Stop::Malformed)?
                }
                // The protocol does not use groups, and their content could not be counted.
                WireType::StartGroup | WireType::EndGroup => return Err(Stop::Malformed),
            };
            let length = usize::try_from(length).map_err(|_| Stop::Malformed)?;
            if length > body.remaining() {
                return Err(Stop::Malformed);
            }
            let value = body.split_to(length);
            let Some(field) = shape.fields.get(&tag) else {
                continue;
            };
            if field.counts {
                *left = left.checked_sub(1).ok_or(Stop::TooMany)?;
            }
            if let Some(message) = field.message {
                self.count(message, value, depth + 1, left)?;
            }
        }
        Ok(())
    }
}

type Counted = Result<(), Stop>;

/// Reason for stopping the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    TooMany,
    Malformed,
}

/// Checks the number of entries of a message of type `T`.
///
/// # Errors
/// Returns `too_large` if there are too many, and `invalid_argument` if the bytes are not a
/// message.
pub fn check_entries<T: Name>(bytes: &Bytes) -> Result<(), Problem> {
    let shapes = Shapes::get();
    let Some(shape) = shapes.by_name.get(&T::full_name()) else {
        return Ok(());
    };
    let most = if T::NAME.ends_with("Reply") {
        REPLY_ENTRIES_MAX
    } else {
        ENTRIES_MAX
    };
    let mut left = most;
    match shapes.count(*shape, bytes.clone(), 0, &mut left) {
        Ok(()) => Ok(()),
        Err(Stop::TooMany) => {
            let message = format!("a message has at most {most} entries");
            Err(Problem::new(ErrorCode::TooLarge, message).hint("split it into several messages"))
        }
        Err(Stop::Malformed) => Err(Problem::invalid("the message is not valid")),
    }
}

/// Decodes a message after checking its number of entries.
///
/// # Errors
/// Returns `too_large` if there are too many, and `invalid_argument` if the bytes are not a
/// message.
pub fn decode<T: Message + Name + Default>(bytes: Bytes) -> Result<T, Problem> {
    check_entries::<T>(&bytes)?;
    T::decode(bytes).map_err(|_| Problem::invalid("the message is not valid"))
}

/// A codec like [`ProstCodec`] that checks the number of entries before decoding.
#[derive(Debug, Clone)]
pub struct CountingCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CountingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CountingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CountingDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        CountingDecoder(PhantomData)
    }
}

/// The decoder of [`CountingCodec`].
#[derive(Debug, Clone)]
pub struct CountingDecoder<U>(PhantomData<U>);

impl<U: Message + Name + Default> Decoder for CountingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        decode(bytes)
            .map(Some)
            .map_err(|problem| to_status(&problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;
    use proptest::prelude::*;

    fn code<T: Name>(bytes: Vec<u8>) -> Option<ErrorCode> {
        let checked = check_entries::<T>(&bytes.into());
        checked.err().map(|problem| problem.code)
    }

    #[test]
    fn entries_are_counted_on_every_level() {
        let many = |tag: u8, count: usize| [tag << 3 | 2, 0].repeat(count);
        // Empty files of an index, and removed paths.
        assert_eq!(code::<v1::PublishIndexRequest>(many(2, ENTRIES_MAX)), None);
        let too_many = Some(ErrorCode::TooLarge);
        assert_eq!(
            code::<v1::PublishIndexRequest>(many(2, ENTRIES_MAX + 1)),
            too_many
        );
        let both = [many(2, ENTRIES_MAX), many(3, 1)].concat();
        assert_eq!(code::<v1::PublishIndexRequest>(both), too_many);
        // Addresses of the peer in a login.
        let login = |count| {
            let peer = v1::PeerEndpoint {
                addresses: vec![String::new(); count],
                ..Default::default()
            };
            let login = v1::LoginRequest {
                peer: Some(peer),
                ..Default::default()
            };
            login.encode_to_vec()
        };
        assert_eq!(code::<v1::LoginRequest>(login(ENTRIES_MAX)), None);
        assert_eq!(code::<v1::LoginRequest>(login(ENTRIES_MAX + 1)), too_many);
        // A field that is not a list does not count, even if it is repeated.
        assert_eq!(code::<v1::LoginRequest>(many(1, ENTRIES_MAX + 1)), None);
    }

    #[test]
    fn every_message_type_is_known() {
        let shapes = Shapes::get();
        for name in [
            v1::PublishIndexRequest::full_name(),
            v1::HeartbeatRequest::full_name(),
            v1::SearchFileReply::full_name(),
            v1::DownloadFileRequest::full_name(),
        ] {
            assert!(shapes.by_name.contains_key(&name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_can_be_decoded_is_let_through(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let decoded = v1::PublishIndexRequest::decode(bytes.as_slice()).is_ok();
            // Except groups, which the protocol does not use.
            let has_group = bytes.iter().any(|byte| matches!(byte & 7, 3 | 4));
            if decoded && !has_group {
                prop_assert_eq!(code::<v1::PublishIndexRequest>(bytes), None);
            }
        }
    }
}
