//! `ReportPiece`: a receiver reports that a piece from this peer was wrong.
//!
//! A file's times may hide a change: a program writes through a memory map, or the disk returns
//! other bytes than were written. So a report makes the peer read that piece again and compare it
//! with its hash. If it is wrong, the file is removed from the index and hashed again. A false
//! report costs one piece read; their number is limited per account and per file.

use std::sync::Arc;

use axum::extract::{Request, State};
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PieceHashes, PieceIndex, Problem};
use convite_net::task::blocking;
use convite_wire::status::to_status;
use convite_wire::v1::{ReportPieceReply, ReportPieceRequest};
use tracing::warn;

use crate::fs::open_beneath;
use crate::fs::positioned_io::read_exact_at;
use crate::fs::volume::Volume;
use crate::serve::context::ServeContext;
use crate::serve::download::files;
use crate::sharing::catalogue::IndexedFile;

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

/// Returns whether a piece of a file matches its hash. A file that cannot be read does not match.
fn holds(served: &IndexedFile, pieces: &PieceHashes, piece: PieceIndex) -> bool {
    let geometry = pieces.geometry();
    let range = geometry.piece_range(piece);
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let read = open_beneath::open(&served.root, served.inner()).and_then(|(file, identity)| {
        read_exact_at(&file, &mut bytes, range.start)?;
        Ok(identity)
    });
    match read {
        // A visible change is found by the next scan.
        Ok(identity) if identity != served.identity => false,
        Ok(_) => pieces.matches(piece, &hash_piece(&geometry, piece, &bytes)),
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
