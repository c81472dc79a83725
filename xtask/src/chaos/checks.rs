//! The checks in a calm, after the state matches the model: no acknowledged change is lost,
//! downloads finish, and nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::calm::{self, Entry, Shared};
use super::contents::hash;
use super::downloading;
use super::model::Moment;
use super::plan::{SPACES, Target};
use super::random::Random;
use super::report::Outcome;
use super::world::{Acknowledged, Unfinished, World};

/// The number of links that are opened in one calm.
const LINKS: usize = 4;
/// The prefix of the names of unfinished files.
const HIDDEN_PREFIX: &str = ".convite-";

/// Runs all checks; `number` is the number of the round.
pub fn run(world: &World, number: u64) {
    let shared = calm::shared(world);
    for peer in 0..world.setting.peers {
        files_are_untouched(world, peer);
    }
    finish_downloads(world, &shared);
    downloads_work(world, &shared, number);
    kept(world, &shared);
    members(world);
    remains(world);
    logs(world);
}

/// Checks that only the harness changes the files in a peer's folders.
fn files_are_untouched(world: &World, peer: usize) {
    let mut found = BTreeSet::new();
    for (folder, path) in calm::on_disk(world, peer) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let place = (peer, folder);
        world.report.checked("contents", 1);
        let wanted = world.model.lock().file(place, &name);
        let is_right =
            wanted.is_some_and(|wanted| fs::read(&path).is_ok_and(|bytes| bytes == wanted.bytes()));
        if !is_right && !world.model.lock().is_uncertain(place, &name) {
            let path = path.display();
            world
                .report
                .failure(&format!("a shared file was changed: {path}"));
        }
        found.insert((folder, name));
    }
    for folder in super::plan::FOLDERS {
        for name in world.model.lock().files((peer, folder)).into_keys() {
            if !found.contains(&(folder, name.clone())) {
                world.report.failure(&format!(
                    "a shared file was removed: peer{peer}:{folder}/{name}"
                ));
            }
        }
    }
}

fn hashes(entries: &BTreeSet<Entry>) -> BTreeSet<&str> {
    entries.iter().map(|entry| entry.2.as_str()).collect()
}

/// Resumes interrupted downloads. They must finish if their contents still exist.
fn finish_downloads(world: &World, shared: &[Shared]) {
    let all = std::mem::take(&mut *world.unfinished.lock());
    let again = |what: Unfinished| {
        let entries = calm::expected(world, what.account, shared);
        let ending = format!("/{}", what.name);
        let is_there = match &what.hash {
            Some(hash) => hashes(&entries).contains(hash.as_str()),
            // A copy of an older version has the same name, so the name can match several contents.
            None => {
                let named = entries
                    .into_iter()
                    .filter(|entry| entry.1.ends_with(&ending));
                hashes(&named.collect()).len() == 1
            }
        };
        let Some(ran) = downloading::try_again(world, &what, None) else {
            return;
        };
        world.report.checked("downloads resumed", 1);
        // A download by name can fail because a file of another version exists at its target.
        let in_the_way = ran.error() == "file_exists";
        if is_there && !ran.is_ok() && !in_the_way {
            let text = ran.shown();
            world
                .report
                .failure(&format!("a download does not finish in a calm: {text}"));
        }
        // It explains its remaining files from now on, with any result: the contents may have
        // changed.
        world.unfinished.lock().push(what);
    };
    // One after the other per account, because two downloads of the same contents exclude each
    // other.
    let mut of_accounts: BTreeMap<usize, Vec<Unfinished>> = BTreeMap::new();
    for what in all {
        of_accounts.entry(what.account).or_default().push(what);
    }
    let queues = of_accounts.into_values().collect();
    in_parallel(queues, |queue: Vec<Unfinished>| {
        queue.into_iter().for_each(&again)
    });
    let mut unfinished = world.unfinished.lock();
    world.report.note(&format!(
        "{} downloads were interrupted so far",
        unfinished.len()
    ));
    unfinished.sort_by(|a, b| a.folder.cmp(&b.folder));
}

