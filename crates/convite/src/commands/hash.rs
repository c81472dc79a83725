//! `convite hash`: the hashes of files and folders on this machine, without a directory.

use std::path::{Path, PathBuf};

use convite_core::display;
use convite_net::task::blocking;
use convite_peer::sharing::path_hash::{PathHash, hash_path};
use convite_wire::v1::SkippedFiles;
use serde_json::json;

use crate::exit::CommandError;
use crate::outcomes::Outcomes;
use crate::output::Output;

/// Prints the hash of each path.
pub async fn run(paths: &[PathBuf], output: &Output) -> Result<(), CommandError> {
    let mut outcomes = Outcomes::new(paths.len(), output);
    for path in paths {
        let of = path.clone();
        match blocking(move || hash_path(&of)).await {
            Ok(hashed) => print(path, &hashed, output),
            Err(problem) => {
                let subject = path.to_string_lossy();
                outcomes.record_failure(&subject, problem.into())?;
            }
        }
    }
    outcomes.finish()
}

fn print(path: &Path, hashed: &PathHash, output: &Output) {
    let shown = path.to_string_lossy();
    output.result(
        &format!("{}  {}", hashed.hash, display::escape(&shown)),
        || {
            let skipped = hashed.skipped.iter();
            let skipped: serde_json::Map<_, _> = skipped
                .map(|skipped| (skipped.reason.clone(), skipped.count.into()))
                .collect();
            json!({
                "path": shown,
                "hash": hashed.hash,
                "kind": hashed.kind,
                "size": hashed.size,
                "files": hashed.files,
                "skipped": skipped,
            })
        },
    );
    if !hashed.skipped.is_empty() {
        let reasons = hashed.skipped.iter().map(describe).collect::<Vec<_>>();
        let shown = display::escape(&shown);
        output.note(&format!("not part of {shown}: {}", reasons.join(", ")));
    }
}

fn describe(skipped: &SkippedFiles) -> String {
    let what = match skipped.reason.as_str() {
        "hidden" => "hidden",
        "not_utf8" => "with names that are not UTF-8",
        "bad_name" => "with too long paths",
        "not_regular" => "links, pipes, sockets or devices",
        "wrong_size" => "with contents that do not match the file size",
        "too_large" => "too large",
        other => other,
    };
    format!("{} {what}", skipped.count)
}
