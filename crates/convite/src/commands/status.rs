//! `convite status`: the account, the peer of this home, and its problems.

mod json;
mod sample;

use std::time::{Duration, SystemTime};

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem, UnixMillis, display};
use convite_wire::v1::{
    InboxStatus, ReadFailure, ShareStatus, SkippedFiles, StatusReply, Transfer,
};
use serde_json::json;

use crate::clock_warning;
use crate::context::Context;
use crate::control::PeerControl;
use crate::exit::CommandError;
use crate::output::progress::{bar, format_files, percent};
use crate::output::{Output, Style};
use crate::units;
use sample::PeerSample;

/// The timeout after which the directory counts as unreachable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints the status.
pub async fn run(context: &Context, output: &Output) -> Result<(), CommandError> {
    let credentials = context.require_credentials()?;
    let peer = match PeerControl::connect(&context.home, Some(credentials)).await? {
        Some(mut control) => Some(PeerSample::of(&mut control).await?),
        None => None,
    };
    // The peer's last response from the directory may be outdated, so the directory is asked too.
    let client = match &credentials.token {
        Some(_) => Some(context.client()?),
        None => None,
    };
    let asked = match &client {
        Some(client) => Some(check_directory(client).await),
        None => None,
    };
    let ahead = client.and_then(|client| client.clock().ahead());
    // Without an answer, use the difference that the peer last measured.
    let ahead = ahead
        .map(i64::wrapping_neg)
        .or_else(|| peer.as_ref().and_then(|peer| peer.now.clock_ahead_ms));
    if output.is_json() {
        let reachable = match (&peer, &asked) {
            (_, Some(answer)) => Some(answer.is_ok()),
            (Some(peer), None) => Some(peer.now.online),
            (None, None) => None,
        };
        output.json_event(&json!({
            "home": context.home.root(),
            "directory": credentials.addresses,
            "reachable": reachable,
            "user": credentials.user,
            "logged_in": credentials.token.is_some(),
            "clock_ahead_seconds": ahead.map(|ahead| ahead / 1000),
            "peer": peer.as_ref().map(json::peer_object),
        }));
        return Ok(());
    }
    print_account(context, credentials, peer.as_ref(), asked.as_ref(), output);
    if let Some(difference) = ahead.and_then(|ahead| clock_warning::describe_difference(-ahead)) {
        let text = output.paint(Style::Error, &difference);
        line(output, "clock", &text);
        print_hint(clock_warning::CLOCK_HINT, output);
    }
    match peer {
        None => line(
            output,
            "peer",
            "not running (start one with `convite peer`)",
        ),
        Some(peer) => print_peer(&peer, output),
    }
    Ok(())
}

/// Prints the home, the account and the directory; `asked` is the directory's answer.
fn print_account(
    context: &Context,
    credentials: &Credentials,
    peer: Option<&PeerSample>,
    asked: Option<&Result<(), Problem>>,
    output: &Output,
) {
    let user = match (&credentials.user, &credentials.token) {
        (Some(user), Some(_)) => user.to_string(),
        (Some(user), None) => format!("{user}, logged out (log in with `convite login`)"),
        (None, _) => "none".to_owned(),
    };
    let directory = credentials.addresses.first();
    let directory = directory.map(ToString::to_string).unwrap_or_default();
    let state = match (peer, asked) {
        // A peer that knows that it is not listed reports the time and the reason.
        (Some(peer), Some(Err(problem))) if peer.now.online => {
            paint_problem(&problem.message, output)
        }
        (Some(peer), _) => listing_state(&peer.now, output),
        (None, Some(Ok(()))) => output.paint(Style::Success, "reachable"),
        (None, Some(Err(problem))) => paint_problem(&problem.message, output),
        (None, None) => "not checked".to_owned(),
    };
    line(output, "home", &context.home.root().display().to_string());
    line(output, "account", &user);
    line(output, "directory", &format!("{directory}, {state}"));
    let is_unlisted = peer.is_some_and(|peer| !peer.now.online);
    if let Some(Err(problem)) = asked.filter(|_| !is_unlisted) {
        print_hint(problem.hint.as_deref().unwrap_or_default(), output);
    }
}

