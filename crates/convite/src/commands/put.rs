//! `convite put`: files for another peer's inbox.

use std::path::PathBuf;

use convite_core::{PeerId, Problem, display};
use convite_peer::put::{Done, Progress, Put, put};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::PutArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::Output;
use crate::output::progress::Reporter;
use crate::{stop, units};

/// Uploads what was named, one after the other.
pub async fn run(context: &Context, args: PutArgs, output: &Output) -> Result<(), Failed> {
    if let Some(folder) = args.files.iter().find(|file| file.is_dir()) {
        let shown = display::escape(&folder.to_string_lossy()).into_owned();
        return Err(Failed::Usage(
            Problem::invalid(format!("{shown} is a folder: an inbox takes files"))
                .hint("name the files in it, or let others fetch it with `convite share DIR`"),
        ));
    }
    let client = context.client()?;
    let interrupt = stop::on_signal();
    for file in args.files {
        let upload = Put {
            directory: client.clone(),
            authority: context.joined()?.authority,
            peer: args.to.clone(),
            file,
        };
        upload_one(upload, &interrupt, output).await?;
    }
    Ok(())
}

async fn upload_one(
    upload: Put,
    interrupt: &CancellationToken,
    output: &Output,
) -> Result<(), Failed> {
    let (file, peer) = (upload.file.clone(), upload.peer.clone());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut reporter = Reporter::new(output, ("peer", peer.to_string()), &name, 0);
    let (sender, progress) = watch::channel(Progress::default());
    let putting = put(upload, sender, interrupt.clone());
    tokio::pin!(putting);
    let mut ticks = tokio::time::interval(reporter.interval());
    // The first comes at once: there is nothing to show yet.
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
            tell_done(&done, &file, &peer, output);
            Ok(())
        }
        None => {
            output.event(&json!({"event": "interrupted", "file": file, "peer": peer}));
            output.note(
                "interrupted: what came over is kept there for a day; the same command goes on",
            );
            Err(Failed::Interrupted)
        }
    }
}

fn tell_done(done: &Done, file: &PathBuf, peer: &PeerId, output: &Output) {
    let seconds = done.took.as_secs_f64();
    let sent = done.bytes.saturating_sub(done.resumed);
    let line = format!(
        "{}: {} to {peer} in {}, {}/s, verified; it is {} there",
        display::escape(&file.to_string_lossy()),
        display::bytes(done.bytes),
        units::took(done.took),
        display::bytes((sent as f64 / seconds.max(0.001)) as u64),
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
