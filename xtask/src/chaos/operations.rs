//! Runs the planned operations, records acknowledged changes in the model, and checks each answer.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::Path;

use super::contents::{Contents, hash};
use super::model::Place;
use super::plan::{Change, FileAt, Operation};
use super::report::Outcome;
use super::world::World;
use super::{administration, downloading, publish};

/// Runs one operation of the queue `queue`.
pub fn run(world: &World, queue: usize, operation: &Operation) {
    let account = world.setting.account_of(queue);
    let outcome = match operation {
        Operation::Write(file, contents) => write(world, file, *contents),
        Operation::Modify(file, contents, change) => modify(world, file, *contents, *change),
        Operation::Rename(file, name) => rename(world, file, name),
        Operation::Remove(file) => remove(world, file),
        Operation::Get(file, by, kill) => downloading::get(world, account, file, *by, *kill),
        Operation::Put(peer, contents, kill) => {
            downloading::put(world, account, *peer, *contents, *kill)
        }
        Operation::Load(file, peer) => downloading::load(world, account, file, *peer),
        Operation::Link(file) => downloading::link(world, account, file),
        Operation::Search(file) => downloading::search(world, account, file),
        Operation::List => downloading::list(world, account),
        Operation::Misuse(file) => downloading::misuse_ticket(world, account, file),
        Operation::Publish(new, gone) => publish::publish(world, *new, *gone),
        Operation::Share(_)
        | Operation::Unshare
        | Operation::Invite(_)
        | Operation::AddMember(..)
        | Operation::RemoveMember(..) => administration::run(world, queue, operation),
    };
    world.report.operation(operation.kind(), outcome);
}

/// Runs `work` on a folder if its disk is mounted. The disk is not mounted or unmounted in the
/// meantime.
fn with_disk(world: &World, place: Place, work: impl FnOnce() -> Outcome) -> Outcome {
    let machine = world.machine_of(super::plan::Target::Peer(place.0));
    let disk = machine.and_then(|machine| machine.disk());
    if disk.as_ref().is_none_or(|disk| disk.mounted) {
        work()
    } else {
        Outcome::Skipped
    }
}

fn place(file: &FileAt) -> Place {
    (file.peer, file.folder)
}

/// Creates a new file. Under faults the disk may be full; then the incomplete file is removed.
pub fn write(world: &World, file: &FileAt, contents: Contents) -> Outcome {
    let (at, bytes) = (place(file), contents.bytes());
    with_disk(world, at, || {
        world
            .model
            .lock()
            .file_begins(at, &file.name, &hash(&bytes));
        let path = world.path_of(file);
        let written = fs::write(&path, &bytes).is_ok();
        if !written {
            let _ = fs::remove_file(&path);
        }
        let now = written.then_some(contents);
        world.model.lock().file_settled(at, &file.name, now);
        outcome(written)
    })
}

fn modify(world: &World, file: &FileAt, contents: Contents, change: Change) -> Outcome {
    let (at, path) = (place(file), world.path_of(file));
    with_disk(world, at, || {
        let Some(old) = world.model.lock().file(at, &file.name) else {
            return Outcome::Skipped;
        };
        let contents = match change {
            Change::InPlace => Contents {
                len: old.len,
                ..contents
            },
            _ => contents,
        };
        let bytes = contents.bytes();
        world
            .model
            .lock()
            .file_begins(at, &file.name, &hash(&bytes));
        let changed = match change {
            Change::InPlace => overwrite(&path, &bytes),
            Change::Rewrite => fs::write(&path, &bytes),
            Change::Replace => replace(&path, &bytes),
        };
        let now = match (changed, change) {
            (Ok(()), _) => Some(contents),
            (Err(_), Change::Replace) => Some(old),
            // Its contents are unknown now, so it is removed.
            (Err(_), _) => fs::remove_file(&path).err().map(|_| contents),
        };
        world.model.lock().file_settled(at, &file.name, now);
        outcome(now == Some(contents))
    })
}

/// Overwrites a file with the same size, and restores its modification time.
fn overwrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let modified = file.metadata()?.modified()?;
    file.write_all(bytes)?;
    file.set_times(FileTimes::new().set_modified(modified))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".new {name}"));
    let moved = fs::write(&new, bytes).and_then(|()| fs::rename(&new, path));
    if moved.is_err() {
        let _ = fs::remove_file(&new);
    }
    moved
}

fn rename(world: &World, file: &FileAt, name: &str) -> Outcome {
    let (at, path) = (place(file), world.path_of(file));
    with_disk(world, at, || {
        let Some(contents) = world.model.lock().file(at, &file.name) else {
            return Outcome::Skipped;
        };
        let hash = hash(&contents.bytes());
        world.model.lock().file_begins(at, name, &hash);
        let moved = fs::rename(&path, path.with_file_name(name)).is_ok();
        let mut model = world.model.lock();
        model.file_settled(at, name, moved.then_some(contents));
        if moved {
            model.file_settled(at, &file.name, None);
        }
        outcome(moved)
    })
}

fn remove(world: &World, file: &FileAt) -> Outcome {
    let at = place(file);
    with_disk(world, at, || {
        if world.model.lock().file(at, &file.name).is_none() {
            return Outcome::Skipped;
        }
        let removed = fs::remove_file(world.path_of(file)).is_ok();
        if removed {
            world.model.lock().file_settled(at, &file.name, None);
        }
        outcome(removed)
    })
}

fn outcome(is_ok: bool) -> Outcome {
    if is_ok {
        Outcome::Done
    } else {
        Outcome::Failed
    }
}
