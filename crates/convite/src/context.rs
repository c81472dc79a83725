//! The context of a command: the home, its credentials and a client with a session.

use std::path::PathBuf;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::{ErrorCode, Problem};

/// Returns the home given as an argument, else the one in `$CONVITE_HOME`. The variable is not read by
/// clap, because clap would then show it in every usage line.
pub fn home_from(typed: Option<PathBuf>) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("CONVITE_HOME").filter(|home| !home.is_empty());
    typed.or_else(|| from_environment().map(PathBuf::from))
}

/// A home and the credentials for its directory.
pub struct Context {
    pub home: Home,
    pub credentials: Option<Credentials>,
}

impl Context {
    /// Opens `home`, or the platform's default home.
    ///
    /// # Errors
    /// Fails if the home cannot be used or its credentials are damaged.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Problem> {
        let root = match home {
            Some(home) => home,
            None => Home::default_root()?,
        };
        let home = Home::open(root)?;
        let credentials = Credentials::load(&home)?;
        Ok(Self { home, credentials })
    }

    /// Like [`Self::open`], for a command that creates new credentials: unreadable credentials are
    /// ignored.
    ///
    /// # Errors
    /// Fails if the home cannot be used.
    pub fn open_to_join(home: Option<PathBuf>) -> Result<Self, Problem> {
        let root = match home {
            Some(home) => home,
            None => Home::default_root()?,
        };
        let home = Home::open(root)?;
        let credentials = Credentials::load(&home).unwrap_or_default();
        Ok(Self { home, credentials })
    }

    /// Returns the credentials.
    ///
    /// # Errors
    /// Returns `unauthenticated` if the home has not joined a directory.
    pub fn require_credentials(&self) -> Result<&Credentials, Problem> {
        self.credentials.as_ref().ok_or_else(|| {
            Problem::new(
                ErrorCode::Unauthenticated,
                "this home has not joined a directory",
            )
            .hint("join one with `convite join`, or start one with `convite up DIR`")
        })
    }

    /// Returns a client with the home's session.
    ///
    /// # Errors
    /// Returns `unauthenticated` if the home has not joined or is not logged in.
    pub fn client(&self) -> Result<DirectoryClient, Problem> {
        let credentials = self.require_credentials()?;
        if credentials.token.is_none() {
            return Err(
                Problem::new(ErrorCode::Unauthenticated, "this home is not logged in")
                    .hint("log in with `convite login`"),
            );
        }
        Ok(DirectoryClient::new(credentials)?.kept_in(&self.home, credentials))
    }
}
