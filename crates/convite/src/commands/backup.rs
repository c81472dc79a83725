//! `convite directory backup` and `convite directory restore`.

use std::time::SystemTime;

use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_directory::DirectoryConfig;
use convite_directory::backup::{Copied, Restoring, backup, restore};
use serde_json::json;

use super::directory;
use crate::cli::{DirectoryAction, DirectoryArgs};
use crate::context::Context;
use crate::exit::Failed;
use crate::output::Output;

/// Does what was asked for, of the directory that `args` describes.
pub async fn run(
    context: &Context,
    args: DirectoryArgs,
    action: DirectoryAction,
    output: &Output,
) -> Result<(), Failed> {
    let config = directory::settings(&context.home, args);
    let (is_backup, copied) = match action {
        DirectoryAction::Backup(args) => {
            let work = move |config: DirectoryConfig, now| backup(&config, &args.path, now);
            (true, in_background(config, work).await?)
        }
        DirectoryAction::Restore(args) => {
            let how = Restoring {
                force: args.force,
                end_sessions: args.end_sessions,
            };
            let work = move |config: DirectoryConfig, now| restore(&config, &args.path, how, now);
            (false, in_background(config, work).await?)
        }
    };
    let path = copied.path.display();
    let (event, line) = match is_backup {
        true => (
            "backup",
            format!("backup made: {path} ({} bytes)", copied.bytes),
        ),
        false => ("restored", format!("directory restored: {path}")),
    };
    output.result(&line, || {
        json!({
            "event": event,
            "path": copied.path,
            "files": copied.files,
            "bytes": copied.bytes,
            "made_at": copied.made.seconds(),
            "aside": copied.aside,
        })
    });
    if is_backup {
        output.note("it holds the directory's keys: keep it as safe as the directory itself");
        return Ok(());
    }
    if let Some(aside) = &copied.aside {
        output.note(&format!("what was there is now {}", aside.display()));
    }
    output.note(
        "accounts, invites and sessions are as they were when the backup was made: who logged in \
         later has to log in again, and peers send what they share by themselves",
    );
    Ok(())
}

async fn in_background(
    config: DirectoryConfig,
    work: impl FnOnce(DirectoryConfig, UnixMillis) -> Result<Copied, Problem> + Send + 'static,
) -> Result<Copied, Problem> {
    let now = UnixMillis::from(SystemTime::now());
    let done = tokio::task::spawn_blocking(move || work(config, now)).await;
    done.unwrap_or_else(|_| Err(Problem::new(ErrorCode::Internal, "the copying failed")))
}
