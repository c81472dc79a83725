//! The size of a page of a list.

use convite_core::Problem;

/// Checks the size of a page.
pub(crate) fn page_limit(asked: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid(format!(
        "the limit must be 1 to {max}, not {limit}"
    )))
}

/// Checks the size of a page of a list: 1 to 1,000, by default 100.
pub(crate) fn list_limit(asked: Option<u32>) -> Result<u32, Problem> {
    page_limit(asked, 100, 1000)
}
