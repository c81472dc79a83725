//! What the menu remembers in the home: `HOME/menu.json`.

use std::path::PathBuf;

use convite_client::Home;
use convite_client::home::write_private;

use super::model::{Memory, Paths};

fn path(home: &Home) -> PathBuf {
    home.root().join("menu.json")
}

/// What was kept the last time. What cannot be read is forgotten: it is a convenience.
pub fn load(home: &Home) -> Memory {
    let text = std::fs::read(path(home)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Keeps it; a failure is logged, and no reason to stop.
pub async fn keep(home: &Home, memory: Memory) {
    let path = path(home);
    let kept = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec_pretty(&memory).map_err(std::io::Error::other)?;
        write_private(&path, &text)
    });
    if let Ok(Err(error)) = kept.await {
        tracing::warn!("cannot remember the transfers: {error}");
    }
}

/// Where files go if nothing else was chosen: the user's folder for downloads, if there is one.
pub fn downloads_folder() -> String {
    let of_user = std::env::var_os("HOME")
        .map(|home| PathBuf::from(home).join("Downloads"))
        .filter(|folder| folder.is_dir());
    let folder = of_user.or_else(|| std::env::current_dir().ok());
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    folder.display().to_string()
}

/// Where paths begin that are typed.
pub fn paths() -> Paths {
    Paths {
        here: std::env::current_dir().unwrap_or_default(),
        home: std::env::var_os("HOME").map(PathBuf::from),
    }
}
