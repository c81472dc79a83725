//! `convite share`, `unshare` and `leave`: changes to this home's peer, whether it runs or not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use convite_core::{ErrorCode, Problem, SpaceName, display};
use convite_peer::home::PeerHome;
use convite_peer::sharing::shares::{Share, ShareList};
use convite_wire::convert::some_text;
use convite_wire::v1::ShareStatus;
use serde_json::json;

use crate::cli::ShareArgs;
use crate::context::Context;
use crate::control::PeerControl;
use crate::exit::CommandError;
use crate::output::Output;

/// The timeout for the permission check by the directory.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Shares a folder or file with everyone or with the members of a space.
pub async fn share(
    context: &Context,
    args: ShareArgs,
    output: &Output,
) -> Result<(), CommandError> {
    let ShareArgs { folder, space } = args;
    let folder = absolute(&folder);
    check_permission(context, space.as_ref(), output).await?;
    let running = PeerControl::connect(&context.home, context.credentials.as_ref()).await?;
    let runs = running.is_some();
    let (name, shown_to) = match running {
        Some(mut control) => {
            let share = control.share(utf8(&folder)?, space.as_ref()).await?;
            (share.name, some_text(share.space))
        }
        None => {
            let share = StoredShares::load(context)?
                .list
                .add(&folder, space.clone())?;
            (share.name, share.space.map(|space| space.to_string()))
        }
    };
    let with = match &shown_to {
        Some(space) => format!(" with the space {space}"),
        None => String::new(),
    };
    output.result(
        &format!(
            "sharing {} as {}{with}",
            folder.display(),
            display::escape(&name)
        ),
        || json!({"event": "shared", "folder": folder, "name": name, "space": shown_to}),
    );
    if !runs {
        output.note("no peer is running on this home: sharing starts with `convite peer`");
    }
    if space.is_none() && shown_to.is_some() {
        output.note("it stays in its space: to share it with everyone, first `convite unshare` it");
    }
    Ok(())
}

/// Checks with the directory that this account may share, and in `space` if given. If the directory is
/// unreachable, it decides when files are published; `convite status` shows the result.
async fn check_permission(
    context: &Context,
    space: Option<&SpaceName>,
    output: &Output,
) -> Result<(), Problem> {
    let Ok(client) = context.client() else {
        return Ok(());
    };
    let answer = match tokio::time::timeout(ANSWER_TIMEOUT, client.may_share(space)).await {
        Ok(answer) => answer,
        Err(_) => Err(Problem::new(ErrorCode::Unavailable, "it does not answer")),
    };
    match answer {
        Err(problem) if problem.code == ErrorCode::PermissionDenied => Err(problem),
        Err(problem) => {
            output.note(&format!(
                "the directory could not check your permission: {problem}"
            ));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Stops sharing a folder or file.
pub async fn unshare(
    context: &Context,
    folder: &Path,
    output: &Output,
) -> Result<(), CommandError> {
    let folder = absolute(folder);
    let rest: Vec<(PathBuf, Option<String>)> =
        match PeerControl::connect(&context.home, context.credentials.as_ref()).await? {
            Some(mut control) => {
                control.unshare(utf8(&folder)?).await?;
                let shares = control.status().await?.shares.into_iter();
                let about = |share: ShareStatus| (share.folder.into(), some_text(share.space));
                shares.map(about).collect()
            }
            None => {
                let mut stored = StoredShares::load(context)?;
                stored.list.remove(&folder)?;
                let about = |share: &Share| {
                    let space = share.space.as_ref().map(ToString::to_string);
                    (share.root.to_path_buf(), space)
                };
                stored.list.all().iter().map(about).collect()
            }
        };
    output.result(
        &format!("no longer sharing {}", folder.display()),
        || json!({"event": "unshared", "folder": folder}),
    );
    // The innermost share that contains the folder decides from now on.
    let around = rest.iter().filter(|(root, _)| folder.starts_with(root));
    if let Some((root, space)) = around.max_by_key(|(root, _)| root.as_os_str().len()) {
        let with = space
            .as_ref()
            .map_or("everyone".to_owned(), |space| format!("the space {space}"));
        output.note(&format!(
            "it is still shared with {with} as a part of {}",
            root.display()
        ));
    }
    Ok(())
}

/// Stops the running peer.
pub async fn leave(context: &Context, output: &Output) -> Result<(), CommandError> {
    let Some(mut control) =
        PeerControl::connect(&context.home, context.credentials.as_ref()).await?
    else {
        return Err(Problem::not_found("no peer is running on this home")
            .hint("start one with `convite peer`, or select another home with --home DIR")
            .into());
    };
    control.leave().await?;
    output.result(
        &format!("peer {} has left", control.id),
        || json!({"event": "left", "id": control.id}),
    );
    Ok(())
}

/// The shares of a home on which no peer runs, for the next start of its peer.
struct StoredShares {
    list: ShareList,
    /// Keeps a peer from starting with the old list.
    _home: PeerHome,
}

impl StoredShares {
    fn load(context: &Context) -> Result<Self, Problem> {
        let home = PeerHome::open(context.home.root()).map_err(|problem| match problem.code {
            ErrorCode::InUse => Problem::new(ErrorCode::InUse, "the peer of this home is starting")
                .hint("try again in a moment"),
            _ => problem,
        })?;
        Ok(Self {
            list: ShareList::load(home.path("shares.json"))?,
            _home: home,
        })
    }
}

fn absolute(folder: &Path) -> PathBuf {
    dunce::canonicalize(folder)
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.to_path_buf())
}

fn utf8(folder: &Path) -> Result<&str, Problem> {
    folder.to_str().ok_or_else(|| {
        Problem::invalid("the folder's path is not valid UTF-8").hint("rename it to share it")
    })
}
