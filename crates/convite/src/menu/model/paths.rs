//! Resolution of typed paths.

use std::path::{Path, PathBuf};

/// The base folders of typed paths.
#[derive(Debug, Clone, Default)]
pub struct BaseFolders {
    /// The folder in which the menu was started.
    pub here: PathBuf,
    /// The user's home folder, for `~`.
    pub home: Option<PathBuf>,
}

impl BaseFolders {
    /// Returns the absolute path, because saved paths must not depend on the folder in which the menu is
    /// started. `~` is the user's home folder. Symbolic links and `..` are not resolved.
    pub fn absolute(&self, typed: &str) -> String {
        let meant = match (typed.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (None, Some(home)) if typed == "~" => home.clone(),
            _ => self.here.join(typed),
        };
        // Removes `.` and repeated separators.
        let parts: PathBuf = Path::new(&meant).components().collect();
        parts.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_paths_become_absolute() {
        let paths = BaseFolders {
            here: "/srv/ana".into(),
            home: Some("/home/ana".into()),
        };
        for (typed, meant) in [
            ("out", "/srv/ana/out"),
            ("./out//x/", "/srv/ana/out/x"),
            (".", "/srv/ana"),
            ("../x", "/srv/ana/../x"),
            ("~", "/home/ana"),
            ("~/x", "/home/ana/x"),
            ("~x", "/srv/ana/~x"),
            ("/tmp/", "/tmp"),
        ] {
            assert_eq!(paths.absolute(typed), meant, "{typed}");
        }
    }
}
