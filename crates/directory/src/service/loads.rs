//! Loads: having a peer fetch a file.
//!
//! Who asks must see the file, and so must the account of the peer, in one space that both belong
//! to: there the copy comes to lie, so that nobody sees it who did not see the original, and out of
//! there alone the peer fetches it, so that nobody's claim in one space draws bytes out of another.
//! What is asked of an own peer is always done; another's owner says for whom. Whether it is the
//! owner who does not want, or a file that the owner does not see, the refusal is the same.

use convite_core::administration::{Act, Outcome};
use convite_core::loads::{
    LOAD_MESSAGE_MAX, LoadId, LoadOrder, LoadReport, LoadState, LoadSummary,
};
use convite_core::model::Page;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem, SpaceName, Within, display};
use convite_store::{AuditEntry, Host, NewLoad, News, OpenLoad, Viewer};

use super::audit::{PAGE_DEFAULT, PAGE_MAX};
use super::locate::nobody_shares;
use super::peers::page_limit;
use super::{Caller, Service};

/// What becomes of a load that is due.
pub(super) enum Due {
    /// The peer is told.
    Told(LoadOrder),
    /// Nobody who is online shares the file where it may be copied to: later, perhaps.
    Later,
    /// Who asked for it may not (any more).
    Refused,
}

impl Service {
    /// Has a peer fetch a file and share it; the same asked for again, while it is not over, is the
    /// same load.
    ///
    /// # Errors
    /// `not_found` if nobody online shares the file or the caller may not know of it, and for a peer
    /// that there is not; `permission_denied` for guests, and if the peer does not do this for the
    /// caller; `too_many_requests` above 1,000 loads that are not over.
    pub async fn load_file(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
    ) -> Result<LoadId, Problem> {
        if let Err(problem) = caller.must_share() {
            self.note_denied(caller, Act::LoadAdd).await?;
            return Err(problem);
        }
        let (store, now) = (self.store(), self.now());
        let seen = store.lies_in(&caller.viewer, hash, now).await?;
        seen.ok_or_else(nobody_shares)?;
        let host = store.host(peer).await?;
        let host = host.ok_or_else(|| no_such_peer(peer))?;
        let target = format!("{peer} {hash}");
        let spaces = self.spaces_of(caller).await?;
        let common = self.common(&caller.viewer, &host).await?;
        let place = match lets(&host, caller, &spaces) {
            true => store.lies_in(&common, hash, now).await?,
            false => None,
        };
        // The names that it has there, and no other.
        let file = match place {
            Some(place) => {
                let within = Within::lying_in(place.first());
                let there = self.narrowed(&common, &within).await?;
                store.locate(&there, hash, now).await?
            }
            None => None,
        };
        let Some(file) = file else {
            let refused = AuditEntry {
                outcome: Outcome::Refused,
                ..self.done(caller, Act::LoadAdd, target)
            };
            store.record(&refused).await?;
            return Err(not_for_you(peer));
        };
        let load = NewLoad {
            id: LoadId(u64::from_be_bytes(crate::random_bytes()?)),
            account: caller.account,
            peer: host.key,
            hash: *hash,
            size: file.size,
            name: file.names.into_iter().next().unwrap_or_default(),
        };
        let entry = self.done(caller, Act::LoadAdd, target);
        let (id, is_new) = store.create_load(&load, &entry, now).await?;
        if is_new {
            self.orders.touch(peer);
            self.tell(News::Loads(vec![peer.clone()]));
            self.loads_moved.send_modify(|count| *count += 1);
        }
        Ok(id)
    }

    /// What the caller has had peers load, newest first; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `invalid_argument` for a limit or cursor that is not valid.
    pub async fn list_loads(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<LoadSummary>, Problem> {
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let now = self.now();
        self.store().loads(caller.account, limit, cursor, now).await
    }

    /// How a load of the caller's stands.
    ///
    /// # Errors
    /// `not_found` if the caller has none of that id, or it is forgotten.
    pub async fn load_summary(
        &self,
        caller: &Caller,
        load: LoadId,
    ) -> Result<LoadSummary, Problem> {
        let now = self.now();
        let found = self.store().load_of(caller.account, load, now).await?;
        found.ok_or_else(|| {
            Problem::not_found(format!("you have no load {load}"))
                .hint("`convite load --list` shows those there are; they are kept for a day")
        })
    }

    /// Notes how far a peer of the caller's is with what it was asked to load.
    ///
    /// # Errors
    /// `not_found` unless that peer, and nobody else, has still to do it; `invalid_argument` for
    /// numbers out of bounds.
    pub async fn report_load(
        &self,
        caller: &Caller,
        peer: &PeerId,
        load: LoadId,
        mut report: LoadReport,
    ) -> Result<(), Problem> {
        caller.must_share()?;
        report.message = match report.state {
            LoadState::Failed => said(&report.message),
            LoadState::Waiting | LoadState::Running | LoadState::Done => String::new(),
        };
        let (store, now) = (self.store(), self.now());
        let is_over = report.state.is_over();
        store
            .report_load(peer, caller.account, load, &report, now)
            .await?;
        self.loads_moved.send_modify(|count| *count += 1);
        if is_over {
            // There is room for the next.
            self.orders.touch(peer);
        }
        Ok(())
    }

    /// What becomes of a load that a host has still to do, as things are now.
    pub(super) async fn due(&self, host: &Host, load: &OpenLoad) -> Result<Due, Problem> {
        let (store, now) = (self.store(), self.now());
        let Some(asker) = store.account_summary(&load.user).await? else {
            return Ok(Due::Refused);
        };
        let caller = Caller {
            account: load.account,
            user: load.user.clone(),
            role: asker.role,
            viewer: store.viewer(load.account).await?,
            from: None,
            session: Default::default(),
        };
        if asker.disabled || caller.must_share().is_err() || !lets(host, &caller, &asker.spaces) {
            return Ok(Due::Refused);
        }
        let common = self.common(&caller.viewer, host).await?;
        let Some(place) = store.lies_in(&common, &load.hash, now).await? else {
            return Ok(Due::Later);
        };
        Ok(Due::Told(LoadOrder {
            load: load.id,
            hash: load.hash,
            name: load.name.clone(),
            size: load.size,
            space: place.into_iter().next(),
            user: load.user.clone(),
            user_spaces: {
                let on_list = |space: &SpaceName| host.terms.loads.names(space);
                asker.spaces.into_iter().filter(on_list).collect()
            },
        }))
    }

    /// The eyes that see what both `viewer` and the owner of a peer see.
    async fn common(&self, viewer: &Viewer, host: &Host) -> Result<Viewer, Problem> {
        let owner = self.store().viewer(host.account).await?;
        Ok(viewer.common(&owner))
    }
}

/// Whether a peer loads for an account that belongs to these spaces.
fn lets(host: &Host, caller: &Caller, spaces: &[SpaceName]) -> bool {
    host.account == caller.account
        || host
            .terms
            .loads
            .lets(Some(&host.user), &caller.user, spaces)
}

/// What a peer says, in bounds and without anything that a terminal would obey.
fn said(message: &str) -> String {
    let short: String = message.chars().take(LOAD_MESSAGE_MAX).collect();
    display::escape(&short).into_owned()
}

fn not_for_you(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::PermissionDenied,
        format!("peer '{peer}' does not load this file for you"),
    )
    .hint("its owner says for whom it loads, with --allow-loads, and has to see the file too")
}

fn no_such_peer(peer: &PeerId) -> Problem {
    Problem::not_found(format!("there is no peer '{peer}'"))
        .hint("see who is online with `convite peers`")
}
