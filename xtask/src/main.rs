//! The project's own chores: the gate that every change passes, the files generated from code,
//! and the benchmarks. `cargo xtask` runs it; nothing that users get depends on it.

// A command line whose output is its work.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod deny;
mod deploy;
mod examples;
mod gate;
mod generated;
mod layers;
mod platforms;
mod schemathesis;
mod served;
mod sizes;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci [--skip STEP]… [--only STEP]…   the gate: every check that a change must pass
  generate                           write the files that are generated from code
  schemathesis                       try a directory's REST interface out from its description
  examples                           run the examples of docs/api.md
  bench transfer [--size 2GiB] [--providers 1,2,4] [--rounds 3] [--install] [--alone] [--json]
                                     one file to one peer, next to plain copies and other systems
  bench swarm [--downloaders 8] [--size 64MiB] [--rate 80mbit | --rates 20mbit,100mbit]
              [--provider-rate 40mbit] [--rounds 3] [--install] [--alone] [--json]
                                     one file to many peers at once, next to what links allow
  bench upload [--size 2GiB] [--rounds 3] [--json]
                                     one file put into a peer's inbox, next to the same one fetched
  bench hash [--size 2GiB] [--rounds 3] [--json]
                                     the first and the second start of a peer's shared folder
  bench watch [--files 1000000] [--rounds 3] [--json]
                                     from a change in a watched folder to a search that finds it
  bench directory [--files 1000000] [--seconds 20] [--database URL] [--install] [--alone] [--json]
                                     publishing, searching and locating in one directory
  bench page [--files 1000000] [--database URL]
                                     from the last key to the results, in a browser
  bench … --binary PATH              the same of another build of convite
";

/// Why a chore failed, as one or more lines for whoever ran it.
type Failure = String;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["ci", options @ ..] => gate::run(options),
        ["generate"] => generated::write(),
        ["schemathesis"] => schemathesis::check(),
        ["examples"] => examples::check(),
        ["bench", options @ ..] => bench::run(options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [command, ..] => Err(format!("'{command}' is not a chore\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
