//! `convite put`: uploads to another peer's inbox.

use std::path::PathBuf;

use convite_core::{PeerId, Problem, display};
use convite_peer::put::{UploadProgress, UploadRequest, UploadResult, put};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::PutArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::outcomes::Outcomes;
use crate::output::Output;
use crate::output::progress::ProgressReporter;
use crate::{signals, units};

/// Uploads the files one after the other.
pub async fn run(context: &Context, args: PutArgs, output: &Output) -> Result<(), CommandError> {
    if let Some(folder) = args.files.iter().find(|file| file.is_dir()) {
        let shown = display::escape(&folder.to_string_lossy()).into_owned();
        return Err(CommandError::Usage(
            Problem::invalid(format!("{shown} is a folder: an inbox accepts only files"))
                .hint("give the files in it, or share the folder with `convite share DIR`"),
        ));
    }
    let client = context.client()?;
    let interrupt = signals::cancel_on_signal();
    let mut outcomes = Outcomes::new(args.files.len(), output);
    for file in args.files {
        let shown = file.to_string_lossy().into_owned();
        let upload = UploadRequest {
            directory: client.clone(),
            authority: context.require_credentials()?.authority,
            peer: args.to.clone(),
            file,
        };
        if let Err(failed) = upload_one(upload, &interrupt, output).await {
            outcomes.record_failure(&shown, failed)?;
        }
    }
    outcomes.finish()
}

async fn upload_one(
    upload: UploadRequest,
    interrupt: &CancellationToken,
    output: &Output,
) -> Result<(), CommandError> {
    let (file, peer) = (upload.file.clone(), upload.peer.clone());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut reporter = ProgressReporter::new(output, ("peer", peer.to_string()), &name, 0);
    let (sender, progress) = watch::channel(UploadProgress::default());
    let putting = put(upload, sender, interrupt.clone());
    tokio::pin!(putting);
    let mut ticks = tokio::time::interval(reporter.interval());
    // The first tick is immediate, before there is any progress.
    ticks.tick().await;
    let done = loop {
        tokio::select! {
            done = &mut putting => break done,
            _ = ticks.tick() => {
                let now = progress.borrow().clone();
                reporter.show(now.sent, now.size, None);
            }
        }
    };
    reporter.end();
    match done? {
        Some(done) => {
            print_done(&done, &file, &peer, output);
            Ok(())
        }
        None => {
            output.json_event(&json!({"event": "interrupted", "file": file, "peer": peer}));
            output.note(
                "interrupted: the peer keeps the received part for a day; the same command resumes",
            );
            Err(CommandError::Interrupted)
        }
    }
}

fn print_done(done: &UploadResult, file: &PathBuf, peer: &PeerId, output: &Output) {
    let seconds = done.took.as_secs_f64();
    let sent = done.bytes.saturating_sub(done.resumed);
    let line = format!(
        "{}: {} to {peer} in {}, {}/s, verified; stored as {}",
        display::escape(&file.to_string_lossy()),
        display::format_bytes(done.bytes),
        units::format_elapsed(done.took),
        display::format_bytes((sent as f64 / seconds.max(0.001)) as u64),
        display::escape(&done.path),
    );
    output.result(&line, || {
        json!({
            "event": "done",
            "file": file,
            "peer": peer,
            "path": done.path,
            "hash": done.hash,
            "bytes": done.bytes,
            "resumed": done.resumed,
            "seconds": seconds,
        })
    });
}