/// Downloads one visible file with each account, and checks that an invisible one is not found.
fn downloads_work(world: &World, shared: &[Shared], number: u64) {
    let accounts: Vec<usize> = (0..=world.setting.guest()).collect();
    in_parallel(accounts, |account| {
        let mut random = Random::new(number.wrapping_mul(1_000_003) + account as u64);
        let seen = calm::expected(world, account, shared);
        let seen = hashes(&seen);
        let all: BTreeSet<&str> = shared.iter().map(|one| one.entry.2.as_str()).collect();
        let get = |hash: &str, label: &str| {
            let folder = world.accounts[account].machine.folder.join("gets");
            let what = Unfinished {
                account,
                folder: folder.join(format!("{account}-{label}{number}")),
                name: String::new(),
                hash: Some(hash.to_owned()),
            };
            fetch(world, &what)
        };
        let list: Vec<&str> = seen.iter().copied().collect();
        if let Some(hash) = random.pick(&list) {
            world.report.checked("downloads", 1);
            if let Some((_, text)) = get(hash, "calm").filter(|(code, _)| *code != Some(0)) {
                world
                    .report
                    .failure(&format!("a download fails in a calm: {text}"));
            }
        }
        let unseen: Vec<&str> = all.difference(&seen).copied().collect();
        if let Some(hash) = random.pick(&unseen) {
            world.report.checked("refusals", 1);
            if let Some((_, text)) = get(hash, "unseen").filter(|(code, _)| *code != Some(3)) {
                let text = format!("an invisible file is not answered with 'not found': {text}");
                world.report.failure(&text);
            }
        }
    });
}

/// Downloads by hash in a calm. Returns the exit code and a description.
fn fetch(world: &World, what: &Unfinished) -> Option<(Option<i32>, String)> {
    let target = format!("{}/", what.folder.display());
    let hash = what.hash.as_deref().unwrap_or_default();
    let ran = world.run(what.account, &["get", hash, "-o", &target])?;
    for path in downloading::visible_files(&what.folder) {
        let bytes = fs::read(&path).unwrap_or_default();
        if super::contents::hash(&bytes) != hash {
            let path = path.display();
            world
                .report
                .failure(&format!("wrong bytes under a final name: {path}"));
        }
    }
    let outcome = if ran.is_ok() {
        Outcome::Done
    } else {
        Outcome::Failed
    };
    world.report.operation("get in calm", outcome);
    Some((ran.code, ran.shown()))
}

fn in_parallel<T: Send>(all: Vec<T>, work: impl Fn(T) + Sync) {
    let queue = parking_lot::Mutex::new(all);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(one) = take(&queue) {
                    work(one);
                }
            });
        }
    });
}

fn take<T>(queue: &parking_lot::Mutex<Vec<T>>) -> Option<T> {
    queue.lock().pop()
}

/// Checks that everything acknowledged exists.
fn kept(world: &World, shared: &[Shared]) {
    let all = world.acknowledged.lock().clone();
    let states = calm::load_states(world);
    let has = |peer: usize, folder: &str, hash: &str| {
        let mut of_peer = shared.iter().filter(|one| one.peer == peer);
        of_peer.any(|one| one.entry.2 == hash && one.entry.1.starts_with(folder))
    };
    world.report.checked("acknowledged changes", all.len());
    let mut links = 0;
    for kept in all.iter().rev() {
        match kept {
            Acknowledged::Got { path, hash: wanted } => {
                let found = fs::read(path).map(|bytes| hash(&bytes)).unwrap_or_default();
                if found != *wanted {
                    let path = path.display();
                    world
                        .report
                        .failure(&format!("a downloaded file changed: {path}"));
                }
            }
            Acknowledged::Put { peer, hash } if !has(*peer, "inbox/", hash) => {
                let text = format!("an acknowledged upload is lost: {hash} on peer{peer}");
                world.report.failure(&text);
            }
            Acknowledged::Put { .. } => {}
            Acknowledged::Load {
                peer, load, hash, ..
            } => {
                let is_ok = states.get(load).is_some_and(|state| state == "done");
                // A peer that shared the contents already stores no second copy.
                let shared_it = world
                    .model
                    .lock()
                    .may_see(*peer, hash, Moment::ZERO, Moment::ZERO);
                if is_ok && !shared_it && !has(*peer, "loads", hash) {
                    let text = format!("load {load} is done, but peer{peer} does not have {hash}");
                    world.report.failure(&text);
                }
            }
            Acknowledged::Link { maker, url, hash } => {
                links += 1;
                if links <= LINKS {
                    link(world, shared, (*maker, url, hash));
                }
            }
        }
    }
    // Downloaded files are checked once only, so that a long run does not read more and more files.
    world
        .acknowledged
        .lock()
        .retain(|acknowledged| !matches!(acknowledged, Acknowledged::Got { .. }));
}

