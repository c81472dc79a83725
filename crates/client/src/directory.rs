//! The operations of the directory, as a peer and the commands call them.

use std::time::Duration;

use convite_core::activity::Activity;
use convite_core::model::{FileEntry, IndexEntry, LocatedFile, Page, PeerSummary, Role};
use convite_core::{
    ContentHash, ErrorCode, PeerAddress, PeerId, Problem, SafePath, SpaceName, Terms, UnixMillis,
    UserName, Within,
};
use convite_wire::convert;
use convite_wire::invite::Fingerprint;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use convite_wire::v1::{self, IndexHeader, IndexRequest};
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::{Ascii, MetadataValue};

use crate::answers::{Found, Invite, Lease, Published, Query, Registered};
use crate::calls::{ANSWER, again, answered};
use crate::channel::Channel;
use crate::convert::{all, odd_answer};
use crate::credentials::Credentials;
use crate::home::Home;
use crate::silence::Patience;

/// A whole index that is not taken by then has failed: it may be millions of files.
const ANSWER_INDEX: Duration = Duration::from_secs(30 * 60);
/// Files in one message: below 4 MiB with the longest paths that occur.
const BATCH: usize = 1_000;
/// What a file in a message takes besides its path, in bytes, about.
const FILE_BYTES: usize = 64;

/// A client of one directory in one session. Clones share the connection.
#[derive(Clone)]
pub struct DirectoryClient {
    pub(crate) stub: Stub<Channel>,
    pub(crate) channel: Channel,
    pub(crate) bearer: Option<MetadataValue<Ascii>>,
    user: Option<UserName>,
    authority: Option<Fingerprint>,
}

impl DirectoryClient {
    /// A client with the credentials of a home; without a session only [`Self::login`] and
    /// [`Self::create_account`] work.
    ///
    /// # Errors
    /// `invalid_argument` if they name no address, or the token is no token.
    pub fn new(credentials: &Credentials) -> Result<Self, Problem> {
        let channel = Channel::new(credentials.addresses.clone(), credentials.authority)?;
        let scheme = if channel.is_plaintext() {
            "http"
        } else {
            "https"
        };
        let origin = format!("{scheme}://{}", convite_net::tls::DIRECTORY_NAME)
            .parse()
            .map_err(|_| Problem::invalid("the directory's name is not valid"))?;
        let stub = Stub::with_origin(channel.clone(), origin).max_decoding_message_size(32 << 20);
        let client = Self {
            stub,
            channel,
            bearer: None,
            user: credentials.user.clone(),
            authority: credentials.authority,
        };
        match &credentials.token {
            Some(token) => client.with_token(token),
            None => Ok(client),
        }
    }

