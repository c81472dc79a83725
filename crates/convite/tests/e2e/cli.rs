//! Contracts with scripts: streams, exit codes, settings; and secrets that must not be printed.

use crate::harness::{Directory, Home, PASSWORD, Pair, Process, contents, finish, text};

#[test]
fn results_go_to_stdout_and_the_rest_to_stderr() {
    let pair = Pair::new();
    pair.ana.write("docs/a.bin", &contents(61, 70_000));
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let got = pair.ben.run("get a.bin").ok();
    assert_eq!(got.stdout.lines().count(), 1, "{}", got.stdout);
    assert!(got.stdout.contains("a.bin") && got.stdout.contains("verified"));
    assert!(!got.stdout.contains(['\r', '\u{1b}']) && !got.stderr.contains(['\r', '\u{1b}']));

    let missing = pair.ben.run("get nothing.bin").ends(3);
    assert_eq!(missing.stdout, "");
    let mut lines = missing.stderr.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("error: no online peer shares")
    );
    assert!(lines.next().unwrap().starts_with("hint: "));
    let nothing = pair.ben.run("search nothing").ends(3);
    assert_eq!(nothing.stdout, "");
    assert_eq!(pair.ben.run("-q search nothing").ends(3).stderr, "");

    let line = pair.ben.run("search a.bin").ok().stdout;
    assert_eq!(line.lines().count(), 1);
    assert!(
        line.contains("68.4 KiB") && line.contains("1 source"),
        "{line}"
    );
}

#[test]
fn json_output_contains_only_objects() {
    let directory = Directory::with("");
    let ana = Home::new();
    let joined = ana
        .json(&format!("join {} --user ana", directory.invite))
        .ok();
    joined.event("joined");
    ana.write("docs/a.txt", b"contents");
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    for (args, code) in [
        ("peers", 0),
        ("index", 0),
        ("search a", 0),
        ("search nothing", 3),
        ("status", 0),
        ("invite", 0),
        ("get a.txt -o out/", 0),
        ("get nothing", 3),
        ("share docs", 0),
        ("unshare docs", 0),
        ("leave", 0),
        ("logout", 0),
        ("peers", 4),
    ] {
        ana.json(args).ends(code).objects();
    }
    peer.ended().ok().objects();
    let hit = ["hash", "name", "names", "size", "providers", "score"];
    let peer = ana.run("login").ok();
    assert!(peer.stdout.starts_with("logged in as ana"));
    let again = ana.peer("peer_1", &ana.path("docs"), "");
    let object = &ana.json("search a").ok().objects()[0];
    for field in hit {
        assert!(!object[field].is_null(), "{field} in {object}");
    }
    let object = &ana.json("peers").ok().objects()[0];
    for field in ["id", "user", "addresses", "files", "since"] {
        assert!(!object[field].is_null(), "{field} in {object}");
    }
    let done = ana.json("get a.txt -o other/").ok().event("done");
    for field in ["path", "hash", "bytes", "seconds", "providers"] {
        assert!(!done[field].is_null(), "{field} in {done}");
    }
    drop(again);
}

#[test]
fn wrong_usage_exits_with_2_and_help_with_0() {
    let home = Home::new();
    for args in [
        "",
        "nonsense",
        "get",
        "search",
        "join",
        "join not-a-link",
        "peers --no-such-flag",
        "search x --limit 0",
        "search x --min-size much",
        "search x --newer foo",
        "put . --to peer_1",
        "directory --lease 0s",
        "peer bad/id 0",
        "-q -v peers",
    ] {
        home.run(args).ends(2);
        let refused = home.json(args).ends(2).event("error");
        assert_eq!(refused["code"], "invalid_argument", "{args}: {refused}");
    }
    for args in [
        "--help",
        "--version",
        "help get",
        "up --help",
        "config default",
    ] {
        assert!(!home.run(args).ok().stdout.is_empty(), "{args}");
    }
}

#[test]
fn files_with_equal_names_are_distinguished() {
    let pair = Pair::new();
    pair.ana.write("docs/old/report.txt", b"old");
    pair.ana.write("docs/new/report.txt", b"new");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let several = pair.ben.run("get report.txt").ends(1).stdout;
    let found = pair.ben.run("search report").ok().stdout;
    for said in [&several, &found] {
        for place in ["docs/old · peer_1", "docs/new · peer_1"] {
            assert!(said.contains(place), "{place} in {said}");
        }
    }
    for object in pair.ben.json("search report").ok().objects() {
        assert!(text(&object["peers"][0], "id") == "peer_1", "{object}");
        assert!(text(&object, "folder").starts_with("docs/"));
    }
    // The hash shown by `index` can be used with `get`.
    let index = pair.ben.run("index").ok().stdout;
    let line = index.lines().find(|line| line.contains("report.txt"));
    let hash = line
        .unwrap()
        .split_whitespace()
        .find(|word| word.len() == 64)
        .unwrap();
    pair.ben.run(&format!("get {hash} -o out/")).ok();

    let asked = "search report --peer nobody";
    let refused = pair.ben.json(asked).ends(3).event("error");
    assert!(text(&refused, "message").contains("peer 'nobody' is not online"));
    let nothing = pair
        .ben
        .run("search report --max-size 1 --peer peer_1")
        .ends(3);
    let filters =
        "no files or folders of online peers match report, with --max-size 1 B --peer peer_1";
    assert!(nothing.stderr.contains(filters), "{}", nothing.stderr);
}

