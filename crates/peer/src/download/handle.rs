//! A download in the hands of somebody: paused, resumed, given up, looked at.

use std::future::Future;
use std::sync::Arc;

use convite_core::Problem;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Fetch, Fetched, Progress, controlled};

/// What a running download is told from outside.
pub(super) struct Control {
    /// None once nobody can change it any more.
    paused: Option<watch::Receiver<bool>>,
    cancel: CancellationToken,
}

/// What a download is told.
pub(super) enum Order {
    /// To pause, or to go on.
    Pause(bool),
    /// To give up.
    Cancel,
}

impl Control {
    /// Of a download that nobody can pause.
    pub(super) fn unpaused(cancel: CancellationToken) -> Self {
        Self {
            paused: None,
            cancel,
        }
    }

    pub(super) fn is_paused(&mut self) -> bool {
        let paused = self.paused.as_mut();
        paused.is_some_and(|paused| *paused.borrow_and_update())
    }

    /// The next order; pending while there is none. Nothing is lost if this is dropped.
    pub(super) async fn order(&mut self) -> Order {
        tokio::select! {
            () = self.cancel.cancelled() => Order::Cancel,
            paused = changed(&mut self.paused) => Order::Pause(paused),
        }
    }
}

/// Whether a download is to be paused, once that changes.
async fn changed(paused: &mut Option<watch::Receiver<bool>>) -> bool {
    let Some(heard) = paused else {
        return std::future::pending().await;
    };
    if heard.changed().await.is_ok() {
        return *heard.borrow_and_update();
    }
    // A download of which every handle is gone must not stand still for ever.
    *paused = None;
    false
}

/// The way to a download that runs. Clones are handles of the same download; once all are gone, it
/// goes on unpaused to its end.
#[derive(Debug, Clone)]
pub struct DownloadHandle {
    paused: Arc<watch::Sender<bool>>,
    cancel: CancellationToken,
    progress: watch::Receiver<Progress>,
}

impl DownloadHandle {
    /// Asks for nothing until [`Self::resume`]. Requests under way are given up, which frees their
    /// providers' slots; connections are kept, and what has been fetched is provided on.
    pub fn pause(&self) {
        self.set(true);
    }

    /// Goes on where it was paused; what is verified is not fetched again.
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

    /// Whether it is paused, or about to be.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Gives it up: it ends with none. What is verified is kept, and a later download of the same
    /// file with the same home goes on from there.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// How it stands. A receiver of its own: [`watch::Receiver::changed`] on it waits for news.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

/// [`super::fetch`], with a handle on it. The download runs while the future is polled.
pub fn begin(
    wanted: Fetch,
) -> (
    DownloadHandle,
    impl Future<Output = Result<Option<Fetched>, Problem>> + Send,
) {
    let (sender, progress) = watch::channel(Progress::default());
    let (paused, heard) = watch::channel(false);
    let cancel = CancellationToken::new();
    let control = Control {
        paused: Some(heard),
        cancel: cancel.clone(),
    };
    let handle = DownloadHandle {
        paused: Arc::new(paused),
        cancel,
        progress,
    };
    (handle, controlled(wanted, sender, control))
}
