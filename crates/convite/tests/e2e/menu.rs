//! The menu in a real terminal (tmux): from nothing to a finished download, and the terminal as it
//! was before.

use std::fs;
use std::process::Command;

use crate::harness::{Directory, Home, PASSWORD, contents, text, until};

/// Whether there is a tmux; it is installed where that can be.
fn has_tmux() -> bool {
    let works = || {
        let ran = Command::new("tmux").arg("-V").output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if works() {
        return true;
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", "tmux"]);
    let _ = install.env("DEBIAN_FRONTEND", "noninteractive").output();
    let works = works();
    if !works {
        println!("*** SKIPPED: there is no tmux, and it could not be installed: no menu was run");
    }
    works
}

/// A terminal with a shell in it, of a machine of its own; ended when this goes.
struct Terminal<'a> {
    home: &'a Home,
    socket: String,
}

impl<'a> Terminal<'a> {
    fn open(home: &'a Home, size: (u16, u16)) -> Self {
        let socket = home.path("tmux.socket").display().to_string();
        let terminal = Self { home, socket };
        let (x, y) = (size.0.to_string(), size.1.to_string());
        let shell = "exec env PS1='ready$ ' bash --norc --noprofile";
        let args = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "m",
            "-x",
            &x,
            "-y",
            &y,
            shell,
        ];
        terminal.tmux(&args);
        terminal.sees("ready$");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path(""))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(self.home.path(""))
            .args(["-u", "-S", &self.socket])
            .args(args);
        let ran = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{args:?}: {stderr}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "m"])
    }

    /// Presses keys by their names.
    fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", "-t", "m", key]);
        }
    }

    fn kind(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "m", "-l", text]);
    }

    /// Waits until the screen shows all of that.
    #[track_caller]
    fn sees_all(&self, wanted: &[&str]) -> String {
        let mut last = String::new();
        let what = format!("{wanted:?}");
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(&what, || {
                last = self.screen();
                let all = wanted.iter().all(|wanted| last.contains(wanted));
                all.then(|| last.clone())
            })
        }));
        match seen {
            Ok(screen) => screen,
            Err(_) => panic!("never seen: {what}\n{last}"),
        }
    }

    #[track_caller]
    fn sees(&self, wanted: &str) -> String {
        self.sees_all(&[wanted])
    }

    fn flag(&self, name: &str) -> String {
        let format = format!("#{{{name}}}");
        let shown = self.tmux(&["display-message", "-p", "-t", "m", &format]);
        shown.trim().to_owned()
    }

    /// Starts the menu of this home.
    fn start(&self, args: &str) {
        let root = self.home.root();
        let line = format!(
            "{} --home {} {args}",
            env!("CARGO_BIN_EXE_convite"),
            root.display()
        );
        self.kind(&line);
        self.press(&["Enter"]);
    }

    /// The shell has the terminal, and it is as it was.
    #[track_caller]
    fn is_back(&self) {
        until("the shell is back", || {
            (self.flag("alternate_on") == "0").then_some(())
        });
        self.kind(
            "clear; stty -a | grep -c -e ' -icanon' -e ' -echo ' -e ' -isig'; echo back-$((40+2))",
        );
        self.press(&["Enter"]);
        let screen = self.sees("back-42");
        let count = screen.lines().find(|line| line.trim() == "0");
        assert!(count.is_some(), "the terminal is raw still\n{screen}");
        assert_eq!(self.flag("cursor_flag"), "1", "the cursor is hidden still");
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn a_newcomer_joins_finds_pauses_and_fetches_in_the_menu_alone() {
    if !has_tmux() {
        return;
    }
    let ana = Home::new();
    let bytes = contents(71, 24 << 20);
    ana.write("shared/holiday film.mkv", &bytes);
    let up = ana.start(
        "--json up shared --user ana --listen 127.0.0.1:0 --port 0 --id ana-desk --upload-limit 4M --allow-uploads",
    );
    let ready = up.object("directory", |o| {
        o["event"] == "ready" && o["kind"] == "directory"
    });
    let invite = text(&ready, "invite");
    let ben = Home::new();
    fs::create_dir_all(ben.path("Downloads")).unwrap();
    // The name is taken by something else.
    ben.write("Downloads/holiday film.mkv", b"another film");

    let terminal = Terminal::open(&ben, (80, 24));
    terminal.start("peer --bind 127.0.0.1 --port 0");
    terminal.sees("Invite link");
    terminal.kind(&invite);
    terminal.press(&["Enter", "Up", "C-u"]);
    terminal.kind("ben");
    terminal.press(&["Enter"]);
    terminal.kind(PASSWORD);
    let screen = terminal.sees("••••");
    assert!(!screen.contains(PASSWORD));
    terminal.press(&["Enter"]);

    terminal.sees("Type words of a name");
    terminal.kind("holiday");
    terminal.sees_all(&["holiday film.mkv", "24.0 MiB", "1 provider"]);
    terminal.press(&["Down", "Enter"]);
    terminal.sees_all(&["Get a file", "Downloads"]);
    terminal.press(&["Enter"]);
    terminal.sees("fetching holiday film.mkv");
    terminal.press(&["3"]);
    terminal.sees_all(&["━", "MiB/s", "left", "1 provider"]);
    terminal.press(&["p"]);
    terminal.sees("paused at");
    // Quitting asks while it is not done.
    terminal.press(&["q"]);
    terminal.sees("Leave the network?");
    terminal.press(&["Escape", "p"]);
    terminal.sees("✓ holiday film.mkv");
    let fetched = ben.path("Downloads/holiday film (1).mkv");
    assert!(fs::read(fetched).unwrap() == bytes, "not the same bytes");
    let kept = fs::read(ben.path("Downloads/holiday film.mkv")).unwrap();
    assert_eq!(kept, b"another film");

    terminal.press(&["2"]);
    terminal.sees_all(&["ana-desk", "2 peers online", "(this one)"]);
    // ana's peer takes uploads: ben leaves something there.
    ben.write("notes.txt", b"for ana");
    terminal.press(&["Home", "u"]);
    terminal.sees_all(&["Upload a file", "ana-desk"]);
    terminal.kind("notes.txt");
    terminal.press(&["Enter", "3"]);
    terminal.sees_all(&["to other peers", "✓ notes.txt"]);
    let left = fs::read(ana.root().join("inbox/ben/notes.txt")).unwrap();
    assert_eq!(left, b"for ana");
    terminal.press(&["q"]);
    terminal.is_back();
    assert_eq!(ana.peers(), ["ana-desk"], "ben has left the network");
}

#[test]
fn the_terminal_is_given_back_on_signals_and_to_the_shell_in_between() {
    if !has_tmux() {
        return;
    }
    let directory = Directory::with("");
    let ben = directory.member("ben");
    let terminal = Terminal::open(&ben, (80, 24));
    terminal.start("peer --bind 127.0.0.1 --port 0");
    terminal.sees("Type words of a name");
    terminal.press(&["C-z"]);
    terminal.is_back();
    terminal.kind("fg");
    terminal.press(&["Enter"]);
    terminal.sees("Type words of a name");

    terminal.tmux(&["resize-window", "-t", "m", "-x", "30", "-y", "8"]);
    terminal.sees("40×10 wanted");
    terminal.tmux(&["resize-window", "-t", "m", "-x", "100", "-y", "30"]);
    terminal.sees("Type words of a name");

    terminal.press(&["C-z"]);
    terminal.is_back();
    terminal.kind("fg");
    terminal.press(&["Enter"]);
    terminal.sees("Type words of a name");
    let running = fs::read(ben.root().join("peer/running.json")).unwrap();
    let running: serde_json::Value = serde_json::from_slice(&running).unwrap();
    let pid = running["pid"].as_u64().unwrap() as i32;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    terminal.is_back();

    // A terminal that can show no menu gets lines.
    terminal.kind("clear; TERM=dumb ");
    terminal.start("peer --bind 127.0.0.1 --port 0");
    terminal.sees("peer ready");
    terminal.press(&["C-c"]);
    terminal.is_back();
}
