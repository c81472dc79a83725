//! Output that cannot be written: results fail a command, notes do not.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::harness::{Directory, Home};

/// A device that is always full.
fn full() -> Stdio {
    Stdio::from(File::options().write(true).open("/dev/full").unwrap())
}

/// A pipe without a reader.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Stdio::from(writer)
}

/// Returns the exit code of a command with these streams, and its stderr if that is not replaced.
fn run(mut command: Command, stdout: Option<Stdio>, stderr: Option<Stdio>) -> (i32, String) {
    command.stdout(stdout.unwrap_or_else(Stdio::piped));
    command.stderr(stderr.unwrap_or_else(Stdio::piped));
    let ended = command.spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code().unwrap_or(-1), said)
}

/// Commands that print results, with their exit codes.
const COMMANDS: [(&str, i32); 27] = [
    ("status", 0),
    ("peers", 0),
    ("index", 0),
    ("search a", 0),
    ("search nothing-at-all", 3),
    ("get a.txt --force -o out/", 0),
    ("get a.txt b.txt --force -o out/", 0),
    ("get a.txt missing --force -o out/", 3),
    ("get missing", 3),
    ("link a.txt", 0),
    ("load a.txt --on peer_1 --no-wait", 0),
    ("load --list", 0),
    ("put docs/a.txt --to peer_1", 0),
    ("invite", 0),
    ("invite list", 0),
    ("session list", 0),
    ("audit", 0),
    ("user list", 0),
    ("share docs", 0),
    ("config default", 0),
    ("config path", 0),
    ("completions bash", 0),
    ("man", 0),
    ("--help", 0),
    ("get --help", 0),
    ("--version", 0),
    ("nonsense", 2),
];

fn home() -> (Directory, Home, crate::harness::Process) {
    let directory = Directory::with("");
    let ana = directory.member("ana");
    for name in ["a.txt", "b.txt"] {
        ana.write(&format!("docs/{name}"), name.as_bytes());
    }
    let peer = ana.peer("peer_1", &ana.path("docs"), "--allow-uploads");
    (directory, ana, peer)
}

#[test]
fn unwritable_results_fail_every_command() {
    let (_directory, ana, _peer) = home();
    for (args, code) in COMMANDS {
        for json in ["", "--json "] {
            let args = format!("{json}{args}");
            let (ended, said) = run(ana.command(&args), Some(full()), None);
            // Wrong usage is reported on stderr; a search without results prints nothing.
            let has_output = code == 0 || (!json.is_empty() && !args.contains("search"));
            assert_eq!(ended, if code == 0 { 1 } else { code }, "{args}: {said}");
            if has_output {
                assert!(
                    said.contains("cannot write the output: No space left"),
                    "{args}: {said}"
                );
            }
            assert!(!said.contains("panicked"), "{args}: {said}");
        }
        let (ended, said) = run(ana.command(args), Some(closed()), None);
        assert_eq!(ended, if code == 0 { 141 } else { code }, "{args}: {said}");
        assert!(
            !said.contains("cannot write") && !said.contains("panicked"),
            "{args}: {said}"
        );
    }
    assert_eq!(fs::read(ana.path("out/b.txt")).unwrap(), b"b.txt");
}

#[test]
fn unwritable_notes_change_nothing() {
    let (_directory, ana, _peer) = home();
    for (args, code) in COMMANDS {
        for (flags, stderr) in [("-v", full()), ("--json -v", closed())] {
            let args = format!("{flags} {args}");
            let (ended, _) = run(ana.command(&args), None, Some(stderr));
            assert_eq!(ended, code, "{args}");
        }
    }
}
