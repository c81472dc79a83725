//! Random bytes of the operating system.

use convite_core::{ErrorCode, Problem};

/// Returns random bytes that are suitable for secrets.
///
/// # Errors
/// Returns `internal` if the system provides no randomness.
#[expect(clippy::disallowed_methods, reason = "this is the helper")]
pub fn bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("cannot get random bytes: {error}"),
        )
    })?;
    Ok(bytes)
}
