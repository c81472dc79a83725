//! Default names of accounts and peers.

use convite_core::{PeerId, Problem, UserName};
use convite_net::random;

/// Returns the login name of the current user, reduced to the characters of a user name, else `me`.
pub fn default_user() -> UserName {
    let login = ["USER", "USERNAME", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    sanitized(&login)
        .parse()
        .or_else(|_| "me".parse())
        .unwrap_or_else(|_| unreachable!("'me' is a name"))
}

/// The number of random characters at the end of a new peer id.
const SUFFIX_LENGTH: usize = 4;

/// Returns a new peer id, USER-HOST-SUFFIX. The suffix is random, so that two homes of one account on
/// one machine have different ids. The caller stores it in the home.
///
/// # Errors
/// Returns `internal` if the system has no random numbers.
pub fn new_peer_id(user: &UserName) -> Result<PeerId, Problem> {
    let random: [u8; SUFFIX_LENGTH] = random::bytes()?;
    // 32 letters and digits, without similar ones (l and 1, o and 0).
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let suffix = random.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let suffix: String = suffix.into_iter().collect();
    let base: String = user_at_host(user)
        .as_str()
        .chars()
        .take(convite_core::names::NAME_MAX - SUFFIX_LENGTH - 1)
        .collect();
    format!("{base}-{suffix}").parse()
}

/// Returns the peer id USER-HOST.
pub fn user_at_host(user: &UserName) -> PeerId {
    let host = host();
    let host = sanitized(host.split('.').next().unwrap_or_default());
    let wanted = if host.is_empty() {
        user.to_string()
    } else {
        format!("{user}-{host}")
    };
    PeerId::from_lossy(&wanted)
}

fn sanitized(text: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    kept.skip_while(|c| !c.is_ascii_alphanumeric())
        .take(30)
        .collect()
}

fn host() -> String {
    let from_system = if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok()
    } else {
        None
    };
    from_system
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_peer_id_is_valid_for_any_host_name() {
        let user: UserName = "ana".parse().unwrap();
        assert!(user_at_host(&user).as_str().starts_with("ana"));
        let (one, other) = (new_peer_id(&user).unwrap(), new_peer_id(&user).unwrap());
        assert!(one.as_str().starts_with(user_at_host(&user).as_str()));
        assert_ne!(one, other);
        let long: UserName = "a".repeat(64).parse().unwrap();
        assert!(new_peer_id(&long).is_ok());
        assert_eq!(sanitized("-ñandú x"), "andx");
        assert!(!super::default_user().as_str().is_empty());
    }
}
