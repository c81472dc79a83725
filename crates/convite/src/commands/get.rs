//! `convite get`: finds files, downloads them from all providers, verifies them and moves them into
//! place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use convite_client::Home;
use convite_core::model::LocatedFile;
use convite_core::path::local_file_name;
use convite_core::{ContentHash, Problem, SearchScope, display};
use convite_net::task;
use convite_peer::download::unfinished::{UnfinishedDownload, sweep};
use convite_peer::download::{
    DownloadProgress, DownloadRequest, DownloadResult, Storage, Target, TransientPeerConfig,
    download,
};
use convite_peer::folder_target::UnfinishedFolder;
use convite_peer::folder_target::record::is_recorded;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::get_folder;
use super::resolve::{Resolved, resolve_content};
use crate::cli::GetArgs;
use crate::clock_warning;
use crate::context::Context;
use crate::exit::CommandError;
use crate::outcomes::Outcomes;
use crate::output::Output;
use crate::output::progress::{ProgressReporter, format_sources};
use crate::session::transient_peer_config;
use crate::{signals, units};

/// The maximum wait, with `--stay`, until the directory lists the download as a provider.
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Downloads the named files one after the other. A failed download does not stop the others.
pub async fn run(context: &Context, args: GetArgs, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let destination = Destination::of(&args)?;
    let interrupt = signals::cancel_on_signal();
    let mut members = Vec::new();
    let (mut total, mut outcomes) = (Totals::default(), Outcomes::new(args.names.len(), output));
    // Awaited at the end: an expired download that is requested again must be resumed first.
    let sweeping = sweep_home(context.home.clone());
    for name in &args.names {
        let found = tokio::select! {
            found = resolve_content(&client, name, output) => found,
            () = interrupt.cancelled() => return Err(CommandError::Interrupted),
        };
        let found = match found {
            Ok(found) => found,
            // The other names cannot be resolved either.
            Err(failed) if failed.is_directory_unavailable() => return Err(failed),
            Err(failed) => {
                outcomes.record_failure(name, failed)?;
                continue;
            }
        };
        if name == &args.names[0] {
            clock_warning::print_difference(&client, output);
        }
        if !found.file.kind.is_file() {
            let target = destination.folder_target(&found, &context.home);
            let request = get_folder::request(context, &client, &args, found, target)?;
            if let Err(failed) = get_folder::get(request, &interrupt, output).await {
                outcomes.record_failure(name, failed)?;
            }
            continue;
        }
        let fetch = DownloadRequest {
            home: context.home.clone(),
            directory: client.clone(),
            authority: context.require_credentials()?.authority,
            target: destination.target(&found, args.force),
            file: found.file,
            within: SearchScope::Visible,
            locality: !args.no_locality,
            download_limit: args.download_limit,
            member: Some(TransientPeerConfig {
                stay_after_download: args.stay.is_some(),
                ..transient_peer_config(context, args.bind, args.upload_limit)?
            }),
            storage: Storage {
                retention: args.keep_for,
                ..Storage::default()
            },
        };
        match get(fetch, &interrupt, output).await {
            Ok(None) => {}
            Ok(Some(fetched)) => {
                total.add(&fetched);
                if args.stay.is_some() && fetched.member.is_none() {
                    output.note(
                        "this file is not served to other peers; share it with `convite share`",
                    );
                }
                members.extend(fetched.member);
            }
            Err(failed) => outcomes.record_failure(name, failed)?,
        }
    }
    if total.files > 1 {
        output.note(&total.to_string());
    }
    if let (Some(stay), false) = (args.stay, members.is_empty()) {
        output.note(&format!(
            "serving other peers for {}; Ctrl-C stops",
            units::format_duration(stay)
        ));
        tokio::select! {
            () = tokio::time::sleep(stay) => {}
            () = interrupt.cancelled() => {}
        }
    }
    for member in members {
        member.leave().await;
    }
    sweeping.await;
    outcomes.finish()
}

