//! `convite share`, `unshare` and `leave`: changes to this home's peer, running or not.

use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem, display};
use convite_peer::shares::ShareList;
use serde_json::json;

use crate::context::Context;
use crate::control::Control;
use crate::exit::Failed;
use crate::output::Output;

/// Shares a folder or file.
pub async fn share(context: &Context, folder: &Path, output: &Output) -> Result<(), Failed> {
    let folder = absolute(folder);
    let running = Control::connect(&context.home, context.credentials.as_ref()).await?;
    let name = match running {
        Some(mut control) => control.share(utf8(&folder)?).await?.name,
        None => list(context)?.add(&folder)?.name.to_string(),
    };
    let name = display::escape(&name);
    output.result(
        &format!("sharing {} as {name}", folder.display()),
        || json!({"event": "shared", "folder": folder, "name": name}),
    );
    Ok(())
}

/// Stops sharing a folder or file.
pub async fn unshare(context: &Context, folder: &Path, output: &Output) -> Result<(), Failed> {
    let folder = absolute(folder);
    match Control::connect(&context.home, context.credentials.as_ref()).await? {
        Some(mut control) => control.unshare(utf8(&folder)?).await?,
        None => list(context)?.remove(&folder).map(drop)?,
    }
    output.result(
        &format!("no longer sharing {}", folder.display()),
        || json!({"event": "unshared", "folder": folder}),
    );
    Ok(())
}

/// Stops the running peer.
pub async fn leave(context: &Context, output: &Output) -> Result<(), Failed> {
    let Some(mut control) = Control::connect(&context.home, context.credentials.as_ref()).await?
    else {
        return Err(Problem::not_found("no peer is running on this home")
            .hint("peers of other homes are named with --home DIR")
            .into());
    };
    control.leave().await?;
    output.result(
        &format!("peer {} has left", control.id),
        || json!({"event": "left", "id": control.id}),
    );
    Ok(())
}

/// The list for the next peer that is started here.
fn list(context: &Context) -> Result<ShareList, Problem> {
    let folder = context.home.peer();
    convite_client::home::create_private_folder(&folder).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("cannot use {}: {error}", folder.display()),
        )
    })?;
    ShareList::load(folder.join("shares.json"))
}

fn absolute(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder)
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.to_path_buf())
}

fn utf8(folder: &Path) -> Result<&str, Problem> {
    folder.to_str().ok_or_else(|| {
        Problem::invalid("the folder's path is not in UTF-8").hint("rename it to share it")
    })
}