    /// The same client in another session.
    ///
    /// # Errors
    /// `invalid_argument` if the token is no token.
    pub fn with_token(mut self, token: &str) -> Result<Self, Problem> {
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Problem::invalid("the session token is damaged").hint(LOGIN_HINT))?;
        bearer.set_sensitive(true);
        self.bearer = Some(bearer);
        Ok(self)
    }

    /// The account, if one is known.
    pub fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// The authority that the certificates here are under; none if they speak plaintext.
    pub fn authority(&self) -> Option<Fingerprint> {
        self.authority
    }

    /// Whether the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.channel.is_plaintext()
    }

    /// Where the directory may be, best first, as far as is known by now.
    pub fn addresses(&self) -> Vec<PeerAddress> {
        self.channel.addresses()
    }

    /// The same client, which keeps in the credentials of `home` what it learns of the directory's
    /// addresses.
    pub fn kept_in(self, home: &Home, credentials: &Credentials) -> Self {
        let (home, authority) = (home.clone(), credentials.authority);
        self.channel.keep_addresses(move |addresses| {
            let home = home.clone();
            tokio::task::spawn_blocking(move || {
                // It costs a moment the next time, no more.
                let _ = Credentials::keep_addresses(&home, authority, addresses);
            });
        });
        self
    }

    /// Makes an invite. Zero `uses` or `expires_in` take the directory's defaults.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators.
    pub async fn create_invite(
        &self,
        uses: u32,
        expires_in: Duration,
        role: Role,
        space: Option<&SpaceName>,
    ) -> Result<Invite, Problem> {
        let message = v1::CreateInviteRequest {
            uses,
            expires_in: expires_in.as_secs(),
            role: role.name().to_owned(),
            space: space.map_or_else(String::new, ToString::to_string),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.create_invite(request).await };
        // A second one, of which nobody has the link, harms nobody.
        let reply = self.call(message, call).await?;
        Ok(Invite {
            link: reply.invite,
            expires_at: reply.expires_at,
            uses: reply.uses,
        })
    }

    /// Puts a peer on the list; with a signing request (PKCS #10, DER) it gets a certificate. A
    /// transient peer is there for its downloads alone: not listed, and forgotten when it leaves or
    /// its lease runs out.
    ///
    /// # Errors
    /// `peer_taken` if the id belongs to another account, or to a peer that stays while this one is
    /// transient.
    pub async fn register_peer(
        &self,
        id: &PeerId,
        port: u16,
        addresses: &[PeerAddress],
        signing_request: Option<&[u8]>,
        transient: bool,
        terms: &Terms,
    ) -> Result<Registered, Problem> {
        let message = v1::RegisterPeerRequest {
            peer: Some(v1::PeerEndpoint {
                id: id.to_string(),
                port: u32::from(port),
                addresses: convert::address_texts(addresses),
            }),
            signing_request: signing_request.unwrap_or_default().to_vec().into(),
            transient,
            uploads: terms.uploads.to_string(),
            loads: terms.loads.to_string(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.register_peer(request).await };
        let reply = self.call(message, call).await?;
        let some = |der: Vec<u8>| (!der.is_empty()).then_some(der);
        Ok(Registered {
            lease: Duration::from_millis(reply.lease_ms),
            generation: reply.generation,
            certificate: some(reply.certificate.to_vec()),
            authority: some(reply.authority.to_vec()),
            certificate_expires: UnixMillis(reply.certificate_expires_ms),
            ticket_key: reply.ticket_key.to_vec(),
            addresses: convert::addresses(&reply.addresses).map_err(odd_answer)?,
        })
    }

    /// Renews a peer's lease, and says what it does.
    ///
    /// # Errors
    /// `not_found` if the directory does not list it: it must register.
    pub async fn heartbeat(&self, id: &PeerId, activity: &Activity) -> Result<Lease, Problem> {
        let message = v1::HeartbeatRequest::of(id, activity);
        let call = |mut stub: Stub<_>, request| async move { stub.heartbeat(request).await };
        let reply = self.call(message, call).await?;
        self.heed_replicas(&reply.directories).await;
        Ok(Lease {
            lease: Duration::from_millis(reply.lease_ms),
            generation: reply.generation,
        })
    }

    /// Takes a peer off the list.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account.
    pub async fn leave(&self, id: &PeerId) -> Result<(), Problem> {
        let message = v1::LeavePeerRequest { id: id.to_string() };
        let call = |mut stub: Stub<_>, request| async move { stub.leave_peer(request).await };
        let mut tries = 0;
        let left = again(|| {
            tries += 1;
            self.once(message.clone(), call)
        });
        match left.await {
            // A transient one is forgotten: it had left, and only the answer was lost.
            Err(problem) if tries > 1 && problem.code == ErrorCode::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    /// The peers online, a page of them.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn peers(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<PeerSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListPeersRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_peers(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.peers)?,
            next_cursor: convert::some_text(reply.next_cursor),
        })
    }

    /// Publishes a change of a peer's index, from generation `base` to `generation`.
    ///
    /// # Errors
    /// `generation_mismatch` if the directory holds another generation than `base`: publish all.
    pub async fn publish_change(
        &self,
        peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem> {
        let header = IndexHeader {
            peer: peer.to_string(),
            generation,
            base: Some(base),
        };
        let names = upsert.iter().map(|file| &file.path).chain(&remove);
        let bytes: usize = names.map(|path| path.as_str().len() + FILE_BYTES).sum();
        let silence = Patience::for_bytes(bytes as u64);
        // A stream of its own for each try; the change applies once, whatever is repeated.
        let messages = change_messages(header, &upsert, &remove);
        again(|| self.index(tokio_stream::iter(messages.clone()), ANSWER, silence)).await
    }

    /// Publishes a peer's whole index.
    ///
    /// # Errors
    /// `generation_mismatch` if another attempt overtook this one.
    pub async fn publish_all(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: impl Stream<Item = Vec<FileEntry>> + Send + 'static,
    ) -> Result<Published, Problem> {
        let header = IndexRequest {
            header: Some(IndexHeader {
                peer: peer.to_string(),
                generation,
                base: None,
            }),
            ..IndexRequest::default()
        };
        let files = batches.map(|files| IndexRequest {
            upsert: files.iter().map(Into::into).collect(),
            ..IndexRequest::default()
        });
        let messages = tokio_stream::once(header).chain(files);
        self.index(messages, ANSWER_INDEX, Patience::longest())
            .await
    }

    async fn index(
        &self,
        messages: impl Stream<Item = IndexRequest> + Send + 'static,
        limit: Duration,
        silence: Patience,
    ) -> Result<Published, Problem> {
        let mut stub = self.stub.clone();
        let (request, course) = self.request(messages, silence);
        let answer = answered(limit, stub.index(request)).await;
        let reply = self.heed(answer, &course)?;
        Ok(Published {
            generation: reply.generation,
            upserted: reply.upserted,
            removed: reply.removed,
        })
    }

    /// The files of the peers online (or of one), a page of them.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_index(
        &self,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<IndexEntry>, Problem> {
        let message = v1::ListIndexRequest {
            peer: peer.map(ToString::to_string).unwrap_or_default(),
            limit,
            cursor: cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.list_index(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.entries)?,
            next_cursor: convert::some_text(reply.next_cursor),
        })
    }

    /// Ranked matches, a page of them.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn search(&self, query: Query) -> Result<Found, Problem> {
        let message = v1::SearchFileRequest {
            query: query.words,
            r#type: query.file_type.unwrap_or_default(),
            newer: query.newer.unwrap_or_default(),
            older: query.older.unwrap_or_default(),
            sort: query.sort.unwrap_or_default(),
            order: query.order.unwrap_or_default(),
            min_size: query.min_size,
            max_size: query.max_size,
            peer: query.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            space: query
                .space
                .map(|space| space.to_string())
                .unwrap_or_default(),
            limit: query.limit,
            cursor: query.cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.search_file(request).await };
        let reply = self.call(message, call).await?;
        Ok(Found {
            items: all(reply.results)?,
            next_cursor: convert::some_text(reply.next_cursor),
            indexing: reply.indexing,
        })
    }

    /// Who holds a file, with tickets.
    ///
    /// # Errors
    /// `not_found` if nobody online does.
    pub async fn locate(&self, hash: &ContentHash) -> Result<LocatedFile, Problem> {
        self.locate_within(hash, &Within::Seen).await
    }

    /// Who holds a file there, with tickets.
    ///
    /// # Errors
    /// `not_found` if nobody online does; `permission_denied` for a space that is another's.
    pub async fn locate_within(
        &self,
        hash: &ContentHash,
        within: &Within,
    ) -> Result<LocatedFile, Problem> {
        let message = v1::LocateRequest {
            hash: convert::hash_bytes(hash),
            space: within.sent().map(str::to_owned),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.locate(request).await };
        let reply = self.call(message, call).await?;
        reply.try_into().map_err(odd_answer)
    }
}

/// What to do when the session is not valid.
pub const LOGIN_HINT: &str = "log in again with `convite login`";

fn change_messages(
    header: IndexHeader,
    upsert: &[FileEntry],
    remove: &[SafePath],
) -> Vec<IndexRequest> {
    let mut messages = vec![IndexRequest {
        header: Some(header),
        ..IndexRequest::default()
    }];
    messages.extend(upsert.chunks(BATCH).map(|files| IndexRequest {
        upsert: files.iter().map(Into::into).collect(),
        ..IndexRequest::default()
    }));
    messages.extend(remove.chunks(BATCH).map(|paths| IndexRequest {
        remove: paths.iter().map(ToString::to_string).collect(),
        ..IndexRequest::default()
    }));
    messages
}
