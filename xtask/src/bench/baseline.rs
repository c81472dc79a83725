//! The baselines: what the machine can do without encryption, requests or recovery.
//!
//! The baseline of a transfer is one TCP connection from file to disk: `sendfile` on one end, and a
//! loop of reads and writes with an fsync at the end on the other. The baseline of hashing is
//! BLAKE3 over the file on all cores.

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
/// The bytes that a thread hashes at a time: a power of two, so that a run is a subtree of the
/// BLAKE3 tree.
const RUN: u64 = 1 << 20;

/// One copy over TCP.
pub struct Copy {
    /// The time from the connection to the end of the fsync in seconds.
    pub seconds: f64,
    /// The resource usage of the sending process.
    pub sender: Usage,
    /// The resource usage of the receiving process.
    pub receiver: Usage,
}

/// Copies `from` to `to` between two processes of this program.
///
/// # Errors
/// Fails if either end fails.
pub fn copy(from: &Path, to: &Path, hashed: bool) -> Result<Copy, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| format!("the path of xtask is unknown: {error}"))?;
    let failed = |error| format!("an end of the plain copy failed: {error}");
    let start = Instant::now();
    let mut receiver = Command::new(&program)
        .args(["bench", "baseline-receive"])
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
        .args(["bench", "baseline-send", &address])
        .arg(from)
        .spawn()
        .map_err(failed)?;
    // The sender ends first: its last write returns before the receiver's fsync does.
    let (sent, sender) = usage::wait(&mut sender, start)?;
    let (received, receiver) = usage::wait(&mut receiver, start)?;
    if !sent.success() || !received.success() {
        return Err("an end of the plain copy failed".to_owned());
    }
    let seconds = next()?
        .parse()
        .map_err(|_| "the receiver reported no time")?;
    Ok(Copy {
        seconds,
        sender,
        receiver,
    })
}

/// Runs the sending end, in a separate process.
///
/// # Errors
/// Fails if the file or the connection fails.
pub fn send(address: &str, path: &str) -> Result<(), Failure> {
    let failed = |error| format!("the sender of the plain copy failed: {error}");
    let mut file = File::open(path).map_err(failed)?;
    let mut connection = TcpStream::connect(address).map_err(failed)?;
    // On Linux the standard library does this with sendfile(2).
    std::io::copy(&mut file, &mut connection).map_err(failed)?;
    Ok(())
}

/// Runs the receiving end, in a separate process: prints its address, then the seconds of the copy.
///
/// # Errors
/// Fails if the file or the connection fails.
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

/// Returns the seconds that BLAKE3 over `files` takes on all cores.
///
/// # Errors
/// Fails if a file cannot be read.
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

/// Hashes runs of the list until none is left. Combining their hashes takes microseconds, and is
/// omitted.
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
