//! Fuzz targets of `convite-wire` and `convite-core`.

use std::fmt::Debug;
use std::sync::LazyLock;

use bytes::Bytes;
use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};
use convite_core::model::{
    FileEntry, FolderEntry, IndexEntry, LocatedFile, PeerSummary, Provider, SearchHit,
};
use convite_core::path::{local_file_name, portable_file_name};
use convite_core::remote_fetch::{LoadReport, LoadSummary, RemoteFetch};
use convite_core::{
    AccessList, ContentHash, PeerAddress, PeerId, PieceGeometry, SafePath, SpaceName, UnixMillis,
    UserName,
};
use convite_wire::attachment;
use convite_wire::chunk::ChunkParser;
use convite_wire::form_part::FormPart;
use convite_wire::invite::{Fingerprint, InviteLink};
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{self, Asked};
use convite_wire::ticket::{TicketSigner, TicketVerifier};
use convite_wire::v1;
use prost::Message;

/// Splits off the first byte, which selects the kind of the rest.
fn split(bytes: &[u8]) -> (u8, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// Converts a message to a value and back. The result must be equal.
fn converts<M, V>(bytes: &[u8])
where
    M: Message + Default + for<'a> From<&'a V>,
    V: TryFrom<M> + Debug + PartialEq,
{
    let Ok(message) = M::decode(bytes) else {
        return;
    };
    let Ok(value) = V::try_from(message) else {
        return;
    };
    let again = M::decode(M::from(&value).encode_to_vec().as_slice())
        .expect("an encoded message must decode");
    match V::try_from(again) {
        Ok(again) => assert_eq!(again, value),
        Err(_) => panic!("an accepted value was refused: {value:?}"),
    }
}

/// Protobuf messages and their conversions.
pub fn messages(bytes: &[u8]) {
    let (kind, bytes) = split(bytes);
    match kind % 16 {
        0 => converts::<v1::FileEntry, FileEntry>(bytes),
        1 => converts::<v1::IndexEntry, IndexEntry>(bytes),
        2 => converts::<v1::PeerSummary, PeerSummary>(bytes),
        3 => converts::<v1::Provider, Provider>(bytes),
        4 => converts::<v1::LocateReply, LocatedFile>(bytes),
        5 => converts::<v1::SearchHit, SearchHit>(bytes),
        6 => converts::<v1::AccountSummary, AccountSummary>(bytes),
        7 => converts::<v1::SpaceSummary, SpaceSummary>(bytes),
        8 => converts::<v1::AuditRecord, AuditRecord>(bytes),
        9 => converts::<v1::InviteSummary, InviteSummary>(bytes),
        10 => converts::<v1::SessionSummary, SessionSummary>(bytes),
        11 => converts::<v1::LoadSummary, LoadSummary>(bytes),
        12 => converts::<v1::LoadOrder, RemoteFetch>(bytes),
        13 => converts::<v1::FolderEntry, FolderEntry>(bytes),
        14 => located_many(bytes),
        _ => {
            if let Ok(report) = v1::ReportLoadRequest::decode(bytes) {
                let _ = LoadReport::try_from(&report);
            }
            if let Ok(beat) = v1::HeartbeatRequest::decode(bytes) {
                let _ = convite_core::activity::Activity::try_from(beat);
            }
        }
    }
}

/// `LocateMany`: the hashes of a request, and the replies.
fn located_many(bytes: &[u8]) {
    if let Ok(request) = v1::LocateManyRequest::decode(bytes) {
        for hash in &request.hashes {
            let accepted = ContentHash::from_slice(hash);
            assert_eq!(accepted.is_ok(), hash.len() == 32);
        }
    }
    if let Ok(reply) = v1::LocateManyReply::decode(bytes)
        && let Some(located) = reply.located
    {
        converts::<v1::LocateReply, LocatedFile>(&located.encode_to_vec());
    }
}

/// Pasted invite links.
pub fn invite(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<Fingerprint>();
    let Ok(link) = text.parse::<InviteLink>() else {
        return;
    };
    assert!(!link.addresses.is_empty(), "a link without an address");
    let written = link.to_string();
    match written.parse::<InviteLink>() {
        Ok(again) => assert!(again == link, "'{written}' was parsed as another link"),
        Err(problem) => panic!("'{written}' was refused: {problem}"),
    }
    let _ = link.web().parse::<InviteLink>();
}

/// Tickets: no forged ticket is accepted.
pub fn ticket(bytes: &[u8]) {
    static VERIFIER: LazyLock<TicketVerifier> = LazyLock::new(|| {
        let key = TicketSigner::generate().expect("cannot generate a key");
        let peer: PeerId = "peer_1".parse().expect("invalid peer id");
        TicketVerifier::new(&key.public_key(), peer).expect("invalid key")
    });
    let text = String::from_utf8_lossy(bytes);
    let now = UnixMillis(1_000);
    assert!(
        VERIFIER.verify_reader(&text, now).is_err(),
        "a forged reader ticket was accepted"
    );
    assert!(
        VERIFIER.verify_upload(&text, now).is_err(),
        "a forged upload ticket was accepted"
    );
}

/// `Range` headers: an accepted range is within the file and not empty.
pub fn range(bytes: &[u8]) {
    let (size, field) = bytes.split_at(bytes.len().min(8));
    let size = size
        .iter()
        .fold(0, |size, byte| (size << 8) | u64::from(*byte));
    let field = String::from_utf8_lossy(field);
    for size in [size, 0, 1, 1_000, i64::MAX as u64] {
        if let Ok(Asked::Part(part)) = range::asked(Some(&field), size) {
            assert!(
                part.start < part.end && part.end <= size,
                "{part:?} of {size}"
            );
        }
    }
}

/// Names, paths and addresses: an accepted value is formatted as it was parsed, and a path stays
/// below its folder.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(path) = text.parse::<SafePath>() {
        let folder = std::path::Path::new("/share");
        let below = path.joined_to(folder);
        let inner = below
            .strip_prefix(folder)
            .expect("a path outside its folder");
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        assert!(inner.components().all(plain), "{below:?} leaves the folder");
    }
    file_name(&text);
    if let Ok(address) = text.parse::<PeerAddress>() {
        let written = address.to_string();
        assert_eq!(
            written.parse::<PeerAddress>().ok(),
            Some(address),
            "{written}"
        );
    }
    if let Ok(hash) = text.parse::<ContentHash>() {
        assert_eq!(hash.to_string().parse::<ContentHash>().ok(), Some(hash));
    }
    if let Ok(allowed) = text.parse::<AccessList>() {
        let written = allowed.to_string();
        assert_eq!(
            written.parse::<AccessList>().ok(),
            Some(allowed),
            "{written}"
        );
    }
    if let Ok(id) = text.parse::<PeerId>() {
        assert_eq!(id.as_str().parse::<PeerId>().ok(), Some(id));
    }
    let _ = text.parse::<UserName>();
    let _ = text.parse::<SpaceName>();
}

