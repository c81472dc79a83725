//! What peers are doing just now, as their heartbeats say.
//!
//! Kept in memory alone, for as long as the lease that came with it, so that of several replicas the
//! one knows it at which the peer beats. A peer's word is believed for its own doings and no more:
//! who may see a file of which it speaks is asked of the store, for each reader.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use convite_core::activity::{Activity, RunningTransfer, TransferSummary};
use convite_core::model::PeerSummary;
use convite_core::{PeerId, Problem, UnixMillis, UserName};
use convite_store::Viewer;
use tokio::sync::watch;

use super::Service;

/// The most peers of which it is known here what they do,
const PEERS_MAX: usize = 10_000;
/// and of one account.
const OF_ACCOUNT_MAX: usize = 256;
/// The most transfers that one reader is told of; the fastest of those are that are looked at.
const TOLD_MAX: usize = 200;
/// The most transfers that are looked at for one reader, the own ones first.
const LOOKED_AT_MAX: usize = 2_000;

/// The peers that move something.
#[derive(Default)]
pub(super) struct Activities {
    doing: Mutex<HashMap<PeerId, Doing>>,
    changes: watch::Sender<u64>,
}

/// What one of them does.
struct Doing {
    user: UserName,
    /// What it is called where its transfers are shown: the peer whose download it is, if that is of
    /// the same account.
    shown: PeerId,
    /// When its lease runs out.
    until: UnixMillis,
    activity: Activity,
}

/// What one of them moves.
struct Running {
    user: UserName,
    peer: PeerId,
    transfer: RunningTransfer,
}

/// How fast, in bytes a second: out and in.
type Rates = (u64, u64);

