//! The cost classes of requests. Each class has its own limits in [`crate::middleware::admission`].

/// The cost class of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CostClass {
    /// A few rows: heartbeats, registration, lookup of providers.
    Cheap,
    /// The search index, or many rows read.
    Search,
    /// Many rows written, or a large request body.
    Publish,
    /// A password hash.
    PasswordHash,
    /// A response of unlimited duration.
    Streaming,
    /// Without a session: files of links, gRPC health and reflection.
    Public,
}

impl CostClass {
    pub(crate) const ALL: [Self; 6] = [
        Self::Cheap,
        Self::Search,
        Self::Publish,
        Self::PasswordHash,
        Self::Streaming,
        Self::Public,
    ];

    /// Returns whether a request has no time limit as a whole. Each such request has its own limits
    /// on inactivity.
    pub(crate) fn has_no_time_limit(self, via_grpc: bool) -> bool {
        match self {
            Self::Streaming | Self::Public => true,
            // A stream of batches with gRPC, a single body with REST.
            Self::Publish => via_grpc,
            Self::Cheap | Self::Search | Self::PasswordHash => false,
        }
    }

    /// Returns the name in docs/operations.md.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cheap => "cheap",
            Self::Search => "search",
            Self::Publish => "publish",
            Self::PasswordHash => "password hash",
            Self::Streaming => "streaming",
            Self::Public => "public",
        }
    }
}
