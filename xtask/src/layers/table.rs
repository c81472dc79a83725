//! Reads the layer table out of ARCHITECTURE.md.

use std::collections::BTreeSet;

use crate::Failure;

/// The table's head; a change of its wording is a change here.
const HEAD: [&str; 4] = ["room", "may depend on", "outside crates", "one idea"];

/// A row: what one crate may depend on.
#[derive(Debug, PartialEq, Eq)]
pub struct Room {
    /// The folder under crates/.
    pub name: String,
    /// Rooms that its manifest must name, and no others.
    pub rooms: BTreeSet<String>,
    /// What it may take from outside the workspace.
    pub outside: Outside,
}

/// What a room may take from outside the workspace.
#[derive(Debug, PartialEq, Eq)]
pub enum Outside {
    /// Everything but these.
    AnyBut(BTreeSet<String>),
    /// These and nothing else.
    Only(BTreeSet<String>),
}

impl Outside {
    /// Whether `name` may come in.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::AnyBut(banned) => !banned.contains(name),
            Self::Only(allowed) => allowed.contains(name),
        }
    }
}

/// The rows of the layer table in `page`.
///
/// # Errors
/// If there is no such table, or a row of it cannot be understood.
pub fn parse(page: &str) -> Result<Vec<Room>, Failure> {
    let mut lines = page.lines();
    lines
        .find(|line| cells(line).is_some_and(|cells| cells == HEAD))
        .ok_or_else(|| {
            format!(
                "ARCHITECTURE.md has no table with the head | {} |",
                HEAD.join(" | ")
            )
        })?;
    let mut rooms = Vec::new();
    // The line under the head is the ruler.
    for line in lines.skip(1) {
        let Some(cells) = cells(line) else { break };
        rooms.push(room(&cells).map_err(|why| format!("ARCHITECTURE.md: '{line}': {why}"))?);
    }
    if rooms.is_empty() {
        return Err("the layer table of ARCHITECTURE.md is empty".to_owned());
    }
    Ok(rooms)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn room(cells: &[&str]) -> Result<Room, Failure> {
    let [name, rooms, outside, idea] = cells else {
        return Err(format!("{} cells instead of {}", cells.len(), HEAD.len()));
    };
    if idea.is_empty() {
        return Err("a room without an idea".to_owned());
    }
    let mut names = list(name)?.into_iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("the first cell is one `name`".to_owned());
    };
    let outside = match outside.strip_prefix("any") {
        Some("") => Outside::AnyBut(BTreeSet::new()),
        Some(rest) => {
            let banned = rest
                .strip_prefix(" but ")
                .ok_or("'any' is followed by nothing or by 'but' and `names`")?;
            Outside::AnyBut(list(banned)?)
        }
        None => Outside::Only(list(outside)?),
    };
    Ok(Room {
        name,
        rooms: list(rooms)?,
        outside,
    })
}

/// `a`, `b` or a dash for none.
fn list(cell: &str) -> Result<BTreeSet<String>, Failure> {
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
                .ok_or_else(|| format!("'{}' is not a `name`; none is –", name.trim()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Rooms

| word | meaning |
|---|---|
| peer | something else |

| room | may depend on | outside crates | one idea |
|---|---|---|---|
| `core` | – | `blake3`, `serde` | the words |
| `peer` | `core`, `swarm` | any but `rusqlite` | a running peer |
| `net` | – | any | connections |

| `not` | – | any | a row of it |
";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_layer_table_is_found_among_others_and_read_to_its_end() {
        let rooms = parse(PAGE).unwrap();
        assert_eq!(
            rooms.iter().map(|room| &room.name).collect::<Vec<_>>(),
            ["core", "peer", "net"]
        );
        assert_eq!(rooms[0].outside, Outside::Only(set(&["blake3", "serde"])));
        assert_eq!(rooms[1].rooms, set(&["core", "swarm"]));
        assert!(rooms[1].outside.allows("redb"));
        assert!(!rooms[1].outside.allows("rusqlite"));
        assert!(!rooms[0].outside.allows("tokio"));
        assert!(rooms[2].outside.allows("tokio"));
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        assert!(parse("# Rooms\n").unwrap_err().contains("no table"));
    }

    #[test]
    fn a_row_that_cannot_be_understood_is_refused() {
        for row in [
            "| core | – | any | name without ticks |",
            "| `core` |  | any | an empty cell is not none |",
            "| `core` | – | anything | no such word |",
            "| `core` | – | any | |",
            "| `core` | – | any |",
        ] {
            let page = format!("| room | may depend on | outside crates | one idea |\n|-|\n{row}");
            let failure = parse(&page).unwrap_err();
            assert!(failure.contains(row), "{failure}");
        }
    }
}
