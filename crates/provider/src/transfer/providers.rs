//! The providers of a transfer: those that the directory named, and the connections to them.

use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_swarm::{Event, ProviderId};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::debug;

use super::Transfer;
use crate::availability;
use crate::connection::{Connection, dial};
use crate::content::Content;
use crate::locality::{self, Networks};
use crate::loss::Loss;
use crate::sink::PieceSink;
use crate::task_event::{DialledProvider, TaskEvent};

/// A provider of a transfer.
pub(super) struct ProviderRecord {
    pub(super) provider: Provider,
    pub(super) connection: Option<Connection>,
    /// The task that follows its pieces.
    availability: Option<AbortHandle>,
    has_sent_verified: bool,
    /// The error for which it was lost; `None` since it sent a verified piece.
    lost: Option<Problem>,
}

impl ProviderRecord {
    fn new(provider: Provider) -> Self {
        Self {
            provider,
            connection: None,
            availability: None,
            has_sent_verified: false,
            lost: None,
        }
    }

    /// Records what the directory says of it now. Further requests on its connection use the new
    /// ticket.
    fn update(&mut self, provider: Provider) {
        if let Some(connection) = &mut self.connection
            && provider.ticket != self.provider.ticket
            && let Err(problem) = connection.set_ticket(&provider.ticket)
        {
            debug!(peer = %provider.peer, "cannot use a new ticket: {problem}");
        }
        self.provider = provider;
    }

    /// Records that it sent a verified piece.
    pub(super) fn sent_verified(&mut self) {
        self.has_sent_verified = true;
        self.lost = None;
    }
}

impl<C: Content, S: PieceSink> Transfer<C, S> {
    /// Sets the peer of this process, which is not used as a provider.
    pub fn exclude(&mut self, myself: PeerId) {
        self.myself = Some(myself);
    }

    /// Returns the providers that sent verified pieces.
    pub fn senders(&self) -> Vec<PeerId> {
        let senders = self
            .providers
            .iter()
            .filter(|known| known.has_sent_verified);
        senders.map(|known| known.provider.peer.clone()).collect()
    }

    /// Returns the last error of each lost provider.
    pub fn losses(&self) -> Vec<(PeerId, Problem)> {
        let lost = self.providers.iter().filter_map(|known| {
            let reason = known.lost.clone()?;
            Some((known.provider.peer.clone(), reason))
        });
        lost.collect()
    }

    /// Adds providers named by the directory. Those that claim another size are ignored.
    pub fn found(&mut self, providers: Vec<Provider>) {
        let size = self.config.content.size();
        let networks = self.config.locality.then(Networks::current);
        for provider in providers {
            if provider.size != size || Some(&provider.peer) == self.myself.as_ref() {
                continue;
            }
            let distance = networks.as_ref().map(|here| here.distance(&provider));
            let mut known = self.providers.iter();
            let place = known.position(|known| known.provider.peer == provider.peer);
            let id = match place {
                Some(place) => {
                    self.providers[place].update(provider);
                    place
                }
                None => {
                    self.providers.push(ProviderRecord::new(provider));
                    self.providers.len() - 1
                }
            };
            if let (None, Some(distance)) = (place, distance) {
                self.apply(Event::Distance(id as ProviderId, distance));
            }
            self.apply(Event::Found(id as ProviderId));
        }
    }

    pub(super) fn handle_located(
        &mut self,
        answer: Result<LocatedFile, Problem>,
    ) -> Result<(), Problem> {
        let (named, answer) = match answer {
            Ok(file) => (file.providers, Ok(())),
            Err(problem) if problem.code == ErrorCode::NotFound => (Vec::new(), Err(problem)),
            Err(problem) => {
                debug!("cannot locate the content: {problem}");
                self.apply(Event::LocateFailed);
                return Err(problem);
            }
        };
        let peers: Vec<_> = named.iter().map(|named| named.peer.clone()).collect();
        self.found(named);
        self.handle_unlisted(&peers);
        self.apply(Event::Located);
        answer
    }

    /// Reports providers that the directory no longer names to the plan.
    fn handle_unlisted(&mut self, named: &[PeerId]) {
        let known = self.providers.iter().zip(0..);
        let unlisted = known.filter(|(known, _)| !named.contains(&known.provider.peer));
        let unlisted: Vec<ProviderId> = unlisted.map(|(_, id)| id).collect();
        for id in unlisted {
            self.apply(Event::Unlisted(id));
        }
    }

    pub(super) fn dial(&mut self, id: ProviderId) {
        self.disconnect(id);
        let provider = self.providers[id as usize].provider.clone();
        let (tls, content) = (self.config.tls.clone(), self.config.content.clone());
        let events = self.events.clone();
        self.spawn(async move {
            let dialled = async {
                let began = Instant::now();
                let connection = dial(&provider, tls.as_ref()).await?;
                let delay = began.elapsed();
                content.prepare(&connection, &[]).await?;
                Ok(DialledProvider { connection, delay })
            };
            let dialled = dialled.await;
            // The send fails if the transfer has ended.
            let _ = events.send(TaskEvent::Dialled(id, dialled)).await;
        });
    }

    pub(super) fn connected(&mut self, id: ProviderId, dialled: DialledProvider) {
        let DialledProvider { connection, delay } = dialled;
        self.note_delay(id, delay);
        let content = &self.config.content;
        let availability = self.spawn(availability::follow(
            id,
            connection.clone(),
            content.hash(),
            content.piece_count(),
            self.providers[id as usize].provider.partial,
            self.events.clone(),
        ));
        let known = &mut self.providers[id as usize];
        known.connection = Some(connection);
        known.availability = Some(availability);
        self.apply(Event::Ready(id));
    }

    /// Estimates the distance of a provider outside the local networks from the time to connect.
    fn note_delay(&mut self, id: ProviderId, delay: Duration) {
        let provider = &self.providers[id as usize].provider;
        if self.config.locality && !locality::is_local(Networks::current().distance(provider)) {
            self.apply(Event::Distance(id, locality::distance_by(delay)));
        }
    }

    pub(super) fn lost(&mut self, id: ProviderId, loss: Loss) {
        let known = &mut self.providers[id as usize];
        let peer = &known.provider.peer;
        debug!(%peer, failure = ?loss.failure, "lost a source: {}", loss.reason);
        let last = known.lost.as_ref();
        if last.is_none_or(|last| loss.should_replace(last)) {
            known.lost = Some(loss.reason);
        }
        self.apply(Event::Lost(id, loss.failure));
    }

    pub(super) fn disconnect(&mut self, id: ProviderId) {
        let known = &mut self.providers[id as usize];
        known.connection = None;
        if let Some(availability) = known.availability.take() {
            availability.abort();
        }
        self.receiving.retain(|_, (provider, task)| {
            if *provider == id {
                task.abort();
            }
            *provider != id
        });
    }
}
