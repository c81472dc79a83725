//! `convite status`: who this home is, what its peer is doing, and what is wrong with it.

use std::time::{Duration, SystemTime};

use convite_core::{ErrorCode, Problem, UnixMillis, display};
use convite_wire::convert::some_text;
use convite_wire::v1::{InboxStatus, ShareStatus, StatusReply, Transfer};
use serde_json::{Value, json};

use crate::context::Context;
use crate::control::Control;
use crate::exit::Failed;
use crate::output::progress::{bar, percent};
use crate::output::{Output, Tone};
use crate::units;

/// Between the two looks of which rates are the difference.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a directory may take to answer before it counts as away.
const ANSWER: Duration = Duration::from_secs(3);

/// A peer, and what it did between two looks.
struct Seen {
    now: StatusReply,
    /// Bytes a second sent in all; none if nothing is being sent.
    rate: Option<u64>,
    /// The same for each upload of `now`.
    rates: Vec<u64>,
}

impl Seen {
    async fn of(control: &mut Control) -> Result<Self, Problem> {
        let first = control.status().await?;
        if first.uploads.is_empty() {
            return Ok(Self {
                now: first,
                rate: None,
                rates: Vec::new(),
            });
        }
        let began = tokio::time::Instant::now();
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = control.status().await?;
        Ok(Self::between(&first, now, began.elapsed()))
    }