#[test]
fn an_occupied_home_or_port_is_reported() {
    let pair = Pair::new();
    let directory = &pair.directory.home;
    let again = directory
        .json("directory --listen 127.0.0.1:0")
        .ends(1)
        .event("error");
    assert_eq!(again["message"], "a directory already runs on this home");
    assert!(text(&again, "hint").contains("convite invite"));
    let up = directory
        .json("up . --listen 127.0.0.1:0")
        .ends(1)
        .event("error");
    assert_eq!(up["code"], "in_use");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path(""), "");
    let second = pair.ana.json("peer --no-menu").ends(1).event("error");
    assert_eq!(second["message"], "a peer already runs on this home");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let args = format!("peer --no-menu --bind 127.0.0.1 --port {port}");
    let taken = pair.ben.json(&args).ends(1).event("error");
    let said = format!("cannot listen on port {port}: already in use");
    assert_eq!(text(&taken, "message"), said);
}

#[test]
fn an_existing_name_with_a_wrong_password_is_not_an_internal_error() {
    let directory = Directory::with("");
    let _ana = directory.member("ana");
    let other = Home::new();
    let mut join = other.command(&format!("--json join {} --user ana", directory.invite));
    join.env("CONVITE_PASSWORD", "not the password");
    let refused = finish(join).ends(4).event("error");
    assert_eq!(refused["code"], "wrong_credentials");
    // A link in typographic quotes, as copied from a mail.
    let mut quoted = other.command("join");
    quoted
        .arg(format!("“{}” ", directory.invite))
        .args(["--user", "ben"]);
    finish(quoted).ok();
}

#[test]
fn the_configuration_file_is_read_and_its_errors_are_located() {
    let home = Home::new();
    let path = home.write(
        "home/convite.toml",
        b"[directory]\nlisten = \"127.0.0.1:0\"\n",
    );
    let directory = home.start("--json directory");
    assert!(text(&directory.ready(), "url").starts_with("https://127.0.0.1:"));
    drop(directory);

    for (wrong, named) in [
        (
            "[directory]\n\nlistn = \"127.0.0.1:0\"\n",
            "convite.toml:3:1: unknown setting 'listn' in [directory]",
        ),
        ("[directory]\nlistn = 1\n", "did you mean 'listen'?"),
        ("[directory]\nlease = soon\n", "convite.toml:2:9: "),
        ("\n[directory]\n  lease = \"soon\"\n", "convite.toml:3:3: "),
        ("[directorie]\n", "directorie"),
        ("[directory]\nlease = \"soon\"\n", "lease"),
        ("[directory\n", "convite.toml"),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let refused = home.run("directory").ends(2);
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("convite.toml"),
            "{}",
            refused.stderr
        );
        // Commands that help to correct the file, or do not use it, still work.
        for (args, code) in [
            ("config default", 0),
            ("config path", 0),
            ("completions bash", 0),
            ("man", 0),
            ("--help", 0),
            ("peer --help", 0),
            ("--version", 0),
            ("peers", 4),
        ] {
            home.run(args).ends(code);
        }
    }
}

#[test]
fn secrets_are_not_logged_at_any_level() {
    let traced = |home: &Home, args: &str| {
        let mut command = home.command(args);
        command.env("RUST_LOG", "trace");
        command
    };
    let (root, ana, ben) = (Home::new(), Home::new(), Home::new());
    let directory = Process::start(traced(&root, "--json directory --listen 127.0.0.1:0"));
    let invite = text(&directory.ready(), "invite");
    let mut logs = String::new();
    for (home, user) in [(&ana, "ana"), (&ben, "ben")] {
        let joined = finish(traced(home, &format!("join {invite} --user {user}"))).ok();
        logs.push_str(&joined.stderr);
    }
    logs.push_str(&finish(traced(&ben, "login")).ok().stderr);
    let bytes = contents(62, 400_000);
    ana.write("docs/a.bin", &bytes);
    let args = "--json peer peer_1 0 docs --bind 127.0.0.1 --no-menu";
    let peer = Process::start(traced(&ana, args));
    peer.ready();
    logs.push_str(&finish(traced(&ben, "get a.bin")).ok().stderr);
    let control = std::fs::read_to_string(ana.root().join("peer/control.token")).unwrap();
    logs.push_str(&finish(traced(&ana, "status")).ok().stderr);
    logs.push_str(&peer.stop().stderr);
    logs.push_str(&directory.stop().stderr);

    assert!(
        logs.contains("TRACE") && logs.contains("DownloadFile"),
        "the log is incomplete"
    );
    let code = invite
        .rsplit('/')
        .next()
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    for (secret, which) in [
        (PASSWORD, "the password"),
        (code, "the invite"),
        (&*text(&ana.credentials(), "token"), "a session"),
        (&*text(&ben.credentials(), "token"), "a session"),
        (control.trim(), "the control token"),
        ("v4.public.", "a ticket"),
    ] {
        let at = logs.find(secret);
        let line = at.and_then(|at| logs[..at].rsplit('\n').next());
        assert!(
            at.is_none(),
            "{which} is in the log: {}",
            line.unwrap_or_default()
        );
    }
}
