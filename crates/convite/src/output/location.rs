//! The name of an entry, and the location of a search hit, which distinguishes equal names.

use convite_core::EntryKind;
use convite_core::model::SearchHit;

/// Returns the folder of a hit and a peer that has it: `holiday/2026 · ana-desk +2`. The text is
/// untrusted; the caller escapes it.
pub fn location(hit: &SearchHit) -> String {
    let folder = hit.folder.clone();
    let peer = hit.peers.first().map(|peer| match hit.providers {
        0 | 1 => peer.id.to_string(),
        others => format!("{} +{}", peer.id, others - 1),
    });
    let parts = std::iter::once(folder).chain(peer);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

/// Returns the name or path of an entry: of a folder, with a slash at the end. The text is untrusted;
/// the caller escapes it.
pub fn shown_name(name: &str, kind: EntryKind) -> String {
    match kind {
        EntryKind::File => name.to_owned(),
        EntryKind::Folder => format!("{name}/"),
    }
}

#[cfg(test)]
mod tests {
    use convite_core::ContentHash;
    use convite_core::model::HitPeer;

    use super::*;

    #[test]
    fn a_location_is_a_folder_and_a_peer() {
        let mut hit = SearchHit {
            hash: ContentHash::of(b"x"),
            kind: EntryKind::File,
            name: "x".to_owned(),
            matches: Vec::new(),
            names: Vec::new(),
            folder: "lab/a".to_owned(),
            size: 1,
            files: None,
            spaces: Vec::new(),
            providers: 3,
            peers: vec![HitPeer {
                id: "ana-desk".parse().unwrap(),
                addresses: Vec::new(),
            }],
            score: 0.0,
        };
        assert_eq!(location(&hit), "lab/a · ana-desk +2");
        (hit.folder, hit.providers) = (String::new(), 1);
        assert_eq!(location(&hit), "ana-desk");
        hit.peers.clear();
        assert_eq!(location(&hit), "");
    }
}
