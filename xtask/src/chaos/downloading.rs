//! Operations on files that others share, and the checks of their results: no wrong byte has a
//! final name, and no account gets a file that it may not see.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::command::CommandResult;
use super::contents::{Contents, hash};
use super::http;
use super::model::Moment;
use super::plan::{By, FOLDERS, FileAt, SPACES, Target};
use super::report::Outcome;
use super::world::{Acknowledged, Unfinished, World};

fn outcome(ran: &CommandResult) -> Outcome {
    match (ran.is_ok(), ran.killed) {
        (true, _) => Outcome::Done,
        (false, true) => Outcome::Killed,
        (false, false) => Outcome::Failed,
    }
}

/// Returns the expected hash of a file; none if the file does not exist, or if its hash is unknown.
fn hash_of(world: &World, file: &FileAt) -> Option<String> {
    let contents = world
        .model
        .lock()
        .file((file.peer, file.folder), &file.name);
    contents.map(|contents| hash(&contents.bytes()))
}

/// Downloads a file into a separate folder.
pub fn get(
    world: &World,
    account: usize,
    file: &FileAt,
    by: By,
    kill: Option<Duration>,
) -> Outcome {
    let Some(wanted) = hash_of(world, file) else {
        return Outcome::Skipped;
    };
    let number = world.now().as_micros();
    let folder = world.accounts[account].machine.folder.join("gets");
    let folder = folder.join(format!("{account}-{number}"));
    let unfinished = Unfinished {
        account,
        folder,
        name: file.name.clone(),
        hash: (by == By::Hash).then_some(wanted),
    };
    match try_again(world, &unfinished, kill) {
        Some(ran) => {
            if !ran.is_ok() {
                world.unfinished.lock().push(unfinished);
            }
            outcome(&ran)
        }
        None => Outcome::Failed,
    }
}

/// Starts or resumes a download, and checks the result.
pub fn try_again(
    world: &World,
    what: &Unfinished,
    kill: Option<Duration>,
) -> Option<CommandResult> {
    let target = format!("{}/", what.folder.display());
    let word = what.hash.as_deref().unwrap_or(&what.name);
    let ran = world.run_killed(what.account, &["get", word, "-o", &target], kill)?;
    for path in visible_files(&what.folder) {
        check_download(world, what, &ran, &path);
    }
    // A file that is requested by its hash may have been renamed between two runs: the first may
    // have been killed after it had placed the file under the old name.
    let files = visible_files(&what.folder).len();
    if ran.is_ok() && (files == 0 || (files > 1 && what.hash.is_none())) {
        world.report.failure(&format!(
            "{}: done, but {} contains {files} files",
            ran.arguments,
            what.folder.display()
        ));
    }
    Some(ran)
}

/// Checks a file to which a download gave its final name.
fn check_download(world: &World, what: &Unfinished, ran: &CommandResult, path: &Path) {
    world.report.checked("contents", 1);
    let Ok(bytes) = fs::read(path) else {
        return;
    };
    let found = hash(&bytes);
    let said = ran.event("done").and_then(|done| done["hash"].as_str());
    let wanted = said.or(what.hash.as_deref());
    if wanted.is_some_and(|wanted| wanted != found) {
        world.report.failure(&format!(
            "{}: wrong bytes under a final name: {} has {found}, expected {}",
            ran.arguments,
            path.display(),
            wanted.unwrap_or_default()
        ));
    }
    let model = world.model.lock();
    // Contents that are not in the model were read from a file while it was being written.
    if model.is_known(&found) {
        if !model.had_name(&found, &what.name) {
            let text = format!("{}: '{}' never had {found}", ran.arguments, what.name);
            world.report.failure(&text);
        }
        let is_new = world.downloaded.lock().insert(path.to_path_buf());
        if is_new && !model.may_see(what.account, &found, Moment::ZERO, ran.until) {
            let text = format!("{}: downloaded a file that it may not see", ran.arguments);
            world.report.failure(&text);
        }
    }
    if ran.is_ok() {
        world.acknowledged.lock().push(Acknowledged::Got {
            path: path.to_path_buf(),
            hash: found,
        });
    }
}

/// Returns the files of a folder that are not hidden.
pub fn visible_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_visible = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    entries
        .filter(is_visible)
        .map(|entry| entry.path())
        .collect()
}

