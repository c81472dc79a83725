//! Current transfers and rates of peers, as their heartbeats report them.
//!
//! A report is kept until the lease of the heartbeat expires. Each replica knows only the peers
//! that send heartbeats to it.

use std::collections::HashMap;

use convite_core::activity::{Activity, RunningTransfer};
use convite_core::model::PeerSummary;
use convite_core::{PeerId, UnixMillis, UserName};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Maximum number of peers with a stored report.
pub(crate) const PEERS_MAX: usize = 10_000;
/// Maximum number of peers with a stored report per account.
pub(crate) const PEERS_PER_ACCOUNT_MAX: usize = 256;
/// Maximum number of transfers sent to one reader; the fastest of those that were examined.
pub(crate) const TRANSFERS_SENT_MAX: usize = 200;
/// Maximum number of transfers examined for one reader, the reader's own first.
pub(crate) const TRANSFERS_EXAMINED_MAX: usize = 2_000;

/// The peers with running transfers.
#[derive(Default)]
pub(crate) struct PeerActivity {
    pub(crate) doing: Mutex<HashMap<PeerId, ActivityReport>>,
    pub(crate) changes: watch::Sender<u64>,
}

/// The report of one peer.
pub(crate) struct ActivityReport {
    pub(crate) user: UserName,
    /// The peer under which its transfers are shown: for a download's own peer, the peer that
    /// started the download, if both belong to the same account.
    pub(crate) shown: PeerId,
    /// When its lease expires.
    pub(crate) until: UnixMillis,
    pub(crate) activity: Activity,
}

/// A transfer of one peer.
pub(crate) struct VisibleTransfer {
    pub(crate) user: UserName,
    pub(crate) peer: PeerId,
    pub(crate) transfer: RunningTransfer,
}

/// Rates in bytes per second: sent and received.
pub(crate) type Rates = (u64, u64);

