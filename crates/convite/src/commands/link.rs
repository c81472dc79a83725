//! `convite link`.

use serde_json::json;

use super::get::find;
use crate::cli::administration::LinkArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::Output;
use crate::units;

/// Prints a link to a file, for somebody without an account.
pub async fn run(context: &Context, args: LinkArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let file = find(&client, &args.name, output).await?;
    let link = client
        .create_link(&file.hash, args.expires, args.uses)
        .await?;
    output.result(&link.url, || {
        json!({
            "url": link.url,
            "hash": file.hash,
            "size": file.size,
            "expires_at": link.expires_at,
            "uses": args.uses,
        })
    });
    let times = match args.uses {
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    output.note(&format!(
        "it works {times}, for {}, in any browser; whoever has it has the file: send it privately",
        units::span(args.expires)
    ));
    output.note(
        "a download that was begun can be begun again from the same network for ten minutes, so that one \
         that breaks off is no loss",
    );
    Ok(())
}
