//! Paths as they are typed.

use std::path::{Path, PathBuf};

/// Where paths begin that do not say it.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// The folder that the menu was started in.
    pub here: PathBuf,
    /// The user's own folder.
    pub home: Option<PathBuf>,
}

impl Paths {
    /// The path that is meant, whole: what is remembered has to mean the same wherever the menu is
    /// started the next time. `~` is the user's folder. What a link or `..` leads to is not looked up.
    pub fn absolute(&self, typed: &str) -> String {
        let meant = match (typed.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (None, Some(home)) if typed == "~" => home.clone(),
            _ => self.here.join(typed),
        };
        // Without `.` and doubled separators.
        let parts: PathBuf = Path::new(&meant).components().collect();
        parts.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_means_the_same_from_everywhere() {
        let paths = Paths {
            here: "/work/ana".into(),
            home: Some("/home/ana".into()),
        };
        for (typed, meant) in [
            ("out", "/work/ana/out"),
            ("./out//x/", "/work/ana/out/x"),
            (".", "/work/ana"),
            ("../x", "/work/ana/../x"),
            ("~", "/home/ana"),
            ("~/x", "/home/ana/x"),
            ("~x", "/work/ana/~x"),
            ("/tmp/", "/tmp"),
        ] {
            assert_eq!(paths.absolute(typed), meant, "{typed}");
        }
    }
}
