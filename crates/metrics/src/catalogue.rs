//! The table of all metrics. A doc comment is what Prometheus and docs/metrics.md say of one.

use crate::{Definition, Kind};

/// Bounds for what takes from a millisecond to half a minute, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

const COUNTER: Kind = Kind::Counter;
const GAUGE: Kind = Kind::Gauge;
const HISTOGRAM: Kind = Kind::Histogram(SECONDS);

macro_rules! definitions {
    ($(#[$about:meta])* $list:ident: $(
        $(#[doc = $help:literal])+ $constant:ident = $name:literal, $kind:expr, [$($label:literal),*];
    )*) => {
        $(
            $(#[doc = $help])+
            pub const $constant: Definition = Definition {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                help: concat!($($help),+),
            };
        )*
        $(#[$about])*
        pub const $list: &[Definition] = &[$($constant,)*];
    };
}

definitions! {
    /// What only a directory counts.
    DIRECTORY:

    /// Requests answered. `door` is `rest` or `grpc`; `route` a method and a path's template, or `other`; `status` the HTTP status or the gRPC code. A stream counts when it begins.
    REQUESTS = "convite_directory_requests_total", COUNTER, ["door", "route", "status"];
    /// Time from a request's headers to the answer's.
    REQUEST_SECONDS = "convite_directory_request_seconds", HISTOGRAM, ["door", "route"];
    /// Requests that are being answered.
    REQUESTS_IN_FLIGHT = "convite_directory_requests_in_flight", GAUGE, ["door"];
    /// Logins with a password. `outcome` is `ok` or an error code (docs/errors.md).
    LOGINS = "convite_directory_logins_total", COUNTER, ["outcome"];
    /// Accounts that are not disabled, as of the last 10 s.
    ACCOUNTS = "convite_directory_accounts", GAUGE, [];
    /// Sessions that have not ended, as of the last 10 s.
    SESSIONS = "convite_directory_sessions", GAUGE, [];
    /// Peers online, without those there for one download, as of the last 10 s.
    PEERS_ONLINE = "convite_directory_peers_online", GAUGE, [];
    /// Files in the index, of peers online or not, as of the last 10 s.
    FILES = "convite_directory_files", GAUGE, [];
    /// Distinct contents in the search index.
    CONTENTS = "convite_directory_contents", GAUGE, [];
    /// Rows of peers' indexes that were taken in. `change` is `upserted` or `removed`.
    PUBLISHED_ROWS = "convite_directory_published_rows_total", COUNTER, ["change"];
    /// Tickets signed.
    TICKETS = "convite_directory_tickets_total", COUNTER, [];
    /// Time that a search took, the lookup of its results included.
    SEARCH_SECONDS = "convite_directory_search_seconds", HISTOGRAM, [];
    /// Entries of the change log that the search index has not followed yet.
    INDEX_LAG_CHANGES = "convite_directory_search_index_lag_changes", GAUGE, [];
    /// Time since the search index was level with the change log; 0 while it is.
    INDEX_LAG_SECONDS = "convite_directory_search_index_lag_seconds", GAUGE, [];
    /// Changes that wait for the database's writer, or for a connection to write with.
    DATABASE_QUEUE = "convite_directory_database_queue", GAUGE, [];
    /// Transactions that changed the database; one may hold many changes.
    DATABASE_TRANSACTIONS = "convite_directory_database_transactions_total", COUNTER, [];
    /// Time spent in them, from the beginning to the end of the commit.
    DATABASE_TRANSACTION_SECONDS = "convite_directory_database_transaction_seconds_total", COUNTER, [];
    /// Database connections that are open.
    DATABASE_CONNECTIONS = "convite_directory_database_connections", GAUGE, [];
    /// Database connections that are in use.
    DATABASE_CONNECTIONS_BUSY = "convite_directory_database_connections_busy", GAUGE, [];
    /// 1 if /readyz says so, else 0.
    READY = "convite_directory_ready", GAUGE, [];
}

definitions! {
    /// What only a peer counts.
    PEER:

    /// Requests answered. `route` is a path's template, or `other`; `status` the HTTP status. A download counts when it begins.
    PEER_REQUESTS = "convite_peer_requests_total", COUNTER, ["route", "status"];
    /// Contents sent to others.
    SENT_BYTES = "convite_peer_sent_bytes_total", COUNTER, [];
    /// Contents received from others, verified.
    RECEIVED_BYTES = "convite_peer_received_bytes_total", COUNTER, [];
    /// Pieces received that failed verification.
    VERIFICATION_FAILURES = "convite_peer_verification_failures_total", COUNTER, [];
    /// Uploads under way.
    UPLOADS_ACTIVE = "convite_peer_uploads_active", GAUGE, [];
    /// Requests that wait for an upload slot.
    UPLOADS_WAITING = "convite_peer_uploads_waiting", GAUGE, [];
    /// Files being fetched.
    DOWNLOADS_ACTIVE = "convite_peer_downloads_active", GAUGE, [];
    /// Files shared.
    SHARED_FILES = "convite_peer_shared_files", GAUGE, [];
    /// Size of the files shared.
    SHARED_BYTES = "convite_peer_shared_bytes", GAUGE, [];
    /// Files read and hashed.
    HASHED_FILES = "convite_peer_hashed_files_total", COUNTER, [];
    /// Size of the files read and hashed.
    HASHED_BYTES = "convite_peer_hashed_bytes_total", COUNTER, [];
    /// Files found and not hashed yet.
    HASH_BACKLOG = "convite_peer_hash_backlog_files", GAUGE, [];
    /// Scans of all shares that are done.
    SCANS = "convite_peer_scans_total", COUNTER, [];
    /// 1 while the directory lists this peer, else 0.
    LISTED = "convite_peer_listed", GAUGE, [];
    /// 1 while the directory has been told of all that is shared, else 0.
    PUBLISHED = "convite_peer_published", GAUGE, [];
}

definitions! {
    /// What both count.
    PROCESS:

    /// Always 1; `version` is that of the program.
    BUILD_INFO = "convite_build_info", GAUGE, ["version"];
    /// Time that the processors worked for this process.
    CPU_SECONDS = "process_cpu_seconds_total", COUNTER, [];
    /// Memory in use, without what is swapped out.
    RESIDENT_BYTES = "process_resident_memory_bytes", GAUGE, [];
    /// Files and sockets that are open.
    OPEN_FDS = "process_open_fds", GAUGE, [];
    /// How many may be.
    MAX_FDS = "process_max_fds", GAUGE, [];
    /// Threads.
    THREADS = "process_threads", GAUGE, [];
    /// When the process started, in seconds since 1970.
    START_TIME = "process_start_time_seconds", GAUGE, [];
}
