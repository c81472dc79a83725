//! Parses the crate table of ARCHITECTURE.md.

use std::collections::BTreeSet;

use crate::Failure;

/// The table's header row, exactly as ARCHITECTURE.md spells it.
const HEADER: [&str; 4] = ["crate", "may depend on", "external crates", "purpose"];

/// A row of the table: the dependencies that one crate may have.
#[derive(Debug, PartialEq, Eq)]
pub struct CrateRule {
    /// The folder under crates/.
    pub name: String,
    /// The workspace crates that its manifest must name; it may name no others.
    pub workspace: BTreeSet<String>,
    /// The external crates that it may depend on.
    pub external: ExternalCrates,
}

/// The external crates that a crate may depend on.
#[derive(Debug, PartialEq, Eq)]
pub enum ExternalCrates {
    /// All except these.
    AnyBut(BTreeSet<String>),
    /// Only these.
    Only(BTreeSet<String>),
}

impl ExternalCrates {
    /// Returns whether `name` is allowed.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::AnyBut(banned) => !banned.contains(name),
            Self::Only(allowed) => allowed.contains(name),
        }
    }
}

/// Returns the rows of the crate table in `page`.
///
/// # Errors
/// Fails if there is no such table, or if a row is invalid.
pub fn parse(page: &str) -> Result<Vec<CrateRule>, Failure> {
    let mut lines = page.lines();
    lines
        .find(|line| cells(line).is_some_and(|cells| cells == HEADER))
        .ok_or_else(|| {
            format!(
                "ARCHITECTURE.md has no table with the header | {} |",
                HEADER.join(" | ")
            )
        })?;
    let mut rules = Vec::new();
    // Skips the separator line below the header.
    for line in lines.skip(1) {
        let Some(cells) = cells(line) else { break };
        rules.push(parse_row(&cells).map_err(|why| format!("ARCHITECTURE.md: '{line}': {why}"))?);
    }
    if rules.is_empty() {
        return Err("the crate table of ARCHITECTURE.md is empty".to_owned());
    }
    Ok(rules)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn parse_row(cells: &[&str]) -> Result<CrateRule, Failure> {
    let [name, workspace, external, idea] = cells else {
        return Err(format!("{} cells instead of {}", cells.len(), HEADER.len()));
    };
    if idea.is_empty() {
        return Err("the purpose is empty".to_owned());
    }
    let mut names = parse_names(name)?.into_iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("the first cell must be one `name`".to_owned());
    };
    let external = match external.strip_prefix("any") {
        Some("") => ExternalCrates::AnyBut(BTreeSet::new()),
        Some(rest) => {
            let banned = rest
                .strip_prefix(" but ")
                .ok_or("after 'any', only 'but' and `names` are allowed")?;
            ExternalCrates::AnyBut(parse_names(banned)?)
        }
        None => ExternalCrates::Only(parse_names(external)?),
    };
    Ok(CrateRule {
        name,
        workspace: parse_names(workspace)?,
        external,
    })
}

/// Parses a list of names: `a`, `b`; a dash means none.
fn parse_names(cell: &str) -> Result<BTreeSet<String>, Failure> {
    if cell == "–" {
        return Ok(BTreeSet::new());
    }
    cell.split(',')
        .map(|name| {
            name.trim()
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
                .filter(|name| !name.is_empty() && !name.contains('`'))
                .map(str::to_owned)
                .ok_or_else(|| format!("'{}' is not a `name`; write – for none", name.trim()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Crates

| word | meaning |
|---|---|
| peer | something else |

| crate | may depend on | external crates | purpose |
|---|---|---|---|
| `core` | – | `blake3`, `serde` | basic types |
| `peer` | `core`, `swarm` | any but `rusqlite` | a running peer |
| `net` | – | any | connections |

| `not` | – | any | a row of the table |
";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_layer_table_is_found_among_others_and_read_to_its_end() {
        let rules = parse(PAGE).unwrap();
        assert_eq!(
            rules.iter().map(|rule| &rule.name).collect::<Vec<_>>(),
            ["core", "peer", "net"]
        );
        assert_eq!(
            rules[0].external,
            ExternalCrates::Only(set(&["blake3", "serde"]))
        );
        assert_eq!(rules[1].workspace, set(&["core", "swarm"]));
        assert!(rules[1].external.allows("redb"));
        assert!(!rules[1].external.allows("rusqlite"));
        assert!(!rules[0].external.allows("tokio"));
        assert!(rules[2].external.allows("tokio"));
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        assert!(parse("# Crates\n").unwrap_err().contains("no table"));
    }

    #[test]
    fn a_row_that_cannot_be_understood_is_refused() {
        for row in [
            "| core | – | any | name without backticks |",
            "| `core` |  | any | empty cell |",
            "| `core` | – | anything | unknown word |",
            "| `core` | – | any | |",
            "| `core` | – | any |",
        ] {
            let page = format!("| crate | may depend on | external crates | purpose |\n|-|\n{row}");
            let failure = parse(&page).unwrap_err();
            assert!(failure.contains(row), "{failure}");
        }
    }
}
