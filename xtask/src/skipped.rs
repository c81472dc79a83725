//! Checks that a step of `cargo xtask ci` skips because a tool is missing. In CI a missing tool
//! fails the step; elsewhere the check is skipped, and listed after the last step.

use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::Failure;
use crate::install::{self, Consent};

static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static CONSENT: OnceLock<Consent> = OnceLock::new();

/// Sets whether steps may install missing tools.
pub fn set_consent(consent: Consent) {
    let _ = CONSENT.set(consent);
}

/// Returns whether steps may install missing tools.
pub fn consent() -> Consent {
    CONSENT.get().copied().unwrap_or(Consent::of(false))
}

/// Returns the result of an installation. Outside CI, a failure skips the check `what` instead.
///
/// # Errors
/// In CI, returns the failure of the installation.
pub fn or_skip<T>(what: &str, got: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match got {
        Ok(got) => Ok(Some(got)),
        Err(failure) if install::in_ci() => Err(format!("{what}: a tool is missing: {failure}")),
        Err(failure) => {
            let why = failure.lines().next().unwrap_or_default();
            skip(what, why);
            Ok(None)
        }
    }
}

/// Skips the check `what`, even in CI.
pub fn skip(what: &str, why: &str) {
    let line = format!("*** SKIPPED: {what}: {why}");
    println!("{line}");
    let mut skipped = SKIPPED.lock();
    skipped.push(line);
}

/// Returns the skipped checks so far, as lines.
pub fn list() -> Vec<String> {
    SKIPPED.lock().clone()
}
