//! The table of all metrics. The doc comment of a metric is its description in Prometheus and in
//! docs/metrics.md.

use crate::definition::{MetricDefinition, MetricType};

/// Histogram bounds from a millisecond to half a minute, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

const COUNTER: MetricType = MetricType::Counter;
const GAUGE: MetricType = MetricType::Gauge;
const HISTOGRAM: MetricType = MetricType::Histogram(SECONDS);

macro_rules! definitions {
    ($(#[$about:meta])* $list:ident: $(
        $(#[doc = $help:literal])+ $constant:ident = $name:literal, $kind:expr, [$($label:literal),*];
    )*) => {
        $(
            $(#[doc = $help])+
            pub const $constant: MetricDefinition = MetricDefinition {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                help: concat!($($help),+),
            };
        )*
        $(#[$about])*
        pub const $list: &[MetricDefinition] = &[$($constant,)*];
    };
}

definitions! {
    /// The metrics of a directory.
    DIRECTORY:

    /// Requests answered. `api` is `rest` or `grpc`; `route` is a method and a path template, or
    /// `other`; `status` is the HTTP status or the gRPC code. A stream is counted when it begins.
    REQUESTS = "convite_directory_requests_total", COUNTER, ["api", "route", "status"];
    /// Time from the headers of a request to those of its response.
    REQUEST_SECONDS = "convite_directory_request_seconds", HISTOGRAM, ["api", "route"];
    /// Requests in progress.
    REQUESTS_IN_FLIGHT = "convite_directory_requests_in_flight", GAUGE, ["api"];
    /// Logins with a password. `outcome` is `ok` or an error code (docs/errors.md).
    LOGINS = "convite_directory_logins_total", COUNTER, ["outcome"];
    /// Accounts that are not disabled. Updated every 10 s.
    ACCOUNTS = "convite_directory_accounts", GAUGE, [];
    /// Active sessions. Updated every 10 s.
    SESSIONS = "convite_directory_sessions", GAUGE, [];
    /// Peers online, without transient peers of downloads. Updated every 10 s.
    PEERS_ONLINE = "convite_directory_peers_online", GAUGE, [];
    /// Files in the index, of online and offline peers. Updated every 10 s.
    FILES = "convite_directory_files", GAUGE, [];
    /// Distinct contents in the search index.
    CONTENTS = "convite_directory_contents", GAUGE, [];
    /// Index rows received from peers. `change` is `upserted` or `removed`.
    PUBLISHED_ROWS = "convite_directory_published_rows_total", COUNTER, ["change"];
    /// Tickets signed.
    TICKETS = "convite_directory_tickets_total", COUNTER, [];
    /// Duration of a search, including the lookup of its results.
    SEARCH_SECONDS = "convite_directory_search_seconds", HISTOGRAM, [];
    /// Entries of the change log that are not yet in the search index.
    INDEX_LAG_CHANGES = "convite_directory_search_index_lag_changes", GAUGE, [];
    /// Time since the search index was last up to date with the change log; 0 while it is.
    INDEX_LAG_SECONDS = "convite_directory_search_index_lag_seconds", GAUGE, [];
    /// Changes that wait for the database writer, or for a connection to write with.
    DATABASE_QUEUE = "convite_directory_database_queue", GAUGE, [];
    /// Write transactions of the database; one may contain many changes.
    DATABASE_TRANSACTIONS = "convite_directory_database_transactions_total", COUNTER, [];
    /// Time spent in write transactions, from their beginning to the end of the commit.
    DATABASE_TRANSACTION_SECONDS = "convite_directory_database_transaction_seconds_total", COUNTER, [];
    /// Open database connections.
    DATABASE_CONNECTIONS = "convite_directory_database_connections", GAUGE, [];
    /// Database connections in use.
    DATABASE_CONNECTIONS_BUSY = "convite_directory_database_connections_busy", GAUGE, [];
    /// 1 if /readyz reports ready, else 0.
    READY = "convite_directory_ready", GAUGE, [];
}

definitions! {
    /// The metrics of a peer.
    PEER:

    /// Requests answered. `route` is a path template, or `other`; `status` is the HTTP status. A
    /// download is counted when it begins.
    PEER_REQUESTS = "convite_peer_requests_total", COUNTER, ["route", "status"];
    /// File bytes sent to others.
    SENT_BYTES = "convite_peer_sent_bytes_total", COUNTER, [];
    /// Verified file bytes received from others.
    RECEIVED_BYTES = "convite_peer_received_bytes_total", COUNTER, [];
    /// Received pieces that failed verification.
    VERIFICATION_FAILURES = "convite_peer_verification_failures_total", COUNTER, [];
    /// Uploads in progress.
    UPLOADS_ACTIVE = "convite_peer_uploads_active", GAUGE, [];
    /// Requests that wait for an upload slot.
    UPLOADS_WAITING = "convite_peer_uploads_waiting", GAUGE, [];
    /// Downloads in progress.
    DOWNLOADS_ACTIVE = "convite_peer_downloads_active", GAUGE, [];
    /// Shared files.
    SHARED_FILES = "convite_peer_shared_files", GAUGE, [];
    /// Total size of the shared files.
    SHARED_BYTES = "convite_peer_shared_bytes", GAUGE, [];
    /// Hashed files.
    HASHED_FILES = "convite_peer_hashed_files_total", COUNTER, [];
    /// Total size of the hashed files.
    HASHED_BYTES = "convite_peer_hashed_bytes_total", COUNTER, [];
    /// Files found but not hashed yet.
    HASH_BACKLOG = "convite_peer_hash_backlog_files", GAUGE, [];
    /// Completed scans of all shares.
    SCANS = "convite_peer_scans_total", COUNTER, [];
    /// 1 while the directory lists this peer, else 0.
    LISTED = "convite_peer_listed", GAUGE, [];
    /// 1 while the directory has the current index of this peer, else 0.
    PUBLISHED = "convite_peer_published", GAUGE, [];
}

definitions! {
    /// The metrics of directories and peers.
    PROCESS:

    /// Always 1; `version` is the version of the program.
    BUILD_INFO = "convite_build_info", GAUGE, ["version"];
    /// CPU time used by this process.
    CPU_SECONDS = "process_cpu_seconds_total", COUNTER, [];
    /// Resident memory.
    RESIDENT_BYTES = "process_resident_memory_bytes", GAUGE, [];
    /// Open files and sockets.
    OPEN_FDS = "process_open_fds", GAUGE, [];
    /// Limit on open files and sockets.
    MAX_FDS = "process_max_fds", GAUGE, [];
    /// Number of threads.
    THREADS = "process_threads", GAUGE, [];
    /// Start time of the process, in seconds since 1970.
    START_TIME = "process_start_time_seconds", GAUGE, [];
}
