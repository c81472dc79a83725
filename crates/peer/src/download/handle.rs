//! Controls a running download: pause, resume, cancel, progress.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::request::DownloadProgress;

/// The receiving side of a download's controls.
pub(super) struct DownloadControl {
    /// `None` once all handles are gone.
    paused: Option<watch::Receiver<bool>>,
    cancel: CancellationToken,
}

/// A command to a download.
pub(super) enum ControlCommand {
    /// Pause (`true`) or resume (`false`).
    Pause(bool),
    /// Cancel.
    Cancel,
}

impl DownloadControl {
    /// Controls for a download that cannot be paused.
    pub(super) fn unpaused(cancel: CancellationToken) -> Self {
        Self {
            paused: None,
            cancel,
        }
    }

    /// Returns the token that is cancelled with the download.
    pub(super) fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(super) fn is_paused(&mut self) -> bool {
        let paused = self.paused.as_mut();
        paused.is_some_and(|paused| *paused.borrow_and_update())
    }

    /// Waits for the next command. Cancel safe.
    pub(super) async fn next_command(&mut self) -> ControlCommand {
        tokio::select! {
            () = self.cancel.cancelled() => ControlCommand::Cancel,
            paused = changed(&mut self.paused) => ControlCommand::Pause(paused),
        }
    }
}

/// Waits for a change and returns whether to pause.
async fn changed(paused: &mut Option<watch::Receiver<bool>>) -> bool {
    let Some(heard) = paused else {
        return std::future::pending().await;
    };
    if heard.changed().await.is_ok() {
        return *heard.borrow_and_update();
    }
    // A download without handles must not stay paused forever.
    *paused = None;
    false
}

/// A handle of a running download. Clones refer to the same download. When all handles are dropped,
/// it continues unpaused.
#[derive(Debug, Clone)]
pub struct DownloadHandle {
    paused: Arc<watch::Sender<bool>>,
    cancel: CancellationToken,
    progress: watch::Receiver<DownloadProgress>,
}

impl DownloadHandle {
    /// Pauses until [`Self::resume`]. Requests in progress are cancelled, which frees their
    /// providers' slots. Connections are kept, and downloaded pieces are still provided.
    pub fn pause(&self) {
        self.set(true);
    }

    /// Resumes. Verified pieces are not downloaded again.
    pub fn resume(&self) {
        self.set(false);
    }

    fn set(&self, wanted: bool) {
        self.paused.send_if_modified(|paused| {
            let changed = *paused != wanted;
            *paused = wanted;
            changed
        });
    }

    /// Returns whether the download is paused or about to be paused.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Cancels the download, which then returns `None`. Verified pieces are kept, and a later
    /// download of the same file with the same home resumes.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Returns a receiver of the progress. [`watch::Receiver::changed`] on it waits for changes.
    pub fn progress(&self) -> watch::Receiver<DownloadProgress> {
        self.progress.clone()
    }
}

/// Returns a handle and the receiving side of its controls.
pub(super) fn handle(
    progress: watch::Receiver<DownloadProgress>,
) -> (DownloadHandle, DownloadControl) {
    let (paused, heard) = watch::channel(false);
    let cancel = CancellationToken::new();
    let control = DownloadControl {
        paused: Some(heard),
        cancel: cancel.clone(),
    };
    let handle = DownloadHandle {
        paused: Arc::new(paused),
        cancel,
        progress,
    };
    (handle, control)
}
