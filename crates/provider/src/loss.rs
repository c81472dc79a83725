//! The reasons why providers were lost, for the planner and for the user.

use convite_core::display::escape;
use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::dial::ConnectFailure;
use convite_swarm::ProviderFailure;

/// The maximum number of reasons in an error message.
const REASONS_MAX: usize = 3;

/// The loss of a provider or of a request.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Its meaning for the planner.
    pub failure: ProviderFailure,
    /// The error for the user.
    pub reason: Problem,
}

impl Loss {
    /// The connection broke or the response was malformed.
    pub fn disconnected(how: &str) -> Self {
        Self {
            failure: ProviderFailure::Unreachable,
            reason: Problem::new(ErrorCode::Unavailable, how),
        }
    }

    /// The provider sent data that cannot belong to the file.
    pub fn wrong_data() -> Self {
        Self {
            failure: ProviderFailure::Dishonest,
            reason: Problem::new(ErrorCode::CorruptContents, "it sent wrong data"),
        }
    }

    /// Returns whether this reason should replace `last`, the last one for the provider. A more
    /// specific reason is kept: the peer of a changed file stops sharing it a moment later, and may
    /// then stop.
    pub fn should_replace(&self, last: &Problem) -> bool {
        let weight = |problem: &Problem| match problem.code {
            ErrorCode::ContentChanged | ErrorCode::ReadFailed => 3,
            ErrorCode::NotFound => 2,
            _ => 1,
        };
        let (now, before) = (weight(&self.reason), weight(last));
        now > before || (now, before) == (1, 1)
    }

    /// The provider returned this error.
    pub fn from_provider(reason: Problem) -> Self {
        let failure = match reason.code {
            ErrorCode::TicketInvalid | ErrorCode::Unauthenticated => ProviderFailure::Refused,
            ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::TooManyRequests => {
                ProviderFailure::Busy
            }
            ErrorCode::NotFound | ErrorCode::ContentChanged | ErrorCode::ReadFailed => {
                ProviderFailure::Gone
            }
            _ => ProviderFailure::Unreachable,
        };
        Self { failure, reason }
    }
}

impl From<ConnectFailure> for Loss {
    fn from(unanswered: ConnectFailure) -> Self {
        Self {
            failure: if unanswered.is_certain {
                ProviderFailure::Gone
            } else {
                ProviderFailure::Unreachable
            },
            reason: unanswered.problem,
        }
    }
}

impl From<Problem> for Loss {
    fn from(reason: Problem) -> Self {
        Self {
            failure: ProviderFailure::Unreachable,
            reason,
        }
    }
}

/// Returns a description of the last errors of lost providers, at most three of them. Text from
/// providers is escaped.
pub fn describe_losses(reasons: &[(PeerId, Problem)]) -> String {
    let said = |(peer, reason): &(PeerId, Problem)| format!("{peer}: {}", escape(&reason.message));
    let mut told: Vec<String> = reasons.iter().take(REASONS_MAX).map(said).collect();
    if reasons.len() > REASONS_MAX {
        told.push(format!("and {} more", reasons.len() - REASONS_MAX));
    }
    told.join("; ")
}

/// Returns the error for a download without providers, from the last error of each.
pub fn no_provider_left(reasons: &[(PeerId, Problem)]) -> Problem {
    let Some((_, first)) = reasons.first() else {
        return Problem::new(
            ErrorCode::Unavailable,
            "no source of the file can be reached",
        )
        .hint("run the same command again when a source is online");
    };
    let is_shared = reasons.iter().all(|(_, reason)| reason.code == first.code);
    let (code, hint) = match first.code {
        ErrorCode::ContentChanged if is_shared => (
            ErrorCode::ContentChanged,
            "search again in a minute; the changed file has another hash",
        ),
        ErrorCode::NotFound if is_shared => (
            ErrorCode::NotFound,
            "find another source with `convite search WORDS`",
        ),
        ErrorCode::ReadFailed if is_shared => (
            ErrorCode::ReadFailed,
            "ask the owner of that peer to check its disk with `convite status`",
        ),
        ErrorCode::PermissionDenied | ErrorCode::TicketInvalid if is_shared => (
            ErrorCode::PermissionDenied,
            "run the same command again; if access is denied again, ask the owner of the file",
        ),
        _ => (
            ErrorCode::Unavailable,
            "run the same command again when a source is online",
        ),
    };
    Problem::new(code, describe_losses(reasons)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[(&str, ErrorCode)]) -> Vec<(PeerId, Problem)> {
        let reason = |(peer, code): &(&str, ErrorCode)| {
            let problem = Problem::new(*code, format!("it is {code}"));
            (peer.parse().unwrap(), problem)
        };
        codes.iter().map(reason).collect()
    }

    #[test]
    fn message_names_the_providers_reasons() {
        use ErrorCode::{ContentChanged, NotFound, Unavailable};
        let one = no_provider_left(&reasons(&[("prov", ContentChanged)]));
        assert_eq!(one.code, ContentChanged);
        assert_eq!(one.message, "prov: it is content_changed");
        let mixed = no_provider_left(&reasons(&[("a", ContentChanged), ("b", NotFound)]));
        assert_eq!(mixed.code, Unavailable);
        assert_eq!(
            mixed.message,
            "a: it is content_changed; b: it is not_found"
        );
        let many = [
            ("a", NotFound),
            ("b", NotFound),
            ("c", NotFound),
            ("d", NotFound),
            ("e", NotFound),
        ];
        let many = no_provider_left(&reasons(&many));
        assert!(many.message.ends_with("c: it is not_found; and 2 more"));
        assert_eq!(many.code, NotFound);
        assert_eq!(no_provider_left(&[]).code, Unavailable);
    }

    #[test]
    fn first_certain_reason_is_kept() {
        let problem = |code| Problem::new(code, "");
        let tells =
            |now, before| Loss::from_provider(problem(now)).should_replace(&problem(before));
        use ErrorCode::{ContentChanged, NotFound, ReadFailed, Unavailable};
        assert!(tells(ContentChanged, Unavailable) && tells(Unavailable, Unavailable));
        assert!(tells(ContentChanged, NotFound) && !tells(NotFound, ContentChanged));
        assert!(!tells(Unavailable, ReadFailed) && !tells(NotFound, NotFound));
    }

    #[test]
    fn certain_loss_is_not_retried() {
        let failure = |code| Loss::from_provider(Problem::new(code, "")).failure;
        for code in [
            ErrorCode::NotFound,
            ErrorCode::ContentChanged,
            ErrorCode::ReadFailed,
        ] {
            assert_eq!(failure(code), ProviderFailure::Gone, "{code}");
        }
        assert_eq!(failure(ErrorCode::Overloaded), ProviderFailure::Busy);
        assert_eq!(failure(ErrorCode::TicketInvalid), ProviderFailure::Refused);
    }
}