impl PeerActivity {
    /// Returns a receiver that is notified of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Stores the report of a peer of `user` until its lease expires.
    pub(crate) fn note(
        &self,
        peer: &PeerId,
        (user, shown): (&UserName, &PeerId),
        activity: Activity,
        until: UnixMillis,
        now: UnixMillis,
    ) {
        let mut doing = self.doing.lock();
        let is_news = doing.get(peer).map(|known| &known.activity) != Some(&activity);
        if activity.is_idle() {
            if doing.remove(peer).is_none() {
                return;
            }
        } else {
            if !doing.contains_key(peer) {
                doing.retain(|_, known| known.until > now);
                let own = doing.values().filter(|known| known.user == *user).count();
                // Only for display: above the limits, further peers are not shown.
                if doing.len() >= PEERS_MAX || own >= PEERS_PER_ACCOUNT_MAX {
                    return;
                }
            }
            let known = ActivityReport {
                user: user.clone(),
                shown: shown.clone(),
                until,
                activity,
            };
            doing.insert(peer.clone(), known);
        }
        drop(doing);
        if is_news {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Removes a peer's report.
    pub(crate) fn forget(&self, peer: &PeerId) {
        if self.doing.lock().remove(peer).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Sets the rates of these peers. The transfers of a peer's downloads count as the peer's own,
    /// if both belong to the same account.
    pub(crate) fn set_rates(&self, peers: &mut [PeerSummary], now: UnixMillis) {
        let mut rates = HashMap::<(String, UserName, bool), Rates>::new();
        for (peer, known) in self
            .doing
            .lock()
            .iter()
            .filter(|(_, known)| known.until > now)
        {
            let (name, is_download) = match peer.transient_owner_prefix() {
                Some(name) => (name, true),
                None => (peer.as_str(), false),
            };
            let key = (name.to_owned(), known.user.clone(), is_download);
            let (sent, received) = rates.entry(key).or_default();
            *sent += known.activity.sent_rate;
            *received += known.activity.received_rate;
        }
        if rates.is_empty() {
            return;
        }
        for peer in peers {
            let own = (peer.id.to_string(), peer.user.clone(), false);
            let downloads = (
                peer.id.transient_prefix().to_owned(),
                peer.user.clone(),
                true,
            );
            for (sent, received) in [own, downloads].iter().filter_map(|key| rates.get(key)) {
                peer.sent_rate += sent;
                peer.received_rate += received;
            }
        }
    }

    /// Returns running transfers: those of `user` first, then the fastest.
    pub(crate) fn running(&self, user: &UserName, now: UnixMillis) -> Vec<VisibleTransfer> {
        let doing = self.doing.lock();
        let alive = doing.iter().filter(|(_, known)| known.until > now);
        let mut running: Vec<_> = alive
            .flat_map(|(_, known)| {
                let transfers = known.activity.transfers.iter();
                transfers.map(move |transfer| (&known.user, &known.shown, transfer))
            })
            .collect();
        let fastest = |rate: u64| std::cmp::Reverse(rate);
        running.sort_by_key(|(of, _, transfer)| (*of != user, fastest(transfer.rate)));
        running.truncate(TRANSFERS_EXAMINED_MAX);
        let shown = running
            .into_iter()
            .map(|(user, peer, transfer)| VisibleTransfer {
                user: user.clone(),
                peer: peer.clone(),
                transfer: transfer.clone(),
            });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use convite_core::ContentHash;
    use convite_core::activity::Direction;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);
    const LATER: UnixMillis = UnixMillis(31_000);

    fn moving(sent_rate: u64) -> Activity {
        Activity {
            sent_rate,
            received_rate: 1,
            transfers: vec![RunningTransfer {
                hash: ContentHash::of(b"x"),
                direction: Direction::Sending,
                bytes: 1,
                size: 2,
                rate: sent_rate,
            }],
        }
    }

    fn summary(id: &str, user: &UserName) -> PeerSummary {
        PeerSummary {
            id: id.parse().unwrap(),
            user: user.clone(),
            addresses: Vec::new(),
            files: 0,
            since: 0,
            uploads: false,
            loads: false,
            sent_rate: 0,
            received_rate: 0,
        }
    }

    fn rates(activities: &PeerActivity, id: &str, user: &UserName, now: UnixMillis) -> Rates {
        let mut peers = [summary(id, user)];
        activities.set_rates(&mut peers, now);
        (peers[0].sent_rate, peers[0].received_rate)
    }

    #[test]
    fn downloads_count_only_for_a_peer_of_the_same_account() {
        let activities = PeerActivity::default();
        let (ana, eve): (UserName, UserName) = ("ana".parse().unwrap(), "eve".parse().unwrap());
        let note = |peer: &str, user: &UserName, sent| {
            let peer = peer.parse().unwrap();
            activities.note(&peer, (user, &peer), moving(sent), LATER, NOW);
        };
        note("ana-1", &ana, 10);
        note("ana-1-get-00000001", &ana, 200);
        note("ana-1-get-00000002", &ana, 3_000);
        note("ana-1-get-00000003", &eve, 40_000);
        assert_eq!(rates(&activities, "ana-1", &ana, NOW), (3_210, 3));
        assert_eq!(rates(&activities, "ana-1", &ana, LATER), (0, 0), "expired");
        assert_eq!(
            rates(&activities, "ana-1", &eve, NOW),
            (40_000, 1),
            "a peer of the same name in another account does not count"
        );
        let running = activities.running(&eve, NOW);
        let shown: Vec<_> = running
            .iter()
            .map(|of| (of.peer.as_str(), of.transfer.rate))
            .collect();
        assert_eq!(
            shown[..2],
            [
                ("ana-1-get-00000003", 40_000),
                ("ana-1-get-00000002", 3_000)
            ],
            "own transfers first"
        );
        assert!(activities.running(&eve, LATER).is_empty());
        activities.forget(&"ana-1".parse().unwrap());
        assert_eq!(rates(&activities, "ana-1", &ana, NOW), (3_200, 2));
    }

    #[test]
    fn reports_per_account_are_limited_and_expired_ones_removed() {
        let activities = PeerActivity::default();
        let (ana, eve): (UserName, UserName) = ("ana".parse().unwrap(), "eve".parse().unwrap());
        for at in 0..PEERS_PER_ACCOUNT_MAX + 10 {
            let peer = format!("eve-{at}").parse().unwrap();
            activities.note(&peer, (&eve, &peer), moving(1), LATER, NOW);
        }
        assert_eq!(activities.doing.lock().len(), PEERS_PER_ACCOUNT_MAX);
        let peer: PeerId = "ana-1".parse().unwrap();
        let later = UnixMillis(LATER.0 + 1);
        activities.note(&peer, (&ana, &peer), moving(1), later, NOW);
        assert_eq!(activities.doing.lock().len(), PEERS_PER_ACCOUNT_MAX + 1);
        let other: PeerId = "ana-2".parse().unwrap();
        activities.note(&other, (&ana, &other), moving(1), later, LATER);
        assert_eq!(
            activities.doing.lock().len(),
            2,
            "expired reports are removed"
        );
        activities.note(&other, (&ana, &other), Activity::default(), LATER, NOW);
        assert_eq!(
            activities.doing.lock().len(),
            1,
            "idle peers are not stored"
        );
    }

    #[test]
    fn only_changed_reports_notify() {
        let activities = PeerActivity::default();
        let mut changes = activities.changes();
        let ana: UserName = "ana".parse().unwrap();
        let peer: PeerId = "ana-1".parse().unwrap();
        let mut is_news = |activity| {
            activities.note(&peer, (&ana, &peer), activity, LATER, NOW);
            let changed = changes.has_changed().unwrap();
            changes.borrow_and_update();
            changed
        };
        assert!(!is_news(Activity::default()));
        assert!(is_news(moving(1)));
        assert!(!is_news(moving(1)));
        assert!(is_news(moving(2)));
        assert!(is_news(Activity::default()));
    }
}
