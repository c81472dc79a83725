//! Receiving files for the inbox.

pub(crate) mod form;
pub(crate) mod form_body;
pub(crate) mod grpc;
