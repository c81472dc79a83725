//! The calm: the required state without faults. Within a minute every process runs, every change
//! has a known outcome, and each account sees exactly the files that it may see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::contents::hash;
use super::model::Space;
use super::plan::{FOLDERS, SPACES};
use super::world::{Acknowledged, World};
use super::{administration, downloading, publish};

/// The time limit from the last fault until the state matches the model.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// The same from the end of the last operation, which may be later.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// The maximum number of differences that are shown per account.
const SHOWN_MAX: usize = 4;

/// A listed file: peer, path, hash, size, space.
pub type Entry = (String, String, String, u64, String);

/// A file on a peer's disk, in a shared folder.
#[derive(Debug, Clone)]
pub struct Shared {
    pub peer: usize,
    pub space: Space,
    pub entry: Entry,
}

/// Waits until the state matches the model. Returns whether it did in time.
pub fn wait_until_equal(world: &World, healed: Instant) -> bool {
    let deadline = (healed + AGREEMENT_TIMEOUT).max(Instant::now() + SETTLE_TIMEOUT);
    loop {
        administration::settle(world);
        let differences = differences(world);
        if differences.is_empty() {
            let seconds = healed.elapsed().as_secs_f64();
            world.report.calm(seconds);
            world.report.print(&format!(
                "the state matches {seconds:.1} s after the last fault"
            ));
            return true;
        }
        world
            .report
            .note(&format!("differences: {}", differences.join("; ")));
        if Instant::now() > deadline {
            let seconds = healed.elapsed().as_secs_f64();
            for difference in differences {
                world.report.failure(&format!(
                    "{seconds:.0} s after the last fault: {difference}"
                ));
            }
            note_status(world);
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Notes what each peer says of itself, for the search for the cause of a difference.
fn note_status(world: &World) {
    for account in 0..world.accounts.len() {
        if let Some(ran) = world.run(account, &["status"]) {
            let status: Vec<String> = ran.events.iter().map(ToString::to_string).collect();
            world.report.note(&format!("status: {}", status.join(" ")));
        }
    }
}

/// Returns the current differences between the state and the model.
fn differences(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for service in &world.services {
        if service.ready().is_none() {
            all.push(format!("{:?} is not ready", service.target));
        }
    }
    for (_, operation) in world.unknown_outcomes.lock().iter() {
        all.push(format!("the outcome of a change is unknown: {operation:?}"));
    }
    if !all.is_empty() {
        return all;
    }
    let Some(script) = publish::settle(world) else {
        return vec!["the script cannot publish".to_owned()];
    };
    all.extend(unfinished_loads(world));
    let shared = shared(world);
    let accounts = (0..world.setting.accounts()).filter(|at| *at != world.setting.script());
    let found = std::thread::scope(|scope| {
        let (shared, script) = (&shared, &script);
        let threads: Vec<_> = accounts
            .map(|account| scope.spawn(move || difference(world, account, shared, script)))
            .collect();
        let found = threads.into_iter().map(|thread| thread.join().ok());
        found.flatten().flatten().collect::<Vec<_>>()
    });
    // Equal differences of several accounts are reported once.
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, what) in found {
        alike.entry(what).or_default().push(name);
    }
    let told = alike.into_iter();
    all.extend(told.map(|(what, names)| format!("{}: {what}", names.join(", "))));
    all
}

/// Returns the files that an account should see.
pub fn expected(world: &World, account: usize, shared: &[Shared]) -> BTreeSet<Entry> {
    let model = world.model.lock();
    let seen = shared
        .iter()
        .filter(|one| model.sees(account, one.peer, one.space));
    seen.map(|one| one.entry.clone()).collect()
}

fn difference(
    world: &World,
    account: usize,
    shared: &[Shared],
    script: &BTreeSet<String>,
) -> Option<(String, String)> {
    let ran = world.run(account, &["index"])?;
    let name = world.accounts[account].name.clone();
    if !ran.is_ok() {
        let error = ran.event("error").map(Value::to_string).unwrap_or_default();
        return Some((name, format!("cannot list: {error}")));
    }
    // The model knows files. A folder follows from the files in it.
    let entries = ran.events.iter().filter(|event| event["hash"].is_string());
    let entries = entries.filter(|entry| entry["kind"] != "folder");
    let (of_script, entries): (Vec<&Value>, Vec<&Value>) =
        entries.partition(|entry| entry["peer"] == publish::PEER);
    world.report.checked("visibility", entries.len());
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let found: BTreeSet<Entry> = entries
        .into_iter()
        .map(|entry| {
            let size = entry["size"].as_u64().unwrap_or(u64::MAX);
            let [peer, path, hash, space] =
                ["peer", "path", "hash", "space"].map(|field| text(entry, field));
            (peer, path, hash, size, space)
        })
        .collect();
    let wanted = expected(world, account, shared);
    let script_found: BTreeSet<String> = of_script
        .into_iter()
        .map(|entry| text(entry, "path"))
        .collect();
    let show = |label: &str, entries: Vec<String>| match entries.len() {
        0 => String::new(),
        count => {
            let shown = entries[..count.min(SHOWN_MAX)].join(", ");
            format!(" {count} {label}: {shown};")
        }
    };
    let text = |entry: &Entry| {
        format!(
            "{}:{} {} {}",
            entry.0,
            entry.1,
            &entry.2[..8.min(entry.2.len())],
            entry.4
        )
    };
    let mut said = show("missing", wanted.difference(&found).map(text).collect());
    said += &show("too many", found.difference(&wanted).map(text).collect());
    said += &show("lost", script.difference(&script_found).cloned().collect());
    said += &show(
        "left over",
        script_found.difference(script).cloned().collect(),
    );
    (!said.is_empty()).then_some((name, said))
}

/// Returns the loads that are not finished.
fn unfinished_loads(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    let states = load_states(world);
    for acknowledged in world.acknowledged.lock().iter() {
        let Acknowledged::Load { load, peer, .. } = acknowledged else {
            continue;
        };
        match states.get(load).map(String::as_str) {
            Some("done" | "failed") => {}
            Some(state) => all.push(format!("load {load} on peer{peer} is {state}")),
            None => all.push(format!("load {load} on peer{peer} is lost")),
        }
    }
    all
}

/// Returns the states of the loads by their ids.
pub fn load_states(world: &World) -> BTreeMap<String, String> {
    let mut askers = BTreeSet::new();
    for acknowledged in world.acknowledged.lock().iter() {
        if let Acknowledged::Load { asker, .. } = acknowledged {
            askers.insert(*asker);
        }
    }
    let mut states = BTreeMap::new();
    for asker in askers {
        let ran = world.run(asker, &["load", "--list"]);
        for event in ran.iter().flat_map(|ran| &ran.events) {
            if let (Some(load), Some(state)) = (event["load"].as_str(), event["state"].as_str()) {
                states.insert(load.to_owned(), state.to_owned());
            }
        }
    }
    states
}

/// Returns all shared files, as they are on the peers' disks, with the acknowledged spaces.
pub fn shared(world: &World) -> Vec<Shared> {
    let mut all = Vec::new();
    for peer in 0..world.setting.peers {
        for folder in FOLDERS {
            let terms = world.model.lock().terms((peer, folder));
            if let Some(space) = terms {
                read(peer, &world.folder_of((peer, folder)), space, &mut all);
            }
        }
        read(peer, &world.folder_of((peer, "inbox")), None, &mut all);
        let loads = world.folder_of((peer, "loads"));
        for folder in downloading::visible_files(&loads) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let said = name.split_once('@').map(|(_, space)| space.to_owned());
            let space = said.and_then(|said| SPACES.iter().find(|name| **name == said));
            read(peer, &folder, space.copied(), &mut all);
        }
    }
    all
}

fn read(peer: usize, root: &Path, space: Space, all: &mut Vec<Shared>) {
    let share = root.file_name().unwrap_or_default().to_string_lossy();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in downloading::visible_files(&folder) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_default();
            let inner = path.strip_prefix(root).unwrap_or(&path);
            let entry = (
                format!("peer{peer}"),
                format!("{share}/{}", inner.display()),
                hash(&bytes),
                bytes.len() as u64,
                space.unwrap_or_default().to_owned(),
            );
            all.push(Shared { peer, space, entry });
        }
    }
}

/// Returns the files in the folders that the harness writes, with their folders.
pub fn on_disk(world: &World, peer: usize) -> Vec<(&'static str, PathBuf)> {
    let files = FOLDERS.iter().flat_map(|folder| {
        let files = downloading::visible_files(&world.folder_of((peer, folder)));
        files.into_iter().map(move |file| (*folder, file))
    });
    files.collect()
}
