//! Sets up the world of a run: machines, a directory, accounts, spaces, and peers that share files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::database::{self, Database};
use super::disk::Disk;
use super::faults::RATE;
use super::machine::{self, Machine};
use super::model::Model;
use super::operations;
use super::options::Options;
use super::plan::{FOLDERS, SPACES, Target};
use super::planner::{Planner, Setting};
use super::report::Report;
use super::service::Service;
use super::world::{Account, World};
use crate::Failure;
use crate::bench::netns::{Host, Network};
use crate::cleanup::Cleanup;

/// The size in bytes of a peer's disk and of the directory's disk.
const DISK: u64 = 96 << 20;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of replicas on one database server.
const REPLICAS: usize = 2;
/// The lease of a peer, short enough that a missing peer is off the list before the state is
/// checked.
const LEASE: &str = "20s";
/// The ports of directories and peers that have their own addresses.
const PORTS: (usize, usize) = (50_051, 5_001);

/// Sets up a world in `folder`.
///
/// # Errors
/// Fails if a part of it does not start.
pub fn world(options: &Options, folder: &Path, seed: u64) -> Result<(World, Planner), Failure> {
    let report = Report::new(&folder.join("logs"))?;
    let cleanup = Cleanup::new(folder)?;
    let on_server = options.database.is_server(seed);
    let directories = if on_server { REPLICAS } else { 1 };
    let machines = options.peers + 2;
    let network = match Network::new(&vec![Some(RATE); machines]) {
        Ok(network) => Some(network),
        Err(why) => {
            untried(&report, "links", "netns", &why)?;
            None
        }
    };
    let hosts: Vec<Host> = match &network {
        Some(network) => network.hosts.clone(),
        None => (0..machines).map(|_| Host::loopback()).collect(),
    };
    let library = machine::clock_library();
    if library.is_none() {
        untried(
            &report,
            "clocks",
            "faketime",
            "libfaketime is not installed",
        )?;
    }
    let names = std::iter::once("directory".to_owned())
        .chain((0..options.peers).map(|number| format!("peer{number}")))
        .chain(std::iter::once("others".to_owned()));
    let mut machines = Vec::new();
    for ((number, host), name) in hosts.iter().enumerate().zip(names) {
        machines.push(Machine::new(
            folder,
            &name,
            (number, host),
            library.as_deref(),
        )?);
    }
    let disks = add_disks(&mut machines, &cleanup);
    if let Err(why) = &disks {
        untried(&report, "disks", "disks", why)?;
    }
    let machines: Vec<Arc<Machine>> = machines.into_iter().map(Arc::new).collect();
    let database = if on_server {
        Some(Database::start(&folder.join("database"), &cleanup)?)
    } else {
        None
    };
    if database::programs().is_none() {
        untried(
            &report,
            "database",
            "postgres",
            "PostgreSQL is not installed",
        )?;
    }
    let setting = Setting {
        peers: options.peers,
        directories,
        links: network.is_some(),
        disks: disks.is_ok(),
        clocks: library.is_some(),
        database: on_server,
    };
    let planner = Planner::new(seed, setting.clone());
    let mut world = World {
        services: Vec::new(),
        database,
        accounts: accounts(&machines, &setting),
        machines,
        cleanup,
        network,
        setting,
        folder: folder.to_path_buf(),
        binary: options.binary.clone(),
        model: Mutex::new(Model::default()),
        report,
        publisher: Mutex::default(),
        acknowledged: Mutex::default(),
        unfinished: Mutex::default(),
        downloaded: Mutex::default(),
        unknown_outcomes: Mutex::default(),
        faults_ended: Mutex::new(Some(Instant::now())),
    };
    let planner = fill(&mut world, planner)?;
    Ok((world, planner))
}

