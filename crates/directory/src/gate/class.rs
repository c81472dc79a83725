//! What requests cost, by their paths: the same through either door.

use axum::http::Method;

const DIRECTORY: &str = "/convite.v1.Directory/";

/// Whether a call through gRPC is one of those that want a session: all but the ways to one.
pub(super) fn wants_session(path: &str) -> bool {
    path.strip_prefix(DIRECTORY)
        .is_some_and(|method| !matches!(method, "Login" | "CreateAccount"))
}

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// A few rows: heartbeats, registering, locating.
    Light,
    /// The search index or many rows.
    Search,
    /// Many rows written, or a body on its way in.
    Publish,
    /// A password to hash.
    Entry,
    /// An answer that goes on for as long as the caller wants.
    Lasting,
    /// The same for whoever comes by: files of links, health, reflection.
    Open,
}

impl Class {
    pub(super) const ALL: [Self; 6] = [
        Self::Light,
        Self::Search,
        Self::Publish,
        Self::Entry,
        Self::Lasting,
        Self::Open,
    ];

    /// The class of a request, through either door.
    pub(super) fn of(path: &str, method: &Method) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match path.strip_prefix(DIRECTORY).unwrap_or(path) {
            "SearchFile" | "ListIndex" | "/search" => Self::Search,
            "/index" if reads => Self::Search,
            "Index" | "/index" => Self::Publish,
            "Login" | "CreateAccount" | "/login" | "/accounts" => Self::Entry,
            "AddUser" | "ChangeUser" | "ChangePassword" => Self::Entry,
            "/users" if !reads => Self::Entry,
            path if path.starts_with("/users/") => Self::Entry,
            "Watch" | "/events" => Self::Lasting,
            path if path.ends_with("/content") || path.ends_with("/upload") => Self::Lasting,
            path if path.starts_with("/d/") || path.starts_with("/grpc.") => Self::Open,
            _ => Self::Light,
        }
    }

    /// Whether such a request may take as long as its ends let it. Each of these has limits of its
    /// own on how long nothing may happen.
    pub(crate) fn lasts(path: &str, method: &Method, via_grpc: bool) -> bool {
        match Self::of(path, method) {
            Self::Lasting | Self::Open => true,
            // A stream of batches there, one body here.
            Self::Publish => via_grpc,
            Self::Light | Self::Search | Self::Entry => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_doors_have_the_same_classes() {
        use Class::{Entry, Lasting, Light, Open, Publish, Search};
        for (path, method, class) in [
            ("/convite.v1.Directory/SearchFile", Method::POST, Search),
            ("/search", Method::GET, Search),
            ("/convite.v1.Directory/Index", Method::POST, Publish),
            ("/index", Method::PUT, Publish),
            ("/convite.v1.Directory/ListIndex", Method::POST, Search),
            ("/index", Method::GET, Search),
            ("/convite.v1.Directory/Login", Method::POST, Entry),
            ("/login", Method::POST, Entry),
            ("/convite.v1.Directory/AddUser", Method::POST, Entry),
            ("/users", Method::POST, Entry),
            ("/convite.v1.Directory/ChangeUser", Method::POST, Entry),
            ("/users/ana", Method::PATCH, Entry),
            ("/convite.v1.Directory/ListUsers", Method::POST, Light),
            ("/users", Method::GET, Light),
            ("/convite.v1.Directory/Heartbeat", Method::POST, Light),
            ("/peers/a/heartbeat", Method::POST, Light),
            ("/convite.v1.Directory/Watch", Method::POST, Lasting),
            ("/grpc.health.v1.Health/Watch", Method::POST, Open),
            ("/files/00/content", Method::GET, Lasting),
            ("/d/token", Method::GET, Open),
            ("/peers/a/upload", Method::POST, Lasting),
            ("/peers/a/upload-ticket", Method::POST, Light),
            ("/convite.v1.Directory/CreateLink", Method::POST, Light),
            ("/files/00/link", Method::POST, Light),
        ] {
            assert_eq!(Class::of(path, &method), class, "{path}");
        }
    }

    #[test]
    fn streams_and_whole_files_may_last() {
        for (path, method, via_grpc) in [
            ("/convite.v1.Directory/Index", Method::POST, true),
            ("/convite.v1.Directory/Watch", Method::POST, true),
            ("/grpc.health.v1.Health/Watch", Method::POST, true),
            ("/events", Method::GET, false),
            ("/files/00/content", Method::GET, false),
            ("/d/token", Method::GET, false),
            ("/peers/a/upload", Method::POST, false),
        ] {
            assert!(Class::lasts(path, &method, via_grpc), "{path}");
        }
        for (path, method, via_grpc) in [
            ("/index", Method::PUT, false),
            ("/convite.v1.Directory/Heartbeat", Method::POST, true),
            ("/peers/a/upload-ticket", Method::POST, false),
            ("/login", Method::POST, false),
        ] {
            assert!(!Class::lasts(path, &method, via_grpc), "{path}");
        }
    }
}
