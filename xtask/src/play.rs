//! `cargo xtask play`: a directory and three peers with sample files on this machine, to try a
//! change by hand.
//!
//! The debug build listens on ports of 127.0.0.1 that the system chooses. Homes, shares and logs are
//! in a folder under target/. Ctrl-C ends the processes and removes the folder ([`Cleanup`]).

use std::path::Path;
use std::time::Duration;

use crate::bench::payload;
use crate::bench::system::{PASSWORD, Running, System};
use crate::cleanup::{Cleanup, Resource};
use crate::workspace::{self, cargo};
use crate::{Failure, generated};

/// How often the processes are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The accounts; the first one is an administrator. Each has a home and a peer.
const ACCOUNTS: [&str; 3] = ["ana", "ben", "eva"];

/// A sample file: its path in the share, its size in bytes, and the accounts that share it. Files
/// with the same path have the same contents.
struct Sample {
    path: &'static str,
    size: u64,
    accounts: &'static [&'static str],
}

const SAMPLES: [Sample; 5] = [
    Sample {
        path: "music/night concert.flac",
        size: 24 << 20,
        accounts: &["ana", "ben"],
    },
    Sample {
        path: "music/morning rehearsal.flac",
        size: 6 << 20,
        accounts: &["ana"],
    },
    Sample {
        path: "photos/lisbon 2024.jpg",
        size: 3 << 20,
        accounts: &["ben"],
    },
    Sample {
        path: "papers/swarm scheduling.pdf",
        size: 700_000,
        accounts: &["ben", "eva"],
    },
    Sample {
        path: "papers/empty notes.txt",
        size: 0,
        accounts: &["eva"],
    },
];

/// Runs the playground until it is interrupted.
///
/// # Errors
/// Fails if convite cannot be built, or if a process does not start or ends by itself.
pub fn run() -> Result<(), Failure> {
    workspace::run(cargo().args(["build", "--quiet", "--workspace", "--bin", "convite"]))?;
    let folder = workspace::target().join(format!("playground-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be created: {error}", folder.display()))?;
    let cleanup = Cleanup::new(&folder)?;
    cleanup.add(&Resource::Folder);
    let system = System::new(&folder, Some(&generated::binary()))?;
    let (directory, invite) = system.directory()?;
    cleanup.add(&Resource::Process(directory.id()));
    let mut running = vec![("directory", directory)];
    for account in ACCOUNTS {
        let share = folder.join("shares").join(account);
        write_samples(&share, account)?;
        system.join(account, &invite)?;
        let flags = ["--allow-uploads", "--allow-loads"];
        let peer = system.peer_with(account, &share, &flags)?;
        cleanup.add(&Resource::Process(peer.id()));
        running.push((account, peer));
    }
    print!("{}", description(&folder, &running, &invite));
    loop {
        std::thread::sleep(POLL_INTERVAL);
        for (home, process) in &mut running {
            if let Some(status) = process.ended()? {
                let log = system.log_tail(home);
                return Err(format!("the process of '{home}' ended: {status}\n{log}"));
            }
        }
    }
}

fn write_samples(share: &Path, account: &str) -> Result<(), Failure> {
    for (seed, sample) in SAMPLES.iter().enumerate() {
        if !sample.accounts.contains(&account) {
            continue;
        }
        let path = share.join(sample.path);
        let parent = path.parent().unwrap_or(share);
        std::fs::create_dir_all(parent)
            .map_err(|error| format!("{} cannot be created: {error}", parent.display()))?;
        payload::write(&path, sample.size, seed as u64)?;
    }
    Ok(())
}

/// Returns the text that tells what runs and what to try.
fn description(folder: &Path, running: &[(&str, Running)], invite: &str) -> String {
    let field = |process: &Running, name: &str| {
        let value = process.ready[name].as_str();
        value.unwrap_or_default().to_owned()
    };
    let mut text = String::from("\n");
    for (home, process) in running {
        let url = field(process, "url");
        let line = if *home == "directory" {
            format!("directory    {url} (also the web page; any account can log in)")
        } else {
            format!("peer {home}     {url} shares shares/{home}")
        };
        text.push_str(&format!("{line}\n"));
    }
    let web = running
        .first()
        .map(|(_, directory)| field(directory, "web"));
    let binary = generated::binary();
    let (binary, folder) = (binary.display(), folder.display());
    let accounts = ACCOUNTS.join(", ");
    text.push_str(&format!(
        "\
invite link  {invite}
invite page  {}
accounts     {accounts}; the password of each is '{PASSWORD}'; ana is an administrator
folder       {folder} (homes, shares, logs)

In another terminal:

  cd {folder}
  export CONVITE_PASSWORD='{PASSWORD}'
  convite() {{ {binary} \"$@\"; }}
  convite --home eva search concert
  convite --home eva get 'night concert.flac' -o shares/eva/
  convite --home ana peers
  convite --home eva put 'shares/eva/papers/swarm scheduling.pdf' --to ana-peer
  convite --home ana load 'lisbon 2024.jpg' --on eva-peer
  convite --home ben link 'lisbon 2024.jpg'
  convite --home new join '{invite}' --user leo
  tail -f *.log

Ctrl-C ends the directory and the peers and removes the folder.
",
        web.unwrap_or_default(),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_shares_a_file_and_one_file_has_two_providers() {
        for account in ACCOUNTS {
            assert!(SAMPLES.iter().any(|s| s.accounts.contains(&account)));
        }
        assert!(SAMPLES.iter().any(|sample| sample.accounts.len() > 1));
    }
}
