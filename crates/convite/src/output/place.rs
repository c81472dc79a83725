//! Where a file was found: what tells two of one name apart.

use convite_core::model::SearchHit;

/// The folder that it lies in and a peer that has it: `holiday/2026 · ana-desk +2`. What is
/// returned is a stranger's text: whoever shows it escapes it.
pub fn found_in(hit: &SearchHit) -> String {
    let folder = hit.folder.clone();
    let peer = hit.peers.first().map(|peer| match hit.providers {
        0 | 1 => peer.id.to_string(),
        others => format!("{} +{}", peer.id, others - 1),
    });
    let parts = std::iter::once(folder).chain(peer);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use convite_core::ContentHash;
    use convite_core::model::HitPeer;

    use super::*;

    #[test]
    fn a_place_is_a_folder_and_a_peer() {
        let mut hit = SearchHit {
            hash: ContentHash::of(b"x"),
            name: "x".to_owned(),
            matches: Vec::new(),
            names: Vec::new(),
            folder: "lab/a".to_owned(),
            size: 1,
            spaces: Vec::new(),
            providers: 3,
            peers: vec![HitPeer {
                id: "ana-desk".parse().unwrap(),
                addresses: Vec::new(),
            }],
            score: 0.0,
        };
        assert_eq!(found_in(&hit), "lab/a · ana-desk +2");
        (hit.folder, hit.providers) = (String::new(), 1);
        assert_eq!(found_in(&hit), "ana-desk");
        hit.peers.clear();
        assert_eq!(found_in(&hit), "");
    }
}
