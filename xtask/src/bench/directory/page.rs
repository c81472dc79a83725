//! `bench page`: the web page of a directory with many files. The browser test of the page measures
//! the time from the last key to the results, against the directory that is filled here.

use super::setup::{fill, homes, runtime, wait_until_visible};
use crate::Failure;
use crate::bench::options::Options;
use crate::bench::payload::Scratch;
use crate::bench::system::{PASSWORD, System};
use crate::workspace::{self, cargo};

/// Runs the benchmark; the test prints the times.
///
/// # Errors
/// Fails if a process or a call fails, or if the median time is above the limit of the test.
pub fn run(options: &Options, _: &[&str]) -> Result<(), Failure> {
    let scratch = Scratch::new("page")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let test = [
        "test",
        "--quiet",
        "--workspace",
        "--test",
        "e2e",
        "web::speed",
    ];
    // Builds the test before the measurement.
    workspace::run(cargo().args(test).arg("--no-run"))?;
    let (directory, invite) = system.directory_on(options.database.as_deref())?;
    let homes = homes(&system, &scratch, &invite)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let callers = fill(homes, options.files).await?;
        wait_until_visible(&callers[0].client).await
    })?;
    eprintln!("{} files are searchable", options.files);
    let address = directory.ready["url"].as_str().unwrap_or_default();
    let measured = workspace::run(
        cargo()
            .args(test)
            .args(["--", "--nocapture"])
            .env("CONVITE_PAGE", address)
            .env("CONVITE_PAGE_USER", "loader0")
            .env("CONVITE_PASSWORD", PASSWORD),
    );
    // Closes the connections first, so that the directory does not wait for them when it stops.
    drop(runtime);
    directory.stop()?;
    measured
}