/// Reports that something cannot be tested.
///
/// # Errors
/// Fails if `CONVITE_REQUIRE` requires it.
fn untried(report: &Report, what: &str, name: &str, why: &str) -> Result<(), Failure> {
    let required = std::env::var("CONVITE_REQUIRE").unwrap_or_default();
    if required.split(',').any(|word| word.trim() == name) {
        return Err(format!(
            "{what} cannot be tested, but CONVITE_REQUIRE names {name}: {why}"
        ));
    }
    report.not_tested(what, why.lines().next().unwrap_or_default());
    Ok(())
}

fn add_disks(machines: &mut [Machine], cleanup: &Cleanup) -> Result<(), Failure> {
    let count = machines.len() - 1;
    for machine in machines.iter_mut().take(count) {
        let disk = Disk::new(&machine.disk_place(), DISK, cleanup)?;
        machine.add_disk(disk);
    }
    Ok(())
}

fn accounts(machines: &[Arc<Machine>], setting: &Setting) -> Vec<Account> {
    let of_peers = (0..setting.peers).map(|number| {
        let machine = machines[number + 1].clone();
        // Every second home is on the disk that gets full.
        let home = match number % 2 {
            0 => machine.disk_place().join("home"),
            _ => machine.folder.join("home"),
        };
        let name = format!("user{number}");
        Account {
            name,
            machine,
            home,
        }
    });
    let others = ["guest", "script"].map(|name| {
        let machine = machines[setting.peers + 1].clone();
        Account {
            name: name.to_owned(),
            home: machine.folder.join(name),
            machine,
        }
    });
    of_peers.chain(others).collect()
}

/// Starts the directory, makes accounts and spaces, and starts the peers.
fn fill(world: &mut World, mut planner: Planner) -> Result<Planner, Failure> {
    for number in 0..world.setting.directories {
        let service = directory(world, number)?;
        world.services.push(Arc::new(service));
        start(world, Target::Directory(number))?;
    }
    let last = world.setting.directories - 1;
    let ready = world
        .service(Target::Directory(last))
        .and_then(|one| one.ready());
    let invite = ready.and_then(|ready| ready["invite"].as_str().map(str::to_owned));
    let invite = invite.ok_or("the directory's ready line has no invite")?;
    run_or_fail(world, 0, &["join", &invite, "--user", "user0"])?;
    let guest = world.setting.guest();
    let guests = made_invite(world, &["invite", "--role", "guest"])?;
    let rest: Vec<usize> = (1..world.setting.accounts()).collect();
    in_parallel(&rest, |account| {
        let link = if account == guest { &guests } else { &invite };
        let name = &world.accounts[account].name;
        run_or_fail(world, account, &["join", link, "--user", name])
    })?;
    for account in &world.accounts {
        world.model.lock().account_made(&account.name);
    }
    for (number, space) in SPACES.iter().enumerate() {
        run_or_fail(world, 0, &["space", "add", space])?;
        for account in (0..=guest).filter(|account| account % 2 == number || *account == 0) {
            world
                .model
                .lock()
                .may_be_member(space, account, world.now());
            let name = &world.accounts[account].name;
            run_or_fail(world, 0, &["space", "member", "add", space, name])?;
        }
    }
    for peer in 0..world.setting.peers {
        for folder in FOLDERS.iter().chain(&["inbox", "loads"]) {
            let folder = world.folder_of((peer, folder));
            fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    for (file, contents) in planner.first_files() {
        operations::write(world, &file, contents);
    }
    let peers: Vec<usize> = (0..world.setting.peers).collect();
    for peer in &peers {
        let service = peer_service(world, *peer);
        world.services.push(Arc::new(service));
    }
    in_parallel(&peers, |peer| share_and_start(world, peer))?;
    Ok(planner)
}

fn made_invite(world: &World, words: &[&str]) -> Result<String, Failure> {
    let ran = world
        .run(0, words)
        .filter(super::command::CommandResult::is_ok);
    let ran = ran.ok_or("no invite could be created")?;
    let link = ran.events.iter().find_map(|event| event["invite"].as_str());
    link.map(str::to_owned)
        .ok_or("the invite has no link".to_owned())
}

/// Shares the first two folders of a peer, and starts it.
fn share_and_start(world: &World, peer: usize) -> Result<(), Failure> {
    let [open, lab, _] = FOLDERS;
    let space = SPACES[peer % 2];
    for (folder, space) in [(open, None), (lab, Some(space))] {
        let path = world
            .folder_of((peer, folder))
            .to_string_lossy()
            .into_owned();
        let mut words = vec!["share", path.as_str()];
        words.extend(space.iter().flat_map(|space| ["--space", space]));
        run_or_fail(world, peer, &words)?;
        world
            .model
            .lock()
            .sharing_settled((peer, folder), Some(space));
    }
    start(world, Target::Peer(peer))
}

fn run_or_fail(world: &World, account: usize, words: &[&str]) -> Result<(), Failure> {
    match world.run(account, words) {
        Some(ran) if ran.is_ok() => Ok(()),
        Some(ran) => Err(format!("the world cannot be set up: {}", ran.shown())),
        None => Err("the world cannot be set up".to_owned()),
    }
}

fn in_parallel(
    all: &[usize],
    work: impl Fn(usize) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = all
            .iter()
            .map(|one| scope.spawn(move || work(*one)))
            .collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results.flatten().collect()
    })
}

