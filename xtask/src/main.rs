//! Development commands (`cargo xtask`). No released program depends on this crate.
//!
//! - `test` installs what the tests need and runs them; `ci` runs every check of a change, one module
//!   per step (`sizes`, `layers`, `deploy`, `deny`, `generated`, `schemathesis`, `examples`,
//!   `platforms`);
//! - `play` starts a directory and three peers to try by hand;
//! - `chaos` tests random operations under random faults against a model;
//! - `bench` measures the real binary beside other systems.
//!
//! They share `workspace` (folders, other programs), `install` and `skipped` (missing tools),
//! `convite_process` (a process for one check) and `cleanup` (ends what a run started).

// These commands print their results.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod chaos;
mod ci;
mod cleanup;
mod convite_process;
mod deny;
mod deploy;
mod examples;
mod generated;
mod install;
mod layers;
mod platforms;
mod play;
mod schemathesis;
mod sizes;
mod skipped;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--yes] [ARGS…]               install what the tests need, and run all tests; ARGS go to
                                     `cargo test`
  play                               start a directory and three peers with sample files, to try
                                     a change by hand
  ci [--skip STEP]… [--only STEP]… [--yes] [--full]
                                     run every check that a change must pass; --full adds checks
                                     that take hours; --yes installs tools without asking
  generate                           write the files that are generated from code
  schemathesis                       test the REST API with requests made from its description
  examples                           run the examples of docs/api.md
  chaos [--minutes 10] [--seed N] [--peers 8] [--database sqlite|postgres]
        [--without KIND,…] [--binary PATH]
                                     random operations under random faults, checked against a model
  bench transfer [--size 2GiB] [--providers 1,2,4] [--rounds 3] [--install] [--alone] [--json]
                                     one file to one peer, compared with plain copies and other systems
  bench swarm [--downloaders 8] [--size 64MiB] [--rate 80mbit | --rates 20mbit,100mbit]
              [--provider-rate 40mbit] [--rounds 3] [--install] [--alone] [--json]
                                     one file to many peers at once, compared with the limit of the links
  bench upload [--size 2GiB] [--rounds 3] [--json]
                                     one file uploaded to a peer's inbox, compared with its download
  bench faults [--size 512MiB] [--rounds 3] [--json]
                                     the cost of killed peers; memory during a hundred downloads
  bench hash [--size 2GiB] [--rounds 3] [--json]
                                     the first and the second start of a peer
  bench watch [--files 1000000] [--rounds 3] [--json]
                                     from a change in a watched folder to a search that finds it
  bench directory [--files 1000000] [--seconds 20] [--database URL] [--install] [--alone] [--json]
                                     publish, search and locate in one directory
  bench page [--files 1000000] [--database URL]
                                     from the last key to the results, in a browser
  bench … --binary PATH              measure another build of convite
";

/// The reason why a command failed, in one or more lines.
type Failure = String;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test", options @ ..] => test::run(options),
        ["run-test-program", words @ ..] => return test::run_program(words),
        ["ci", options @ ..] => ci::run(options),
        ["generate"] => generated::write(),
        ["schemathesis"] => schemathesis::check(),
        ["examples"] => examples::check(),
        ["play"] => play::run(),
        ["bench", options @ ..] => bench::run(options),
        ["chaos", options @ ..] => chaos::run(options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [command, ..] => Err(format!("unknown command '{command}'\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