/// Uploads a file to the inbox of a peer.
pub fn put(
    world: &World,
    account: usize,
    peer: usize,
    contents: Contents,
    kill: Option<Duration>,
) -> Outcome {
    let (name, bytes) = (format!("put{:016x}.bin", contents.seed), contents.bytes());
    let path = world.accounts[account].machine.folder.join(&name);
    if fs::write(&path, &bytes).is_err() {
        return Outcome::Skipped;
    }
    let hash = hash(&bytes);
    world.model.lock().copied(&hash, [None]);
    let (source, to) = (path.to_string_lossy(), format!("peer{peer}"));
    let ran = world.run_killed(account, &["put", &source, "--to", &to], kill);
    let _ = fs::remove_file(&path);
    let Some(ran) = ran else {
        return Outcome::Failed;
    };
    if ran.is_ok() {
        world
            .acknowledged
            .lock()
            .push(Acknowledged::Put { peer, hash });
    }
    outcome(&ran)
}

/// Requests a load on a peer.
pub fn load(world: &World, account: usize, file: &FileAt, peer: usize) -> Outcome {
    let Some(hash) = hash_of(world, file) else {
        return Outcome::Skipped;
    };
    {
        let mut model = world.model.lock();
        let spaces = model.spaces_of(&hash);
        model.copied(&hash, spaces);
    }
    let on = format!("peer{peer}");
    let from = world.now();
    let Some(ran) = world.run(account, &["load", &hash, "--on", &on, "--no-wait"]) else {
        return Outcome::Failed;
    };
    let load = ran.event("asked").and_then(|event| event["load"].as_str());
    if let (true, Some(load)) = (ran.is_ok(), load) {
        if !world.model.lock().may_see(account, &hash, from, ran.until) {
            let text = format!("{}: loads a file that it may not see", ran.arguments);
            world.report.failure(&text);
        }
        world.acknowledged.lock().push(Acknowledged::Load {
            asker: account,
            peer,
            load: load.to_owned(),
            hash,
        });
    }
    outcome(&ran)
}

/// Makes a link to a file, and downloads the file by it from another machine.
pub fn link(world: &World, account: usize, file: &FileAt) -> Outcome {
    let Some(wanted) = hash_of(world, file) else {
        return Outcome::Skipped;
    };
    let words = ["link", &wanted, "--uses", "1000", "--expires", "5h"];
    let Some(ran) = world.run(account, &words) else {
        return Outcome::Failed;
    };
    let url = ran.events.iter().find_map(|event| event["url"].as_str());
    let (true, Some(url)) = (ran.is_ok(), url) else {
        return outcome(&ran);
    };
    if !world
        .model
        .lock()
        .may_see(account, &wanted, ran.from, ran.until)
    {
        let text = format!("{}: a link to a file that it may not see", ran.arguments);
        world.report.failure(&text);
    }
    open_link(world, url, &wanted);
    world.acknowledged.lock().push(Acknowledged::Link {
        maker: account,
        url: url.to_owned(),
        hash: wanted,
    });
    Outcome::Done
}

/// Downloads by a link. Returns the status of the answer, 0 if it is missing or incomplete.
pub fn open_link(world: &World, url: &str, wanted: &str) -> u16 {
    let machine = &world.accounts[world.setting.guest()].machine;
    let request = http::get(url, None);
    let Some(answer) = world.check(http::send(machine, request, &world.scratch())) else {
        return 0;
    };
    world
        .report
        .note(&format!("link to {wanted} -> {}", answer.status));
    if answer.status == 200 {
        world.report.checked("contents", 1);
        let found = hash(&answer.body);
        if found != wanted {
            world.report.failure(&format!(
                "a link to {wanted} returned {found}, with status 200"
            ));
        }
    }
    answer.status
}

/// Searches for the first word of a name, which is unique.
pub fn search(world: &World, account: usize, file: &FileAt) -> Outcome {
    let word = file.name.split(' ').next().unwrap_or_default();
    let Some(ran) = world.run(account, &["search", word]) else {
        return Outcome::Failed;
    };
    let files = ran.events.iter().filter(|hit| hit["kind"] != "folder");
    for hash in files.filter_map(|hit| hit["hash"].as_str()) {
        visible(world, account, &ran, hash);
    }
    // Exit code 3 means that nothing was found, which is a valid answer.
    match ran.code {
        Some(0 | 3) => Outcome::Done,
        _ => outcome(&ran),
    }
}

/// Checks that `account` may have seen contents while `ran` ran.
fn visible(world: &World, account: usize, ran: &CommandResult, hash: &str) {
    world.report.checked("visibility", 1);
    let model = world.model.lock();
    if model.is_known(hash) && !model.may_see(account, hash, ran.from, ran.until) {
        drop(model);
        world.report.failure(&format!(
            "{}: {hash} is shown to '{}', which may not see it",
            ran.arguments, world.accounts[account].name
        ));
    }
}

