//! Loads: requests that a peer fetches a file.
//!
//! The file must be visible to the caller and to the account of the peer, in one space that both
//! belong to. The copy is shared in that space, so that it is visible only to accounts that can see
//! the original. The peer fetches the file only from providers in that space, so that a claim in
//! one space cannot cause transfers from another. A peer always accepts loads of its own account;
//! for other accounts its owner decides. A refusal by the owner and a file that the owner cannot
//! see have the same error.

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::Page;
use convite_core::remote_fetch::{
    LOAD_MESSAGE_MAX, LoadId, LoadReport, LoadState, LoadSummary, RemoteFetch,
};
use convite_core::{
    ContentHash, EntryKind, ErrorCode, PeerId, Problem, SearchScope, SpaceName, display,
};
use convite_net::random;
use convite_store::{AuditEntry, Host, NewLoad, News, OpenLoad, Viewer};

use super::paging::list_limit;
use super::{Caller, Service};

/// The current decision on an open load.
pub(super) enum FetchDecision {
    /// The peer is asked to fetch the file.
    Send(RemoteFetch),
    /// No online peer shares the file in a space that it may be copied to; checked again later.
    Wait,
    /// The account that requested the load no longer has the permission.
    Refused,
}

impl Service {
    /// Asks a peer to fetch a file and to share it, as `name` if the file has this name in the
    /// space. Repeating the request while the load is open returns the same load.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the file, the caller may not see it, or the
    /// peer does not exist; `invalid_argument` for a folder; `permission_denied` for guests, and if the peer does not accept loads
    /// from the caller; `too_many_requests` above 1,000 open loads.
    pub async fn request_remote_fetch(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
        name: &str,
    ) -> Result<LoadId, Problem> {
        if let Err(problem) = caller.require_sharing_role() {
            self.record_refusal(caller, AuditAction::LoadAdd).await?;
            return Err(problem);
        }
        let (store, now) = (self.store(), self.now());
        // Peers fetch only files.
        let kind = EntryKind::File;
        let seen = store.lies_in(&caller.viewer, hash, kind, now).await?;
        if seen.is_none() {
            return Err(self.not_located(&caller.viewer, hash, Some(kind)).await?);
        }
        let host = store.host(peer).await?;
        let host = host.ok_or_else(|| peer_not_found(peer))?;
        let target = format!("{peer} {hash}");
        let spaces = self.spaces_of(caller).await?;
        let common = self.common_spaces(&caller.viewer, &host).await?;
        let place = if accepts_fetch(&host, caller, &spaces) {
            store.lies_in(&common, hash, kind, now).await?
        } else {
            None
        };
        // Only names that the file has in this space.
        let file = match place {
            Some(place) => {
                let within = SearchScope::of_space(place.first());
                let there = self.restrict_viewer(&common, &within).await?;
                let file = store.locate(&there, hash, Some(kind), now).await?;
                let is_one = self.has_name(&there, hash, name).await?;
                file.map(|file| (file, is_one))
            }
            None => None,
        };
        let Some((file, has_name)) = file else {
            let refused = AuditEntry {
                outcome: AuditOutcome::Refused,
                ..self.audit_entry(caller, AuditAction::LoadAdd, target)
            };
            store.record(&refused).await?;
            return Err(fetch_refused(peer));
        };
        let load = NewLoad {
            id: LoadId(u64::from_be_bytes(random::bytes()?)),
            account: caller.account,
            peer: host.key,
            hash: *hash,
            size: file.size,
            name: if has_name {
                name.to_owned()
            } else {
                file.names.into_iter().next().unwrap_or_default()
            },
        };
        let entry = self.audit_entry(caller, AuditAction::LoadAdd, target);
        let (id, is_new) = store.create_load(&load, &entry, now).await?;
        if is_new {
            self.fetch_watchers.touch(peer);
            self.notify_replicas(News::Loads(vec![peer.clone()]));
            self.loads_changed.send_modify(|count| *count += 1);
        }
        Ok(id)
    }

