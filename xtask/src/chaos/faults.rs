//! Starts and ends faults.

use std::fs::{File, FileTimes};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::contents::{Contents, hash};
use super::machine::Machine;
use super::plan::{FOLDERS, Fault, FileAt, PlannedFault, Target};
use super::random::Random;
use super::world::World;

/// The rate of every link in bits per second.
pub const RATE: u64 = 100_000_000;
/// The rate of a slow link in bits per second.
const SLOW: u64 = 1_000_000;
const PAGE: u64 = 4096;

/// Runs one fault, in the round that started at `begin`.
pub fn run(world: &World, planned: &PlannedFault, begin: Instant) {
    sleep_until(begin + planned.from);
    let kind = planned.fault.kind();
    world
        .report
        .note(&format!("fault starts: {kind}: {:?}", planned.fault));
    if start(world, planned.fault) {
        world.report.fault(kind);
    }
    sleep_until(begin + planned.until);
    end(world, planned.fault);
    world
        .report
        .note(&format!("fault ends: {kind}: {:?}", planned.fault));
}

/// Waits until `moment`.
pub fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Starts a fault. Returns whether that was possible.
fn start(world: &World, fault: Fault) -> bool {
    match fault {
        Fault::Kill(target) => with_service(world, target, |service| service.kill()),
        Fault::Restart(target) => with_service(world, target, |service| {
            if let Err(what) = service.stop() {
                let name = &service.machine.name;
                world.report.failure(&format!("{name}: {target:?}: {what}"));
            }
        }),
        Fault::Freeze(target) => with_service(world, target, |service| service.signal("STOP")),
        Fault::FillDisk(target) => with_machine(world, target, |machine| {
            if let Some(disk) = machine.disk().filter(|disk| disk.mounted) {
                world.check(disk.fill());
            }
        }),
        Fault::Clock(target, offset) => with_machine(world, target, |machine| {
            world.check(machine.set_clock(offset));
        }),
        Fault::Cut(target) => with_machine(world, target, |machine| {
            let network = world.network.as_ref();
            world.check(network.map_or(Ok(()), |network| network.cut(machine.number)));
        }),
        Fault::Slow(target) => with_machine(world, target, |machine| limit(world, machine, SLOW)),
        Fault::Unmount(peer) => with_machine(world, Target::Peer(peer), |machine| {
            if let Some(mut disk) = machine.disk() {
                world.check(disk.unmount());
            }
        }),
        Fault::Corrupt(peer, number) => corrupt(world, peer, number),
        Fault::CorruptCache(peer, number) => {
            with_service(world, Target::Peer(peer), |service| service.kill());
            let home = world.accounts.get(peer).map(|account| &account.home);
            home.is_some_and(|home| corrupt_page(&home.join("peer/cache.redb"), number).is_ok())
        }
        Fault::Database => {
            let database = world.database.as_ref();
            database.map(super::database::Database::crash).is_some()
        }
    }
}

/// Ends a fault.
fn end(world: &World, fault: Fault) {
    match fault {
        Fault::Kill(target) | Fault::Restart(target) => {
            with_service(world, target, |service| service.enable());
        }
        Fault::CorruptCache(peer, _) => {
            with_service(world, Target::Peer(peer), |service| service.enable());
        }
        Fault::Freeze(target) => {
            with_service(world, target, |service| service.signal("CONT"));
        }
        Fault::FillDisk(target) => {
            with_machine(world, target, |machine| {
                if let Some(disk) = machine.disk() {
                    disk.free_space();
                }
            });
        }
        Fault::Clock(target, _) => {
            with_machine(world, target, |machine| {
                world.check(machine.set_clock(0));
            });
        }
        Fault::Cut(target) => {
            with_machine(world, target, |machine| {
                let network = world.network.as_ref();
                world.check(network.map_or(Ok(()), |network| network.join(machine.number)));
            });
        }
        Fault::Slow(target) => {
            with_machine(world, target, |machine| limit(world, machine, RATE));
        }
        Fault::Unmount(peer) => {
            with_machine(world, Target::Peer(peer), |machine| remount(world, machine));
        }
        Fault::Database => {
            if let Some(database) = &world.database {
                world.check(database.begin(&world.cleanup));
            }
        }
        Fault::Corrupt(..) => {}
    }
}

fn with_service(world: &World, target: Target, act: impl FnOnce(&super::service::Service)) -> bool {
    world.service(target).map(|service| act(service)).is_some()
}

fn with_machine(world: &World, target: Target, act: impl FnOnce(&Arc<Machine>)) -> bool {
    world.machine_of(target).map(act).is_some()
}

fn limit(world: &World, machine: &Machine, rate: u64) {
    let network = world.network.as_ref();
    world.check(network.map_or(Ok(()), |network| network.limit(machine.number, rate)));
}

/// Mounts a disk again. Checks that no process wrote into its mount point in the meantime.
fn remount(world: &World, machine: &Machine) {
    let Some(mut disk) = machine.disk() else {
        return;
    };
    world.report.checked("mount points", 1);
    for path in disk.below() {
        world.report.failure(&format!(
            "{}: written into a mount point while its disk was unmounted: {}",
            machine.name,
            path.display()
        ));
        let _ = std::fs::remove_dir_all(&path);
        let _ = std::fs::remove_file(&path);
    }
    // The folder may be busy for a moment.
    for _ in 0..20 {
        if disk.mount().is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    world.check(disk.mount());
}

/// Damages one of a peer's files. From then on, the model expects the damaged contents.
fn corrupt(world: &World, peer: usize, number: u64) -> bool {
    let machine = world.machine_of(Target::Peer(peer));
    let disk = machine.and_then(|machine| machine.disk());
    if disk.as_ref().is_some_and(|disk| !disk.mounted) {
        return false;
    }
    let mut files: Vec<(FileAt, Contents)> = Vec::new();
    for folder in FOLDERS {
        for (name, contents) in world.model.lock().files((peer, folder)) {
            if contents.len > 0 && contents.damage == 0 {
                files.push((FileAt { peer, folder, name }, contents));
            }
        }
    }
    let Some((file, contents)) = files.get(number as usize % files.len().max(1)) else {
        return false;
    };
    let damaged = Contents {
        damage: number | 1,
        ..*contents
    };
    let (place, bytes) = ((file.peer, file.folder), damaged.bytes());
    world
        .model
        .lock()
        .file_begins(place, &file.name, &hash(&bytes));
    let done = overwrite(&world.path_of(file), 0, &bytes).is_ok();
    let now = if done { damaged } else { *contents };
    world
        .model
        .lock()
        .file_settled(place, &file.name, Some(now));
    done
}

/// Overwrites a part of a file, and restores its modification time.
fn overwrite(path: &Path, at: u64, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let modified = file.metadata()?.modified()?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)?;
    file.set_times(FileTimes::new().set_modified(modified))
}

fn corrupt_page(path: &Path, number: u64) -> std::io::Result<()> {
    let pages = (std::fs::metadata(path)?.len() / PAGE).max(1);
    let mut random = Random::new(number);
    let page: Vec<u8> = (0..PAGE).map(|_| random.bits() as u8).collect();
    overwrite(path, number % pages * PAGE, &page)
}
