//! Measures the memory that a hostile message takes. Runs alone in its process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use convite_core::ErrorCode;
use convite_wire::codec::{ENTRIES_MAX, decode};
use convite_wire::v1;

/// Returns the peak memory of the process since the previous call, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    // Resets the peak (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kibibytes.parse::<u64>().unwrap() << 10
}

#[test]
fn two_million_empty_entries_take_no_memory() {
    // A list of messages and a list of strings, within 4 MiB.
    for field in [2_u8, 3] {
        let entries = Bytes::from([field << 3 | 2, 0].repeat(2 << 20));
        peak();
        let before = peak();
        let refused = decode::<v1::PublishIndexRequest>(entries).unwrap_err();
        let taken = peak().saturating_sub(before);
        assert_eq!(refused.code, ErrorCode::TooLarge);
        assert!(taken < 8 << 20, "{taken} bytes");
    }
    // The maximum number of entries is accepted.
    let entries = Bytes::from([2 << 3 | 2, 0].repeat(ENTRIES_MAX));
    let message = decode::<v1::PublishIndexRequest>(entries).unwrap();
    assert_eq!(message.upsert.len(), ENTRIES_MAX);
}