    /// Returns the loads of the caller, newest first; `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid limit or cursor.
    pub async fn list_remote_fetches(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<LoadSummary>, Problem> {
        let limit = list_limit(limit)?;
        let now = self.now();
        self.store().loads(caller.account, limit, cursor, now).await
    }

    /// Returns the state of one of the caller's loads.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no load with this id, or its record has expired.
    pub async fn remote_fetch_state(
        &self,
        caller: &Caller,
        load: LoadId,
    ) -> Result<LoadSummary, Problem> {
        let now = self.now();
        let found = self.store().load_of(caller.account, load, now).await?;
        found.ok_or_else(|| {
            Problem::not_found(format!("you have no remote download {load}"))
                .hint("`convite load --list` shows your remote downloads of the last day")
        })
    }

    /// Records the progress of a load on one of the caller's peers.
    ///
    /// # Errors
    /// Returns `not_found` unless the load is open on this peer; `invalid_argument` for numbers out
    /// of bounds.
    pub async fn report_remote_fetch(
        &self,
        caller: &Caller,
        peer: &PeerId,
        load: LoadId,
        mut report: LoadReport,
    ) -> Result<(), Problem> {
        caller.require_sharing_role()?;
        report.message = match report.state {
            LoadState::Failed => clean_message(&report.message),
            LoadState::Waiting | LoadState::Running | LoadState::Done => String::new(),
        };
        let (store, now) = (self.store(), self.now());
        let is_over = report.state.is_final();
        store
            .report_load(peer, caller.account, load, &report, now)
            .await?;
        self.loads_changed.send_modify(|count| *count += 1);
        if is_over {
            // The peer has capacity for another load.
            self.fetch_watchers.touch(peer);
        }
        Ok(())
    }

    /// Decides what to do with a load that is open on a host.
    pub(super) async fn decide_fetch(
        &self,
        host: &Host,
        load: &OpenLoad,
    ) -> Result<FetchDecision, Problem> {
        let (store, now) = (self.store(), self.now());
        let Some(asker) = store.account_summary(&load.user).await? else {
            return Ok(FetchDecision::Refused);
        };
        let caller = Caller {
            account: load.account,
            user: load.user.clone(),
            role: asker.role,
            viewer: store.viewer(load.account).await?,
            client_address: None,
            session: Default::default(),
        };
        if asker.disabled
            || caller.require_sharing_role().is_err()
            || !accepts_fetch(host, &caller, &asker.spaces)
        {
            return Ok(FetchDecision::Refused);
        }
        let common = self.common_spaces(&caller.viewer, host).await?;
        let kind = EntryKind::File;
        let Some(place) = store.lies_in(&common, &load.hash, kind, now).await? else {
            return Ok(FetchDecision::Wait);
        };
        Ok(FetchDecision::Send(RemoteFetch {
            load: load.id,
            hash: load.hash,
            name: load.name.clone(),
            size: load.size,
            space: place.into_iter().next(),
            user: load.user.clone(),
            user_spaces: {
                let on_list = |space: &SpaceName| host.terms.loads.lists_space(space);
                asker.spaces.into_iter().filter(on_list).collect()
            },
        }))
    }

    /// Returns the spaces that both `viewer` and the owner of a peer can see.
    async fn common_spaces(&self, viewer: &Viewer, host: &Host) -> Result<Viewer, Problem> {
        let owner = self.store().viewer(host.account).await?;
        Ok(viewer.common(&owner))
    }
}

/// Returns whether a peer accepts loads from an account that belongs to these spaces.
fn accepts_fetch(host: &Host, caller: &Caller, spaces: &[SpaceName]) -> bool {
    host.account == caller.account
        || host
            .terms
            .loads
            .allows(Some(&host.user), &caller.user, spaces)
}

/// Shortens a peer's message and escapes it for terminals.
fn clean_message(message: &str) -> String {
    let short: String = message.chars().take(LOAD_MESSAGE_MAX).collect();
    display::escape(&short).into_owned()
}

fn fetch_refused(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::PermissionDenied,
        format!("peer '{peer}' does not accept this remote download from you"),
    )
    .hint("its owner allows accounts with --allow-loads, and must be able to see the file")
}

fn peer_not_found(peer: &PeerId) -> Problem {
    Problem::not_found(format!("there is no peer '{peer}'"))
        .hint("see who is online with `convite peers`")
}
