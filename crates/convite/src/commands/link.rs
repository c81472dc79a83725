//! `convite link`.

use serde_json::json;

use super::resolve::resolve;
use crate::cli::administration::LinkArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::units;

/// Prints a link to a file for a person without an account.
pub async fn run(context: &Context, args: LinkArgs, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let resolved = resolve(&client, &args.name, output).await?;
    let (file, name) = (resolved.file, resolved.name);
    let link = client
        .create_link(&file.hash, name.as_deref(), args.expires, args.uses)
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
        1 => "one download".to_owned(),
        uses => format!("{uses} downloads"),
    };
    output.note(&format!(
        "valid for {times} within {}, in any browser; anyone with this link can download the file; send it privately",
        units::format_duration(args.expires)
    ));
    output.note(
        "an interrupted download can be restarted from the same network for ten minutes and still \
         counts as one",
    );
    Ok(())
}
