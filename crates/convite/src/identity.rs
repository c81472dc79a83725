//! Names for those who gave none.

use convite_core::{PeerId, UserName};

/// The login name of whoever runs this, as far as it can be a user name.
pub fn user() -> UserName {
    let login = ["USER", "USERNAME", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    sanitized(&login)
        .parse()
        .or_else(|_| "me".parse())
        .unwrap_or_else(|_| unreachable!("'me' is a name"))
}

/// USER-HOST.
pub fn peer(user: &UserName) -> PeerId {
    let host = host();
    let host = sanitized(host.split('.').next().unwrap_or_default());
    let wanted = if host.is_empty() {
        user.to_string()
    } else {
        format!("{user}-{host}")
    };
    let wanted: String = wanted.chars().take(convite_core::names::NAME_MAX).collect();
    wanted
        .parse()
        .or_else(|_| user.as_str().parse())
        .unwrap_or_else(|_| unreachable!("a user name is a peer id"))
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
    fn whatever_the_machine_is_called_there_is_a_valid_id() {
        let user: UserName = "ana".parse().unwrap();
        assert!(peer(&user).as_str().starts_with("ana"));
        assert_eq!(sanitized("-ñandú x"), "andx");
        assert!(!super::user().as_str().is_empty());
    }
}
