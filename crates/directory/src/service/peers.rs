//! Peers: who is online, and where.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use convite_core::activity::Activity;
use convite_core::administration::Act;
use convite_core::model::{Page, PeerSummary};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, SpaceName, Terms};
use convite_store::{ListedPeer, Registration};

use super::{Caller, Service};
use crate::authority::PeerCertificate;

/// The most addresses kept of a peer.
const ADDRESSES_MAX: usize = 16;
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// A peer as it registers.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: PeerId,
    /// The port that it listens on.
    pub port: u16,
    /// Where it says it can be dialled.
    pub addresses: Vec<PeerAddress>,
    /// PKCS #10, DER; empty for none.
    pub signing_request: Vec<u8>,
    /// It is there for one download: not listed, and forgotten when it leaves or its lease runs
    /// out.
    pub transient: bool,
    /// What it does for others.
    pub terms: Terms,
}

/// Where a call came from.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The socket's other end, or whom a trusted proxy speaks for.
    pub remote: SocketAddr,
}

impl Seen {
    /// The address alone, an IPv4 one as such.
    pub(super) fn address(self) -> IpAddr {
        self.remote.ip().to_canonical()
    }
}

/// What registering gives.
#[derive(Debug, Clone)]
pub struct PeerRegistered {
    /// For how long the peer is listed without a heartbeat.
    pub lease: Duration,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// Where the directory lists the peer as reachable, best first.
    pub addresses: Vec<PeerAddress>,
    /// If a signing request came, and the directory has an authority.
    pub certificate: Option<PeerCertificate>,
    /// The public key that tickets are signed with: Ed25519.
    pub ticket_key: [u8; 32],
}

impl Service {
    /// Puts a peer of the caller's on the list, until its lease runs out.
    ///
    /// # Errors
    /// `peer_taken` if the id belongs to another account, or a transient peer asks for one of a
    /// peer that stays; `invalid_argument` for port 0, or a signing request that is not valid;
    /// `unauthenticated` if the session has ended.
    pub async fn register_peer(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        seen: Seen,
    ) -> Result<PeerRegistered, Problem> {
        caller.must_share()?;
        let remote = seen.remote.ip().to_canonical();
        let addresses = reachable(endpoint.addresses, remote, endpoint.port)?;
        let now = self.now();
        let registration = Registration {
            id: endpoint.id.clone(),
            account: caller.account,
            session: caller.session,
            addresses: addresses.clone(),
            lease: now.after(self.parts.lease),
            transient: endpoint.transient,
            terms: endpoint.terms,
        };
        let sign = |authority: &crate::authority::Authority| {
            let lifetime = self.parts.peer_certificate_lifetime;
            let request = &endpoint.signing_request;
            authority.peer_certificate(&endpoint.id, remote, request, lifetime, now)
        };
        // Signed before, handed out after the storage has said whose the id is.
        let certificate = match &self.parts.authority {
            Some(authority) if !endpoint.signing_request.is_empty() => Some(sign(authority)?),
            _ => None,
        };
        let generation = self.store().register_peer(&registration, now).await?;
        // The session may have ended meanwhile, with the peers that there were.
        let session = self.of_session(caller.session, caller.from).await;
        if let Err(problem) = session.and_then(|caller| caller.must_share()) {
            self.store()
                .leave(&endpoint.id, caller.account, now)
                .await?;
            return Err(problem);
        }
        self.peers_changed();
        self.peer_appeared(&endpoint.id, generation).await;
        Ok(PeerRegistered {
            lease: self.parts.lease,
            generation,
            addresses,
            certificate,
            ticket_key: self.ticket_key(),
        })
    }

