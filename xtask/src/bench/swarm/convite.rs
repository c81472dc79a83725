//! The swarm of Convite: a directory, a provider, and downloaders that are logged in before the
//! start.
//!
//! Older builds work too. Without partial providers, all downloaders download from one provider;
//! without `--stay`, a downloader leaves the swarm when it is done.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::super::netns::LINK;
use super::super::process::Process;
use super::super::system::{Running, System};
use super::setup::{SwarmResult, SwarmSetup};
use crate::Failure;

/// The processes that run during all rounds.
pub struct RunningSystem {
    system: System,
    _directory: Running,
    provider: Running,
    /// The flags of each downloader's `get`.
    flags: Vec<Vec<String>>,
}

impl RunningSystem {
    /// Starts the directory and the provider, and creates an account for each downloader.
    ///
    /// # Errors
    /// Fails if one of them fails, or if the links have no limits and this build of convite has none.
    pub fn start(setup: &SwarmSetup, system: &System) -> Result<Self, Failure> {
        let shaped = setup.provider.namespace.is_some();
        if !shaped && !system.has_flag("get", "--upload-limit") {
            return Err(
                "this build of convite has no rate limits; it needs network namespaces".to_owned(),
            );
        }
        let (directory, invite) = system.on_host(&setup.directory).directory()?;
        let provider = system.on_host(&setup.provider);
        provider.join("provider", &invite)?;
        let limit = (setup.swarm.provider / 8).to_string();
        let flags = if shaped {
            vec![]
        } else {
            vec!["--upload-limit", &limit]
        };
        let share = setup.file.parent().unwrap_or(&setup.file);
        let provider = provider.peer_with("provider", share, &flags)?;
        let binds = system.has_flag("get", "--bind");
        let stays = system.has_flag("get", "--stay");
        let mut flags = Vec::new();
        let hosts = setup.downloaders.iter().zip(&setup.swarm.downloaders);
        for (number, (host, rate)) in hosts.enumerate() {
            system.on_host(host).join(&home(number), &invite)?;
            let mut words = Vec::new();
            let mut add = |flag: &str, value: &str| {
                words.push(flag.to_owned());
                words.push(value.to_owned());
            };
            if binds {
                add("--bind", &host.address);
            }
            if stays {
                // A finished downloader serves until the last one is done, as in the other systems.
                add("--stay", "1h");
            }
            if !shaped {
                let bytes = (rate / 8).to_string();
                add("--upload-limit", &bytes);
                add("--download-limit", &bytes);
            }
            flags.push(words);
        }
        Ok(Self {
            system: system.clone(),
            _directory: directory,
            provider,
            flags,
        })
    }

    /// Downloads the file to all downloaders at once.
    ///
    /// # Errors
    /// Fails if one of them does not get the whole file.
    pub fn round(&self, setup: &SwarmSetup, round: usize) -> Result<SwarmResult, Failure> {
        let served = self.served(setup)?;
        let sent_on_link = self.provider.sent(LINK);
        let mut targets = Vec::new();
        for number in 0..setup.downloaders.len() {
            let folder = setup.empty_folder(&format!("convite-{round}-{number}"))?;
            targets.push(format!("{}/", folder.display()));
        }
        let deadline = setup.deadline();
        let start = Instant::now();
        let mut getters: Vec<Process> = Vec::new();
        for (number, host) in setup.downloaders.iter().enumerate() {
            let mut args = vec!["get", &setup.hash, "-o", &targets[number]];
            args.extend(self.flags[number].iter().map(String::as_str));
            getters.push(self.system.on_host(host).spawn(&home(number), &args)?);
        }
        let mut last = start;
        let mut paths = Vec::new();
        for getter in &getters {
            let (when, path) = getter.wait_for_line(deadline, done)?;
            last = last.max(when);
            paths.push(path?);
        }
        let served = served
            .zip(self.served(setup)?)
            .map(|(before, after)| after.saturating_sub(before));
        let sent_on_link = sent_on_link
            .zip(self.provider.sent(LINK))
            .map(|(before, after)| after.saturating_sub(before));
        for getter in getters {
            getter.stop()?;
        }
        for path in &paths {
            setup.check(Path::new(path))?;
            std::fs::remove_file(path)
                .map_err(|error| format!("{path} cannot be removed: {error}"))?;
        }
        Ok(SwarmResult {
            seconds: (last - start).as_secs_f64(),
            served,
            sent_on_link: sent_on_link.filter(|_| setup.provider.namespace.is_some()),
        })
    }

    /// Returns the bytes that the provider reports as served since its start.
    fn served(&self, setup: &SwarmSetup) -> Result<Option<u64>, Failure> {
        let system = self.system.on_host(&setup.provider);
        let (events, _) = system.run("provider", &["status"])?;
        Ok(events
            .iter()
            .find_map(|event| event["peer"]["bytes_served"].as_u64()))
    }
}

fn home(number: usize) -> String {
    format!("downloader{number}")
}

/// Returns the path of a `done` event, or the message of an `error` event.
fn done(line: &str) -> Option<Result<String, Failure>> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    match event["event"].as_str()? {
        "done" => Some(Ok(text("path"))),
        "error" => Some(Err(format!("a downloader failed: {}", text("message")))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_downloader_ends_with_a_path_or_a_message() {
        let line = r#"{"event":"done","path":"/a/b","hash":"x"}"#;
        assert_eq!(done(line), Some(Ok("/a/b".to_owned())));
        let line = r#"{"event":"error","message":"no provider"}"#;
        assert!(done(line).unwrap().unwrap_err().contains("no provider"));
        assert_eq!(done(r#"{"event":"progress","bytes":1}"#), None);
        assert_eq!(done("noise"), None);
    }
}
