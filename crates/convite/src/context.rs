//! What most commands begin with: the home, its credentials, and a client in a session.

use std::path::PathBuf;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::{ErrorCode, Problem};

/// The home that was typed, else that of the environment. (Clap would show one of the environment
/// in every usage line, as if it had to be typed.)
pub fn named_home(typed: Option<PathBuf>) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("CONVITE_HOME").filter(|home| !home.is_empty());
    typed.or_else(|| from_environment().map(PathBuf::from))
}

/// A home with what it knows of its directory.
pub struct Context {
    pub home: Home,
    pub credentials: Option<Credentials>,
}

impl Context {
    /// Opens the home that was named, or the platform's.
    ///
    /// # Errors
    /// If it cannot be used, or its credentials are damaged.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Problem> {
        let root = match home {
            Some(home) => home,
            None => Home::default_root()?,
        };
        let home = Home::open(root)?;
        let credentials = Credentials::load(&home)?;
        Ok(Self { home, credentials })
    }

    /// The credentials of a home that joined.
    ///
    /// # Errors
    /// `unauthenticated` if it did not.
    pub fn joined(&self) -> Result<&Credentials, Problem> {
        self.credentials.as_ref().ok_or_else(|| {
            Problem::new(
                ErrorCode::Unauthenticated,
                "this home has not joined a directory",
            )
            .hint("join one with `convite join LINK`, or start one with `convite up DIR`")
        })
    }

    /// A client in a session.
    ///
    /// # Errors
    /// `unauthenticated` if there is none.
    pub fn client(&self) -> Result<DirectoryClient, Problem> {
        let credentials = self.joined()?;
        if credentials.token.is_none() {
            return Err(
                Problem::new(ErrorCode::Unauthenticated, "this home is not logged in")
                    .hint("log in with `convite login`"),
            );
        }
        Ok(DirectoryClient::new(credentials)?.kept_in(&self.home, credentials))
    }
}