    /// Renews the lease of a peer of the caller's, and notes what it does; returns the lease and the
    /// generation of its index.
    ///
    /// # Errors
    /// `not_found` if the caller has no such peer, or it left; `invalid_argument` for what no peer
    /// can be doing.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        peer: &PeerId,
        activity: Activity,
    ) -> Result<(Duration, u64), Problem> {
        let activity = activity.checked()?;
        let now = self.now();
        let lease = now.after(self.parts.lease);
        let generation = self
            .store()
            .renew_lease(peer, caller.account, lease, now)
            .await?;
        self.note_activity(peer, &caller.user, activity, lease)
            .await?;
        Ok((self.parts.lease, generation))
    }

    /// Takes a peer of the caller's off the list; its index is kept for its return. A peer of
    /// somebody else's is forgotten, with its index, if the caller administers; one that runs comes
    /// back in the session that it has.
    ///
    /// # Errors
    /// `not_found` if the caller has no such peer, and may not remove others'.
    pub async fn leave(&self, caller: &Caller, peer: &PeerId) -> Result<(), Problem> {
        let left = self.store().leave(peer, caller.account, self.now()).await;
        match left {
            Err(problem) if problem.code == ErrorCode::NotFound => {
                if self.store().peer_key(peer).await?.is_none() {
                    return Err(problem);
                }
                if caller.must_administer().is_err() {
                    self.note_denied(caller, Act::PeerRemove).await?;
                    return Err(problem);
                }
                let entry = self.done(caller, Act::PeerRemove, peer);
                self.store().remove_peer(peer, &entry).await?;
                self.finish_removals().await;
                self.visibility_changed().await;
            }
            left => left?,
        }
        self.activities.forget(peer);
        self.peers_changed();
        Ok(())
    }

    /// The peers online, by id, with how many of their files the caller may see; `limit` 1 to 1,000, 100 by default.
    ///
    /// # Errors
    /// `invalid_argument` for a limit or cursor that is not valid.
    pub async fn list_peers(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<PeerSummary>, Problem> {
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let (viewer, now) = (&caller.viewer, self.now());
        let page = self.store().peers(viewer, limit, cursor, now).await?;
        let spaces = self.spaces_of(caller).await?;
        let peers = page.items.into_iter();
        let mut items: Vec<_> = peers
            .map(|peer| as_seen_by(caller, &spaces, peer))
            .collect();
        self.activities.fill_in(&mut items, now);
        Ok(Page {
            items,
            next_cursor: page.next_cursor,
        })
    }

    /// The spaces that the caller belongs to, by name.
    pub(super) async fn spaces_of(&self, caller: &Caller) -> Result<Vec<SpaceName>, Problem> {
        let account = self.store().account_summary(&caller.user).await?;
        Ok(account.map(|account| account.spaces).unwrap_or_default())
    }
}

/// What a peer is to the caller, who belongs to these spaces.
pub(super) fn as_seen_by(caller: &Caller, spaces: &[SpaceName], peer: ListedPeer) -> PeerSummary {
    let ListedPeer { mut summary, terms } = peer;
    let may = caller.must_share().is_ok();
    let (owner, user) = (Some(&summary.user), &caller.user);
    let loads = owner == Some(user) || terms.loads.lets(owner, user, spaces);
    (summary.uploads, summary.loads) =
        (may && terms.uploads.lets(owner, user, spaces), may && loads);
    summary
}

/// How many items a page may have.
pub(super) fn page_limit(asked: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid(format!(
        "the limit is 1 to {max}, not {limit}"
    )))
}

/// Where a peer seen at `remote` can be dialled, best first: what it says (without what means
/// another machine to everybody else), then the address that it was seen at.
fn reachable(
    given: Vec<PeerAddress>,
    remote: IpAddr,
    port: u16,
) -> Result<Vec<PeerAddress>, Problem> {
    let observed = PeerAddress::new(&remote.to_string(), port)?;
    let is_loopback = |address: &PeerAddress| match address.ip() {
        Some(ip) => ip.to_canonical().is_loopback(),
        None => address.host().eq_ignore_ascii_case("localhost"),
    };
    let (near, mut addresses): (Vec<_>, Vec<_>) = given
        .into_iter()
        .filter(|address| !address.ip().is_some_and(|ip| ip.is_unspecified()))
        .partition(is_loopback);
    if remote.is_loopback() {
        addresses.extend(near);
    }
    addresses.retain(|address| *address != observed);
    let mut distinct = Vec::with_capacity(ADDRESSES_MAX);
    for address in addresses {
        if distinct.len() < ADDRESSES_MAX - 1 && !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct.push(observed);
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(given: &[&str], remote: &str) -> Vec<String> {
        let given = given.iter().map(|text| text.parse().unwrap()).collect();
        let reachable = reachable(given, remote.parse().unwrap(), 5001).unwrap();
        reachable.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_remote_peer_cannot_claim_this_machine() {
        assert_eq!(
            addresses(
                &[
                    "127.0.0.1:22",
                    "localhost:22",
                    "[::ffff:127.0.0.1]:22",
                    "0.0.0.0:5001",
                    "[::]:5001",
                    "10.0.0.7:5001",
                    "peer.example:80",
                    "10.0.0.7:5001",
                    "192.0.2.7:5001",
                ],
                "192.0.2.7",
            ),
            ["10.0.0.7:5001", "peer.example:80", "192.0.2.7:5001"]
        );
    }

    #[test]
    fn a_peer_on_this_machine_is_listed_where_others_reach_it_first() {
        assert_eq!(
            addresses(&["127.0.0.1:5001", "10.0.0.7:5001"], "127.0.0.1"),
            ["10.0.0.7:5001", "127.0.0.1:5001"]
        );
    }

    #[test]
    fn the_address_seen_is_never_crowded_out() {
        let many: Vec<String> = (1..=50).map(|i| format!("10.0.0.{i}:5001")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let kept = addresses(&many, "192.0.2.7");
        assert_eq!(kept.len(), ADDRESSES_MAX);
        assert_eq!(kept.last().unwrap(), "192.0.2.7:5001");
    }
}
