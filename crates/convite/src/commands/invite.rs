//! `convite invite`.

use convite_wire::invite::InviteLink;
use serde_json::json;

use crate::cli::administration::InviteArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::Output;
use crate::units;

/// Prints a new invite link.
pub async fn run(context: &Context, args: InviteArgs, output: &Output) -> Result<(), Failed> {
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
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    output.note(&format!(
        "it works {times}, for {}; whoever has it can join: send it privately",
        units::span(args.expires)
    ));
    Ok(())
}
