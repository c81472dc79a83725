//! Checks the layers: compares the crate table of ARCHITECTURE.md with the manifests and the
//! sources, so that the document stays correct.

mod manifest;
mod mentions;
mod table;

use crate::Failure;
use crate::workspace;

/// Runs the check.
pub fn check() -> Result<(), Failure> {
    let page = std::fs::read_to_string(workspace::root().join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md cannot be read: {error}"))?;
    let rules = table::parse(&page)?;
    let crates = manifest::crates()?;
    let sources = workspace::sources()?;
    let mut violations = manifest::violations(&rules, &crates);
    violations.extend(manifest::unused(&crates, &sources));
    violations.extend(mentions::violations(&sources));
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations.join("\n"))
    }
}
