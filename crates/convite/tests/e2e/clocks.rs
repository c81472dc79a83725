//! Wrong clocks and sleeping machines, simulated with libfaketime for one process or for all.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use xtest::Need;

use crate::harness::{Directory, Home, Process, contents, finish, wait_until};

/// Returns the path of libfaketime; `None` if it is not installed.
fn faketime() -> Option<PathBuf> {
    Need::Faketime.is_met().then(xtest::faketime).flatten()
}

/// Shifts the wall clock of a command by `offset`, such as `+12m`; the monotonic clock is unchanged.
fn offset(mut command: Command, library: &PathBuf, offset: &str) -> Command {
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", offset)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    command
}

/// Like [`offset`], with an offset that is read repeatedly from a file.
fn following(command: Command, library: &PathBuf, file: &PathBuf) -> Command {
    let mut command = offset(command, library, "+0");
    command
        .env_remove("FAKETIME")
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1");
    command
}

#[test]
fn wrong_clocks_are_reported_and_do_not_stop_downloads() {
    let Some(library) = faketime() else {
        return;
    };
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(3, 300_000);
    ana.write("data/film.mkv", &bytes);
    let peer = ana.command("--json peer ana-1 0 data --bind 127.0.0.1 --no-menu");
    let peer = Process::start(offset(peer, &library, "+12m"));
    peer.ready();
    // By the provider's clock, every ticket has expired.
    ben.run("get film.mkv -o one").ok();
    assert!(fs::read(ben.path("one")).unwrap() == bytes);
    let status = finish(offset(ana.command("status"), &library, "+12m")).ok();
    assert!(
        status.stdout.contains("clock is 12 min ahead"),
        "{}",
        status.stdout
    );
    assert!(status.stdout.contains("timedatectl"), "{}", status.stdout);
    // By the reader's clock, the provider's certificate has expired, or is not valid yet.
    for (file, off, words) in [
        ("two", "+2d", "2 days ahead"),
        ("three", "-2d", "2 days behind"),
    ] {
        let get = ben.command(&format!("get film.mkv -o {file}"));
        let ran = finish(offset(get, &library, off)).ok();
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(fs::read(ben.path(file)).unwrap() == bytes);
    }
    let status = finish(offset(ana.command("--json status"), &library, "+2d")).ok();
    let status = status.objects().remove(0);
    assert_eq!(status["peer"]["online"], true, "{status}");
    let ahead = status["clock_ahead_seconds"].as_i64().unwrap();
    assert!((172_790..172_810).contains(&ahead), "{ahead}");
    let exact = finish(ben.command("get film.mkv -o four")).ok();
    assert!(!exact.stderr.contains("clock"), "{}", exact.stderr);
}

#[test]
fn certificates_are_renewed_after_a_sleep() {
    let Some(library) = faketime() else {
        return;
    };
    let shared = tempfile::tempdir().unwrap();
    let clock = shared.path().join("offset");
    fs::write(&clock, "+0\n").unwrap();
    let start = |home: &Home, args: &str| {
        let process = Process::start(following(home.command(args), &library, &clock));
        let ready = process.ready();
        (process, ready)
    };
    let run = |home: &Home, args: &str| finish(following(home.command(args), &library, &clock));
    let (founder, ana, ben) = (Home::new(), Home::new(), Home::new());
    let (_directory, ready) = start(
        &founder,
        "--json directory --listen 127.0.0.1:0 --lease 3s --session-lifetime 300d",
    );
    let invite = ready["invite"].as_str().unwrap().to_owned();
    for (home, user) in [(&ana, "ana"), (&ben, "ben")] {
        run(home, &format!("join {invite} --user {user}")).ok();
    }
    ana.write("data/film.mkv", b"a film");
    let _peer = start(&ana, "--json peer ana-1 0 data --bind 127.0.0.1 --no-menu");
    // A peer's certificate is valid for a day, the directory's for 30 days.
    for (sleep, file) in [("+28h", "one"), ("+45d", "two"), ("+90d", "three")] {
        fs::write(&clock, format!("{sleep}\n")).unwrap();
        wait_until("the download works again", || {
            (run(&ben, &format!("get film.mkv -o {file}")).code == 0).then_some(())
        });
    }
}

#[test]
fn a_directory_clock_that_is_set_back_is_followed() {
    let Some(library) = faketime() else {
        return;
    };
    let shared = tempfile::tempdir().unwrap();
    let clock = shared.path().join("offset");
    fs::write(&clock, "+2d\n").unwrap();
    let (founder, ana, ben) = (Home::new(), Home::new(), Home::new());
    let directory = founder.command("--json directory --listen 127.0.0.1:0 --lease 3s");
    let directory = Process::start(following(directory, &library, &clock));
    let invite = directory.ready()["invite"].as_str().unwrap().to_owned();
    for (home, user) in [(&ana, "ana"), (&ben, "ben")] {
        home.run(&format!("join {invite} --user {user}")).ok();
    }
    ana.write("data/film.mkv", b"a film");
    let peer = ana.command("--json peer ana-1 0 data --bind 127.0.0.1 --no-menu");
    let peer = Process::start(peer);
    peer.ready();
    let ahead = || {
        let status = ana.run("--json status").ok().objects().remove(0);
        -status["clock_ahead_seconds"].as_i64().unwrap_or_default()
    };
    assert!((172_000..173_000).contains(&ahead()), "{}", ahead());

    fs::write(&clock, "+0\n").unwrap();
    // Each thread of the directory may have answered before the change.
    wait_until("the peer has a certificate for today", || {
        let ran = ben.run("get film.mkv -o one");
        (ran.code == 0).then_some(())
    });
    for _ in 0..20 {
        assert!(ahead().abs() < 10, "{}", ahead());
    }
}
