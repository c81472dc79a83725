//! The menu in a real terminal (tmux): from a new home to a finished download, and the restored
//! terminal.

use std::cell::Cell;
use std::fs;
use std::process::Command;

use xtest::Need;

use crate::harness::{Directory, Home, PASSWORD, contents, text, wait_until};

/// A terminal with a shell for one home; ended on drop.
struct Terminal<'a> {
    home: &'a Home,
    socket: String,
    /// The number of calls of `is_back`.
    checks: Cell<u32>,
}

impl<'a> Terminal<'a> {
    fn open(home: &'a Home, size: (u16, u16)) -> Self {
        let socket = home.path("tmux.socket").display().to_string();
        let checks = Cell::new(0);
        let terminal = Self {
            home,
            socket,
            checks,
        };
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

    /// Presses keys, given by their tmux names.
    fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", "-t", "m", key]);
        }
    }

    fn kind(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "m", "-l", text]);
    }

    /// Waits until the screen shows all of these texts.
    #[track_caller]
    fn sees_all(&self, wanted: &[&str]) -> String {
        let mut last = String::new();
        let what = format!("{wanted:?}");
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(&what, || {
                last = self.screen();
                let all = wanted.iter().all(|wanted| last.contains(wanted));
                all.then(|| last.clone())
            })
        }));
        match seen {
            Ok(screen) => screen,
            Err(_) => panic!("not shown: {what}\n{last}"),
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

    /// Types a command of this home.
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

    /// Checks that the shell has the terminal, in its original state.
    #[track_caller]
    fn is_back(&self) {
        wait_until("the shell is back", || {
            (self.flag("alternate_on") == "0").then_some(())
        });
        // A new number for each check: the screen still shows the output of an earlier one until
        // it is cleared.
        let check = self.checks.get() + 1;
        self.checks.set(check);
        self.kind(&format!(
            "clear; stty -a | grep -c -e ' -icanon' -e ' -echo ' -e ' -isig'; echo back-$((40+{check}))",
        ));
        self.press(&["Enter"]);
        let screen = self.sees(&format!("back-{}", 40 + check));
        let count = screen.lines().find(|line| line.trim() == "0");
        assert!(count.is_some(), "the terminal is still raw\n{screen}");
        assert_eq!(self.flag("cursor_flag"), "1", "the cursor is still hidden");
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn join_search_pause_and_download_in_the_menu() {
    if !Need::Tmux.is_met() {
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
    // Another file already has this name.
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

    terminal.sees("Type words of a file name");
    terminal.kind("holiday");
    terminal.sees_all(&["holiday film.mkv", "24.0 MiB", "1 source"]);
    terminal.press(&["Down", "Enter"]);
    terminal.sees_all(&["Get a file", "Downloads"]);
    terminal.press(&["Enter"]);
    terminal.sees("downloading holiday film.mkv");
    terminal.press(&["3"]);
    terminal.sees_all(&["━", "MiB/s", "left", "1 source"]);
    terminal.press(&["p"]);
    terminal.sees("paused at");
    // Quitting asks for confirmation during a download.
    terminal.press(&["q"]);
    terminal.sees("Leave the network?");
    terminal.press(&["Escape", "p"]);
    terminal.sees("✓ holiday film.mkv");
    let fetched = ben.path("Downloads/holiday film (1).mkv");
    assert!(fs::read(fetched).unwrap() == bytes, "the contents differ");
    let kept = fs::read(ben.path("Downloads/holiday film.mkv")).unwrap();
    assert_eq!(kept, b"another film");

    terminal.press(&["2"]);
    terminal.sees_all(&["ana-desk", "2 peers online", "(this one)"]);
    // ana's peer accepts uploads.
    ben.write("notes.txt", b"for ana");
    terminal.press(&["Home", "u"]);
    terminal.sees_all(&["Upload a file", "ana-desk"]);
    terminal.kind("notes.txt");
    terminal.press(&["Enter", "3"]);
    terminal.sees_all(&["uploads to peers", "✓ notes.txt"]);
    let left = fs::read(ana.root().join("inbox/ben/notes.txt")).unwrap();
    assert_eq!(left, b"for ana");
    terminal.press(&["q"]);
    terminal.is_back();
    assert_eq!(ana.peers(), ["ana-desk"], "ben's peer is still listed");
}

#[test]
fn the_terminal_is_restored_on_signals_and_suspension() {
    if !Need::Tmux.is_met() {
        return;
    }
    let directory = Directory::with("");
    let ben = directory.member("ben");
    let terminal = Terminal::open(&ben, (80, 24));
    terminal.start("peer --bind 127.0.0.1 --port 0");
    terminal.sees("Type words of a file name");
    terminal.press(&["C-z"]);
    terminal.is_back();
    terminal.kind("fg");
    terminal.press(&["Enter"]);
    terminal.sees("Type words of a file name");

    terminal.tmux(&["resize-window", "-t", "m", "-x", "30", "-y", "8"]);
    terminal.sees("needs 40×10");
    terminal.tmux(&["resize-window", "-t", "m", "-x", "100", "-y", "30"]);
    terminal.sees("Type words of a file name");

    terminal.press(&["C-z"]);
    terminal.is_back();
    terminal.kind("fg");
    terminal.press(&["Enter"]);
    terminal.sees("Type words of a file name");
    let running = fs::read(ben.root().join("peer/running.json")).unwrap();
    let running: serde_json::Value = serde_json::from_slice(&running).unwrap();
    let pid = running["pid"].as_u64().unwrap() as i32;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    terminal.is_back();

    // A terminal that cannot show the menu gets log lines.
    terminal.kind("clear; TERM=dumb ");
    terminal.start("peer --bind 127.0.0.1 --port 0");
    terminal.sees("peer ready");
    terminal.press(&["C-c"]);
    terminal.is_back();
}

#[test]
fn prompts_for_the_link_and_for_a_similar_name() {
    if !Need::Tmux.is_met() {
        return;
    }
    let directory = Directory::with("");
    let ana = directory.member("ana");
    ana.write("docs/data.csv.bak", b"a backup");
    let _peer = ana.peer("ana-desk", &ana.path("docs"), "");
    let ben = Home::new();
    let terminal = Terminal::open(&ben, (100, 30));
    terminal.kind(&format!("export CONVITE_PASSWORD='{PASSWORD}'; clear"));
    terminal.press(&["Enter"]);
    terminal.start("join --user ben");
    terminal.sees("Invite link:");
    // Wrapped, as by a mail program.
    let (first, second) = directory.invite.split_at(50);
    for line in [first, second] {
        terminal.kind(line);
        terminal.press(&["Enter"]);
    }
    terminal.sees("as ben (member)");
    for (answer, is_there) in [("n", false), ("y", true)] {
        terminal.kind("clear");
        terminal.press(&["Enter"]);
        terminal.start("get data.csv -o data.csv; echo ended-$?");
        terminal.sees("Did you mean data.csv.bak (8 B, in docs · ana-desk)? [y/N]");
        terminal.kind(answer);
        terminal.press(&["Enter"]);
        terminal.sees(if is_there { "ended-0" } else { "ended-3" });
        assert_eq!(ben.path("data.csv").exists(), is_there);
    }
}
