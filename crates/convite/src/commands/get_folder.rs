//! `convite get FOLDER`: downloads a folder as one transfer.

use std::path::PathBuf;

use convite_client::DirectoryClient;
use convite_core::{Problem, SearchScope, display};
use convite_peer::folder_download::{
    FolderDownload, FolderProgress, FolderRequest, FolderResult, download_folder,
};
use convite_peer::folder_target::{ArrivalOptions, ArrivalPlan, PlannedAction, Selection};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::resolve::Resolved;
use crate::cli::GetArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::output::progress::{ProgressReporter, format_files, format_sources};
use crate::units;

/// Returns the parameters of the download of `found` to `target`.
///
/// # Errors
/// Returns `unauthenticated` if the home has not joined a directory.
pub fn request(
    context: &Context,
    client: &DirectoryClient,
    args: &GetArgs,
    found: Resolved,
    target: PathBuf,
) -> Result<FolderRequest, Problem> {
    Ok(FolderRequest {
        home: context.home.clone(),
        directory: client.clone(),
        authority: context.require_credentials()?.authority,
        folder: found.file,
        within: SearchScope::Visible,
        target,
        place: found.place.unwrap_or_default(),
        options: ArrivalOptions {
            selection: Selection {
                include: args.folder.include.clone(),
                exclude: args.folder.exclude.clone(),
            },
            update: args.folder.update,
            delete: args.folder.delete,
            rename_collisions: args.folder.rename_collisions,
        },
        dry_run: args.folder.dry_run,
        locality: !args.no_locality,
        download_limit: args.download_limit,
    })
}

/// Downloads a folder and prints the result.
pub async fn get(
    request: FolderRequest,
    interrupt: &CancellationToken,
    output: &Output,
) -> Result<(), CommandError> {
    let path = request.target.clone();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let id = ("hash", request.folder.hash.to_string());
    let mut reporter = ProgressReporter::new(output, id, &name, request.folder.size);
    let (sender, progress) = watch::channel(FolderProgress::default());
    let downloading = download_folder(request, sender, interrupt.clone());
    tokio::pin!(downloading);
    let mut ticks = tokio::time::interval(reporter.interval());
    // The first tick is immediate, before there is any progress.
    ticks.tick().await;
    let ended = loop {
        tokio::select! {
            ended = &mut downloading => break ended,
            _ = ticks.tick() => {
                let now = progress.borrow().clone();
                reporter.set_files(now.files, now.files_total);
                reporter.show(now.bytes, now.size, Some(now.providers));
            }
        }
    };
    reporter.end();
    match ended? {
        FolderDownload::Done(done) => {
            print_done(&done, output);
            Ok(())
        }
        FolderDownload::Planned(plan) => {
            print_plan(&plan, output);
            Ok(())
        }
        FolderDownload::Interrupted => {
            let now = progress.borrow().clone();
            output.json_event(&json!({
                "event": "interrupted",
                "kind": "folder",
                "path": path,
                "bytes": now.bytes,
                "files": now.files,
                "files_total": now.files_total,
            }));
            output.note(&format!(
                "interrupted: {} of {} are kept in {}; the same command resumes the download",
                display::format_bytes(now.bytes),
                display::format_bytes(now.size),
                display::escape(&path.to_string_lossy()),
            ));
            Err(CommandError::Interrupted)
        }
    }
}

fn print_done(done: &FolderResult, output: &Output) {
    let seconds = done.took.as_secs_f64();
    let path = done.path.display().to_string();
    for kept in &done.kept_others {
        let kept = display::escape(kept.as_str());
        output.note(&format!("a file that differed is kept as {kept}"));
    }
    let files = format_files(done.files);
    let removed = match done.removed.len() as u64 {
        0 => String::new(),
        count => format!("; {} removed", format_files(count)),
    };
    let line = if done.placed == 0 {
        format!(
            "{}: {files}, already there{removed}",
            display::escape(&path)
        )
    } else {
        let rate = done.received as f64 / seconds.max(0.001);
        format!(
            "{}: {files}, {} ({} received) in {}, {}/s from {}, verified{removed}",
            display::escape(&path),
            display::format_bytes(done.bytes),
            display::format_bytes(done.received),
            units::format_elapsed(done.took),
            display::format_bytes(rate as u64),
            format_sources(done.providers.len()),
        )
    };
    output.result(&line, || {
        json!({
            "event": "done",
            "kind": "folder",
            "path": path,
            "hash": done.hash,
            "bytes": done.bytes,
            "files": done.files,
            "files_total": done.files,
            "placed": done.placed,
            "received": done.received,
            "resumed": done.resumed,
            "seconds": seconds,
            "providers": done.providers,
            "kept": done.kept_others,
            "removed": done.removed,
            "already_there": done.placed == 0,
        })
    });
}

fn print_plan(plan: &ArrivalPlan, output: &Output) {
    for change in &plan.changes {
        let (action, mark) = match change.action {
            PlannedAction::Create => ("create", "+"),
            PlannedAction::Replace => ("replace", "~"),
            PlannedAction::KeepOther => ("keep_other", "!"),
            PlannedAction::Remove => ("remove", "-"),
        };
        let line = format!("{mark} {}", display::escape(change.path.as_str()));
        output.result(&line, || {
            json!({
                "event": "planned",
                "action": action,
                "path": change.path,
                "size": change.size,
            })
        });
    }
    output.note(&format!(
        "{} of {}, {}, are there already; nothing was changed",
        plan.kept,
        format_files(plan.files),
        display::format_bytes(plan.bytes),
    ));
}
