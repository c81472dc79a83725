//! The company of a download: the providers that the directory names, and the swarm that it joins.

use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, Problem};
use convite_swarm::{Event, ProviderId};
use tokio_stream::StreamExt;
use tracing::debug;

use super::engine::{Engine, Known, Told};
use super::locality::{self, Networks};
use super::member::Member;
use super::receive::News;

impl Engine<'_> {
    /// Begins to provide to the others and to hear of new ones, where there can be any: a file of
    /// one piece is there before anyone could be told.
    pub(super) fn join_swarm(&mut self) {
        if self.partial.geometry().piece_count() <= 1 || self.outcome.is_some() {
            return;
        }
        if let Some(config) = self.fetch.member.clone() {
            let directory = self.fetch.directory.clone();
            let (hash, size) = (self.fetch.file.hash, self.partial.geometry().file_size());
            self.tasks.spawn(async move {
                let member = Member::start(config, directory, hash, size).await;
                Told::Member(member.map(Box::new))
            });
        }
        let (directory, hash) = (self.fetch.directory.clone(), self.fetch.file.hash);
        let (within, news) = (self.fetch.within.clone(), self.news.clone());
        self.tasks.spawn(async move {
            // Without it, the directory is asked from time to time.
            if let Ok(mut changes) = directory.watch(&hash, &within).await {
                while let Some(Ok(providers)) = changes.next().await {
                    if news.send(News::Providers(providers)).await.is_err() {
                        break;
                    }
                }
            }
            Told::Watched
        });
    }

    pub(super) fn provide_if_ready(&mut self) {
        let (Some(member), Some(hashes)) = (&mut self.member, &self.hashes) else {
            return;
        };
        if !member.is_providing() && !self.plan.verified().is_empty() {
            let name = self.fetch.file.names.first().cloned().unwrap_or_default();
            member.provide(
                hashes.clone(),
                self.partial.contents().file().clone(),
                name,
                self.plan.verified(),
            );
        }
    }

    pub(super) fn located(&mut self, answer: Result<LocatedFile, Problem>) {
        let file = match answer {
            Ok(file) => file,
            Err(problem) if problem.code == ErrorCode::NotFound => {
                return self.tell(Event::Located);
            }
            Err(problem) => {
                debug!("cannot ask the directory: {problem}");
                return self.tell(Event::LocateFailed);
            }
        };
        self.found(file.providers);
        self.tell(Event::Located);
    }

    pub(super) fn found(&mut self, providers: Vec<Provider>) {
        let size = self.partial.geometry().file_size();
        let networks = self.fetch.locality.then(Networks::here);
        let myself = self.member.as_ref().map(|member| member.id().clone());
        for provider in providers {
            if provider.size != size || Some(&provider.peer) == myself.as_ref() {
                continue;
            }
            let distance = networks.as_ref().map(|here| here.distance(&provider));
            let place = self
                .known
                .iter()
                .position(|k| k.provider.peer == provider.peer);
            let is_new = place.is_none();
            let id = match place {
                Some(place) => {
                    self.known[place].provider = provider;
                    place
                }
                None => {
                    self.known.push(Known::new(provider));
                    self.known.len() - 1
                }
            };
            if let (true, Some(distance)) = (is_new, distance) {
                self.tell(Event::Distance(id as ProviderId, distance));
            }
            self.tell(Event::Found(id as ProviderId));
        }
    }

    /// How long it took to connect says how far away a provider is that is in no network of ours.
    pub(super) fn note_delay(&mut self, id: ProviderId, delay: Duration) {
        let provider = &self.known[id as usize].provider;
        if self.fetch.locality && !locality::is_here(Networks::here().distance(provider)) {
            self.tell(Event::Distance(id, locality::distance_by(delay)));
        }
    }

    /// A verified piece is one that others may have.
    pub(super) fn share(&mut self, piece: u32) {
        match &self.member {
            Some(member) if member.is_providing() => {
                if self.plan.verified().contains(piece) {
                    member.add(piece);
                }
            }
            _ => self.provide_if_ready(),
        }
    }

    /// Stops providing, at the end of a download that did not end well.
    pub(super) async fn leave_swarm(&mut self) {
        if let Some(member) = self.member.take() {
            member.leave().await;
        }
    }
}