    fn between(before: &StatusReply, now: StatusReply, took: Duration) -> Self {
        let rate = |bytes: u64| (bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
        let sent = now.bytes_served.saturating_sub(before.bytes_served);
        // An upload has no name of its own: the one that grew from is the one of the same file to
        // the same account with no more bytes than now.
        let mut left: Vec<&Transfer> = before.uploads.iter().collect();
        let rates = now.uploads.iter().map(|upload| {
            let same = |old: &&Transfer| {
                (&old.hash, &old.user) == (&upload.hash, &upload.user) && old.bytes <= upload.bytes
            };
            let old = left.iter().position(same).map(|at| left.remove(at).bytes);
            rate(upload.bytes - old.unwrap_or(0))
        });
        Self {
            rates: rates.collect(),
            rate: Some(rate(sent)),
            now,
        }
    }
}

/// Prints all of it.
pub async fn run(context: &Context, output: &Output) -> Result<(), Failed> {
    let credentials = context.joined()?;
    let peer = match Control::connect(&context.home, Some(credentials)).await? {
        Some(mut control) => Some(Seen::of(&mut control).await?),
        None => None,
    };
    // What the peer heard last may be older than what is so.
    let asked = match &credentials.token {
        Some(_) => Some(ask(context).await),
        None => None,
    };
    if output.is_json() {
        let reachable = match (&peer, &asked) {
            (_, Some(answer)) => Some(answer.is_ok()),
            (Some(peer), None) => Some(peer.now.online),
            (None, None) => None,
        };
        output.event(&json!({
            "home": context.home.root(),
            "directory": credentials.addresses,
            "reachable": reachable,
            "user": credentials.user,
            "logged_in": credentials.token.is_some(),
            "peer": peer.as_ref().map(peer_object),
        }));
        return Ok(());
    }
    let user = match (&credentials.user, &credentials.token) {
        (Some(user), Some(_)) => user.to_string(),
        (Some(user), None) => format!("{user}, logged out (`convite login` begins a session)"),
        (None, _) => "nobody".to_owned(),
    };
    let directory = credentials.addresses.first();
    let directory = directory.map(ToString::to_string).unwrap_or_default();
    let standing = match (&peer, &asked) {
        // One that knows itself to be cut off says since when, and why.
        (Some(peer), Some(Err(problem))) if peer.now.online => trouble(&problem.message, output),
        (Some(peer), _) => standing(&peer.now, output),
        (None, Some(Ok(()))) => output.paint(Tone::Good, "reachable"),
        (None, Some(Err(problem))) => trouble(&problem.message, output),
        (None, None) => "not asked".to_owned(),
    };
    line(output, "home", &context.home.root().display().to_string());
    line(output, "account", &user);
    line(output, "directory", &format!("{directory}, {standing}"));
    let is_told = peer.as_ref().is_some_and(|peer| !peer.now.online);
    if let Some(Err(problem)) = asked.as_ref().filter(|_| !is_told) {
        advise(problem.hint.as_deref().unwrap_or_default(), output);
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

/// Whether the directory answers, and takes this session.
async fn ask(context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match tokio::time::timeout(ANSWER, client.may_share(None)).await {
        // A guest got an answer too.
        Ok(Err(problem)) if problem.code != ErrorCode::PermissionDenied => Err(problem),
        Ok(_) => Ok(()),
        Err(_) => Err(
            Problem::new(ErrorCode::Unavailable, "the directory does not answer")
                .hint("check that it runs, and that this machine's network reaches it"),
        ),
    }
}

fn line(output: &Output, name: &str, text: &str) {
    let name = output.paint(Tone::Strong, &format!("{name:<9}"));
    output.line(&format!("{name}  {text}"));
}

fn trouble(text: &str, output: &Output) -> String {
    output.paint(Tone::Bad, &display::escape(text))
}

/// What to do, below what is wrong.
fn advise(hint: &str, output: &Output) {
    if !hint.is_empty() {
        let hint = output.paint(Tone::Advice, &format!("hint: {}", display::escape(hint)));
        output.line(&format!("           {hint}"));
    }
}

/// Whether the directory lists the peer, and since when.
fn standing(peer: &StatusReply, output: &Output) -> String {
    let since = match peer.since {
        0 => String::new(),
        since => format!(" for {}", units::took(since_then(since))),
    };
    match (peer.online, peer.trouble.is_empty()) {
        (true, true) => output.paint(Tone::Good, "online") + &since,
        (true, false) => format!("online{since}, but {}", trouble(&peer.trouble, output)),
        (false, true) => "not listed yet".to_owned(),
        (false, false) => format!("not listed{since}: {}", trouble(&peer.trouble, output)),
    }
}

/// From a time in seconds since 1970 until now.
fn since_then(since: i64) -> Duration {
    let now = UnixMillis::from(SystemTime::now()).seconds();
    Duration::from_secs(u64::try_from(now - since).unwrap_or(0))
}

fn print_peer(seen: &Seen, output: &Output) {
    let peer = &seen.now;
    advise(&peer.hint, output);
    let ran = units::took(since_then(peer.started_at));
    line(
        output,
        "peer",
        &format!("{} at {}, running for {ran}", peer.id, peer.url),
    );
    let mut about = format!("{}, {}", files(peer.files), display::bytes(peer.bytes));
    if peer.to_hash > 0 {
        about.push_str(&format!(", {} still to be hashed", files(peer.to_hash)));
    }
    if peer.unpublished > 0 {
        about.push_str(&format!(", {} not listed yet", files(peer.unpublished)));
    }
    if peer.shares.is_empty() {
        about = "nothing (share a folder with `convite share DIR`)".to_owned();
    }
    line(output, "shares", &about);
    for share in &peer.shares {
        print_share(share, output);
    }
    if let Some(inbox) = &peer.inbox {
        line(output, "inbox", &self::inbox(inbox));
    }
    let rate = match seen.rate {
        Some(rate) => format!(", {}/s now", display::bytes(rate)),
        None => String::new(),
    };
    let sent = display::bytes(peer.bytes_served);
    line(output, "sent", &format!("{sent} since it started{rate}"));
    for (upload, rate) in peer.uploads.iter().zip(&seen.rates) {
        output.line(&transfer(upload, *rate));
    }
    if peer.waiting > 0 {
        let waiting = format!("{} for their turn", downloads(peer.waiting));
        line(output, "waiting", &waiting);
    }
}

/// Where the inbox is, how full, and what comes in.
fn inbox(inbox: &InboxStatus) -> String {
    let mut said = format!(
        "{} in {}, up to {} for each account",
        display::bytes(inbox.used),
        display::escape(&inbox.folder),
        display::bytes(inbox.quota)
    );
    if !inbox.coming.is_empty() {
        let bytes = inbox.coming.iter().map(|file| file.bytes).sum();
        let coming = files(inbox.coming.len() as u64);
        said.push_str(&format!(
            ", {coming} coming in: {} so far",
            display::bytes(bytes)
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
    let files = files(share.files);
    output.line(&format!("  {name}: {files} in {folder}, with {with}"));
    if !share.trouble.is_empty() {
        output.line(&format!("           {}", trouble(&share.trouble, output)));
        advise(&share.hint, output);
    }
}

/// One upload: whom to, a bar, how much, how fast.
fn transfer(upload: &Transfer, rate: u64) -> String {
    let (name, user) = (display::escape(&upload.name), display::escape(&upload.user));
    let done = match upload.size {
        0 => display::bytes(upload.bytes),
        size => format!(
            "{} {:>3}%  {} of {}",
            bar(upload.bytes, size),
            percent(upload.bytes, size),
            display::bytes(upload.bytes),
            display::bytes(size)
        ),
    };
    format!("  {name} to {user}  {done}  {}/s", display::bytes(rate))
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

fn downloads(count: u32) -> String {
    match count {
        1 => "1 download".to_owned(),
        count => format!("{count} downloads"),
    }
}

fn peer_object(seen: &Seen) -> Value {
    let peer = &seen.now;
    let shares = peer.shares.iter().map(|share| {
        json!({
            "name": share.name,
            "folder": share.folder,
            "files": share.files,
            "space": some_text(share.space.clone()),
            "trouble": share.trouble,
            "hint": some_text(share.hint.clone()),
        })
    });
    let uploads = peer.uploads.iter().zip(&seen.rates).map(|(upload, rate)| {
        json!({
            "name": upload.name,
            "user": upload.user,
            "bytes": upload.bytes,
            "size": upload.size,
            "rate": rate,
        })
    });
    let inbox = peer.inbox.as_ref().map(|inbox| {
        let coming = inbox.coming.iter().map(|file| {
            json!({
                "name": file.name,
                "user": file.user,
                "bytes": file.bytes,
                "size": (file.size > 0).then_some(file.size),
            })
        });
        json!({
            "folder": inbox.folder,
            "used": inbox.used,
            "quota": inbox.quota,
            "coming": coming.collect::<Vec<_>>(),
        })
    });
    json!({
        "id": peer.id,
        "url": peer.url,
        "online": peer.online,
        "since": (peer.since > 0).then_some(peer.since),
        "trouble": peer.trouble,
        "hint": some_text(peer.hint.clone()),
        "files": peer.files,
        "bytes": peer.bytes,
        "to_hash": peer.to_hash,
        "unpublished": peer.unpublished,
        "bytes_served": peer.bytes_served,
        "sent_rate": seen.rate.unwrap_or(0),
        "started_at": peer.started_at,
        "shares": shares.collect::<Vec<_>>(),
        "uploads": uploads.collect::<Vec<_>>(),
        "waiting": peer.waiting,
        "inbox": inbox,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(hash: u8, user: &str, bytes: u64) -> Transfer {
        Transfer {
            name: "n".to_owned(),
            hash: vec![hash; 32].into(),
            user: user.to_owned(),
            bytes,
            size: 1000,
        }
    }

    #[test]
    fn rates_are_what_each_upload_grew_by() {
        let reply = |uploads: Vec<Transfer>, bytes_served| StatusReply {
            uploads,
            bytes_served,
            ..StatusReply::default()
        };
        let before = reply(
            vec![
                upload(1, "ana", 100),
                upload(1, "ana", 500),
                upload(2, "ben", 0),
            ],
            600,
        );
        // The first has ended, another has begun.
        let now = reply(
            vec![
                upload(1, "ana", 600),
                upload(2, "ben", 50),
                upload(2, "eve", 10),
            ],
            760,
        );
        let seen = Seen::between(&before, now, Duration::from_millis(500));
        assert_eq!(seen.rate, Some(320));
        assert_eq!(seen.rates, [1000, 100, 20]);
    }

    #[test]
    fn an_inbox_shows_how_full_it_is_and_what_comes() {
        let mut shown = InboxStatus {
            folder: "/home/ana/in\u{1b}box".to_owned(),
            used: 3 << 20,
            quota: 10 << 30,
            coming: Vec::new(),
        };
        let said = "3.0 MiB in /home/ana/in\\u{1b}box, up to 10.0 GiB for each account";
        assert_eq!(inbox(&shown), said);
        shown.coming = vec![upload(1, "ben", 250), upload(2, "eve", 50)];
        let coming = ", 2 files coming in: 300 B so far";
        assert_eq!(inbox(&shown), format!("{said}{coming}"));
    }

    #[test]
    fn a_transfer_shows_how_far_it_is() {
        let line = transfer(&upload(1, "ana\u{1b}", 250), 2048);
        assert_eq!(
            line,
            "  n to ana\\u{1b}  ━━━━━───────────────  25%  250 B of 1000 B  2.0 KiB/s"
        );
    }
}
