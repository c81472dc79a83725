//! `convite get`: find, fetch from all providers, verify, put in place.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use convite_client::DirectoryClient;
use convite_client::Query;
use convite_core::model::{LocatedFile, SearchHit};
use convite_core::path::local_file_name;
use convite_core::{ContentHash, ErrorCode, PeerAddress, Problem, Within, display};
use convite_peer::download::{Fetch, Fetched, MemberConfig, Progress, Target, fetch};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::GetArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::place::found_in;
use crate::output::progress::{Reporter, providers};
use crate::output::{Output, Table};
use crate::{identity, stop, units};

/// How many matches of a name are looked at.
const MATCHES: u32 = 100;
/// The most words of a query, and its length in bytes.
const WORDS: usize = 32;
const QUERY_BYTES: usize = 1_000;

/// Fetches what was named, one after the other.
pub async fn run(context: &Context, args: GetArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let place = Place::of(&args)?;
    let interrupt = stop::on_signal();
    let (mut members, mut total) = (Vec::new(), Total::default());
    for name in &args.names {
        let file = tokio::select! {
            file = find(&client, name, output) => file?,
            () = interrupt.cancelled() => return Err(Failed::Interrupted),
        };
        let fetch = Fetch {
            home: context.home.clone(),
            directory: client.clone(),
            authority: context.joined()?.authority,
            target: place.target(&file, name, args.force),
            file,
            within: Within::Seen,
            locality: !args.no_locality,
            download_limit: args.download_limit,
            member: Some(member_of(context, args.bind, args.upload_limit)?),
        };
        if let Some(fetched) = get(fetch, &interrupt, output).await? {
            total.add(&fetched);
            members.extend(fetched.member);
        }
    }
    if total.files > 1 {
        output.note(&total.to_string());
    }
    if let (Some(stay), false) = (args.stay, members.is_empty()) {
        output.note(&format!(
            "providing to others for {}; Ctrl-C ends it",
            units::span(stay)
        ));
        tokio::select! {
            () = tokio::time::sleep(stay) => {}
            () = interrupt.cancelled() => {}
        }
    }
    for member in members {
        member.leave().await;
    }
    Ok(())
}

/// What several files came to.
#[derive(Default)]
struct Total {
    files: usize,
    bytes: u64,
    received: u64,
    took: Duration,
}

impl Total {
    fn add(&mut self, fetched: &Fetched) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(fetched.bytes);
        self.received = self.received.saturating_add(fetched.received);
        self.took += fetched.took;
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, bytes) = (self.files, display::bytes(self.bytes));
        let (received, took) = (display::bytes(self.received), units::took(self.took));
        write!(f, "{files} files, {bytes}: {received} received in {took}")
    }
}

