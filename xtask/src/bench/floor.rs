//! The floor: what the machine can do at all, without encryption, requests or recovery.
//!
//! A transfer's floor is one TCP connection from file to disk, `sendfile` on one end and a loop of
//! reads and writes with an fsync at the end on the other. Hashing's floor is BLAKE3 over the file on
//! every core.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::usage::{self, Usage};
use crate::Failure;

const BUFFER: usize = 256 << 10;
/// A power of two, so that a run of this length is a subtree of BLAKE3's tree.
const RUN: u64 = 1 << 20;

/// One copy over TCP.
pub struct Copy {
    /// From the connection to the end of the fsync, in seconds.
    pub seconds: f64,
    /// What the sending process used.
    pub sender: Usage,
    /// What the receiving process used.
    pub receiver: Usage,
}

/// Copies `from` to `to` between two processes of this program.
///
/// # Errors
/// If either end fails.
pub fn copy(from: &Path, to: &Path, hashed: bool) -> Result<Copy, Failure> {
    let program = std::env::current_exe().map_err(|error| format!("no program: {error}"))?;
    let failed = |error| format!("an end of the plain copy failed: {error}");
    let start = Instant::now();
    let mut receiver = Command::new(&program)
        .args(["bench", "floor-receive"])
        .arg(to)
        .arg(if hashed { "hashed" } else { "plain" })
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let Some(stdout) = receiver.stdout.take() else {
        return Err("the receiver has no output".to_owned());
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut next = || {
        let line = lines.next().ok_or("the receiver of the plain copy ended")?;
        line.map_err(failed)
    };
    let address = next()?;
    let mut sender = Command::new(&program)
        .args(["bench", "floor-send", &address])
        .arg(from)
        .spawn()
        .map_err(failed)?;
    // The sender ends first: its last write returns before the receiver's fsync does.
    let (sent, sender) = usage::wait(&mut sender, start)?;
    let (received, receiver) = usage::wait(&mut receiver, start)?;
    if !sent.success() || !received.success() {
        return Err("an end of the plain copy failed".to_owned());
    }
    let seconds = next()?.parse().map_err(|_| "the receiver told no time")?;
    Ok(Copy {
        seconds,
        sender,
        receiver,
    })
}

/// The sending end, a process of its own.
///
/// # Errors
/// If file or connection fail.
pub fn send(address: &str, path: &str) -> Result<(), Failure> {
    let failed = |error| format!("the sender of the plain copy failed: {error}");
    let mut file = File::open(path).map_err(failed)?;
    let mut connection = TcpStream::connect(address).map_err(failed)?;
    // On Linux the standard library does this with sendfile(2).
    std::io::copy(&mut file, &mut connection).map_err(failed)?;
    Ok(())
}

/// The receiving end, a process of its own: prints its address, then the seconds it took.
///
/// # Errors
/// If file or connection fail.
pub fn receive(path: &str, hashed: bool) -> Result<(), Failure> {
    let failed = |error| format!("the receiver of the plain copy failed: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    println!("{}", listener.local_addr().map_err(failed)?);
    let (mut connection, _) = listener.accept().map_err(failed)?;
    let start = Instant::now();
    let mut file = File::create(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = connection.read(&mut buffer).map_err(failed)?;
        if length == 0 {
            break;
        }
        if hashed {
            hasher.update(&buffer[..length]);
        }
        file.write_all(&buffer[..length]).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    std::hint::black_box(hasher.finalize());
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Seconds that BLAKE3 over `files` takes on all cores.
///
/// # Errors
/// If a file cannot be read.
pub fn hash(files: &[std::path::PathBuf]) -> Result<f64, Failure> {
    let mut runs = Vec::new();
    for path in files {
        let failed = |error| format!("{} cannot be read: {error}", path.display());
        let size = path.metadata().map_err(failed)?.len();
        runs.extend((0..size.div_ceil(RUN)).map(|run| (path, run * RUN)));
    }
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<Failure> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| hash_runs(&runs, &next)))
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok()?.err())
            .collect()
    });
    match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(start.elapsed().as_secs_f64()),
    }
}

/// Takes runs off the list until none is left. Joining their hashes takes microseconds, and is left
/// out.
fn hash_runs(runs: &[(&std::path::PathBuf, u64)], next: &AtomicU64) -> Result<(), Failure> {
    use blake3::hazmat::HasherExt;
    let mut buffer = vec![0; RUN as usize];
    loop {
        let taken = next.fetch_add(1, Ordering::Relaxed);
        let Some((path, offset)) = runs.get(taken as usize) else {
            return Ok(());
        };
        let failed = |error| format!("{} cannot be read: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let mut length = 0;
        while length < buffer.len() {
            match file.read_at(&mut buffer[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) => return Err(failed(error)),
            }
        }
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(*offset).update(&buffer[..length]);
        std::hint::black_box(hasher.finalize_non_root());
    }
}
