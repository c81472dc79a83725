//! Reload on SIGHUP: the certificate of a directory and the shares of a peer. Changed settings are
//! logged; they take effect at the next start.

use std::collections::BTreeSet;
use std::path::Path;

use convite_client::Home;
use convite_directory::CertificateFiles;
use convite_net::task::blocking;
use tracing::{info, warn};

use crate::signals::ReloadSignal;

/// Calls `work` at each reload request and logs the descriptions that it returns. Never returns.
pub async fn reload_on_signal<W>(reload: ReloadSignal, home: &Home, work: impl Fn() -> W)
where
    W: Future<Output = Vec<String>>,
{
    let file = home.root().join("convite.toml");
    let mut settings = read(&file).unwrap_or_default();
    loop {
        reload.requested().await;
        let done = work().await;
        info!("SIGHUP: {}", done.join("; "));
        match read(&file) {
            Ok(now) => {
                let changed = changed_settings(&settings, &now);
                if !changed.is_empty() {
                    let names: Vec<_> = changed.iter().map(String::as_str).collect();
                    warn!(
                        "changed settings take effect at the next start: {}",
                        names.join(", ")
                    );
                }
                settings = now;
            }
            Err(why) => warn!("settings not reloaded: {}: {why}", file.display()),
        }
    }
}

/// Reloads a directory's certificate. Returns a description of the result.
pub async fn reload_certificate(files: CertificateFiles) -> Vec<String> {
    let said = match blocking(move || files.reload()).await {
        Ok(true) => "certificate reloaded".to_owned(),
        Ok(false) => "no certificate to reload (--tls-cert, --tls-key)".to_owned(),
        Err(problem) => format!("certificate not reloaded: {problem}"),
    };
    vec![said]
}

fn read(file: &Path) -> Result<toml::Table, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => text
            .parse()
            .map_err(|error: toml::de::Error| error.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(toml::Table::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the settings that differ, as `section.name`.
fn changed_settings(before: &toml::Table, now: &toml::Table) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for section in before.keys().chain(now.keys()) {
        let of = |table: &toml::Table| {
            let section = table.get(section).and_then(toml::Value::as_table);
            section.cloned().unwrap_or_default()
        };
        let (before, now) = (of(before), of(now));
        for name in before.keys().chain(now.keys()) {
            if before.get(name) != now.get(name) {
                changed.insert(format!("{section}.{name}"));
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_changed_are_named() {
        let before = "[peer]\nport = 1\nbind = \"::\"\n".parse().unwrap();
        let now = "[peer]\nport = 2\nbind = \"::\"\n[directory]\nlease = \"9s\"\n"
            .parse()
            .unwrap();
        let names: Vec<_> = changed_settings(&before, &now).into_iter().collect();
        assert_eq!(names, ["directory.lease", "peer.port"]);
        assert!(changed_settings(&now, &now).is_empty());
    }
}
