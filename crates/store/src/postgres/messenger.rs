//! Notifications between replicas, over one connection that listens and notifies.
//!
//! A notification is sent after the commit of its change, never within the transaction: a
//! transaction with a `NOTIFY` blocks all others that have one until it has committed.
//! Notifications within a short time share one message. They may be lost, if a replica fails
//! between a commit and its notification or while the connection is down. So every replica also
//! polls, and after a reconnect it assumes that anything may have changed.
//!
//! The task ends when the store is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convite_core::{ContentHash, PeerId};
use tokio::sync::{broadcast, mpsc};
use tokio_postgres::{AsyncMessage, Client};

use super::address::Address;
use crate::News;

/// Channel name, unique among the users of the same database.
const LISTEN: &str = "LISTEN convite_news";
const NOTIFY: &str = "SELECT pg_notify('convite_news', $1)";
/// Capacity of the queues of outgoing and incoming notifications.
const QUEUE: usize = 1024;
/// Notifications within this time share one message.
const GATHER: Duration = Duration::from_millis(10);
/// Maximum number of contents in one message. Above it, the message says that anything may have
/// changed. (A message has at most 8,000 bytes.)
const CONTENTS_MAX: usize = 100;
/// Maximum number of peers in one message, with the same rule.
const PEERS_MAX: usize = 100;
/// Delay before a reconnect. Doubled each time, up to `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Handle of the task.
pub(super) struct Messenger {
    told: mpsc::Sender<News>,
    /// A notification did not fit into the queue.
    overflown: Arc<AtomicBool>,
    heard: broadcast::Sender<News>,
}

impl Messenger {
    pub(super) fn start(address: Address) -> Self {
        let (told, queue) = mpsc::channel(QUEUE);
        let (heard, _) = broadcast::channel(QUEUE);
        let overflown = Arc::new(AtomicBool::new(false));
        let task = Task {
            address,
            queue,
            overflown: Arc::clone(&overflown),
            heard: heard.clone(),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this crate is below `convite_net`"
        )]
        tokio::spawn(task.run_messenger());
        Self {
            told,
            overflown,
            heard,
        }
    }

    pub(super) fn tell(&self, news: News) {
        if self.told.try_send(news).is_err() {
            self.overflown.store(true, Ordering::Release);
        }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<News> {
        self.heard.subscribe()
    }
}

/// Reason why a connection ended.
enum Ended {
    /// The store was dropped.
    Store,
    Connection(Option<tokio_postgres::Error>),
}

struct Task {
    address: Address,
    queue: mpsc::Receiver<News>,
    overflown: Arc<AtomicBool>,
    heard: broadcast::Sender<News>,
}

