//! One provider and many downloaders that all start at once, each behind a link of its own: how long
//! the last of them takes, over what the links allow at best, and how many copies the first provider
//! had to send for it.
//!
//! As root, each is in a network namespace with a shaped link. Elsewhere Convite limits itself on
//! the loopback, and the other systems are left out: they would not be limited alike.

mod bound;
mod convite;
mod rivals;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Options;
use super::netns::{Host, Network};
use super::others;
use super::payload::{self, Scratch};
use super::report::{self, median, mib};
use super::system::System;
use crate::Failure;
use bound::Swarm;

/// One swarm, from the start to its last finisher.
struct Finish {
    /// Seconds to the last finisher.
    seconds: f64,
    /// Bytes of the file that the first provider says it has sent; none where it does not say.
    served: Option<u64>,
    /// Bytes that its link has carried, headers and all; none on the loopback.
    carried: Option<u64>,
}

/// Where a swarm takes place.
struct Scene {
    /// Runs what the members meet through, without limits.
    directory: Host,
    provider: Host,
    downloaders: Vec<Host>,
    /// The file, which lies alone in its folder.
    file: PathBuf,
    hash: String,
    /// For what the systems write.
    folder: PathBuf,
    swarm: Swarm,
}

impl Scene {
    /// When a swarm that has not finished is given up.
    fn deadline(&self) -> Instant {
        // From a lone server it takes as many times the bound as there are downloaders.
        let worst = self.swarm.bound() * (2.0 * self.downloaders.len() as f64 + 4.0);
        Instant::now() + Duration::from_secs(60) + Duration::from_secs_f64(worst)
    }

    /// An empty folder `name`, whatever an earlier round left there.
    fn fresh(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        Ok(path)
    }

    fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn check(&self, copy: &Path) -> Result<(), Failure> {
        if payload::read(copy)? == self.hash {
            return Ok(());
        }
        Err(format!("{} is not what was sent", copy.display()))
    }
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If anything on Convite's way fails. Other systems that fail, or are missing, are rows that say so.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("swarm")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    if options.install {
        others::install();
    }
    let swarm = Swarm::new(
        options.shared(),
        options.provider_rate,
        &options.rates,
        options.downloaders,
    )?;
    let mut rates = vec![None, Some(swarm.provider)];
    rates.extend(swarm.downloaders.iter().map(|rate| Some(*rate)));
    let network = Network::new(&rates);
    let hosts = match &network {
        Ok(network) => network.hosts.clone(),
        Err(failure) => {
            let why = failure.lines().last().unwrap_or_default();
            eprintln!("no network namespaces ({why}): on the loopback, with built-in limits");
            vec![Host::loopback(); rates.len()]
        }
    };
    let file = scratch.folder("share")?.join("payload.bin");
    eprintln!("making {} bytes", swarm.size);
    let hash = payload::write(&file, swarm.size, 1)?;
    payload::read(&file)?;
    let scene = Scene {
        directory: hosts[0].clone(),
        provider: hosts[1].clone(),
        downloaders: hosts[2..].to_vec(),
        file,
        hash,
        folder: scratch.folder("got")?,
        swarm,
    };
    let figures = measure(options, &scene, &system, network.is_ok())?;
    // Before the folder goes, so that nothing writes into it any more.
    drop(network);
    print(options, &scene, &figures);
    Ok(())
}

fn measure(
    options: &Options,
    scene: &Scene,
    system: &System,
    shaped: bool,
) -> Result<Vec<Value>, Failure> {
    let mut names = vec!["convite"];
    if !options.alone {
        names.extend(rivals::NAMES);
    }
    let ours = convite::Group::start(scene, system)?;
    let mut rows: Vec<Result<Vec<Finish>, Failure>> =
        names.iter().map(|_| Ok(Vec::new())).collect();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (name, row) in names.iter().zip(&mut rows) {
            let Ok(rounds) = row else { continue };
            let result = match *name {
                "convite" => Ok(ours.round(scene, round)?),
                _ if !shaped => Err("needs namespaces".to_owned()),
                rival => rivals::round(scene, rival),
            };
            match result {
                Ok(finish) => rounds.push(finish),
                Err(failure) => *row = Err(failure),
            }
        }
    }
    let rows = names.iter().zip(rows);
    Ok(rows
        .map(|(name, row)| match row {
            Ok(rounds) => summary(name, &rounds, &scene.swarm),
            Err(why) => json!({"way": name, "missing": why}),
        })
        .collect())
}

fn summary(name: &str, rounds: &[Finish], swarm: &Swarm) -> Value {
    let copies = |bytes: fn(&Finish) -> Option<u64>| {
        let known = rounds.iter().filter_map(bytes);
        let copies = median(known.map(|bytes| bytes as f64 / swarm.size as f64));
        copies.is_finite().then_some(copies)
    };
    let seconds = median(rounds.iter().map(|round| round.seconds));
    let of_bound = rounds.iter().map(|round| round.seconds / swarm.bound());
    json!({
        "way": name,
        "seconds": seconds,
        "over_bound": seconds / swarm.bound(),
        "worst_over_bound": of_bound.fold(0.0, f64::max),
        "copies_served": copies(|round| round.served),
        "copies_on_link": copies(|round| round.carried),
    })
}

fn print(options: &Options, scene: &Scene, figures: &[Value]) {
    let swarm = &scene.swarm;
    let machine = report::machine();
    let links = match scene.provider.namespace {
        Some(_) => "network namespaces with tc tbf",
        None => "loopback with built-in limits",
    };
    if options.json {
        let all = json!({
            "bench": "swarm",
            "machine": machine,
            "links": links,
            "bytes": swarm.size,
            "provider_rate": swarm.provider,
            "downloader_rates": swarm.downloaders,
            "bound_seconds": swarm.bound(),
            "rounds": options.rounds,
            "ways": figures,
        });
        println!("{all}");
        return;
    }
    println!("{machine}; {links}; medians of {}", options.rounds);
    println!(
        "{} MiB, {}; bound {:.2} s",
        mib(swarm.size),
        swarm.describe(),
        swarm.bound()
    );
    let head = ["way", "s", "of bound", "worst", "copies", "on the link"];
    let rows = figures.iter().map(|figure| {
        let number = |name: &str| match figure[name].as_f64() {
            Some(number) => format!("{number:.2}"),
            None => "–".to_owned(),
        };
        let name = figure["way"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = figure["missing"].as_str() {
            return report::missing(name, why, head.len());
        }
        vec![
            name,
            number("seconds"),
            number("over_bound"),
            number("worst_over_bound"),
            number("copies_served"),
            number("copies_on_link"),
        ]
    });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_over_the_bound_and_in_copies() {
        let swarm = Swarm::new(10_000_000, None, &[80_000_000], 8).unwrap();
        let finish = |seconds, served| Finish {
            seconds,
            served: Some(served),
            carried: None,
        };
        let rounds = [
            finish(1.1, 10_000_000),
            finish(1.2, 13_000_000),
            finish(2.0, 20_000_000),
        ];
        let summary = summary("x", &rounds, &swarm);
        assert_eq!(summary["seconds"], 1.2);
        assert_eq!(summary["over_bound"], 1.2);
        assert_eq!(summary["worst_over_bound"], 2.0);
        assert_eq!(summary["copies_served"], 1.3);
        assert!(summary["copies_on_link"].is_null());
    }
}
