//! Colours and the environment variables that control them: `NO_COLOR` (<https://no-color.org>),
//! `CLICOLOR_FORCE` and `CLICOLOR` (<https://bixense.com/clicolors>), `TERM=dumb`.

use std::ffi::OsString;

/// The style of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Emphasis.
    Strong,
    /// Success.
    Success,
    /// An error.
    Error,
    /// A hint.
    Hint,
}

impl Style {
    /// Returns `text` between control sequences (ECMA-48, SGR).
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Strong => "1",
            Self::Success => "32",
            Self::Error => "1;31",
            Self::Hint => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Returns whether output to a stream may be coloured, by the environment of this process.
pub fn is_enabled(is_terminal: bool) -> bool {
    decide(is_terminal, |name| std::env::var_os(name))
}

/// Returns whether the terminal can move its cursor, which progress bars need.
pub fn can_move_cursor(is_terminal: bool) -> bool {
    is_terminal && !is_dumb(&|name| std::env::var_os(name))
}

fn is_dumb(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    variable("TERM").is_some_and(|term| term == "dumb")
}

fn decide(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let is_off = set("CLICOLOR").is_some_and(|value| value == "0");
    is_terminal && !is_off && !is_dumb(&variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_terminal_and_the_environment() {
        for (is_terminal, set, expected) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("CLICOLOR", "1")], true),
            (true, &[("TERM", "dumb")], false),
            (true, &[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
            (true, &[("TERM", "xterm")], true),
        ] {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(decide(is_terminal, variable), expected, "{set:?}");
        }
    }
}