impl Activities {
    fn doing(&self) -> MutexGuard<'_, HashMap<PeerId, Doing>> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what changes here.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes a peer of `user` at its word until its lease runs out.
    fn note(
        &self,
        peer: &PeerId,
        (user, shown): (&UserName, &PeerId),
        activity: Activity,
        until: UnixMillis,
        now: UnixMillis,
    ) {
        let mut doing = self.doing();
        let is_news = doing.get(peer).map(|known| &known.activity) != Some(&activity);
        if activity.is_idle() {
            if doing.remove(peer).is_none() {
                return;
            }
        } else {
            if !doing.contains_key(peer) {
                doing.retain(|_, known| known.until > now);
                let own = doing.values().filter(|known| known.user == *user).count();
                // It is for show: who does that much at once is shown in part.
                if doing.len() >= PEERS_MAX || own >= OF_ACCOUNT_MAX {
                    return;
                }
            }
            let known = Doing {
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

    /// A peer is gone.
    pub(super) fn forget(&self, peer: &PeerId) {
        if self.doing().remove(peer).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Says of each of these peers how fast it is. What one of its downloads does counts as its
    /// doing, if it is of the same account.
    pub(super) fn fill_in(&self, peers: &mut [PeerSummary], now: UnixMillis) {
        let mut rates = HashMap::<(String, UserName, bool), Rates>::new();
        for (peer, known) in self.doing().iter().filter(|(_, known)| known.until > now) {
            let (name, is_download) = match peer.downloads_for() {
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
            let downloads = (peer.id.download_name().to_owned(), peer.user.clone(), true);
            for (sent, received) in [own, downloads].iter().filter_map(|key| rates.get(key)) {
                peer.sent_rate += sent;
                peer.received_rate += received;
            }
        }
    }

    /// What moves, with who moves it; first what `user` moves, then the fastest.
    fn running(&self, user: &UserName, now: UnixMillis) -> Vec<Running> {
        let doing = self.doing();
        let alive = doing.iter().filter(|(_, known)| known.until > now);
        let mut running: Vec<_> = alive
            .flat_map(|(_, known)| {
                let transfers = known.activity.transfers.iter();
                transfers.map(move |transfer| (&known.user, &known.shown, transfer))
            })
            .collect();
        let fastest = |rate: u64| std::cmp::Reverse(rate);
        running.sort_by_key(|(of, _, transfer)| (*of != user, fastest(transfer.rate)));
        running.truncate(LOOKED_AT_MAX);
        let shown = running.into_iter().map(|(user, peer, transfer)| Running {
            user: user.clone(),
            peer: peer.clone(),
            transfer: transfer.clone(),
        });
        shown.collect()
    }
}

impl Service {
    /// Notes what a peer of that user does, whose lease was just renewed.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn note_activity(
        &self,
        peer: &PeerId,
        user: &UserName,
        activity: Activity,
        until: UnixMillis,
    ) -> Result<(), Problem> {
        let mut shown = peer.clone();
        // Anybody can call a peer as if it were a download of another's.
        if let Some(of) = peer.downloads_for().and_then(|name| name.parse().ok())
            && !activity.transfers.is_empty()
            && let Some(host) = self.store().host(&of).await?
            && host.user == *user
        {
            shown = of;
        }
        let now = self.now();
        self.activities
            .note(peer, (user, &shown), activity, until, now);
        Ok(())
    }

    /// The transfers of files that `viewer` may see, by peer; what is `user`'s, and else the
    /// fastest, if there are more than 200.
    pub(super) async fn transfers(
        &self,
        user: &UserName,
        viewer: &Viewer,
    ) -> Result<Vec<TransferSummary>, Problem> {
        let running = self.activities.running(user, self.now());
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
        let mut seen: Vec<_> = seen.take(TOLD_MAX).collect();
        seen.sort_by(|a, b| (&a.peer, a.hash, a.direction).cmp(&(&b.peer, b.hash, b.direction)));
        Ok(seen)
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

    fn rates(activities: &Activities, id: &str, user: &UserName, now: UnixMillis) -> Rates {
        let mut peers = [summary(id, user)];
        activities.fill_in(&mut peers, now);
        (peers[0].sent_rate, peers[0].received_rate)
    }

    #[test]
    fn downloads_count_for_the_peer_of_their_own_account_alone() {
        let activities = Activities::default();
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
        assert_eq!(rates(&activities, "ana-1", &ana, LATER), (0, 0), "lapsed");
        assert_eq!(
            rates(&activities, "ana-1", &eve, NOW),
            (40_000, 1),
            "its word is its own"
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
            "the own first"
        );
        assert!(activities.running(&eve, LATER).is_empty());
        activities.forget(&"ana-1".parse().unwrap());
        assert_eq!(rates(&activities, "ana-1", &ana, NOW), (3_200, 2));
    }

    #[test]
    fn an_account_fills_no_more_than_its_part_and_lapsed_ones_make_room() {
        let activities = Activities::default();
        let (ana, eve): (UserName, UserName) = ("ana".parse().unwrap(), "eve".parse().unwrap());
        for at in 0..OF_ACCOUNT_MAX + 10 {
            let peer = format!("eve-{at}").parse().unwrap();
            activities.note(&peer, (&eve, &peer), moving(1), LATER, NOW);
        }
        assert_eq!(activities.doing().len(), OF_ACCOUNT_MAX);
        let peer: PeerId = "ana-1".parse().unwrap();
        let later = UnixMillis(LATER.0 + 1);
        activities.note(&peer, (&ana, &peer), moving(1), later, NOW);
        assert_eq!(activities.doing().len(), OF_ACCOUNT_MAX + 1);
        let other: PeerId = "ana-2".parse().unwrap();
        activities.note(&other, (&ana, &other), moving(1), later, LATER);
        assert_eq!(activities.doing().len(), 2, "what lapsed is gone");
        activities.note(&other, (&ana, &other), Activity::default(), LATER, NOW);
        assert_eq!(activities.doing().len(), 1, "what is idle is not kept");
    }

    #[test]
    fn only_what_changes_is_news() {
        let activities = Activities::default();
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
