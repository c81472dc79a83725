//! The uploads that the menu has running, each a task that tells how it stands.

use std::path::PathBuf;

use convite_core::{ErrorCode, PeerId, Problem};
use convite_peer::put::{Progress, Put, put};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::downloads::Common;
use super::message::Message;
use super::model::TransferId;

/// Begins one; it ends with `stop`, and what came over is kept there for a day.
pub fn begin(
    id: TransferId,
    common: Common,
    (peer, file): (PeerId, PathBuf),
    say: mpsc::UnboundedSender<Message>,
    stop: CancellationToken,
) {
    let (sender, mut progress) = watch::channel(Progress::default());
    let upload = Put {
        directory: common.client,
        authority: common.authority,
        peer,
        file,
    };
    tokio::spawn(async move {
        let putting = put(upload, sender, stop);
        tokio::pin!(putting);
        let ended = loop {
            tokio::select! {
                ended = &mut putting => break ended,
                Ok(()) = progress.changed() => {
                    let now = progress.borrow_and_update().clone();
                    let _ = say.send(Message::PutProgress(id, now));
                    tokio::time::sleep(super::runner::TICK).await;
                }
            }
        };
        let ended = ended.and_then(|done| {
            done.ok_or_else(|| Problem::new(ErrorCode::Unavailable, "the upload was given up"))
        });
        let _ = say.send(Message::PutEnded(id, ended));
    });
}