/// Lists all files that an account sees.
pub fn list(world: &World, account: usize) -> Outcome {
    let Some(ran) = world.run(account, &["index"]) else {
        return Outcome::Failed;
    };
    for entry in &ran.events {
        let Some(hash) = entry["hash"].as_str() else {
            continue;
        };
        if entry["kind"] != "folder" {
            visible(world, account, &ran, hash);
        }
        check_space(world, account, &ran, entry);
    }
    outcome(&ran)
}

/// Checks that an entry with a space is shown only to members of that space.
fn check_space(world: &World, account: usize, ran: &CommandResult, entry: &Value) {
    let Some(space) = entry["space"].as_str() else {
        return;
    };
    let Some(space) = SPACES.iter().find(|name| **name == space) else {
        return;
    };
    world.report.checked("visibility", 1);
    let model = world.model.lock();
    if !model.was_member(space, account, ran.from, ran.until) {
        drop(model);
        world.report.failure(&format!(
            "{}: shows an entry of '{space}' to '{}', which is not a member: {entry}",
            ran.arguments, world.accounts[account].name
        ));
    }
}

/// Locates a file, then sends requests with its ticket for other contents, which the account may not
/// always see, with its ticket to another peer, and without a ticket.
pub fn misuse_ticket(world: &World, account: usize, file: &FileAt) -> Outcome {
    let Some(wanted) = hash_of(world, file) else {
        return Outcome::Skipped;
    };
    let (Some(token), Some(url)) = (world.token(account), world.directory_url(account)) else {
        return Outcome::Skipped;
    };
    let machine = &world.accounts[account].machine;
    let scratch = world.scratch();
    let ask = |url: &str, bearer: Option<&str>| {
        let answer = world.check(http::send(machine, http::get(url, bearer), &scratch));
        answer.unwrap_or_else(|| http::Answer {
            status: 0,
            body: Vec::new(),
        })
    };
    let from = world.now();
    let located = ask(&format!("{url}/files/{wanted}"), Some(&token));
    if located.status == 0 || located.status >= 500 {
        return Outcome::Failed;
    }
    if located.status != 200 {
        return Outcome::Done;
    }
    world.report.checked("visibility", 1);
    if !world
        .model
        .lock()
        .may_see(account, &wanted, from, world.now())
    {
        let name = &world.accounts[account].name;
        world
            .report
            .failure(&format!("'{name}' locates {wanted}, but may not see it"));
    }
    let located = located.json();
    let provider = &located["providers"][0];
    let ticket = provider["ticket"].as_str().unwrap_or_default();
    let peer = provider["peer"]
        .as_str()
        .and_then(|id| id.strip_prefix("peer"));
    let Some(peer) = peer.and_then(|number| number.parse::<usize>().ok()) else {
        return Outcome::Done;
    };
    let others: Vec<usize> = (0..world.setting.peers).filter(|at| *at != peer).collect();
    let other = others.get(from.subsec_micros() as usize % others.len().max(1));
    let elsewhere = hash_elsewhere(world, peer, &wanted);
    let mut tries = Vec::new();
    if let Some(url) = world.url_of(Target::Peer(peer)) {
        if let Some(elsewhere) = elsewhere {
            let status = ask(&format!("{url}/files/{elsewhere}"), Some(ticket)).status;
            world.report.checked("tickets", 1);
            let model = world.model.lock();
            let may_see = model.may_see(account, &elsewhere, from, world.now());
            drop(model);
            if (200..300).contains(&status) && !may_see {
                let name = &world.accounts[account].name;
                world.report.failure(&format!(
                    "'{name}' reads {elsewhere} from {url}, but may not see it"
                ));
            }
        }
        tries.push((format!("{url}/files/{wanted}"), None, "without a ticket"));
    }
    if let Some(url) = other.and_then(|other| world.url_of(Target::Peer(*other))) {
        let url = format!("{url}/files/{wanted}");
        tries.push((url, Some(ticket), "with a ticket for another peer"));
    }
    for (url, bearer, how) in tries {
        world.report.checked("tickets", 1);
        let status = ask(&url, bearer).status;
        if (200..300).contains(&status) {
            world
                .report
                .failure(&format!("{url} was served {how}: status {status}"));
        }
    }
    Outcome::Done
}

/// Returns the hash of other contents that a peer shares.
fn hash_elsewhere(world: &World, peer: usize, wanted: &str) -> Option<String> {
    let model = world.model.lock();
    let files = FOLDERS
        .iter()
        .flat_map(|folder| model.files((peer, *folder)).into_values());
    let hashes = files.map(|contents| hash(&contents.bytes()));
    hashes.into_iter().find(|hash| hash != wanted)
}
