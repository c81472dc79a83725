//! `CreateAccount`.

use convite_core::Problem;
use convite_wire::v1;
use tonic::Request;

use super::api::{DirectoryService, seen};

pub(super) async fn create_account(
    api: &DirectoryService,
    request: Request<v1::CreateAccountRequest>,
) -> Result<v1::CreateAccountReply, Problem> {
    let seen = seen(&request)?;
    let message = request.into_inner();
    let user = message.user.parse()?;
    let account = api
        .service
        .create_account(&message.invite, &user, &message.password, seen)
        .await?;
    Ok(v1::CreateAccountReply {
        user: account.user.to_string(),
        role: account.role.name().to_owned(),
    })
}