impl Task {
    async fn run_messenger(mut self) {
        let mut pause = PAUSE;
        loop {
            let mut was_connected = false;
            match self.run_connection(&mut was_connected).await {
                Ended::Store => return,
                Ended::Connection(error) => {
                    let error = error.map(|error| error.to_string());
                    tracing::warn!(
                        error,
                        "lost the notification connection to the database, reconnecting"
                    );
                }
            }
            if was_connected {
                pause = PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Listens and notifies until the connection ends or the store is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is below `convite_net`"
    )]
    async fn run_connection(&mut self, was_connected: &mut bool) -> Ended {
        let connecting = self.address.config.connect(self.address.tls.clone());
        let (client, mut connection) = match connecting.await {
            Ok(connected) => connected,
            Err(error) => return Ended::Connection(Some(error)),
        };
        let heard = self.heard.clone();
        let (own, mut own_id) = tokio::sync::oneshot::channel::<i32>();
        let mut driver = tokio::spawn(async move {
            let mut own = None;
            loop {
                let message = std::future::poll_fn(|cx| connection.poll_message(cx)).await;
                own = own.or_else(|| own_id.try_recv().ok());
                match message {
                    Some(Ok(AsyncMessage::Notification(told))) => {
                        if Some(told.process_id()) != own {
                            // Fails only if nobody is subscribed.
                            let _ = heard.send(read(told.payload()));
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Some(error),
                    None => return None,
                }
            }
        });
        let ended = tokio::select! {
            ended = self.run_client(&client, own, was_connected) => ended,
            error = &mut driver => return Ended::Connection(error.ok().flatten()),
        };
        driver.abort();
        ended
    }

    async fn run_client(
        &mut self,
        client: &Client,
        own: tokio::sync::oneshot::Sender<i32>,
        was_connected: &mut bool,
    ) -> Ended {
        let begin = async {
            let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
            let _ = own.send(row.try_get(0)?);
            client.batch_execute(LISTEN).await?;
            client.prepare(NOTIFY).await
        };
        let notify = match begin.await {
            Ok(notify) => notify,
            Err(error) => return Ended::Connection(Some(error)),
        };
        *was_connected = true;
        // Notifications from before the connection are lost, both incoming and outgoing.
        let _ = self.heard.send(News::Anything);
        while let Some(first) = self.queue.recv().await {
            let mut gathered = Gathered::default();
            gathered.add(first);
            tokio::time::sleep(GATHER).await;
            while let Ok(next) = self.queue.try_recv() {
                gathered.add(next);
            }
            if self.overflown.swap(false, Ordering::AcqRel) {
                gathered.add(News::Anything);
            }
            for message in gathered.messages() {
                if let Err(error) = client.execute(&notify, &[&message]).await {
                    // Sent as "anything" after the reconnect.
                    self.overflown.store(true, Ordering::Release);
                    return Ended::Connection(Some(error));
                }
            }
        }
        Ended::Store
    }
}

/// Notifications that are merged into few messages.
#[derive(Default)]
struct Gathered {
    anything: bool,
    published: bool,
    peers: bool,
    replicas: bool,
    contents: BTreeSet<[u8; 32]>,
    loads: BTreeSet<PeerId>,
}

impl Gathered {
    fn add(&mut self, news: News) {
        match news {
            News::Published => self.published = true,
            News::Peers => self.peers = true,
            News::Replicas => self.replicas = true,
            News::Anything => self.anything = true,
            News::Loads(peers) => {
                self.loads.extend(peers);
                self.anything |= self.loads.len() > PEERS_MAX;
            }
            News::Providers(hashes) => {
                for hash in hashes {
                    if self.anything {
                        return;
                    }
                    self.contents.insert(*hash.as_bytes());
                    self.anything = self.contents.len() > CONTENTS_MAX;
                }
            }
        }
    }

    fn messages(self) -> Vec<String> {
        if self.anything {
            return vec!["anything".into()];
        }
        let mut messages = Vec::new();
        if self.published {
            messages.push("published".into());
        }
        if self.peers {
            messages.push("peers".into());
        }
        if self.replicas {
            messages.push("replicas".into());
        }
        if !self.loads.is_empty() {
            let peers: Vec<_> = self.loads.iter().map(PeerId::as_str).collect();
            messages.push(format!("loads {}", peers.join(" ")));
        }
        if !self.contents.is_empty() {
            let hashes = self.contents.into_iter().map(ContentHash::from_bytes);
            let hashes: Vec<_> = hashes.map(|hash| hash.to_string()).collect();
            messages.push(format!("providers {}", hashes.join(" ")));
        }
        messages
    }
}

/// Parses a message. An unknown message, from a newer version, means that anything may have
/// changed.
fn read(message: &str) -> News {
    let mut words = message.split(' ');
    match words.next() {
        Some("published") => News::Published,
        Some("peers") => News::Peers,
        Some("replicas") => News::Replicas,
        Some("loads") => match words.map(str::parse).collect() {
            Ok(peers) => News::Loads(peers),
            Err(_) => News::Anything,
        },
        Some("providers") => match words.map(str::parse).collect() {
            Ok(hashes) => News::Providers(hashes),
            Err(_) => News::Anything,
        },
        _ => News::Anything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(told: Vec<News>) -> Vec<News> {
        let mut gathered = Gathered::default();
        told.into_iter().for_each(|news| gathered.add(news));
        let messages = gathered.messages();
        assert!(messages.iter().all(|message| message.len() < 8_000));
        messages.iter().map(|message| read(message)).collect()
    }

    fn hashes(numbers: std::ops::Range<usize>) -> Vec<ContentHash> {
        let hash = |n: usize| ContentHash::of(&n.to_le_bytes());
        let mut hashes: Vec<_> = numbers.map(hash).collect();
        hashes.sort();
        hashes
    }

    /// Peer ids of the maximum length.
    fn peers(numbers: std::ops::Range<usize>) -> Vec<PeerId> {
        let id = |n: usize| format!("p{n:063}").parse().unwrap();
        numbers.map(id).collect()
    }

    #[test]
    fn what_is_told_at_once_is_heard_once() {
        let told = vec![
            News::Published,
            News::Providers(hashes(0..1)),
            News::Published,
            News::Providers(hashes(0..100)),
            News::Peers,
            News::Loads(peers(50..100)),
            News::Replicas,
            News::Loads(peers(0..60)),
        ];
        let heard = [
            News::Published,
            News::Peers,
            News::Replicas,
            News::Loads(peers(0..100)),
            News::Providers(hashes(0..100)),
        ];
        assert_eq!(round_trip(told), heard);
    }

    #[test]
    fn too_much_for_a_message_means_anything() {
        for told in [
            vec![News::Providers(hashes(0..101))],
            vec![News::Loads(peers(0..101))],
            vec![
                News::Providers(hashes(0..60)),
                News::Providers(hashes(50..110)),
            ],
        ] {
            assert_eq!(round_trip(told), [News::Anything]);
        }
        assert_eq!(read("of a newer version"), News::Anything);
        assert_eq!(read("providers what"), News::Anything);
        assert_eq!(read("loads no/peer"), News::Anything);
    }
}
