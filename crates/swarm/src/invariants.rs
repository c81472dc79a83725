//! What must hold after every step, in debug builds: a broken plan is found where it breaks.

use crate::download::Download;
use crate::provider::State;

/// Panics in debug builds if the state contradicts itself; does nothing in release builds.
pub(crate) fn check(download: &Download) {
    if !cfg!(debug_assertions) {
        return;
    }
    let mut asked = vec![0u8; download.geometry.piece_count() as usize];
    for piece in download
        .requests
        .values()
        .flat_map(|request| &request.waiting)
    {
        asked[*piece as usize] += 1;
    }
    for (piece, asked) in (0..).zip(asked) {
        let verified = download.verified.contains(piece);
        let missing = download.missing.contains(piece);
        assert!(asked <= 2, "piece {piece} is asked {asked} times");
        assert!(
            !(verified && (missing || asked > 0)),
            "piece {piece} is asked though verified"
        );
        assert!(
            !(missing && asked > 0),
            "piece {piece} is missing and asked"
        );
        assert!(
            verified || missing || asked > 0 || download.outcome.is_some(),
            "piece {piece} is forgotten"
        );
    }
    for (id, request) in &download.requests {
        let provider = download.providers.get(&request.provider);
        assert!(
            provider.is_some_and(|p| p.is_ready() && p.requests.contains(id)),
            "request {id} is at no provider that is ready"
        );
        assert!(
            request
                .waiting
                .iter()
                .all(|piece| provider.is_some_and(|p| p.has(*piece))),
            "request {id} asks for what its provider does not hold"
        );
    }
    for (id, provider) in &download.providers {
        assert!(
            provider
                .requests
                .iter()
                .all(|r| download.requests.contains_key(r))
        );
        assert!(provider.requests.len() <= download.limits.requests_per_provider);
        assert!(
            provider.state == State::Ready || provider.requests.is_empty(),
            "provider {id}"
        );
    }
    assert!(!download.paused || download.requests.is_empty());
    let waits = download.paused || !download.providers.is_empty();
    let can_go_on = download.next_deadline().is_some() || waits;
    assert!(
        download.outcome.is_some() || can_go_on,
        "nothing would ever happen again"
    );
}
