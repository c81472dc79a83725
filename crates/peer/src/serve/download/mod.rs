//! Sending files and folders to other peers, and files to browsers.

pub(crate) mod availability;
pub(crate) mod buffers;
pub(crate) mod byte_ranges;
pub(crate) mod contents;
pub(crate) mod file_body;
pub(crate) mod files;
pub mod folder_layout;
pub(crate) mod folder_reader;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod manifests;
pub mod promises;
pub(crate) mod rate_limits;
pub(crate) mod read_ahead;
pub mod report_limits;
pub(crate) mod reports;
pub mod uploads;
