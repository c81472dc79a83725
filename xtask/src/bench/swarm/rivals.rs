//! The same swarm by other systems, on the same links: everyone from one nginx, aria2 with a
//! tracker, and libtorrent whose members are told of each other. All of them serve on once they are
//! done, until the last one is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::netns::LINK;
use super::super::others::nginx::{self, Nginx};
use super::super::others::{aria2, libtorrent, torrent};
use super::super::process::{self, Process};
use super::{Finish, Scene};
use crate::Failure;

/// The systems, as the table calls them.
pub const NAMES: [&str; 3] = ["one nginx + curl", "aria2 BitTorrent", "libtorrent"];

/// Where a member of a swarm listens; each has a namespace of its own.
const PORT: u16 = 6881;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One swarm by the system `name`.
///
/// # Errors
/// If it is missing, or someone does not get the file whole.
pub fn round(scene: &Scene, name: &str) -> Result<Finish, Failure> {
    let mut folders = Vec::new();
    for number in 0..scene.downloaders.len() {
        folders.push(scene.fresh(&format!("rival-{number}"))?);
    }
    let copies: Vec<PathBuf> = folders.iter().map(|to| to.join(scene.name())).collect();
    let finish = match name {
        "one nginx + curl" => one_nginx(scene, &copies)?,
        "aria2 BitTorrent" => aria2(scene, &folders)?,
        _ => libtorrent(scene, &folders)?,
    };
    for copy in &copies {
        scene.check(copy)?;
    }
    Ok(finish)
}

fn one_nginx(scene: &Scene, copies: &[PathBuf]) -> Result<Finish, Failure> {
    let folder = scene.fresh("nginx")?;
    let nginx = Nginx::start(&scene.provider, share(scene), &folder)?;
    let url = format!("{}{}", nginx.url, scene.name());
    let before = nginx.sent(LINK);
    let start = Instant::now();
    let mut running = Vec::new();
    for (host, copy) in scene.downloaders.iter().zip(copies) {
        let mut command = nginx::curl(host, &url, copy)?;
        running.push(Process::spawn("curl", &mut command)?);
    }
    // Each is bound by the same link and ends with the others, so the order of waiting is free.
    for process in running {
        process.finish()?;
    }
    sync(copies)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(finish(seconds, before, nginx.sent(LINK)))
}

fn aria2(scene: &Scene, folders: &[PathBuf]) -> Result<Finish, Failure> {
    let folder = scene.fresh("aria2")?;
    let torrent = folder.join("payload.torrent");
    let port = process::free_port()?;
    let announce = format!("http://{}:{port}/announce", scene.directory.address);
    let hash = torrent::write(&scene.file, Some(&announce), &torrent)?;
    let _tracker = aria2::tracker(&scene.directory, port, &hash, &folder)?;
    let marks = scene.fresh("aria2-done")?;
    let mark = |number: usize| marks.join(number.to_string());
    let unused = marks.join("provider");
    // The hook lies beside the folder, so the provider gets a folder of its own, with a link.
    let seed = scene.fresh("aria2-seed")?;
    std::fs::hard_link(&scene.file, seed.join(scene.name()))
        .map_err(|error| format!("the file cannot be linked: {error}"))?;
    let mut provider = aria2::member(&scene.provider, &torrent, &seed, &unused)?;
    provider.listens(PORT)?;
    let before = provider.sent(LINK);
    let deadline = scene.deadline();
    let start = Instant::now();
    let mut members = Vec::new();
    for (number, (host, folder)) in scene.downloaders.iter().zip(folders).enumerate() {
        members.push(aria2::member(host, &torrent, folder, &mark(number))?);
    }
    while !(0..members.len()).all(|number| mark(number).exists()) {
        if Instant::now() > deadline {
            return Err("unfinished".to_owned());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(finish(seconds, before, provider.sent(LINK)))
}

fn libtorrent(scene: &Scene, folders: &[PathBuf]) -> Result<Finish, Failure> {
    libtorrent::python()?;
    let torrent = scene.fresh("libtorrent")?.join("payload.torrent");
    torrent::write(&scene.file, None, &torrent)?;
    let mut provider = libtorrent::member(&scene.provider, PORT, true, &torrent, share(scene))?;
    provider.tell("")?;
    let mut members = Vec::new();
    let mut known = vec![format!("{}:{PORT}", scene.provider.address)];
    let mut told = Vec::new();
    for (host, folder) in scene.downloaders.iter().zip(folders) {
        members.push(libtorrent::member(host, PORT, false, &torrent, folder)?);
        // Each dials those before it, so every two are connected once.
        told.push(known.join(" "));
        known.push(format!("{}:{PORT}", host.address));
    }
    let before = provider.sent(LINK);
    let deadline = scene.deadline();
    let start = Instant::now();
    for (member, addresses) in members.iter_mut().zip(&told) {
        member.tell(addresses)?;
    }
    let mut last = start;
    for member in &members {
        let (when, _) = member.line(deadline, libtorrent::done)?;
        last = last.max(when);
    }
    let seconds = (last - start).as_secs_f64();
    Ok(finish(seconds, before, provider.sent(LINK)))
}

fn share(scene: &Scene) -> &Path {
    scene.file.parent().unwrap_or(&scene.file)
}

fn sync(copies: &[PathBuf]) -> Result<(), Failure> {
    let mut command = std::process::Command::new("sync");
    crate::workspace::run(command.args(copies))
}

fn finish(seconds: f64, before: Option<u64>, after: Option<u64>) -> Finish {
    let carried = before.zip(after);
    Finish {
        seconds,
        served: None,
        carried: carried.map(|(before, after)| after.saturating_sub(before)),
    }
}
