//! Compares the crates' manifests with the crate table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::table::CrateRule;
use crate::Failure;
use crate::workspace::{self, Source};

/// Dependencies that no source names, because generated code or a feature needs them.
const UNNAMED_ALLOWED: [(&str, &str); 2] = [("wire", "tonic-prost"), ("wire", "prost")];

/// A crate of the workspace and the dependencies in its manifest, without test dependencies.
pub struct Crate {
    /// The folder under crates/.
    pub folder: String,
    /// Build and runtime dependencies.
    pub dependencies: BTreeSet<String>,
}

/// Returns the crates under crates/.
///
/// # Errors
/// Fails if `cargo metadata` fails.
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

/// Returns the name of a workspace crate without its prefix; none for external crates.
fn workspace_crate(dependency: &str) -> Option<&str> {
    match dependency {
        "convite" => Some(dependency),
        _ => dependency.strip_prefix("convite-"),
    }
}

/// Returns every difference between the table and the manifests.
pub fn violations(rules: &[CrateRule], crates: &[Crate]) -> Vec<String> {
    let table: BTreeMap<&str, &CrateRule> = rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule))
        .collect();
    let mut violations = Vec::new();
    for rule in rules {
        if !crates.iter().any(|krate| krate.folder == rule.name) {
            violations.push(format!(
                "{}: ARCHITECTURE.md lists a crate that does not exist",
                rule.name
            ));
        }
    }
    for krate in crates {
        let folder = &krate.folder;
        let Some(rule) = table.get(folder.as_str()) else {
            violations.push(format!(
                "{folder}: missing in the crate table of ARCHITECTURE.md"
            ));
            continue;
        };
        let mut used = BTreeSet::new();
        for dependency in &krate.dependencies {
            let allowed = match workspace_crate(dependency) {
                Some(other) => {
                    used.insert(other);
                    rule.workspace.contains(other)
                }
                None => rule.external.allows(dependency),
            };
            if !allowed {
                violations.push(format!(
                    "{folder}: its manifest names {dependency}, but ARCHITECTURE.md does not allow it"
                ));
            }
        }
        for other in rule
            .workspace
            .iter()
            .filter(|rule| !used.contains(rule.as_str()))
        {
            violations.push(format!(
                "{folder}: ARCHITECTURE.md allows {other}, but its manifest does not name it"
            ));
        }
    }
    violations
}

/// Returns the dependencies that a manifest names but no source of the crate uses.
pub fn unused(crates: &[Crate], sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for krate in crates {
        let src = format!("crates/{}/src/", krate.folder);
        let build = format!("crates/{}/build.rs", krate.folder);
        for dependency in &krate.dependencies {
            let ident = dependency.replace('-', "_");
            let named = sources
                .iter()
                .filter(|source| source.path.starts_with(&src) || source.path == build)
                .any(|source| super::mentions::names(&source.text, &ident));
            if !named && !UNNAMED_ALLOWED.contains(&(krate.folder.as_str(), dependency.as_str())) {
                violations.push(format!(
                    "{}: its manifest names {dependency}, but no source uses it: remove it",
                    krate.folder
                ));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::table;

    fn rules() -> Vec<CrateRule> {
        table::parse(
            "| crate | may depend on | external crates | purpose |\n|-|\n\
             | `core` | – | `blake3` | types |\n\
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
    fn dependencies_in_the_table_pass() {
        let crates = [
            krate("core", &["blake3"]),
            krate("peer", &["convite-core", "redb"]),
        ];
        assert_eq!(violations(&rules(), &crates), Vec::<String>::new());
    }

    #[test]
    fn each_violation_is_reported() {
        let crates = [
            krate("core", &["blake3", "tokio", "convite-peer"]),
            krate("peer", &["rusqlite"]),
            krate("attic", &[]),
        ];
        let found = violations(&rules(), &crates).join("\n");
        for violation in [
            "core: its manifest names tokio",
            "core: its manifest names convite-peer",
            "peer: its manifest names rusqlite",
            "peer: ARCHITECTURE.md allows core, but its manifest does not name it",
            "attic: missing",
        ] {
            assert!(found.contains(violation), "{violation} not in\n{found}");
        }
        assert_eq!(found.lines().count(), 5, "{found}");
    }

    #[test]
    fn a_crate_of_the_table_must_exist() {
        let found = violations(&rules(), &[krate("core", &["blake3"])]);
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
    fn test_dependencies_are_ignored() {
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
