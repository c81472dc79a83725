//! Changes that a directory or a peer acknowledges: spaces, members, shares, invites. A change with
//! an unknown outcome is repeated in the next calm, and no conflicting change is made before.

use super::model::Space;
use super::plan::{FOLDERS, Operation};
use super::report::Outcome;
use super::world::World;

/// The folder that is shared and unshared repeatedly.
const EXTRA: &str = FOLDERS[2];

/// Runs one of these operations.
pub fn run(world: &World, queue: usize, operation: &Operation) -> Outcome {
    if is_blocked(world, queue, operation) {
        return Outcome::Skipped;
    }
    let outcome = attempt(world, queue, operation);
    if outcome == Outcome::Failed {
        world
            .unknown_outcomes
            .lock()
            .push((queue, operation.clone()));
    }
    outcome
}

/// Returns the subject of an operation. An operation runs only if the outcome of the previous one
/// with the same subject is known.
fn subject(queue: usize, operation: &Operation) -> String {
    match operation {
        Operation::AddMember(space, account) | Operation::RemoveMember(space, account) => {
            format!("member {space} {account}")
        }
        Operation::Invite(name) => format!("invite {name}"),
        _ => format!("share {queue}"),
    }
}

fn is_blocked(world: &World, queue: usize, operation: &Operation) -> bool {
    let wanted = subject(queue, operation);
    let unknown = world.unknown_outcomes.lock();
    unknown
        .iter()
        .any(|(queue, other)| subject(*queue, other) == wanted)
}

/// Repeats changes with an unknown outcome; those that fail again are kept.
pub fn settle(world: &World) {
    let unknown = std::mem::take(&mut *world.unknown_outcomes.lock());
    for (queue, operation) in unknown {
        if attempt(world, queue, &operation) == Outcome::Failed {
            world.unknown_outcomes.lock().push((queue, operation));
        }
    }
}

fn attempt(world: &World, queue: usize, operation: &Operation) -> Outcome {
    let account = world.setting.account_of(queue);
    match operation {
        Operation::Share(space) => share(world, account, *space),
        Operation::Unshare => unshare(world, account),
        Operation::Invite(name) => invite(world, name),
        Operation::AddMember(space, member) => add_member(world, space, *member),
        Operation::RemoveMember(space, member) => remove_member(world, space, *member),
        _ => Outcome::Skipped,
    }
}

/// Shares the extra folder. If it is shared with a space already, it stays there unless another
/// space is named.
fn share(world: &World, account: usize, space: Space) -> Outcome {
    let place = (account, EXTRA);
    let folder = world.folder_of(place).to_string_lossy().into_owned();
    let mut words = vec!["share", folder.as_str()];
    words.extend(space.iter().flat_map(|space| ["--space", space]));
    world.model.lock().sharing_begins(place, space);
    let Some(ran) = world.run(account, &words) else {
        return Outcome::Failed;
    };
    let mut model = world.model.lock();
    if let (true, Some(event)) = (ran.is_ok(), ran.event("shared")) {
        let said = event["space"].as_str();
        let now = super::plan::SPACES.iter().find(|name| Some(**name) == said);
        model.sharing_settled(place, Some(now.copied()));
        return Outcome::Done;
    }
    if ran.error() == "permission_denied" {
        // Nothing has changed: an account that is not a member of a space cannot share with it.
        let before = model.terms(place);
        model.sharing_settled(place, before);
        return Outcome::Done;
    }
    model.sharing_unknown(place);
    Outcome::Failed
}

fn unshare(world: &World, account: usize) -> Outcome {
    let place = (account, EXTRA);
    let folder = world.folder_of(place).to_string_lossy().into_owned();
    world.model.lock().sharing_unknown(place);
    let Some(ran) = world.run(account, &["unshare", &folder]) else {
        return Outcome::Failed;
    };
    if ran.is_ok() || ran.error() == "not_found" {
        world.model.lock().sharing_settled(place, None);
        return Outcome::Done;
    }
    Outcome::Failed
}

fn add_member(world: &World, space: &'static str, member: usize) -> Outcome {
    let name = &world.accounts[member].name;
    world.model.lock().may_be_member(space, member, world.now());
    let ran = world.run(0, &["space", "member", "add", space, name]);
    if ran.is_some_and(|ran| ran.is_ok()) {
        Outcome::Done
    } else {
        Outcome::Failed
    }
}

fn remove_member(world: &World, space: &'static str, member: usize) -> Outcome {
    let name = &world.accounts[member].name;
    let Some(ran) = world.run(0, &["space", "member", "remove", space, name]) else {
        return Outcome::Failed;
    };
    if ran.is_ok() || ran.error() == "not_found" {
        world
            .model
            .lock()
            .member_removed(space, member, world.now());
        return Outcome::Done;
    }
    Outcome::Failed
}

/// Invites a new account, which joins. If the outcome of a `join` is unknown, it is repeated with
/// another invite, and logs in if the account exists.
fn invite(world: &World, name: &str) -> Outcome {
    let Some(ran) = world.run(0, &["invite"]) else {
        return Outcome::Failed;
    };
    let link = ran.events.iter().find_map(|event| event["invite"].as_str());
    let (true, Some(link)) = (ran.is_ok(), link) else {
        return Outcome::Failed;
    };
    let machine = &world.accounts[world.setting.guest()].machine;
    let home = machine.folder.join(name);
    let words = ["join", link, "--user", name];
    let Some(ran) = world.run_at(machine, &home, &words, None) else {
        return Outcome::Failed;
    };
    if ran.is_ok() {
        world.model.lock().account_made(name);
        Outcome::Done
    } else {
        Outcome::Failed
    }
}