/// The totals of several downloads.
#[derive(Default)]
struct Totals {
    files: usize,
    bytes: u64,
    received: u64,
    took: Duration,
}

impl Totals {
    fn add(&mut self, fetched: &DownloadResult) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(fetched.bytes);
        self.received = self.received.saturating_add(fetched.received);
        self.took += fetched.took;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, bytes) = (self.files, display::format_bytes(self.bytes));
        let (received, took) = (
            display::format_bytes(self.received),
            units::format_elapsed(self.took),
        );
        write!(f, "{files} files, {bytes}: {received} received in {took}")
    }
}

async fn get(
    fetching: DownloadRequest,
    interrupt: &CancellationToken,
    output: &Output,
) -> Result<Option<DownloadResult>, CommandError> {
    let stays = fetching
        .member
        .as_ref()
        .is_some_and(|member| member.stay_after_download);
    let path = fetching.target.path.clone();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut reporter = ProgressReporter::new(
        output,
        ("hash", fetching.file.hash.to_string()),
        &name,
        fetching.file.size,
    );
    let (sender, progress) = watch::channel(DownloadProgress::default());
    let fetching = download(fetching, sender, interrupt.clone());
    tokio::pin!(fetching);
    let mut ticks = tokio::time::interval(reporter.interval());
    // The first tick is immediate, before there is any progress.
    ticks.tick().await;
    let fetched = loop {
        tokio::select! {
            fetched = &mut fetching => break fetched,
            _ = ticks.tick() => {
                let now = progress.borrow().clone();
                reporter.show(now.verified, now.size, Some(now.providers));
            }
        }
    };
    reporter.end();
    match fetched? {
        Some(mut fetched) => {
            if let (true, Some(member)) = (stays, &mut fetched.member) {
                tokio::select! {
                    listed = timeout(LISTING_TIMEOUT, member.wait_listed()) => warn_unlisted(listed, output),
                    () = interrupt.cancelled() => {}
                }
            }
            print_done(&fetched, progress.borrow().resumed, output);
            Ok(Some(fetched))
        }
        None => {
            print_interrupted(&path, progress.borrow().kept.as_ref(), output);
            Err(CommandError::Interrupted)
        }
    }
}

fn print_interrupted(path: &Path, kept: Option<&UnfinishedDownload>, output: &Output) {
    let resume = kept.and_then(UnfinishedDownload::resume_command);
    output.json_event(&json!({
        "event": "interrupted",
        "path": path,
        "bytes": kept.map_or(0, |kept| kept.verified),
        "kept_at": kept.map(|kept| &kept.contents_path),
        "resume": resume,
    }));
    let kept = kept.map_or_else(
        || "no downloaded parts are kept".to_owned(),
        UnfinishedDownload::describe,
    );
    output.note(&format!("interrupted: {}", display::escape(&kept)));
}

/// Removes unfinished downloads of the home that have expired or whose target folder is gone.
async fn sweep_home(home: Home) {
    // Errors are already logged.
    let _ = task::start_blocking(move || sweep(&home, SystemTime::now())).await;
}

/// Prints a note if a download with `--stay` is not listed as a provider.
fn warn_unlisted(listed: Result<Result<(), Problem>, Elapsed>, output: &Output) {
    match listed {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => output.note(&format!("not listed as a source: {problem}")),
        Err(_) => output.note("not listed as a source yet: the directory does not answer"),
    }
}

