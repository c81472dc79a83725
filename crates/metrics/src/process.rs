//! Process metrics from Linux' /proc. On other systems the values stay 0.

use std::fs;

use crate::catalogue::{
    BUILD_INFO, CPU_SECONDS, MAX_FDS, OPEN_FDS, RESIDENT_BYTES, START_TIME, THREADS,
};
use crate::registry::Registry;

/// Records the program version and the resource use of the process. Blocks for a few reads of
/// /proc, which is in memory.
pub fn observe_process(registry: &Registry) {
    registry.set(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    if let Some(used) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| parse_stat(&stat))
    {
        let system = fs::read("/proc/self/auxv").unwrap_or_default();
        let ticks = parse_auxv(&system, CLOCK_TICKS).unwrap_or(100.0);
        registry.set(&CPU_SECONDS, &[], used.cpu_ticks / ticks);
        registry.set(&THREADS, &[], used.threads);
        let page = parse_auxv(&system, PAGE_SIZE).unwrap_or(4096.0);
        let resident = used.resident_pages * page;
        registry.set(&RESIDENT_BYTES, &[], resident);
        if let Some(boot) = boot_time() {
            registry.set(&START_TIME, &[], boot + used.start_ticks / ticks);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The descriptor used for listing is open, too.
        registry.set(&OPEN_FDS, &[], open.count().saturating_sub(1) as f64);
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits")
        && let Some(max) = max_files(&limits)
    {
        registry.set(&MAX_FDS, &[], max);
    }
}

/// Keys of getauxval(3): the page size in bytes, and the clock ticks per second.
const PAGE_SIZE: usize = 6;
const CLOCK_TICKS: usize = 17;

/// Returns a value of the auxiliary vector, which consists of pairs of words: a key and its value.
fn parse_auxv(auxv: &[u8], key: usize) -> Option<f64> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| Some(usize::from_ne_bytes(bytes.try_into().ok()?));
    let mut pairs = auxv.chunks_exact(2 * WORD);
    let pair = pairs.find(|pair| word(&pair[..WORD]) == Some(key))?;
    word(&pair[WORD..])
        .filter(|value| *value > 0)
        .map(|value| value as f64)
}

#[derive(Debug, PartialEq)]
struct ProcessStat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    resident_pages: f64,
}

/// Parses proc_pid_stat(5). The program name may contain any character, so fields are counted from
/// the last parenthesis, starting with field 3.
fn parse_stat(stat: &str) -> Option<ProcessStat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(ProcessStat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        resident_pages: field(24)?,
    })
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn max_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_strange_name_is_read_all_the_same() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 777 1000 25 18446";
        let used = ProcessStat {
            cpu_ticks: 200.0,
            threads: 9.0,
            start_ticks: 777.0,
            resident_pages: 25.0,
        };
        assert_eq!(parse_stat(stat), Some(used));
        assert_eq!(parse_stat("7 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_kernel_says_how_large_a_page_is() {
        let pair = |key: usize, value: usize| [key.to_ne_bytes(), value.to_ne_bytes()].concat();
        let auxv = [pair(3, 7), pair(PAGE_SIZE, 16_384), pair(0, 0)].concat();
        assert_eq!(parse_auxv(&auxv, PAGE_SIZE), Some(16_384.0));
        assert_eq!(parse_auxv(&auxv, CLOCK_TICKS), None);
        assert_eq!(parse_auxv(&auxv[..5], PAGE_SIZE), None);
        if cfg!(target_os = "linux") {
            let own = fs::read("/proc/self/auxv").unwrap();
            assert!(parse_auxv(&own, PAGE_SIZE).unwrap() >= 4096.0);
            assert!(parse_auxv(&own, CLOCK_TICKS).unwrap() >= 100.0);
        }
    }
}
