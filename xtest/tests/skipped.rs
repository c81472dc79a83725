//! Prints the tests that this run of `cargo test` skipped. Cargo runs this test program last.

#![allow(clippy::print_stdout, reason = "printing is its purpose")]

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let record = xtest::record_of_this_run();
    print!("{}", xtest::report(&xtest::skipped(&record)));
    // `cargo xtask test` prints the list itself, after its other results.
    if std::env::var_os(xtest::RECORD).is_none() {
        let _ = std::fs::remove_file(record);
    }
}