/// Prints the result. `resumed` is the number of bytes from an earlier run.
fn print_done(fetched: &DownloadResult, resumed: u64, output: &Output) {
    let seconds = fetched.took.as_secs_f64();
    let path = fetched.path.display().to_string();
    let line = if fetched.was_there {
        format!("{}: already there, verified", display::escape(&path))
    } else {
        let rate = fetched.received as f64 / seconds.max(0.001);
        let kept = match resumed {
            0 => String::new(),
            resumed => format!(" ({} resumed)", display::format_bytes(resumed)),
        };
        format!(
            "{}: {}{kept} in {}, {}/s from {}, verified",
            display::escape(&path),
            display::format_bytes(fetched.bytes),
            units::format_elapsed(fetched.took),
            display::format_bytes(rate as u64),
            format_sources(fetched.providers.len()),
        )
    };
    output.result(&line, || {
        json!({
            "event": "done",
            "kind": "file",
            "files": 1,
            "files_total": 1,
            "path": path,
            "hash": fetched.hash,
            "bytes": fetched.bytes,
            "received": fetched.received,
            "resumed": resumed,
            "seconds": seconds,
            "providers": fetched.providers,
            "first_verified_ms": fetched.first_verified.map(|t| t.as_secs_f64() * 1000.0),
            "already_there": fetched.was_there,
        })
    });
}

/// The destination of the downloads.
enum Destination {
    /// A folder; files keep their names.
    Folder(PathBuf),
    /// The path of the one file.
    File(PathBuf),
}

impl Destination {
    fn of(args: &GetArgs) -> Result<Self, CommandError> {
        let Some(path) = &args.output else {
            return Ok(Self::Folder(PathBuf::from(".")));
        };
        let ends_as_folder = path
            .as_os_str()
            .to_string_lossy()
            .ends_with(['/', std::path::MAIN_SEPARATOR]);
        if ends_as_folder || path.is_dir() {
            return Ok(Self::Folder(path.clone()));
        }
        if args.names.len() > 1 {
            return Err(CommandError::Usage(
                Problem::invalid(format!("{} is not a folder", path.display()))
                    .hint("several files need a folder: create it, or end the path with /"),
            ));
        }
        Ok(Self::File(path.clone()))
    }

    fn target(&self, found: &Resolved, force: bool) -> Target {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(local_name(&found.file, found.name.as_deref())),
        };
        Target { path, force }
    }

    /// Returns the path of a folder in the end, as `cp -r` chooses it. A path at which this folder is
    /// unfinished, or which is the target of an earlier download, is the folder itself.
    fn folder_target(&self, found: &Resolved, home: &Home) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(path) if is_target(path, &found.file.hash, home) => path.clone(),
            Self::Folder(path) => path.join(local_name(&found.file, found.name.as_deref())),
        }
    }
}

fn is_target(path: &Path, hash: &ContentHash, home: &Home) -> bool {
    let is_unfinished = || {
        UnfinishedFolder::read(path).is_some_and(|about| about.is_some_and(|it| it.hash == *hash))
    };
    let is_known = || {
        let absolute = dunce::canonicalize(path);
        absolute.is_ok_and(|absolute| is_recorded(home, &absolute))
    };
    is_unfinished() || is_known()
}

/// Returns the name that was found; for a file given by its hash, the most common name.
fn local_name(file: &LocatedFile, found: Option<&str>) -> String {
    match found.or_else(|| file.names.first().map(String::as_str)) {
        Some(name) => local_file_name(name),
        None => file.hash.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use convite_core::{ContentHash, EntryKind};

    use super::*;

    #[test]
    fn a_local_name_is_sanitized() {
        let file = LocatedFile {
            hash: ContentHash::of(b"x"),
            kind: EntryKind::File,
            files: None,
            size: 1,
            names: vec!["common.txt".into(), "../evil".into()],
            providers: Vec::new(),
        };
        assert_eq!(local_name(&file, None), "common.txt");
        // The found name is used even if it is not among the listed names, which are a sample.
        assert_eq!(local_name(&file, Some("twelfth.txt")), "twelfth.txt");
        assert!(!local_name(&file, Some("../evil")).contains('/'));
        let nameless = LocatedFile {
            names: Vec::new(),
            ..file
        };
        assert_eq!(local_name(&nameless, None), nameless.hash.to_string());
    }
}
