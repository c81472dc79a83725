//! `convite directory backup` and `convite directory restore`.

use std::time::SystemTime;

use convite_core::{Problem, UnixMillis};
use convite_directory::DirectoryConfig;
use convite_directory::backup::{BackupSummary, RestoreOptions, backup, restore};
use convite_net::task::blocking;
use serde_json::json;

use super::directory;
use crate::cli::{DirectoryAction, DirectoryArgs};
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;

/// Creates or restores a backup of the directory with the settings `args`.
pub async fn run(
    context: &Context,
    args: DirectoryArgs,
    action: DirectoryAction,
    output: &Output,
) -> Result<(), CommandError> {
    let config = directory::settings(&context.home, args);
    let (is_backup, copied) = match action {
        DirectoryAction::Backup(args) => {
            let work = move |config: DirectoryConfig, now| backup(&config, &args.path, now);
            (true, spawn_blocking_copy(config, work).await?)
        }
        DirectoryAction::Restore(args) => {
            let how = RestoreOptions {
                force: args.force,
                end_sessions: args.end_sessions,
            };
            let work = move |config: DirectoryConfig, now| restore(&config, &args.path, how, now);
            (false, spawn_blocking_copy(config, work).await?)
        }
    };
    let path = copied.path.display();
    let (event, line) = if is_backup {
        (
            "backup",
            format!("backup created: {path} ({} bytes)", copied.bytes),
        )
    } else {
        ("restored", format!("directory restored: {path}"))
    };
    output.result(&line, || {
        json!({
            "event": event,
            "path": copied.path,
            "files": copied.files,
            "bytes": copied.bytes,
            "made_at": copied.created.seconds(),
            "aside": copied.replaced,
        })
    });
    if is_backup {
        output
            .note("the backup contains the directory's keys: protect it like the directory itself");
        return Ok(());
    }
    if let Some(aside) = &copied.replaced {
        output.note(&format!(
            "the previous directory was moved to {}",
            aside.display()
        ));
    }
    output.note(
        "accounts, invites and sessions are those of the backup: users who logged in later must \
         log in again; peers publish their files again by themselves",
    );
    Ok(())
}

async fn spawn_blocking_copy(
    config: DirectoryConfig,
    work: impl FnOnce(DirectoryConfig, UnixMillis) -> Result<BackupSummary, Problem> + Send + 'static,
) -> Result<BackupSummary, Problem> {
    let now = UnixMillis::from(SystemTime::now());
    blocking(move || work(config, now)).await
}