fn start(world: &World, target: Target) -> Result<(), Failure> {
    let Some(service) = world.service(target) else {
        return Err(format!("there is no {target:?}"));
    };
    service.enable();
    let deadline = Instant::now() + READY_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(exit) = service.supervise(&world.cleanup)? {
            let log = service.log().display();
            return Err(format!("{target:?} ended with {}: see {log}", exit.status));
        }
        if service.ready().is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!(
        "{target:?} is not ready: see {}",
        service.log().display()
    ))
}

fn directory(world: &World, number: usize) -> Result<Service, Failure> {
    let machine = world.machines[0].clone();
    let home = machine.disk_place().join(format!("home{number}"));
    // Without its own address, it uses a port that is free now.
    let port = match world.network {
        Some(_) => PORTS.0 + number,
        None => usize::from(crate::bench::process::free_port()?),
    };
    let mut args = vec![
        "directory".to_owned(),
        "--listen".to_owned(),
        format!("{}:{port}", machine.address),
        "--lease".to_owned(),
        LEASE.to_owned(),
    ];
    if let Some(database) = &world.database {
        args.extend(["--database".to_owned(), database.url()]);
    }
    Ok(service(
        world,
        Target::Directory(number),
        (machine, &home),
        args,
    ))
}

fn peer_service(world: &World, number: usize) -> Service {
    let machine = world.machines[number + 1].clone();
    let home = world.accounts[number].home.clone();
    let disk = machine.disk_place();
    let port = if world.network.is_some() { PORTS.1 } else { 0 };
    let inside = |name: &str| disk.join(name).to_string_lossy().into_owned();
    let args = [
        "peer",
        &format!("peer{number}"),
        &port.to_string(),
        "--bind",
        &machine.address,
        "--no-menu",
        "--allow-uploads",
        "--allow-loads",
        "--inbox",
        &inside("inbox"),
        "--downloads",
        &inside("loads"),
    ]
    .map(str::to_owned);
    service(world, Target::Peer(number), (machine, &home), args.to_vec())
}

fn service(
    world: &World,
    target: Target,
    (machine, home): (Arc<Machine>, &Path),
    mut args: Vec<String>,
) -> Service {
    let name = match target {
        Target::Directory(number) => format!("directory{number}.log"),
        Target::Peer(number) => format!("peer{number}.log"),
    };
    let log: PathBuf = world.report.logs.join(name);
    args.extend(["--home".to_owned(), home.to_string_lossy().into_owned()]);
    args.push("--json".to_owned());
    Service::new(target, machine, &world.binary, args, log)
}
