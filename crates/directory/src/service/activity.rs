//! Current transfers and rates of peers, as their heartbeats report them.
//!
//! Kept in memory until the lease of the heartbeat expires; each replica knows only the peers that
//! send heartbeats to it. A report is trusted only for the peer's own transfers: for each reader,
//! the store decides which of the reported files are visible.

use std::collections::HashSet;

use convite_core::activity::{Activity, TransferSummary};
use convite_core::{PeerId, Problem, UnixMillis, UserName};
use convite_store::Viewer;

use super::Service;
use super::state::activity::TRANSFERS_SENT_MAX;

impl Service {
    /// Stores the report of a peer of this user whose lease was just renewed.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub(super) async fn record_activity(
        &self,
        peer: &PeerId,
        user: &UserName,
        activity: Activity,
        until: UnixMillis,
    ) -> Result<(), Problem> {
        let mut shown = peer.clone();
        // The name alone proves nothing: a peer can be named like another account's download.
        if let Some(of) = peer
            .transient_owner_prefix()
            .and_then(|name| name.parse().ok())
            && !activity.transfers.is_empty()
            && let Some(host) = self.store().host(&of).await?
            && host.user == *user
        {
            shown = of;
        }
        let now = self.now();
        self.peer_activity
            .note(peer, (user, &shown), activity, until, now);
        Ok(())
    }

    /// Returns the transfers of files that `viewer` may see, by peer. Above 200, those of `user`
    /// and then the fastest are returned.
    pub(super) async fn transfers(
        &self,
        user: &UserName,
        viewer: &Viewer,
    ) -> Result<Vec<TransferSummary>, Problem> {
        let running = self.peer_activity.running(user, self.now());
        if running.is_empty() {
            return Ok(Vec::new());
        }
        let moves: HashSet<_> = running
            .iter()
            .map(|moving| (moving.user.clone(), moving.transfer.hash))
            .collect();
        let moves: Vec<_> = moves.into_iter().collect();
        let names = self.store().moves_seen(viewer, &moves).await?;
        let seen = running.into_iter().filter_map(|moving| {
            let transfer = moving.transfer;
            let moved = (moving.user, transfer.hash);
            Some(TransferSummary {
                name: names.get(&moved)?.clone(),
                hash: transfer.hash,
                peer: moving.peer,
                direction: transfer.direction,
                bytes: transfer.bytes,
                size: transfer.size,
                rate: transfer.rate,
            })
        });
        let mut seen: Vec<_> = seen.take(TRANSFERS_SENT_MAX).collect();
        seen.sort_by(|a, b| (&a.peer, a.hash, a.direction).cmp(&(&b.peer, b.hash, b.direction)));
        Ok(seen)
    }
}
