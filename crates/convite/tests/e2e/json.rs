//! `--json` on every command: stdout has one object per line and nothing else.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::{Directory, Home, text};

/// Returns all commands without subcommands, by their words. They come from the manual pages, so that
/// none is missing.
fn commands() -> BTreeSet<String> {
    let home = Home::new();
    home.run("man pages").ok();
    let pages = fs::read_dir(home.path("pages")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let all: BTreeSet<String> = names
        .filter_map(|name| {
            Some(
                name.strip_suffix(".1")?
                    .strip_prefix("convite-")?
                    .replace('-', " "),
            )
        })
        .collect();
    // Some commands with subcommands also work without one.
    let has_below = |command: &str| {
        let below = format!("{command} ");
        all.iter().any(|other| other.starts_with(&below))
    };
    all.iter()
        .filter(|command| !has_below(command))
        .cloned()
        .collect()
}

/// The tried commands.
#[derive(Default)]
struct Tried(BTreeSet<String>);

impl Tried {
    /// Runs a command, whose name has `words` words, and checks its output.
    #[track_caller]
    fn run(&mut self, home: &Home, words: usize, args: &str, code: i32) {
        let ran = home.json(args).ends(code);
        let objects = ran.objects();
        let has_result = !objects.is_empty() || LISTS.contains(&args);
        assert!(has_result, "no result of {args}\n{}", ran.stderr);
        self.note(words, args);
    }

    fn note(&mut self, words: usize, args: &str) {
        let words: Vec<_> = args.split(' ').take(words).collect();
        self.0.insert(words.join(" "));
    }
}

/// Commands with an empty result in this test.
const LISTS: [&str; 1] = ["search nothing-at-all"];

#[test]
fn every_command_prints_only_json_objects() {
    let directory = Directory::with("");
    let ana = Home::new();
    let mut tried = Tried::default();
    let link = &directory.invite;
    tried.run(&ana, 1, &format!("join {link} --user ana"), 0);
    ana.write("docs/a.txt", b"contents");
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    for (words, args, code) in [
        (1, "status", 0),
        (1, "hash docs/a.txt", 0),
        (1, "peers", 0),
        (1, "index", 0),
        (1, "index --peer nobody", 3),
        (1, "search a", 0),
        (1, "search nothing-at-all", 3),
        (1, "get a.txt -o out/", 0),
        (1, "link a.txt", 0),
        (1, "put docs/a.txt --to peer_1", 4),
        (1, "get nothing-at-all", 3),
        (1, "load a.txt --on peer_1", 0),
        (1, "load --list", 0),
        (1, "load a.txt --on nobody", 3),
        (1, "share docs", 0),
        (1, "share docs --space none", 4),
        (1, "unshare docs", 0),
        (1, "unshare docs", 3),
        (2, "config default", 0),
        (2, "config path", 0),
        (1, "leave", 0),
        (1, "leave", 3),
        (1, "login", 0),
    ] {
        tried.run(&ana, words, args, code);
    }
    peer.ended().ok().objects();
    tried.note(1, "peer");
    tried.run(&ana, 1, "logout", 0);

    let other = Directory::with("");
    let root = other.member("root");
    let eve = other.member("eve");
    root.write("secret", b"another long secret 41");
    for (words, args, code) in [
        (2, "user add fay", 0),
        (2, "user list", 0),
        (2, "user role fay guest", 0),
        (2, "user disable fay", 0),
        (2, "user enable fay", 0),
        (2, "user passwd fay --new-password-file secret", 0),
        (2, "space add lab", 0),
        (2, "space list", 0),
        (3, "space member add lab fay", 0),
        (3, "space member list lab", 0),
        (3, "space member remove lab fay", 0),
        (2, "space remove lab", 0),
        (1, "audit", 0),
        (1, "invite", 0),
        (2, "invite list", 0),
        (2, "session list", 0),
    ] {
        tried.run(&root, words, args, code);
    }
    let id = |list: &str| text(&root.json(list).ok().objects()[0], "id");
    let args = format!("invite revoke {}", id("invite list"));
    tried.run(&root, 2, &args, 0);
    let args = format!("session revoke {}", id("session list --user eve"));
    tried.run(&root, 2, &args, 0);
    eve.run("login").ok();
    eve.write("docs/a.txt", b"contents");
    drop(eve.peer("peer_2", &eve.path("docs"), ""));
    tried.run(&root, 2, "peers remove peer_2", 0);
    eve.json("user list").ends(4).event("error");
    tried.run(&other.home, 2, "directory backup copy", 0);
    let restored = Home::new();
    let copy = other.home.path("copy").display().to_string();
    tried.run(&restored, 2, &format!("directory restore {copy}"), 0);
    other.process.stop().ok().objects();

    let up = Home::new();
    up.write("docs/a.txt", b"contents");
    let process = up.start("--json up docs --listen 127.0.0.1:0 --port 0");
    assert!(!text(&process.ready(), "url").is_empty());
    process.stop().ok().objects();
    tried.note(1, "up");

    // These commands are for shells and for `man`, which do not read JSON.
    let documents = ["completions", "man"].map(str::to_owned);
    let known: BTreeSet<String> = tried.0.into_iter().chain(documents).collect();
    let missing: Vec<_> = commands().difference(&known).cloned().collect();
    assert!(missing.is_empty(), "not tried with --json: {missing:?}");
}
