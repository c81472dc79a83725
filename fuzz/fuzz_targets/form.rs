#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| convite_fuzz::wire::form(bytes));
