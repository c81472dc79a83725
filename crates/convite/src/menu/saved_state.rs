//! The saved state of the menu: `HOME/menu.json`.

use std::path::PathBuf;

use convite_client::Home;
use convite_client::home::write_private;
use convite_net::task::blocking;

use super::model::{BaseFolders, SavedState};

fn path(home: &Home) -> PathBuf {
    home.root().join("menu.json")
}

/// Loads the saved state; returns the default if the file is missing or invalid.
pub fn load(home: &Home) -> SavedState {
    let text = std::fs::read(path(home)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Saves the state; a failure is only logged.
pub async fn save(home: &Home, saved: SavedState) {
    let path = path(home);
    let kept = blocking(move || {
        let text = serde_json::to_vec_pretty(&saved).map_err(std::io::Error::other)?;
        write_private(&path, &text)
    });
    if let Err(error) = kept.await {
        tracing::warn!("cannot save the transfers: {error}");
    }
}

/// Returns the default target folder: `~/Downloads` if it exists, else the current folder.
pub fn downloads_folder() -> String {
    let of_user = std::env::var_os("HOME")
        .map(|home| PathBuf::from(home).join("Downloads"))
        .filter(|folder| folder.is_dir());
    let folder = of_user.or_else(|| std::env::current_dir().ok());
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    folder.display().to_string()
}

/// Returns the base folders for typed paths.
pub fn paths() -> BaseFolders {
    BaseFolders {
        here: std::env::current_dir().unwrap_or_default(),
        home: std::env::var_os("HOME").map(PathBuf::from),
    }
}
