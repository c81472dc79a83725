//! A scripted peer: it publishes files by REST, and serves none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::contents::hash;
use super::http::{self, Answer, Request};
use super::machine::PASSWORD;
use super::publisher::{Pending, Publisher};
use super::report::Outcome;
use super::world::World;

/// The id of the peer.
pub const PEER: &str = "script";

fn path(number: u64) -> String {
    format!("script/entry{number:05}.txt")
}

fn entry(number: u64) -> Value {
    let hash = hash(path(number).as_bytes());
    json!({"path": path(number), "hash": hash, "size": 100 + number, "modified": 7})
}

/// Publishes `new` files and removes `gone` older ones.
pub fn publish(world: &World, new: u64, gone: u64) -> Outcome {
    let mut publisher = world.publisher.lock();
    if publisher.pending.is_some() && !publisher.send(world) {
        return Outcome::Failed;
    }
    let upsert: Vec<u64> = (0..new).map(|number| publisher.next + number).collect();
    publisher.next += new;
    let remove: Vec<u64> = publisher
        .files
        .iter()
        .take(gone as usize)
        .copied()
        .collect();
    let mut files = publisher.files.clone();
    files.extend(&upsert);
    files.retain(|number| !remove.contains(number));
    for number in &upsert {
        let hash = hash(path(*number).as_bytes());
        world.model.lock().copied(&hash, [None]);
    }
    publisher.pending = Some(Pending {
        files,
        upsert,
        remove,
    });
    if publisher.send(world) {
        Outcome::Done
    } else {
        Outcome::Failed
    }
}

/// Registers again and sends the pending change. Returns the paths that must be listed then; none
/// if the directory does not answer.
pub fn settle(world: &World) -> Option<BTreeSet<String>> {
    let mut publisher = world.publisher.lock();
    publisher.token = None;
    publisher.log_in(world)?;
    if publisher.pending.is_some() && !publisher.send(world) {
        return None;
    }
    Some(publisher.files.iter().map(|number| path(*number)).collect())
}

impl Publisher {
    fn ask(
        &mut self,
        world: &World,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> Option<Answer> {
        self.turn += 1;
        let url = format!("{}{path}", world.directory_url(self.turn)?);
        let request = Request {
            method,
            url: &url,
            bearer: self.token.as_deref(),
            body: Some(body),
        };
        let machine = &world.accounts.get(world.setting.script())?.machine;
        let answer = world.check(http::send(machine, request, &world.scratch()))?;
        let said = String::from_utf8_lossy(&answer.body);
        let said: String = match answer.status {
            200 => String::new(),
            _ => said.chars().take(300).collect(),
        };
        world.report.note(&format!(
            "script: {method} {path} -> {} {said}",
            answer.status
        ));
        Some(answer)
    }

    fn log_in(&mut self, world: &World) -> Option<()> {
        if self.token.is_some() {
            return Some(());
        }
        let name = &world.accounts.get(world.setting.script())?.name;
        let peer = json!({"id": PEER, "port": 9});
        let body = json!({"user": name, "password": PASSWORD, "peer": peer});
        let answer = self.ask(world, "POST", "/login", &body)?;
        self.token = answer.json()["token"].as_str().map(str::to_owned);
        self.token.as_ref().map(|_| ())
    }

    /// Sends the pending change, unchanged until it is answered. Returns whether it was
    /// acknowledged.
    fn send(&mut self, world: &World) -> bool {
        let Some(pending) = self.pending.clone() else {
            return true;
        };
        if self.log_in(world).is_none() {
            return false;
        }
        let upsert: Vec<Value> = pending.upsert.iter().map(|number| entry(*number)).collect();
        let remove: Vec<String> = pending.remove.iter().map(|number| path(*number)).collect();
        let next = self.generation + 1;
        let change = match self.generation {
            0 => json!({"peer": PEER, "generation": next, "upsert": upsert}),
            base => json!({
                "peer": PEER, "base": base, "generation": next, "upsert": upsert, "remove": remove,
            }),
        };
        let Some(answer) = self.ask(world, "PUT", "/index", &change) else {
            return false;
        };
        let acknowledged = match answer.status {
            200 => true,
            401 | 404 => {
                self.token = None;
                false
            }
            _ if answer.json()["code"] == "generation_mismatch" => {
                // Only this script publishes as this peer, and an acknowledged change must be
                // stored.
                world.report.failure(&format!(
                    "the directory lost an acknowledged index of '{PEER}': it does not have generation {}",
                    self.generation
                ));
                false
            }
            _ => false,
        };
        if acknowledged {
            self.generation = next;
            self.files = pending.files;
            self.pending = None;
        }
        acknowledged
    }
}
