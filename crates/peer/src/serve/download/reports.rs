//! `ReportPiece`: a receiver reports that a piece from this peer was wrong.
//!
//! A file's times may hide a change: a program writes through a memory map, or the disk returns
//! other bytes than were written. So a report makes the peer read that piece again and compare it
//! with its hash. If it is wrong, the file is removed from the index and hashed again. A false
//! report costs one piece read; their number is limited per account and per file.

use std::ops::Range;
use std::sync::Arc;

use axum::extract::{Request, State};
use convite_core::folder::FolderPiece;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PieceHash, PieceHasher, PieceHashes, PieceIndex, Problem};
use convite_net::task::blocking;
use convite_wire::status::to_status;
use convite_wire::v1::{ReportPieceReply, ReportPieceRequest};
use tracing::warn;

use crate::fs::open_beneath;
use crate::fs::positioned_io::read_exact_at;
use crate::fs::volume::Volume;
use crate::serve::context::ServeContext;
use crate::serve::download::{contents, files};
use crate::sharing::catalogue::{IndexedFile, IndexedFolder};

/// The number of files with the same content that a report checks.
const HOLDERS_MAX: usize = 8;
/// The largest request in bytes.
const REQUEST_MAX: usize = 1024;

/// Handles `ReportPiece`.
pub async fn report_piece(
    State(serving): State<ServeContext>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<ReportPieceRequest>| {
        let serving = serving.clone();
        async move {
            let reply = report(&serving, request).await;
            reply.map_err(|problem| to_status(&problem))
        }
    });
    let codec =
        convite_wire::codec::CountingCodec::<ReportPieceReply, ReportPieceRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn report(
    serving: &ServeContext,
    request: tonic::Request<ReportPieceRequest>,
) -> Result<tonic::Response<ReportPieceReply>, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.reader_ticket(&headers, None)?;
    let ReportPieceRequest { hash, piece } = request.into_inner();
    let hash = ContentHash::from_slice(&hash)?;
    if let Ok(folders) = contents::find_folders(serving, &ticket, &hash) {
        serving.reports.admit(&ticket.user, &hash)?;
        let _turn = serving.reports.turn().await?;
        let withdrawn = report_of_folder(serving, &folders, piece).await?;
        return Ok(tonic::Response::new(ReportPieceReply { withdrawn }));
    }
    let mut holders = files::readable(serving, &ticket, &hash);
    let Some(size) = holders.first().map(|served| served.identity.size) else {
        // The file is gone already, it is partial and its download verifies it, or the reader may
        // not read it.
        return Ok(tonic::Response::new(ReportPieceReply { withdrawn: false }));
    };
    serving.reports.admit(&ticket.user, &hash)?;
    let _turn = serving.reports.turn().await?;
    holders.truncate(HOLDERS_MAX);
    let serving = serving.clone();
    let withdrawn = blocking(move || {
        let Some(pieces) = serving.cache.pieces(hash, size)? else {
            // Without piece hashes the file must be hashed again anyway.
            files::request_rehash(&serving, &holders);
            return Ok(false);
        };
        if piece >= pieces.geometry().piece_count() {
            return Err(Problem::invalid(format!("the file has no piece {piece}")));
        }
        let wrong = holders
            .iter()
            .filter(|served| !holds(served, &pieces, piece));
        let wrong: Vec<&Arc<IndexedFile>> = wrong.collect();
        for served in &wrong {
            withdraw(&serving, served, piece)?;
        }
        Ok(!wrong.is_empty())
    })
    .await?;
    Ok(tonic::Response::new(ReportPieceReply { withdrawn }))
}

/// Checks the files of a piece of a folder. Returns whether one was withdrawn.
async fn report_of_folder(
    serving: &ServeContext,
    folders: &[Arc<IndexedFolder>],
    piece: PieceIndex,
) -> Result<bool, Problem> {
    let (_, layout) = contents::open_folder(serving, folders).await?;
    if piece >= layout.pieces().piece_count() {
        return Err(Problem::invalid(format!("the folder has no piece {piece}")));
    }
    let serving = serving.clone();
    blocking(move || {
        let (files, range) = match layout.pieces().piece(piece) {
            FolderPiece::Pack { files } => (files, None),
            FolderPiece::Part { file, range } => (file..file + 1, Some(range)),
        };
        let mut withdrawn = false;
        for index in files {
            let Some((served, bytes)) = layout.file(index) else {
                continue;
            };
            let size = bytes.end - bytes.start;
            let range = range.clone().unwrap_or(0..size);
            let expected = match range == (0..size) {
                true => Some(*served.hash.as_bytes()),
                false => {
                    let pieces = serving.cache.pieces(served.hash, size)?;
                    pieces.and_then(|pieces| pieces.part(&range))
                }
            };
            let Some(expected) = expected else {
                files::request_rehash(&serving, std::slice::from_ref(served));
                continue;
            };
            if !holds_part(served, size, &range, &expected) {
                withdraw(&serving, served, piece)?;
                withdrawn = true;
            }
        }
        Ok(withdrawn)
    })
    .await
}

/// Returns whether a part of a file matches its hash. A file that cannot be read does not match.
fn holds_part(served: &IndexedFile, size: u64, range: &Range<u64>, expected: &PieceHash) -> bool {
    holds_bytes(served, range, |bytes| {
        let mut hasher = PieceHasher::of_part(size, range);
        hasher.update(bytes);
        hasher.finish() == *expected
    })
}

/// Returns whether a piece of a file matches its hash. A file that cannot be read does not match.
fn holds(served: &IndexedFile, pieces: &PieceHashes, piece: PieceIndex) -> bool {
    let geometry = pieces.geometry();
    holds_bytes(served, &geometry.piece_range(piece), |bytes| {
        pieces.matches(piece, &hash_piece(&geometry, piece, bytes))
    })
}

/// Returns whether the bytes of a range of a file are right.
fn holds_bytes(
    served: &IndexedFile,
    range: &Range<u64>,
    are_right: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let read = open_beneath::open(&served.root, served.inner()).and_then(|(file, identity)| {
        read_exact_at(&file, &mut bytes, range.start)?;
        Ok(identity)
    });
    match read {
        // A visible change is found by the next scan.
        Ok(identity) if identity != served.identity => false,
        Ok(_) => are_right(&bytes),
        Err(error) if crate::fs::fallbacks::is_too_many_open_files(&error) => true,
        Err(_) => false,
    }
}

/// Removes a file from the index. The next scan hashes it again and lists its new contents.
fn withdraw(
    serving: &ServeContext,
    served: &IndexedFile,
    piece: PieceIndex,
) -> Result<(), Problem> {
    warn!(
        "piece {piece} of {} does not match its hash: the file was removed from the index and will be hashed again",
        convite_core::display::escape(served.path.as_str())
    );
    serving.catalogue.remove_changed(&served.path);
    serving.publish_queue.add(served.path.clone());
    serving.publish_queue.flush();
    let place = match served.inner() {
        "" => served.root.to_path_buf(),
        inner => served.root.join(inner),
    };
    if let Ok(volume) = Volume::of(&place) {
        let keys = volume.keys(&served.root, served.inner(), &served.identity);
        serving.cache.remove_hash(&keys)?;
    }
    serving.rescan.notify_one();
    Ok(())
}
