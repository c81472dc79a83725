//! Peers: registration, leases and the list of online peers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use convite_core::activity::Activity;
use convite_core::administration::AuditAction;
use convite_core::model::{Page, PeerSummary};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, SharingPolicy, SpaceName};
use convite_net::destination::{is_not_local, is_unicast};
use convite_store::{Holder, ListedPeer, Registration};

use super::paging::list_limit;
use super::{Caller, ClientAddress, Service};
use crate::authority::{PeerCertificate, requested_key};

/// Maximum number of addresses stored per peer.
const ADDRESSES_MAX: usize = 16;

/// The registration data of a peer.
#[derive(Debug, Clone)]
pub struct PeerRegistration {
    /// Its id.
    pub id: PeerId,
    /// The port that it listens on.
    pub port: u16,
    /// The addresses that it reports.
    pub addresses: Vec<PeerAddress>,
    /// PKCS #10, DER; empty for none. The key in it identifies the peer after a restart.
    pub signing_request: Vec<u8>,
    /// Identifies this run of the peer's process, if known.
    pub run: Option<[u8; 16]>,
    /// Whether the process registers for the first time.
    pub is_starting: bool,
    /// Whether the peer exists for one download: not listed, and removed when it leaves or its
    /// lease expires.
    pub transient: bool,
    /// The requests that it accepts from other accounts.
    pub terms: SharingPolicy,
}

/// The result of a registration.
#[derive(Debug, Clone)]
pub struct PeerRegistered {
    /// How long the peer is listed without a heartbeat.
    pub lease: Duration,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// The addresses that the directory lists for the peer, best first.
    pub addresses: Vec<PeerAddress>,
    /// Present if a signing request was sent and the directory has an authority.
    pub certificate: Option<PeerCertificate>,
    /// The public key for ticket signatures: Ed25519.
    pub ticket_key: [u8; 32],
}

impl Service {
    /// Lists a peer of the caller until its lease expires.
    ///
    /// # Errors
    /// Returns `peer_taken` if the id belongs to another account or to another peer that is online,
    /// or if a transient peer requests the id of a permanent one; `invalid_argument` for port 0, or
    /// an invalid signing request; `unauthenticated` if the session has ended.
    pub async fn register_peer(
        &self,
        caller: &Caller,
        endpoint: PeerRegistration,
        seen: ClientAddress,
    ) -> Result<PeerRegistered, Problem> {
        caller.require_sharing_role()?;
        let remote = seen.remote.ip().to_canonical();
        let addresses = listed_addresses(endpoint.addresses, remote, endpoint.port)?;
        let now = self.now();
        let registration = Registration {
            id: endpoint.id.clone(),
            account: caller.account,
            session: caller.session,
            addresses: addresses.clone(),
            lease: now.after(self.parts.lease),
            transient: endpoint.transient,
            terms: endpoint.terms,
            holder: Holder {
                key: if endpoint.signing_request.is_empty() {
                    None
                } else {
                    Some(requested_key(&endpoint.signing_request)?)
                },
                run: endpoint.run,
                is_starting: endpoint.is_starting,
            },
        };
        let sign = |authority: &crate::authority::Authority| {
            let lifetime = self.parts.peer_certificate_lifetime;
            let request = &endpoint.signing_request;
            authority.peer_certificate(&endpoint.id, request, lifetime, now)
        };
        // Signed first, but returned only after the store has accepted the id.
        let certificate = match &self.parts.authority {
            Some(authority) if !endpoint.signing_request.is_empty() => Some(sign(authority)?),
            _ => None,
        };
        let generation = self.store().register_peer(&registration, now).await?;
        // The session may have ended in the meantime; ending it removed only the peers listed then.
        let session = self
            .caller_of_session(caller.session, caller.client_address)
            .await;
        if let Err(problem) = session.and_then(|caller| caller.require_sharing_role()) {
            self.store()
                .leave(&endpoint.id, caller.account, now)
                .await?;
            return Err(problem);
        }
        self.peers_changed();
        self.peer_listed(&endpoint.id, generation).await;
        Ok(PeerRegistered {
            lease: self.parts.lease,
            generation,
            addresses,
            certificate,
            ticket_key: self.ticket_key(),
        })
    }

