//! Whether an account may share, and in which spaces: asked before something is changed here, so that
//! whoever types it gets the answer at once. The directory decides again when files are published.

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, SpaceName};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::DirectoryClient;
use crate::convert::odd_answer;

impl DirectoryClient {
    /// Checks that the account may share, and that it belongs to `space`, if one is named.
    ///
    /// # Errors
    /// `permission_denied` for guests, for a space that the account does not belong to, and for one
    /// that does not exist; those of every call.
    pub async fn may_share(&self, space: Option<&SpaceName>) -> Result<(), Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.who_am_i(request).await };
        let own = self.call(v1::WhoAmIRequest {}, call).await?;
        let role: Role = own.role.parse().map_err(odd_answer)?;
        if role == Role::Guest {
            return Err(
                Problem::new(ErrorCode::PermissionDenied, "guests search and fetch only")
                    .hint("ask an administrator of this directory to make you a member"),
            );
        }
        match space {
            Some(space) if !own.spaces.iter().any(|own| own == space.as_str()) => {
                Err(Problem::new(
                    ErrorCode::PermissionDenied,
                    format!("you do not belong to a space '{space}'"),
                )
                .hint("see yours with `convite space list`, or ask an administrator to let you in"))
            }
            _ => Ok(()),
        }
    }
}
