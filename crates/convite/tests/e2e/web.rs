//! The web page, as somebody with a browser has it: real processes, a real Chromium.

mod account;
mod administering;
mod connecting;
mod entering;
mod files;
mod keyboard;
mod languages;
mod live;
mod moving;
mod outages;
mod screens;
mod searching;
mod speed;

use crate::browser::Browser;
use crate::harness::{Directory, Home, PASSWORD, Process};

/// Would run, or end its line, if it were taken for markup.
const HOSTILE: &str = "<img src=x onerror=document.title='taken'> lake.txt";
/// Would turn the rest of its line round.
const TURNED: &str = "lake \u{202e}gpj.exe";
/// Would look like two.
const BROKEN: &str = "lake\nsecond line.txt";

/// A directory, its administrator with a peer that shares a folder tree, and a browser.
struct Web {
    browser: Browser,
    /// Of `peer_1`; killed with this.
    peer: Process,
    ana: Home,
    directory: Directory,
}

impl Web {
    /// None where there is no browser. `fill` puts files below `docs`.
    fn open(browser: impl FnOnce() -> Browser, fill: impl FnOnce(&Home)) -> Option<Self> {
        if !crate::browser::is_there() {
            return None;
        }
        let directory = Directory::with("--lease 3s");
        let ana = directory.member("ana");
        ana.write("docs/always.txt", b"here");
        fill(&ana);
        let peer = ana.peer("peer_1", &ana.path("docs"), "");
        Some(Self {
            browser: browser(),
            peer,
            ana,
            directory,
        })
    }

    fn address(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.directory.port)
    }

    /// Makes an account with the invite from its address, as one who was sent it.
    fn join(&self, user: &str) {
        let invite: String = self
            .directory
            .invite
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        self.browser.go(&self.address(&format!("/#join={invite}")));
        self.enter(user, PASSWORD);
    }

    /// Signs in.
    fn sign_in(&self, user: &str) {
        self.browser.go(&self.address("/"));
        self.enter(user, PASSWORD);
    }

    /// Fills in the form that is there.
    fn enter(&self, user: &str, password: &str) {
        self.browser.type_into("#user", user);
        self.browser.type_into("#password", password);
        self.browser.click("form button");
        self.browser.wait("document.querySelector('#top nav')");
    }

    /// Goes to a screen, and waits for what shows that it is there.
    fn screen(&self, fragment: &str, sign: &str) {
        self.browser.run(&format!("location.hash = {fragment:?}"));
        self.browser.wait(&format!(
            "document.querySelector('main').querySelector({sign:?})"
        ));
    }

    /// Waits until a part of the page says something.
    fn wait_for(&self, selector: &str, text: &str) {
        self.browser.wait(&format!(
            "document.querySelector({selector:?})?.innerText.includes({text:?})"
        ));
    }

    /// Presses a button that asks whether one is sure, twice.
    fn click_surely(&self, selector: &str) {
        self.browser.click(selector);
        self.browser.wait(&format!(
            "document.querySelector({selector:?}).classList.contains('armed')"
        ));
        self.browser.click(selector);
    }
}

/// A window as on a desk.
fn desk() -> Browser {
    Browser::open(1280, 900, "en-US", false)
}