/// Checks that the directory answers and accepts this session.
async fn check_directory(client: &DirectoryClient) -> Result<(), Problem> {
    match tokio::time::timeout(ANSWER_TIMEOUT, client.may_share(None)).await {
        // `permission_denied` is an answer too, for guests.
        Ok(Err(problem)) if problem.code != ErrorCode::PermissionDenied => Err(problem),
        Ok(_) => Ok(()),
        Err(_) => Err(
            Problem::new(ErrorCode::Unavailable, "the directory does not answer")
                .hint("check that it is running and that this machine's network reaches it"),
        ),
    }
}

fn line(output: &Output, name: &str, text: &str) {
    let name = output.paint(Style::Strong, &format!("{name:<9}"));
    output.line(&format!("{name}  {text}"));
}

fn paint_problem(text: &str, output: &Output) -> String {
    output.paint(Style::Error, &display::escape(text))
}

/// Prints a hint below a problem.
fn print_hint(hint: &str, output: &Output) {
    if !hint.is_empty() {
        let hint = output.paint(Style::Hint, &format!("hint: {}", display::escape(hint)));
        output.line(&format!("           {hint}"));
    }
}

/// Describes whether the directory lists the peer, and for how long.
fn listing_state(peer: &StatusReply, output: &Output) -> String {
    let since = match peer.since {
        0 => String::new(),
        since => format!(" for {}", units::format_elapsed(elapsed_since(since))),
    };
    match (peer.online, peer.trouble.is_empty()) {
        (true, true) => output.paint(Style::Success, "online") + &since,
        (true, false) => format!(
            "online{since}, but {}",
            paint_problem(&peer.trouble, output)
        ),
        (false, true) => "not listed yet".to_owned(),
        (false, false) => format!(
            "not listed{since}: {}",
            paint_problem(&peer.trouble, output)
        ),
    }
}

/// Returns the time elapsed since a Unix time in seconds.
fn elapsed_since(since: i64) -> Duration {
    let now = UnixMillis::from(SystemTime::now()).seconds();
    Duration::from_secs(u64::try_from(now - since).unwrap_or(0))
}

fn print_peer(seen: &PeerSample, output: &Output) {
    let peer = &seen.now;
    print_hint(&peer.hint, output);
    let ran = units::format_elapsed(elapsed_since(peer.started_at));
    line(
        output,
        "peer",
        &format!("{} at {}, running for {ran}", peer.id, peer.url),
    );
    let mut about = format!(
        "{}, {}",
        format_files(peer.files),
        display::format_bytes(peer.bytes)
    );
    if peer.to_hash > 0 {
        about.push_str(&format!(", {} to hash", format_files(peer.to_hash)));
    }
    if peer.unpublished > 0 {
        about.push_str(&format!(
            ", {} not listed yet",
            format_files(peer.unpublished)
        ));
    }
    if peer.shares.is_empty() {
        about = "nothing (share a folder with `convite share DIR`)".to_owned();
    }
    line(output, "shares", &about);
    for share in &peer.shares {
        print_share(share, output);
    }
    for note in &peer.notes {
        line(output, "note", &paint_problem(note, output));
    }
    if let Some(inbox) = &peer.inbox {
        line(output, "inbox", &self::inbox(inbox));
    }
    let rate = match seen.rate {
        Some(rate) => format!(", {}/s now", display::format_bytes(rate)),
        None => String::new(),
    };
    let sent = display::format_bytes(peer.bytes_served);
    line(output, "sent", &format!("{sent} since it started{rate}"));
    for (upload, rate) in peer.uploads.iter().zip(&seen.rates) {
        output.line(&transfer(upload, *rate));
    }
    for failure in &peer.read_failures {
        line(output, "disk", &read_failure(failure, output));
    }
    if peer.waiting > 0 {
        let waiting = format!("{} in the queue", downloads(peer.waiting));
        line(output, "waiting", &waiting);
    }
}

/// Describes a file that could not be read: the reason and the number of times.
fn read_failure(failure: &ReadFailure, output: &Output) -> String {
    let why = format!("cannot read {}: {}", failure.path, failure.message);
    let times = match failure.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let last = units::format_elapsed(elapsed_since(failure.at));
    format!("{}{times}, last {last} ago", paint_problem(&why, output))
}

