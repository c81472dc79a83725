//! `convite invite`.

use convite_wire::invite::InviteLink;
use serde_json::json;

use crate::cli::administration::InviteArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::units;

/// Prints a new invite link.
pub async fn run(context: &Context, args: InviteArgs, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let invite = client
        .create_invite(args.uses, args.expires, args.role, args.space.as_ref())
        .await?;
    let web = invite.link.parse::<InviteLink>()?.web();
    output.result(&invite.link, || {
        json!({
            "invite": invite.link,
            "web": web,
            "expires_at": invite.expires_at,
            "uses": invite.uses,
        })
    });
    output.note(&format!("or open {web} in a browser"));
    let times = match invite.uses {
        1 => "one use".to_owned(),
        uses => format!("{uses} uses"),
    };
    output.note(&format!(
        "valid for {times} within {}; anyone with this link can join; send it privately",
        units::format_duration(args.expires)
    ));
    Ok(())
}
