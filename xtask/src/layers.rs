//! The layers are what ARCHITECTURE.md says they are: its table is read here and compared with the
//! manifests and the sources, so that the page newcomers read cannot become untrue.

mod manifest;
mod mentions;
mod table;

use crate::Failure;
use crate::workspace;

/// The step of the gate.
pub fn check() -> Result<(), Failure> {
    let page = std::fs::read_to_string(workspace::root().join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md cannot be read: {error}"))?;
    let rooms = table::parse(&page)?;
    let crates = manifest::crates()?;
    let sources = workspace::sources()?;
    let mut complaints = manifest::complaints(&rooms, &crates);
    complaints.extend(manifest::unused(&crates, &sources));
    complaints.extend(mentions::complaints(&sources));
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}
