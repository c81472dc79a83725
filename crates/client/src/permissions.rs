//! Permission check before a local change, so that the user sees the result at once. The directory
//! checks again when files are published.

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, SpaceName};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::convert::odd_answer;
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Checks that the account may share and, if `space` is given, that it is a member of it.
    ///
    /// # Errors
    /// Returns `permission_denied` for guests, and if the space does not exist or the account is
    /// not a member of it. Also returns the errors common to all calls.
    pub async fn may_share(&self, space: Option<&SpaceName>) -> Result<(), Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.who_am_i(request).await };
        let own = self.call(v1::WhoAmIRequest {}, call).await?;
        let role: Role = own.role.parse().map_err(odd_answer)?;
        if role == Role::Guest {
            return Err(Problem::new(
                ErrorCode::PermissionDenied,
                "guests can search and download, but not share",
            )
            .hint("ask an administrator of this directory to make you a member"));
        }
        match space {
            Some(space) if !own.spaces.iter().any(|own| own == space.as_str()) => {
                Err(Problem::new(
                    ErrorCode::PermissionDenied,
                    format!("you are not a member of space '{space}'"),
                )
                .hint("list your spaces with `convite space list`, or ask an administrator to add you"))
            }
            _ => Ok(()),
        }
    }
}
