#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| convite_fuzz::search::query(bytes));
