//! The resource usage of a process: CPU time and peak memory.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::Failure;

/// /proc counts time in USER_HZ, which is 100 on every Linux that Convite is built for.
const TICKS_PER_SECOND: f64 = 100.0;
/// The polling interval for a running process, and so the precision of its end time.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The resource usage of a process up to its end.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The time from start to end in seconds.
    pub wall: f64,
    /// User and system time in seconds.
    pub cpu: f64,
    /// The peak resident memory in bytes.
    pub peak: u64,
}

/// Waits for the end of `child`, which was started at `start`. No other child may end in the
/// meantime.
///
/// # Errors
/// Fails if /proc cannot be read.
pub fn wait(child: &mut Child, start: Instant) -> Result<(ExitStatus, Usage), Failure> {
    let before = cpu_of_ended_children()?;
    let mut peak = 0;
    loop {
        // The value only grows, and is gone when the process ends.
        peak = peak_memory(child.id()).unwrap_or(0).max(peak);
        let ended = child
            .try_wait()
            .map_err(|error| format!("cannot wait for a process: {error}"))?;
        if let Some(status) = ended {
            let usage = Usage {
                wall: start.elapsed().as_secs_f64(),
                cpu: cpu_of_ended_children()? - before,
                peak,
            };
            return Ok((status, usage));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Returns the user and system time of a running process in seconds.
///
/// # Errors
/// Fails if there is no such process.
pub fn cpu(process: u32) -> Result<f64, Failure> {
    let (user, system) = (14, 15);
    Ok(ticks(&process.to_string(), user)? + ticks(&process.to_string(), system)?)
}

fn cpu_of_ended_children() -> Result<f64, Failure> {
    let (user, system) = (16, 17);
    Ok(ticks("self", user)? + ticks("self", system)?)
}

/// Returns field `field` (counted from 1, as in proc(5)) of a process's stat file, in seconds.
fn ticks(process: &str, field: usize) -> Result<f64, Failure> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path)
        .map_err(|error| format!("{path} cannot be read: {error}"))?;
    stat_field(&stat, field)
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .ok_or_else(|| format!("{path} has no field {field}"))
}

fn stat_field(stat: &str, field: usize) -> Option<f64> {
    // Field 2 is the program's name in brackets, which may contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace()
        .nth(field.checked_sub(3)?)?
        .parse()
        .ok()
}

/// Returns the peak memory of a running process in bytes, without mapped files (mostly its own
/// program), because the kernel can reclaim these pages.
pub fn peak_memory(process: u32) -> Option<u64> {
    let mapped = memory(process, "RssFile:")?;
    Some(memory(process, "VmHWM:")?.saturating_sub(mapped))
}

/// Returns the current memory of a running process in bytes.
#[cfg(feature = "load")]
pub fn memory_now(process: u32) -> Option<u64> {
    memory(process, "VmRSS:")
}

fn memory(process: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Resets [`peak_memory`] (proc(5), clear_refs), so that the start of the process does not count.
///
/// # Errors
/// Fails if the kernel does not allow it.
pub fn reset_peak(process: u32) -> Result<(), Failure> {
    let path = format!("/proc/{process}/clear_refs");
    std::fs::write(&path, "5").map_err(|error| format!("{path} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_programs_name_may_hold_brackets_and_blanks() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 110 20 30 40";
        assert_eq!(stat_field(stat, 14), Some(110.0));
        assert_eq!(stat_field(stat, 16), Some(30.0));
        assert_eq!(stat_field(stat, 40), None);
    }

    #[test]
    fn cpu_time_of_a_child_is_counted() {
        let start = Instant::now();
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        let (status, usage) = wait(&mut child, start).unwrap();
        assert!(status.success());
        assert!(usage.cpu > 0.0 && usage.wall > 0.0, "{usage:?}");
        assert!(usage.peak > 0, "{usage:?}");
    }
}