/// A foreign name becomes one plain name that is not hidden and not too long.
fn file_name(text: &str) {
    for name in [local_file_name(text), portable_file_name(text)] {
        let parts: Vec<_> = std::path::Path::new(&name).components().collect();
        let is_one = matches!(parts[..], [std::path::Component::Normal(_)]);
        assert!(
            is_one && !name.starts_with('.') && name.len() <= 255,
            "'{name}'"
        );
    }
    let portable = portable_file_name(text);
    assert!(!portable.ends_with(['.', ' ']), "'{portable}'");
}

/// Headers of form parts: file names in them are made safe.
pub fn form(bytes: &[u8]) {
    let part = FormPart::parse(bytes);
    if let Some(name) = part.file_name {
        file_name(&name);
    }
}

/// Streams of chunks give the same result for parts of any size.
pub fn chunks(bytes: &[u8]) {
    let (kind, bytes) = split(bytes);
    let parser = || match kind % 2 {
        0 => ChunkParser::default(),
        _ => ChunkParser::of_upload(),
    };
    let run = usize::from(kind / 2) + 1;
    let read = |run: usize| {
        let (mut parser, mut all) = (parser(), Vec::new());
        for part in bytes.chunks(run) {
            let part = Bytes::copy_from_slice(part);
            let fed = parser.feed(part, |chunk| {
                // Compare byte by byte, because a chunk may be split anywhere.
                let places = chunk.offset..;
                all.extend(places.zip(chunk.data.iter().copied()));
            });
            if fed.is_err() {
                return (None, all);
            }
        }
        (Some((parser.is_between_messages(), parser.hash())), all)
    };
    let (whole, in_runs) = (read(usize::MAX), read(run));
    assert_eq!(
        whole.0, in_runs.0,
        "a stream ends differently in parts of {run} bytes"
    );
    if whole.0.is_some() {
        assert_eq!(
            whole.1, in_runs.1,
            "a stream has different bytes in parts of {run} bytes"
        );
    }
}

/// Piece hashes as JSON: their number is that of the pieces, or they are refused.
pub fn pieces(bytes: &[u8]) {
    let (size, json) = split(bytes);
    let Some(geometry) = PieceGeometry::new(u64::from(size) * 100_000) else {
        return;
    };
    if let Ok(hashes) = PiecesBody::read(json, &geometry) {
        assert_eq!(hashes.len() as u64, u64::from(geometry.piece_count()));
    }
}

/// File names in headers: no name ends the header or a quoted text.
pub fn attachment(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    for inline in [false, true] {
        let field = attachment::disposition(&name, inline);
        http::HeaderValue::from_str(&field).expect("an invalid header value");
        assert_eq!(field.matches('"').count(), 2, "{field}");
    }
    http::HeaderValue::from_str(&attachment::content_type(&name)).expect("an invalid content type");
    let _ = attachment::matches_any(&name, "\"x\"");
}