/// Describes the inbox: its folder, its usage and incoming files.
fn inbox(inbox: &InboxStatus) -> String {
    let mut said = format!(
        "{} in {}, up to {} for each account",
        display::format_bytes(inbox.used),
        display::escape(&inbox.folder),
        display::format_bytes(inbox.quota)
    );
    if !inbox.coming.is_empty() {
        let bytes = inbox.coming.iter().map(|file| file.bytes).sum();
        let coming = format_files(inbox.coming.len() as u64);
        said.push_str(&format!(
            ", receiving {coming}: {} so far",
            display::format_bytes(bytes)
        ));
    }
    said
}

fn print_share(share: &ShareStatus, output: &Output) {
    let with = match share.space.as_str() {
        "" => "everyone".to_owned(),
        space => format!("the space {space}"),
    };
    let (name, folder) = (display::escape(&share.name), display::escape(&share.folder));
    let files = format_files(share.files);
    output.line(&format!("  {name}: {files} in {folder}, with {with}"));
    if !share.trouble.is_empty() {
        output.line(&format!(
            "           {}",
            paint_problem(&share.trouble, output)
        ));
        print_hint(&share.hint, output);
    }
    for skipped in &share.skipped {
        output.line(&format!("           {}", describe_excluded(skipped)));
    }
}

/// Describes files of a share that are not shared or not watched, with the reason.
fn describe_excluded(skipped: &SkippedFiles) -> String {
    let why = match skipped.reason.as_str() {
        "hidden" => "not shared, hidden",
        "not_utf8" => "not shared, name is not UTF-8 (rename to share)",
        "bad_name" => "not shared, path is too long",
        "unreadable" => "not shared, cannot be read (check permissions and the disk)",
        "changing" => "not shared or not part of its folder, keeps changing",
        "not_regular" => "not shared, link, pipe, socket or device",
        "wrong_size" => "not shared, contents do not match the file size",
        "too_large" => "not shared, too large",
        "unfinished" => "not shared as a folder, is being downloaded",
        "too_many_files" => {
            "not shared as a folder, nor what contains it (at most 1,000,000 entries in one level \
             and 5,000,000 files in all)"
        }
        "unwatched" => {
            "not watched, changes are found within 30 s (raise fs.inotify.max_user_watches, \
             or make it readable)"
        }
        other => other,
    };
    let mut paths: Vec<String> = skipped
        .paths
        .iter()
        .map(|path| match path.as_str() {
            "" => "the whole share".to_owned(),
            path => display::escape(path).into_owned(),
        })
        .collect();
    if skipped.count > paths.len() as u64 {
        paths.push("…".to_owned());
    }
    format!("{why}: {} ({})", skipped.count, paths.join(", "))
}

/// Formats one upload: the account, a bar, the bytes and the rate.
fn transfer(upload: &Transfer, rate: u64) -> String {
    let (name, user) = (display::escape(&upload.name), display::escape(&upload.user));
    let done = match upload.size {
        0 => display::format_bytes(upload.bytes),
        size => format!(
            "{} {:>3}%  {} of {}",
            bar(upload.bytes, size),
            percent(upload.bytes, size),
            display::format_bytes(upload.bytes),
            display::format_bytes(size)
        ),
    };
    format!(
        "  {name} to {user}  {done}  {}/s",
        display::format_bytes(rate)
    )
}

fn downloads(count: u32) -> String {
    match count {
        1 => "1 download".to_owned(),
        count => format!("{count} downloads"),
    }
}

#[cfg(test)]
mod tests {
    use super::sample::tests::upload;
    use super::*;

    #[test]
    fn an_inbox_shows_its_usage_and_incoming_files() {
        let mut shown = InboxStatus {
            folder: "/home/ana/in\u{1b}box".to_owned(),
            used: 3 << 20,
            quota: 10 << 30,
            coming: Vec::new(),
        };
        let said = "3.0 MiB in /home/ana/in\\u{1b}box, up to 10.0 GiB for each account";
        assert_eq!(inbox(&shown), said);
        shown.coming = vec![upload(1, "ben", 250), upload(2, "eve", 50)];
        let coming = ", receiving 2 files: 300 B so far";
        assert_eq!(inbox(&shown), format!("{said}{coming}"));
    }

    #[test]
    fn a_transfer_shows_its_progress() {
        let line = transfer(&upload(1, "ana\u{1b}", 250), 2048);
        assert_eq!(
            line,
            "  n to ana\\u{1b}  ━━━━━───────────────  25%  250 B of 1000 B  2.0 KiB/s"
        );
    }
}