    /// Renews the lease of one of the caller's peers, and records its activity. Returns the lease
    /// and the generation of the peer's index.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no such peer, or it has left; `peer_taken` if another
    /// `run` of the peer has replaced it; `invalid_argument` for an impossible activity.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        peer: &PeerId,
        run: Option<[u8; 16]>,
        activity: Activity,
    ) -> Result<(Duration, u64), Problem> {
        let activity = activity.checked()?;
        let now = self.now();
        let lease = now.after(self.parts.lease);
        let generation = self
            .store()
            .renew_lease(peer, caller.account, run, lease, now)
            .await?;
        self.record_activity(peer, &caller.user, activity, lease)
            .await?;
        Ok((self.parts.lease, generation))
    }

    /// Removes one of the caller's peers from the list; its index is kept for its return. For an
    /// administrator, removes another account's peer together with its index; a peer that is
    /// running registers again with its existing session.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no such peer, and may not remove other accounts'
    /// peers.
    pub async fn leave(&self, caller: &Caller, peer: &PeerId) -> Result<(), Problem> {
        let left = self.store().leave(peer, caller.account, self.now()).await;
        match left {
            Err(problem) if problem.code == ErrorCode::NotFound => {
                if self.store().peer_key(peer).await?.is_none() {
                    return Err(problem);
                }
                if caller.require_admin().is_err() {
                    self.record_refusal(caller, AuditAction::PeerRemove).await?;
                    return Err(problem);
                }
                let entry = self.audit_entry(caller, AuditAction::PeerRemove, peer);
                self.store().remove_peer(peer, &entry).await?;
                self.finish_removals().await;
                self.visibility_changed().await;
            }
            left => left?,
        }
        self.peer_activity.forget(peer);
        self.peers_changed();
        Ok(())
    }

    /// Returns the online peers by id, with the number of their files that the caller may see;
    /// `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid limit or cursor.
    pub async fn list_peers(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<PeerSummary>, Problem> {
        let limit = list_limit(limit)?;
        let (viewer, now) = (&caller.viewer, self.now());
        let page = self.store().peers(viewer, limit, cursor, now).await?;
        let spaces = self.spaces_of(caller).await?;
        let peers = page.items.into_iter();
        let mut items: Vec<_> = peers
            .map(|peer| visible_to(caller, &spaces, peer))
            .collect();
        self.peer_activity.set_rates(&mut items, now);
        Ok(Page {
            items,
            next_cursor: page.next_cursor,
        })
    }

    /// Returns the spaces that the caller belongs to, by name.
    pub(super) async fn spaces_of(&self, caller: &Caller) -> Result<Vec<SpaceName>, Problem> {
        let account = self.store().account_summary(&caller.user).await?;
        Ok(account.map(|account| account.spaces).unwrap_or_default())
    }
}

/// Returns a peer as the caller sees it; `spaces` are the caller's.
pub(super) fn visible_to(caller: &Caller, spaces: &[SpaceName], peer: ListedPeer) -> PeerSummary {
    let ListedPeer { mut summary, terms } = peer;
    let may = caller.require_sharing_role().is_ok();
    let (owner, user) = (Some(&summary.user), &caller.user);
    let loads = owner == Some(user) || terms.loads.allows(owner, user, spaces);
    (summary.uploads, summary.loads) = (
        may && terms.uploads.allows(owner, user, spaces),
        may && loads,
    );
    summary
}

/// Returns the addresses of a peer that was seen at `remote`, best first: those that it reports,
/// then `remote`. Omits addresses that mean another host to other machines: loopback, unless the
/// peer is on this machine; link-local, unless the peer was seen at one; and addresses of no host.
fn listed_addresses(
    given: Vec<PeerAddress>,
    remote: IpAddr,
    port: u16,
) -> Result<Vec<PeerAddress>, Problem> {
    let observed = PeerAddress::new(&remote.to_string(), port)?;
    let mut addresses = Vec::new();
    let mut near = Vec::new();
    for address in given {
        let Some(ip) = literal(&address) else {
            // The client that dials a name checks the resolved address.
            addresses.push(address);
            continue;
        };
        if is_not_local(ip) {
            addresses.push(address);
        } else if is_unicast(ip) && !is_not_local(remote) && same_locality(ip, remote) {
            near.push(PeerAddress::new(&ip.to_string(), address.port())?);
        }
    }
    addresses.append(&mut near);
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

/// Returns the IP address that is written literally, if any.
fn literal(address: &PeerAddress) -> Option<IpAddr> {
    if address.host().eq_ignore_ascii_case("localhost") {
        Some(Ipv4Addr::LOCALHOST.into())
    } else {
        address.ip().map(|ip| ip.to_canonical())
    }
}

/// Returns whether both are loopback addresses, or both are not.
fn same_locality(one: IpAddr, other: IpAddr) -> bool {
    one.is_loopback() == other.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(given: &[&str], remote: &str) -> Vec<String> {
        let given = given.iter().map(|text| text.parse().unwrap()).collect();
        let reachable = listed_addresses(given, remote.parse().unwrap(), 5001).unwrap();
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
                    "169.254.169.254:80",
                    "[fe80::1]:5001",
                    "224.0.0.1:5001",
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
    fn a_peer_on_the_link_is_listed_there() {
        assert_eq!(
            addresses(&["127.0.0.1:5001", "169.254.7.7:5001"], "169.254.7.8"),
            ["169.254.7.7:5001", "169.254.7.8:5001"]
        );
        assert_eq!(
            addresses(&["localhost:5001", "169.254.7.7:5001"], "127.0.0.1"),
            ["127.0.0.1:5001"]
        );
    }

    #[test]
    fn the_observed_address_is_always_listed() {
        let many: Vec<String> = (1..=50).map(|i| format!("10.0.0.{i}:5001")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let kept = addresses(&many, "192.0.2.7");
        assert_eq!(kept.len(), ADDRESSES_MAX);
        assert_eq!(kept.last().unwrap(), "192.0.2.7:5001");
    }
}
