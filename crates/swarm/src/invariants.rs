//! Invariants that are checked after every step in debug builds.

use crate::provider::ProviderState;
use crate::state::Download;

/// Panics in debug builds if an invariant is violated. Does nothing in release builds.
pub(crate) fn check(download: &Download) {
    if !cfg!(debug_assertions) {
        return;
    }
    let mut asked = vec![0u8; download.costs.piece_count() as usize];
    for piece in download
        .requests
        .values()
        .flat_map(|request| &request.pending)
    {
        asked[*piece as usize] += 1;
    }
    for (piece, asked) in (0..).zip(asked) {
        let verified = download.verified.contains(piece);
        let missing = download.missing.contains(piece);
        assert!(asked <= 2, "piece {piece} is requested {asked} times");
        assert!(
            !(verified && (missing || asked > 0)),
            "piece {piece} is verified and also missing or requested"
        );
        assert!(
            !(missing && asked > 0),
            "piece {piece} is missing and also requested"
        );
        let wanted = download.wanted.contains(piece);
        assert!(
            !wanted || verified || missing || asked > 0 || download.outcome.is_some(),
            "piece {piece} is in no state"
        );
        assert!(
            wanted || !(missing || asked > 0),
            "piece {piece} is not wanted"
        );
        assert!(
            asked == 0 || download.is_in_window(piece),
            "piece {piece} is requested outside the window"
        );
    }
    let missing = download.missing.iter();
    let cost: u64 = missing.map(|piece| download.costs.of(piece)).sum();
    assert_eq!(download.missing_cost, cost, "the cost of missing pieces");
    for (id, request) in &download.requests {
        let provider = download.providers.get(&request.provider);
        assert!(
            provider.is_some_and(|p| p.is_ready() && p.requests.contains(id)),
            "request {id} belongs to no ready provider"
        );
        assert!(
            request
                .pending
                .iter()
                .all(|piece| provider.is_some_and(|p| p.has(*piece))),
            "request {id} includes a piece that its provider does not hold"
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
            provider.state == ProviderState::Ready || provider.requests.is_empty(),
            "provider {id}"
        );
    }
    if let Some(stalled) = download.needlessly_stalled() {
        panic!("piece {stalled} stalls while a provider that holds it is idle");
    }
    assert!(!download.paused || download.requests.is_empty());
    let waits = download.paused || !download.providers.is_empty();
    let can_go_on = download.next_deadline().is_some() || waits;
    assert!(
        download.outcome.is_some() || can_go_on,
        "the download has no deadline and cannot continue"
    );
}
