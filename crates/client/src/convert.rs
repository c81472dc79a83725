//! The directory's answers as the words of the core. The directory is trusted to know, not to be
//! free of faults: an answer that breaks a rule is refused.

use convite_core::{ErrorCode, Problem};

/// An answer that no directory should give.
pub(crate) fn odd_answer(problem: Problem) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the directory gave an answer that makes no sense: {problem}"),
    )
    .hint("are directory and client of the same version?")
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
