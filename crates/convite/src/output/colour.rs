//! Whether text may be coloured, as people say it with environment variables: `NO_COLOR`
//! (<https://no-color.org>), `CLICOLOR_FORCE` and `CLICOLOR` (<https://bixense.com/clicolors>), `TERM=dumb`.

use std::ffi::OsString;

/// How a piece of text is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What the eye should find first.
    Strong,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// What to do about it.
    Advice,
}

impl Tone {
    /// `text` between the control sequences (ECMA-48, SGR).
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Strong => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Advice => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Whether a stream may be coloured, in this process's environment.
pub fn allowed(is_terminal: bool) -> bool {
    decide(is_terminal, |name| std::env::var_os(name))
}

/// Whether a terminal can move its cursor, so that progress can be drawn in place.
pub fn can_move(is_terminal: bool) -> bool {
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
    fn colour_is_for_terminals_and_the_environment_has_its_say() {
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
