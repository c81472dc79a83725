//! `bench swarm`: one provider and many downloaders that start at the same time, each with its own
//! link. Measures the time of the last downloader, relative to the least time that the links allow,
//! and the number of copies that the first provider sends.
//!
//! As root, each member is in a network namespace with a shaped link. Otherwise everything is on
//! the loopback, Convite limits itself, and the other systems are omitted, because they could not
//! be limited in the same way.

mod bound;
mod convite;
mod other_systems;
mod setup;

use serde_json::{Value, json};

use super::netns::{Host, Network};
use super::options::Options;
use super::others;
use super::payload::{self, Scratch};
use super::report::{self, median, mib};
use super::system::System;
use crate::Failure;
use bound::Swarm;
use setup::{SwarmResult, SwarmSetup};

/// Runs the benchmark and prints its table.
///
/// # Errors
/// Fails if Convite fails. If another system fails or is missing, its row says so.
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
            eprintln!("no network namespaces ({why}): using the loopback with built-in limits");
            vec![Host::loopback(); rates.len()]
        }
    };
    let file = scratch.folder("share")?.join("payload.bin");
    eprintln!("writing a file of {} bytes", swarm.size);
    let hash = payload::write(&file, swarm.size, 1)?;
    payload::read(&file)?;
    let setup = SwarmSetup {
        directory: hosts[0].clone(),
        provider: hosts[1].clone(),
        downloaders: hosts[2..].to_vec(),
        file,
        hash,
        folder: scratch.folder("got")?,
        swarm,
    };
    let figures = measure(options, &setup, &system, network.is_ok())?;
    // Stops all processes before the folder is removed.
    drop(network);
    print(options, &setup, &figures);
    Ok(())
}

fn measure(
    options: &Options,
    setup: &SwarmSetup,
    system: &System,
    shaped: bool,
) -> Result<Vec<Value>, Failure> {
    let mut names = vec!["convite"];
    if !options.alone {
        names.extend(other_systems::NAMES);
    }
    let ours = convite::RunningSystem::start(setup, system)?;
    let mut rows: Vec<Result<Vec<SwarmResult>, Failure>> =
        names.iter().map(|_| Ok(Vec::new())).collect();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (name, row) in names.iter().zip(&mut rows) {
            let Ok(rounds) = row else { continue };
            let result = match *name {
                "convite" => Ok(ours.round(setup, round)?),
                _ if !shaped => Err("needs network namespaces".to_owned()),
                other => other_systems::round(setup, other),
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
            Ok(rounds) => summary(name, &rounds, &setup.swarm),
            Err(why) => json!({"way": name, "missing": why}),
        })
        .collect())
}

fn summary(name: &str, rounds: &[SwarmResult], swarm: &Swarm) -> Value {
    let copies = |bytes: fn(&SwarmResult) -> Option<u64>| {
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
        "copies_on_link": copies(|round| round.sent_on_link),
    })
}

fn print(options: &Options, setup: &SwarmSetup, figures: &[Value]) {
    let swarm = &setup.swarm;
    let machine = report::machine();
    let links = match setup.provider.namespace {
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
    let head = ["method", "s", "of bound", "worst", "copies", "on the link"];
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
        let finish = |seconds, served| SwarmResult {
            seconds,
            served: Some(served),
            sent_on_link: None,
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
