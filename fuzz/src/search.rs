//! Fuzz targets of `convite-search`.

use convite_search::Query;

/// A query and a name: the marked ranges are within the name and in order.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (words, name) = text.split_once('\n').unwrap_or((&text, &text));
    let Ok(query) = Query::parse(words) else {
        return;
    };
    let marks = query.marks(name);
    let characters = name.chars().count() as u32;
    let mut last = 0;
    for [from, to] in &marks.ranges {
        let is_right = last <= *from && from < to && *to <= characters;
        assert!(is_right, "{:?} in '{name}'", marks.ranges);
        last = *to;
    }
}
