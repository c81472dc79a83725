//! Conversion of the directory's replies to core types. A reply that breaks a rule is rejected.

use convite_core::{ErrorCode, Problem};

/// Wraps a conversion error of a reply.
pub(crate) fn odd_answer(problem: Problem) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the directory sent an invalid reply: {problem}"),
    )
    .hint("check that the directory and this program have the same version")
}

/// Converts every item of a list.
pub(crate) fn all<T, U>(items: Vec<T>) -> Result<Vec<U>, Problem>
where
    U: TryFrom<T, Error = Problem>,
{
    items
        .into_iter()
        .map(|item| item.try_into().map_err(odd_answer))
        .collect()
}
