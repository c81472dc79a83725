//! A client of one directory: its session, connection and saved addresses. The operations are in
//! the other files of this crate.

use convite_core::{PeerAddress, Problem, UserName};
use convite_net::clock::DirectoryClock;
use convite_net::task;
use convite_wire::invite::Fingerprint;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use tonic::metadata::{Ascii, MetadataValue};

use crate::channel::Channel;
use crate::credentials::Credentials;
use crate::home::Home;

/// Hint for an invalid session.
pub const LOGIN_HINT: &str = "log in again with `convite login`";

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
    /// Creates a client with the credentials of a home. Without a session, only [`Self::login`] and
    /// [`Self::create_account`] work.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the credentials have no address or an invalid token.
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

    /// Returns this client with another session.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the token is invalid.
    pub fn with_token(mut self, token: &str) -> Result<Self, Problem> {
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Problem::invalid("the session token is damaged").hint(LOGIN_HINT))?;
        bearer.set_sensitive(true);
        self.bearer = Some(bearer);
        Ok(self)
    }

    /// Returns the account, if known.
    pub fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// Returns the fingerprint of the directory's authority; `None` for plaintext.
    pub fn authority(&self) -> Option<Fingerprint> {
        self.authority
    }

    /// Returns whether the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.channel.is_plaintext()
    }

    /// Returns the directory's clock, as its answers show it.
    pub fn clock(&self) -> DirectoryClock {
        self.channel.clock()
    }

    /// Returns the known addresses of the directory, best first.
    pub fn addresses(&self) -> Vec<PeerAddress> {
        self.channel.addresses()
    }

    /// Connects this client to the credentials of `home`: it saves address changes there, and reads
    /// new addresses from there when the directory is unreachable, because `convite join` may have
    /// saved some.
    pub fn kept_in(self, home: &Home, credentials: &Credentials) -> Self {
        let (home, authority) = (home.clone(), credentials.authority);
        let kept = home.clone();
        self.channel.read_addresses(move || {
            let credentials = Credentials::load(&kept).ok().flatten();
            credentials
                .filter(|credentials| credentials.authority == authority)
                .map(|credentials| credentials.addresses)
                .unwrap_or_default()
        });
        self.channel.keep_addresses(move |addresses| {
            let home = home.clone();
            task::start_blocking(move || {
                // Ignored: without the saved addresses, the next start only takes longer.
                let _ = Credentials::keep_addresses(&home, authority, addresses);
            });
        });
        self
    }
}