fn link(world: &World, shared: &[Shared], (maker, url, hash): (usize, &str, &str)) {
    let seen = calm::expected(world, maker, shared);
    let is_there = hashes(&seen).contains(hash);
    let status = downloading::open_link(world, url, hash);
    world.report.checked("links", 1);
    if is_there && status != 200 {
        let text = format!("a valid link to {hash} returns status {status}");
        world.report.failure(&text);
    }
    if !is_there && status == 200 {
        let text = format!("a link opens {hash}, which its account no longer sees");
        world.report.failure(&text);
    }
}

/// Checks that the directory has the acknowledged members and accounts.
fn members(world: &World) {
    for space in SPACES {
        let Some(ran) = world.run(0, &["space", "member", "list", space]) else {
            continue;
        };
        let found: BTreeSet<String> = ran
            .events
            .iter()
            .filter_map(|event| event["user"].as_str().map(str::to_owned))
            .collect();
        let wanted = world.model.lock().members(space);
        let wanted: BTreeSet<String> = wanted
            .into_iter()
            .map(|account| world.accounts[account].name.clone())
            .collect();
        world.report.checked("members", wanted.len());
        if found != wanted {
            world.report.failure(&format!(
                "the members of '{space}' are {found:?} instead of {wanted:?}"
            ));
        }
    }
    let Some(ran) = world.run(0, &["user", "list"]) else {
        return;
    };
    let users = ran.events.iter().filter_map(|event| event["user"].as_str());
    let found: BTreeSet<&str> = users.collect();
    for account in world.model.lock().accounts() {
        world.report.checked("accounts", 1);
        if !found.contains(account.as_str()) {
            world
                .report
                .failure(&format!("the account '{account}' is lost"));
        }
    }
}

/// Checks that all remaining hidden files belong to unfinished downloads or uploads.
fn remains(world: &World) {
    let unfinished = world.unfinished.lock().clone();
    for (number, account) in world.accounts.iter().enumerate() {
        let own: Vec<&Unfinished> = unfinished
            .iter()
            .filter(|one| one.account == number)
            .collect();
        for entry in entries(&account.home.join("downloads")) {
            let name = entry
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let Some((hash, _)) = name.split_once('-') else {
                continue;
            };
            world.report.checked("remains", 1);
            let model = world.model.lock();
            let explained = own.iter().any(|one| match &one.hash {
                Some(wanted) => wanted == hash,
                None => model.had_name(hash, &one.name) || !model.is_known(hash),
            });
            let of_load = world.acknowledged.lock().iter().any(|acknowledged| {
                matches!(acknowledged, Acknowledged::Load { peer, hash: wanted, .. } if *peer == number && wanted == hash)
            });
            if !explained && !of_load {
                let text = format!("unexplained file: {}", entry.display());
                world.report.failure(&text);
            }
        }
        for folder in entries(&account.machine.folder.join("gets")) {
            let is_explained = own.iter().any(|one| one.folder == folder);
            let is_own = folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{number}-")));
            if is_own && !is_explained {
                no_hidden(world, &folder);
            }
        }
    }
    for peer in 0..world.setting.peers {
        for folder in super::plan::FOLDERS {
            no_hidden(world, &world.folder_of((peer, folder)));
        }
        for folder in entries(&world.folder_of((peer, "loads"))) {
            no_hidden(world, &folder);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn no_hidden(world: &World, folder: &Path) {
    for path in entries(folder) {
        world.report.checked("remains", 1);
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(HIDDEN_PREFIX) {
            let text = format!("unexplained file: {}", path.display());
            world.report.failure(&text);
        }
    }
}

/// Checks that no long-running process has panicked.
fn logs(world: &World) {
    for service in &world.services {
        world.report.checked("logs", 1);
        let log = fs::read_to_string(service.log()).unwrap_or_default();
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            let name = match service.target {
                Target::Peer(number) => format!("peer{number}"),
                Target::Directory(number) => format!("directory{number}"),
            };
            world.report.failure(&format!("{name} panicked: {line}"));
        }
    }
}
