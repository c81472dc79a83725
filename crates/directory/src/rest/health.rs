//! `/`, `/healthz` and `/readyz`: for people who look, and for whoever watches over the process.

use std::sync::Arc;

use axum::extract::State;

use super::Answer;
use crate::Service;

const WELCOME: &str = "This is a Convite directory: private file sharing for a group.\n\
    To join, ask whoever runs it for an invite, then: convite join LINK\n";

pub(super) async fn welcome() -> &'static str {
    WELCOME
}

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The directory can do its work.
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Answer<&'static str> {
    service.ready().await?;
    Ok("ready\n")
}
