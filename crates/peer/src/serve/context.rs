//! The dependencies of request handlers.

use std::sync::Arc;

use convite_metrics::Registry;
use convite_net::origin::Hosts;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::announce::tickets::TicketVerification;
use crate::inbox::Inbox;
use crate::serve::download::folder_layout::FolderLayouts;
use crate::serve::download::promises::Promises;
use crate::serve::download::report_limits::Reports;
use crate::serve::download::uploads::Uploads;
use crate::sharing::cache::Cache;
use crate::sharing::catalogue::Catalogue;
use crate::sharing::partial_files::PartialFiles;
use crate::sharing::publish_queue::PublishQueue;
use crate::sharing::read_failures::ReadFailures;

/// The dependencies of request handlers.
#[derive(Clone)]
pub struct ServeContext {
    /// The shared files.
    pub catalogue: Arc<Catalogue>,
    /// The partial files.
    pub partial_files: Arc<PartialFiles>,
    /// Stores the piece hashes.
    pub cache: Arc<Cache>,
    /// Checks tickets.
    pub gate: Arc<TicketVerification>,
    /// The inbox for uploads; `None` if uploads are not accepted.
    pub inbox: Option<Arc<Inbox>>,
    /// Files that are being sent.
    pub uploads: Arc<Uploads>,
    /// The layouts of folders that were requested recently.
    pub folder_layouts: Arc<FolderLayouts>,
    /// The pieces promised to downloaders.
    pub promises: Arc<Promises>,
    /// Reports of wrong pieces.
    pub reports: Arc<Reports>,
    /// Changes that are not published yet.
    pub publish_queue: Arc<PublishQueue>,
    /// Requests a scan, when a file turns out to have changed.
    pub rescan: Arc<Notify>,
    /// Files that the disk could not read.
    pub read_failures: Arc<ReadFailures>,
    /// The host names of the peer.
    pub hosts: Hosts,
    /// The peer's metrics.
    pub metrics: Arc<Registry>,
    /// Ends long-running requests on shutdown.
    pub stop: CancellationToken,
}
