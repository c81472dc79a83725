//! The running uploads of the menu, one task each, which sends its progress as messages.

use std::path::PathBuf;

use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::task;
use convite_peer::put::{UploadProgress, UploadRequest, put};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::message::{Message, TICK};
use super::model::TransferId;
use crate::session::SessionContext;

/// Starts an upload. `stop` cancels it; the peer then keeps the received part for a day.
pub fn start(
    id: TransferId,
    context: SessionContext,
    (peer, file): (PeerId, PathBuf),
    sender: mpsc::UnboundedSender<Message>,
    stop: CancellationToken,
) {
    let (progress_sender, mut progress) = watch::channel(UploadProgress::default());
    let upload = UploadRequest {
        directory: context.client,
        authority: context.authority,
        peer,
        file,
    };
    task::spawn("upload", async move {
        let putting = put(upload, progress_sender, stop);
        tokio::pin!(putting);
        let ended = loop {
            tokio::select! {
                ended = &mut putting => break ended,
                Ok(()) = progress.changed() => {
                    let now = progress.borrow_and_update().clone();
                    let _ = sender.send(Message::UploadProgress(id, now));
                    tokio::time::sleep(TICK).await;
                }
            }
        };
        let ended = ended.and_then(|done| {
            done.ok_or_else(|| Problem::new(ErrorCode::Unavailable, "the upload was cancelled"))
        });
        let _ = sender.send(Message::UploadEnded(id, ended));
    });
}
