//! The web page over a directory that has much to search: how long it takes in a browser from the
//! last key to the results. The browser test of the page does it, against the directory made here.

use super::{fill, homes, runtime, wait_until_visible};
use crate::Failure;
use crate::bench::Options;
use crate::bench::payload::Scratch;
use crate::bench::system::{PASSWORD, System};
use crate::workspace::{self, cargo};

/// Runs the benchmark; the test prints the times.
///
/// # Errors
/// If anything on the way fails, or half of the results take longer than the test allows.
pub fn run(options: &Options, _: &[&str]) -> Result<(), Failure> {
    let scratch = Scratch::new("page")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let test = [
        "test",
        "--quiet",
        "--package",
        "convite",
        "--test",
        "e2e",
        "web::speed",
    ];
    // Built before anything is measured.
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
    // What keeps the leases goes first: its connections would only be drained.
    drop(runtime);
    directory.stop()?;
    measured
}
