//! Convite's own swarm: a directory, a provider and downloaders that are logged in before it starts.
//!
//! A build that has no partial providers yet measures as everyone from one provider; one that cannot
//! stay on after it is done leaves the swarm then.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::super::netns::LINK;
use super::super::process::Process;
use super::super::system::{Running, System};
use super::{Finish, Scene};
use crate::Failure;

/// The processes that all rounds share.
pub struct Group {
    system: System,
    _directory: Running,
    provider: Running,
    /// The flags of each downloader's `get`.
    flags: Vec<Vec<String>>,
}

impl Group {
    /// Starts directory and provider, and gives each downloader its account.
    ///
    /// # Errors
    /// If one of them fails, or this build of convite can't limit itself where the links don't.
    pub fn start(scene: &Scene, system: &System) -> Result<Self, Failure> {
        let shaped = scene.provider.namespace.is_some();
        if !shaped && !system.knows("get", "--upload-limit") {
            return Err(
                "without network namespaces this build of convite has no limits".to_owned(),
            );
        }
        let (directory, invite) = system.on(&scene.directory).directory()?;
        let provider = system.on(&scene.provider);
        provider.join("provider", &invite)?;
        let limit = (scene.swarm.provider / 8).to_string();
        let flags = match shaped {
            true => vec![],
            false => vec!["--upload-limit", &limit],
        };
        let share = scene.file.parent().unwrap_or(&scene.file);
        let provider = provider.peer_with("provider", share, &flags)?;
        let binds = system.knows("get", "--bind");
        let stays = system.knows("get", "--stay");
        let mut flags = Vec::new();
        let hosts = scene.downloaders.iter().zip(&scene.swarm.downloaders);
        for (number, (host, rate)) in hosts.enumerate() {
            system.on(host).join(&home(number), &invite)?;
            let mut words = Vec::new();
            let mut add = |flag: &str, value: &str| {
                words.push(flag.to_owned());
                words.push(value.to_owned());
            };
            if binds {
                add("--bind", &host.address);
            }
            if stays {
                // Who is done serves on until the last one is, as in the other systems.
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

    /// All downloaders get the file at once.
    ///
    /// # Errors
    /// If one of them does not get it whole.
    pub fn round(&self, scene: &Scene, round: usize) -> Result<Finish, Failure> {
        let served = self.served(scene)?;
        let carried = self.provider.sent(LINK);
        let mut targets = Vec::new();
        for number in 0..scene.downloaders.len() {
            let folder = scene.fresh(&format!("convite-{round}-{number}"))?;
            targets.push(format!("{}/", folder.display()));
        }
        let deadline = scene.deadline();
        let start = Instant::now();
        let mut getters: Vec<Process> = Vec::new();
        for (number, host) in scene.downloaders.iter().enumerate() {
            let mut args = vec!["get", &scene.hash, "-o", &targets[number]];
            args.extend(self.flags[number].iter().map(String::as_str));
            getters.push(self.system.on(host).begin(&home(number), &args)?);
        }
        let mut last = start;
        let mut paths = Vec::new();
        for getter in &getters {
            let (when, path) = getter.line(deadline, done)?;
            last = last.max(when);
            paths.push(path?);
        }
        let served = served
            .zip(self.served(scene)?)
            .map(|(before, after)| after.saturating_sub(before));
        let carried = carried
            .zip(self.provider.sent(LINK))
            .map(|(before, after)| after.saturating_sub(before));
        for getter in getters {
            getter.stop()?;
        }
        for path in &paths {
            scene.check(Path::new(path))?;
            std::fs::remove_file(path)
                .map_err(|error| format!("{path} cannot be removed: {error}"))?;
        }
        Ok(Finish {
            seconds: (last - start).as_secs_f64(),
            served,
            carried: carried.filter(|_| scene.provider.namespace.is_some()),
        })
    }

    /// Bytes that the provider says it has served since its start.
    fn served(&self, scene: &Scene) -> Result<Option<u64>, Failure> {
        let system = self.system.on(&scene.provider);
        let (events, _) = system.finish("provider", &["status"])?;
        Ok(events
            .iter()
            .find_map(|event| event["peer"]["bytes_served"].as_u64()))
    }
}

fn home(number: usize) -> String {
    format!("downloader{number}")
}

/// The path of a `done` event, or the message of an `error` event.
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
