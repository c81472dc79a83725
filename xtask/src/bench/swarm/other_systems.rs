//! The same swarm with other systems, on the same links: all downloads from one nginx, aria2 with a
//! tracker, and libtorrent with the addresses of the members. In all of them, finished members
//! serve until the last one is done.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::netns::LINK;
use super::super::others::nginx::{self, Nginx};
use super::super::others::{aria2, libtorrent, torrent};
use super::super::process::{self, Process};
use super::setup::{SwarmResult, SwarmSetup};
use crate::Failure;

/// The names of the systems in the table.
pub const NAMES: [&str; 3] = ["one nginx + curl", "aria2 BitTorrent", "libtorrent"];

/// The port of each member, in its own namespace.
const PORT: u16 = 6881;
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Runs one swarm with the system `name`.
///
/// # Errors
/// Fails if the system is missing, or if a member does not get the whole file.
pub fn round(setup: &SwarmSetup, name: &str) -> Result<SwarmResult, Failure> {
    let mut folders = Vec::new();
    for number in 0..setup.downloaders.len() {
        folders.push(setup.empty_folder(&format!("other-{number}"))?);
    }
    let copies: Vec<PathBuf> = folders.iter().map(|to| to.join(setup.name())).collect();
    let finish = match name {
        "one nginx + curl" => one_nginx(setup, &copies)?,
        "aria2 BitTorrent" => aria2(setup, &folders)?,
        _ => libtorrent(setup, &folders)?,
    };
    for copy in &copies {
        setup.check(copy)?;
    }
    Ok(finish)
}

fn one_nginx(setup: &SwarmSetup, copies: &[PathBuf]) -> Result<SwarmResult, Failure> {
    let folder = setup.empty_folder("nginx")?;
    let nginx = Nginx::start(&setup.provider, share(setup), &folder)?;
    let url = format!("{}{}", nginx.url, setup.name());
    let before = nginx.sent(LINK);
    let start = Instant::now();
    let mut running = Vec::new();
    for (host, copy) in setup.downloaders.iter().zip(copies) {
        let mut command = nginx::curl(host, &url, copy)?;
        running.push(Process::spawn("curl", &mut command)?);
    }
    // All end at about the same time, because they share one link, so the order does not matter.
    for process in running {
        process.finish()?;
    }
    sync(copies)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(finish(seconds, before, nginx.sent(LINK)))
}

fn aria2(setup: &SwarmSetup, folders: &[PathBuf]) -> Result<SwarmResult, Failure> {
    let folder = setup.empty_folder("aria2")?;
    let torrent = folder.join("payload.torrent");
    let port = process::free_port()?;
    let announce = format!("http://{}:{port}/announce", setup.directory.address);
    let hash = torrent::write(&setup.file, Some(&announce), &torrent)?;
    let _tracker = aria2::tracker(&setup.directory, port, &hash, &folder)?;
    let marks = setup.empty_folder("aria2-done")?;
    let mark = |number: usize| marks.join(number.to_string());
    let unused = marks.join("provider");
    // The hook is beside the folder, so the provider gets a separate folder with a link.
    let seed = setup.empty_folder("aria2-seed")?;
    std::fs::hard_link(&setup.file, seed.join(setup.name()))
        .map_err(|error| format!("the file cannot be linked: {error}"))?;
    let mut provider = aria2::member(&setup.provider, &torrent, &seed, &unused)?;
    provider.wait_for_port(PORT)?;
    let before = provider.sent(LINK);
    let deadline = setup.deadline();
    let start = Instant::now();
    let mut members = Vec::new();
    for (number, (host, folder)) in setup.downloaders.iter().zip(folders).enumerate() {
        members.push(aria2::member(host, &torrent, folder, &mark(number))?);
    }
    while !(0..members.len()).all(|number| mark(number).exists()) {
        if Instant::now() > deadline {
            return Err("unfinished".to_owned());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(finish(seconds, before, provider.sent(LINK)))
}

fn libtorrent(setup: &SwarmSetup, folders: &[PathBuf]) -> Result<SwarmResult, Failure> {
    libtorrent::python()?;
    let torrent = setup.empty_folder("libtorrent")?.join("payload.torrent");
    torrent::write(&setup.file, None, &torrent)?;
    let mut provider = libtorrent::member(&setup.provider, PORT, true, &torrent, share(setup))?;
    provider.write_line("")?;
    let mut members = Vec::new();
    let mut known = vec![format!("{}:{PORT}", setup.provider.address)];
    let mut told = Vec::new();
    for (host, folder) in setup.downloaders.iter().zip(folders) {
        members.push(libtorrent::member(host, PORT, false, &torrent, folder)?);
        // Each member dials the members before it, so each pair is connected once.
        told.push(known.join(" "));
        known.push(format!("{}:{PORT}", host.address));
    }
    let before = provider.sent(LINK);
    let deadline = setup.deadline();
    let start = Instant::now();
    for (member, addresses) in members.iter_mut().zip(&told) {
        member.write_line(addresses)?;
    }
    let mut last = start;
    for member in &members {
        let (when, _) = member.wait_for_line(deadline, libtorrent::done)?;
        last = last.max(when);
    }
    let seconds = (last - start).as_secs_f64();
    Ok(finish(seconds, before, provider.sent(LINK)))
}

fn share(setup: &SwarmSetup) -> &Path {
    setup.file.parent().unwrap_or(&setup.file)
}

fn sync(copies: &[PathBuf]) -> Result<(), Failure> {
    let mut command = std::process::Command::new("sync");
    crate::workspace::run(command.args(copies))
}

fn finish(seconds: f64, before: Option<u64>, after: Option<u64>) -> SwarmResult {
    let sent_on_link = before.zip(after);
    SwarmResult {
        seconds,
        served: None,
        sent_on_link: sent_on_link.map(|(before, after)| after.saturating_sub(before)),
    }
}
