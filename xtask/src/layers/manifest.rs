//! Compares what the crates' manifests say with what the layer table allows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::table::Room;
use crate::Failure;
use crate::workspace::{self, Source};

/// Dependencies that no source names, because generated code or a feature does.
const UNNAMED: [(&str, &str); 2] = [("wire", "tonic-prost"), ("wire", "prost")];

/// A crate of the workspace by what its manifest says. Test dependencies may be anything.
pub struct Crate {
    /// The folder under crates/.
    pub folder: String,
    /// What it needs to be built and to run.
    pub dependencies: BTreeSet<String>,
}

/// The crates under crates/.
///
/// # Errors
/// If cargo cannot tell.
pub fn crates() -> Result<Vec<Crate>, Failure> {
    let text = workspace::output(workspace::cargo().args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().cloned();
    Ok(packages
        .unwrap_or_default()
        .iter()
        .filter_map(of_package)
        .collect())
}

fn of_package(package: &Value) -> Option<Crate> {
    let path = package["manifest_path"].as_str()?.replace('\\', "/");
    let (_, inside) = path.rsplit_once("/crates/")?;
    let dependencies = package["dependencies"]
        .as_array()?
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect();
    Some(Crate {
        folder: inside.split('/').next()?.to_owned(),
        dependencies,
    })
}

/// The room that a dependency is, if it is one of the workspace.
fn room_of(dependency: &str) -> Option<&str> {
    match dependency {
        "convite" => Some(dependency),
        _ => dependency.strip_prefix("convite-"),
    }
}

/// Where table and manifests disagree.
pub fn complaints(rooms: &[Room], crates: &[Crate]) -> Vec<String> {
    let table: BTreeMap<&str, &Room> = rooms
        .iter()
        .map(|room| (room.name.as_str(), room))
        .collect();
    let mut complaints = Vec::new();
    for room in rooms {
        if !crates.iter().any(|krate| krate.folder == room.name) {
            complaints.push(format!(
                "{}: ARCHITECTURE.md lists a room that does not exist",
                room.name
            ));
        }
    }
    for krate in crates {
        let folder = &krate.folder;
        let Some(room) = table.get(folder.as_str()) else {
            complaints.push(format!(
                "{folder}: missing in ARCHITECTURE.md's layer table"
            ));
            continue;
        };
        let mut used = BTreeSet::new();
        for dependency in &krate.dependencies {
            let allowed = match room_of(dependency) {
                Some(other) => {
                    used.insert(other);
                    room.rooms.contains(other)
                }
                None => room.outside.allows(dependency),
            };
            if !allowed {
                complaints.push(format!(
                    "{folder}: its manifest names {dependency}, ARCHITECTURE.md does not allow it"
                ));
            }
        }
        for other in room
            .rooms
            .iter()
            .filter(|room| !used.contains(room.as_str()))
        {
            complaints.push(format!(
                "{folder}: ARCHITECTURE.md allows {other}, its manifest does not name it"
            ));
        }
    }
    complaints
}

/// Dependencies that a manifest names and no source of the crate does.
pub fn unused(crates: &[Crate], sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in crates {
        let src = format!("crates/{}/src/", krate.folder);
        let build = format!("crates/{}/build.rs", krate.folder);
        for dependency in &krate.dependencies {
            let ident = dependency.replace('-', "_");
            let named = sources
                .iter()
                .filter(|source| source.path.starts_with(&src) || source.path == build)
                .any(|source| super::mentions::names(&source.text, &ident));
            if !named && !UNNAMED.contains(&(krate.folder.as_str(), dependency.as_str())) {
                complaints.push(format!(
                    "{}: its manifest names {dependency}, no source does: remove it",
                    krate.folder
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::table;

    fn rooms() -> Vec<Room> {
        table::parse(
            "| room | may depend on | outside crates | one idea |\n|-|\n\
             | `core` | – | `blake3` | words |\n\
             | `peer` | `core` | any but `rusqlite` | a peer |\n",
        )
        .unwrap()
    }

    fn krate(folder: &str, dependencies: &[&str]) -> Crate {
        Crate {
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn what_the_table_says_passes() {
        let crates = [
            krate("core", &["blake3"]),
            krate("peer", &["convite-core", "redb"]),
        ];
        assert_eq!(complaints(&rooms(), &crates), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_named() {
        let crates = [
            krate("core", &["blake3", "tokio", "convite-peer"]),
            krate("peer", &["rusqlite"]),
            krate("attic", &[]),
        ];
        let found = complaints(&rooms(), &crates).join("\n");
        for complaint in [
            "core: its manifest names tokio",
            "core: its manifest names convite-peer",
            "peer: its manifest names rusqlite",
            "peer: ARCHITECTURE.md allows core, its manifest does not name it",
            "attic: missing",
        ] {
            assert!(found.contains(complaint), "{complaint} not in\n{found}");
        }
        assert_eq!(found.lines().count(), 5, "{found}");
    }

    #[test]
    fn a_room_of_the_table_must_exist() {
        let found = complaints(&rooms(), &[krate("core", &["blake3"])]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("peer:"), "{found:?}");
    }

    #[test]
    fn a_dependency_that_no_source_names_is_unused() {
        let source = |text: &str| Source {
            path: "crates/peer/src/lib.rs".to_owned(),
            text: text.to_owned(),
        };
        let crates = [krate("peer", &["tokio-util"])];
        assert!(unused(&crates, &[source("use tokio_util::sync;\n")]).is_empty());
        assert_eq!(unused(&crates, &[source("// tokio_util\n")]).len(), 1);
        assert_eq!(
            unused(&crates, &[source("use tokio_utility::sync;\n")]).len(),
            1
        );
    }

    #[test]
    fn test_dependencies_are_not_looked_at() {
        let package = serde_json::json!({
            "manifest_path": "/somewhere/crates/core/Cargo.toml",
            "dependencies": [
                {"name": "blake3", "kind": null},
                {"name": "protox", "kind": "build"},
                {"name": "tempfile", "kind": "dev"},
            ],
        });
        let krate = of_package(&package).unwrap();
        assert_eq!(krate.folder, "core");
        assert_eq!(
            krate.dependencies.iter().collect::<Vec<_>>(),
            ["blake3", "protox"]
        );
    }
}