/// Where others may reach this machine: nowhere but on itself if the directory is only there too.
fn reachable(directory: &[PeerAddress]) -> IpAddr {
    let is_local = |address: &PeerAddress| address.ip().is_some_and(|ip| ip.is_loopback());
    if directory.iter().all(is_local) {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// How a download of this home provides to others.
///
/// # Errors
/// `unauthenticated` if the home has not joined.
pub fn member_of(
    context: &Context,
    bind: Option<IpAddr>,
    upload_limit: Option<u64>,
) -> Result<MemberConfig, Problem> {
    let credentials = context.joined()?;
    let user = credentials.user.clone().unwrap_or_else(identity::user);
    Ok(MemberConfig {
        name: credentials
            .peer
            .clone()
            .unwrap_or_else(|| identity::peer(&user)),
        bind: bind.unwrap_or_else(|| reachable(&credentials.addresses)),
        addresses: Vec::new(),
        upload_limit,
    })
}

async fn get(
    fetching: Fetch,
    interrupt: &CancellationToken,
    output: &Output,
) -> Result<Option<Fetched>, Failed> {
    let path = fetching.target.path.clone();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut reporter = Reporter::new(
        output,
        ("hash", fetching.file.hash.to_string()),
        &name,
        fetching.file.size,
    );
    let (sender, progress) = watch::channel(Progress::default());
    let fetching = fetch(fetching, sender, interrupt.clone());
    tokio::pin!(fetching);
    let mut ticks = tokio::time::interval(reporter.interval());
    // The first comes at once: there is nothing to show yet.
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
        Some(fetched) => {
            tell_done(&fetched, progress.borrow().resumed, output);
            Ok(Some(fetched))
        }
        None => {
            let kept = progress.borrow().verified;
            output.event(&json!({
                "event": "interrupted",
                "path": path,
                "bytes": kept,
            }));
            output.note(&format!(
                "interrupted: {} are verified and kept; the same command goes on from there",
                display::bytes(kept)
            ));
            Err(Failed::Interrupted)
        }
    }
}

/// `resumed` bytes were there from an earlier run.
fn tell_done(fetched: &Fetched, resumed: u64, output: &Output) {
    let seconds = fetched.took.as_secs_f64();
    let path = fetched.path.display().to_string();
    let line = if fetched.was_there {
        format!("{}: already there, verified", display::escape(&path))
    } else {
        let rate = fetched.received as f64 / seconds.max(0.001);
        let kept = match resumed {
            0 => String::new(),
            resumed => format!(" ({} were there before)", display::bytes(resumed)),
        };
        format!(
            "{}: {}{kept} in {}, {}/s from {}, verified",
            display::escape(&path),
            display::bytes(fetched.bytes),
            units::took(fetched.took),
            display::bytes(rate as u64),
            providers(fetched.providers.len()),
        )
    };
    output.result(&line, || {
        json!({
            "event": "done",
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

/// Where files go.
enum Place {
    /// Into this folder, under their names.
    Folder(PathBuf),
    /// To exactly this path.
    File(PathBuf),
}

impl Place {
    fn of(args: &GetArgs) -> Result<Self, Failed> {
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
            return Err(Failed::Usage(
                Problem::invalid(format!("{} is not a folder", path.display()))
                    .hint("several files go into a folder: make it, or end its name with /"),
            ));
        }
        Ok(Self::File(path.clone()))
    }

    fn target(&self, file: &LocatedFile, wanted: &str, force: bool) -> Target {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(local_name(file, wanted)),
        };
        Target { path, force }
    }
}

/// The name that was asked for if it is one of the file's, else its most common one.
fn local_name(file: &LocatedFile, wanted: &str) -> String {
    let wanted = last_part(wanted);
    let name = file.names.iter().find(|name| *name == wanted);
    match name.or_else(|| file.names.first()) {
        Some(name) => local_file_name(name),
        None => file.hash.to_string(),
    }
}

fn last_part(name: &str) -> &str {
    Path::new(name)
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or(name)
}

/// Finds the one content that a name or hash means.
pub(super) async fn find(
    client: &DirectoryClient,
    name: &str,
    output: &Output,
) -> Result<LocatedFile, Failed> {
    if let Ok(hash) = name.parse::<ContentHash>() {
        return Ok(client.locate(&hash).await?);
    }
    let query = Query {
        words: plain_words(name),
        limit: MATCHES,
        ..Query::default()
    };
    let hits = client.search(query).await?.items;
    let meant = meant(&hits, name);
    match meant.as_slice() {
        [hit] => Ok(client.locate(&hit.hash).await?),
        [] => Err(
            Problem::not_found(format!("nobody online shares '{}'", display::escape(name)))
                .hint("look for it with `convite search WORDS`; those who have it may be offline")
                .into(),
        ),
        several => {
            let mut table = Table::new(&["name", ">size", ">providers", "hash", "in"]);
            for hit in several {
                table.row([
                    hit.name.clone(),
                    display::bytes(hit.size),
                    providers(hit.providers as usize),
                    hit.hash.to_string(),
                    found_in(hit),
                ]);
                output.event(&json!({
                    "event": "candidate",
                    "hash": hit.hash,
                    "name": hit.name,
                    "folder": hit.folder,
                    "size": hit.size,
                    "providers": hit.providers,
                    "peers": hit.peers,
                }));
            }
            if !output.is_json() {
                table.print(output);
            }
            Err(Problem::new(
                ErrorCode::InvalidArgument,
                format!(
                    "'{}' means {} different files",
                    display::escape(name),
                    several.len()
                ),
            )
            .hint("say which with its hash, in place of the name")
            .into())
        }
    }
}

/// The words of a name, in which dashes and quotes mean nothing else, as many as a query may have.
fn plain_words(name: &str) -> String {
    let separates = |c: char| match c.is_ascii() {
        true => !c.is_ascii_alphanumeric(),
        false => c.is_whitespace() || matches!(c, '\u{201c}' | '\u{201d}' | '\u{201e}'),
    };
    let words = name.split(separates);
    let words = words.filter(|word| !word.is_empty()).take(WORDS);
    let (mut plain, mut length) = (String::new(), 0);
    for word in words {
        length += word.len() + 1;
        if length > QUERY_BYTES {
            break;
        }
        plain.extend([word, " "]);
    }
    plain.trim_end().to_owned()
}

/// Of the matches those that bear the very name; if none does, all of them.
fn meant<'a>(hits: &'a [SearchHit], name: &str) -> Vec<&'a SearchHit> {
    let wanted = last_part(name);
    let exact: Vec<&SearchHit> = hits
        .iter()
        .filter(|hit| hit.names.iter().any(|name| name == wanted))
        .collect();
    let all = if exact.is_empty() {
        hits.iter().collect()
    } else {
        exact
    };
    let mut seen = BTreeSet::new();
    all.into_iter()
        .filter(|hit| seen.insert(hit.hash))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(contents: &str, names: &[&str]) -> SearchHit {
        SearchHit {
            folder: String::new(),
            spaces: Vec::new(),
            hash: ContentHash::of(contents.as_bytes()),
            name: names[0].to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
            size: 1,
            providers: 1,
            peers: Vec::new(),
            score: 1.0,
            matches: Vec::new(),
        }
    }

    #[test]
    fn a_name_is_looked_for_by_its_words() {
        for (name, words) in [
            ("a.txt", "a txt"),
            ("Song -live \"x\".mp3", "Song live x mp3"),
            ("te\u{301}le.txt", "te\u{301}le txt"),
            ("-", ""),
        ] {
            assert_eq!(plain_words(name), words, "{name}");
        }
        assert_eq!(plain_words(&"x ".repeat(40)).split(' ').count(), WORDS);
        assert!(plain_words(&"wort ".repeat(400)).len() <= QUERY_BYTES);
    }

    #[test]
    fn the_very_name_wins_over_mere_matches() {
        let hits = [
            hit("1", &["data.csv"]),
            hit("2", &["data.csv.bak"]),
            hit("3", &["x", "data.csv"]),
        ];
        assert_eq!(meant(&hits[..2], "data.csv").len(), 1);
        assert_eq!(meant(&hits, "data.csv").len(), 2);
        assert_eq!(meant(&hits, "folder/data.csv").len(), 2);
        assert_eq!(meant(&hits[..2], "data").len(), 2);
    }

    #[test]
    fn the_local_name_is_the_one_asked_for_and_harmless() {
        let file = LocatedFile {
            hash: ContentHash::of(b"x"),
            size: 1,
            names: vec!["common.txt".into(), "../evil".into()],
            providers: Vec::new(),
        };
        assert_eq!(local_name(&file, "whatever"), "common.txt");
        assert_eq!(local_name(&file, "../evil"), "common.txt");
        let nameless = LocatedFile {
            names: Vec::new(),
            ..file
        };
        assert_eq!(local_name(&nameless, "x"), nameless.hash.to_string());
    }
}
