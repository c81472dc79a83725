//! The web page in a real Chromium, with real processes.

mod account;
mod administering;
mod files;
mod join;
mod keyboard;
mod languages;
mod live;
mod login;
mod outages;
mod screens;
mod searching;
mod speed;
mod transfers;

use crate::browser::Browser;
use crate::harness::{Directory, Home, PASSWORD, Process};

/// A name that would run a script if it were not escaped.
const MARKUP_NAME: &str = "<img src=x onerror=document.title='taken'> lake.txt";
/// A name that would reverse the rest of its line.
const REVERSING_NAME: &str = "lake \u{202e}gpj.exe";
/// A name that would look like two lines.
const TWO_LINE_NAME: &str = "lake\nsecond line.txt";

/// A directory, its administrator with a peer that shares a folder tree, and a browser.
struct Web {
    browser: Browser,
    /// The process of `peer_1`.
    peer: Process,
    ana: Home,
    directory: Directory,
}

impl Web {
    /// Returns `None` if there is no browser. `fill` writes files below `docs`.
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

    /// Opens the web address of an invite and creates an account.
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

    /// Logs in.
    fn sign_in(&self, user: &str) {
        self.browser.go(&self.address("/"));
        self.enter(user, PASSWORD);
    }

    /// Fills in and submits the form.
    fn enter(&self, user: &str, password: &str) {
        self.browser.type_into("#user", user);
        self.browser.type_into("#password", password);
        self.browser.click("form button");
        self.browser.wait("document.querySelector('#top nav')");
    }

    /// Opens a screen and waits for the element `sign`.
    fn screen(&self, fragment: &str, sign: &str) {
        self.browser.run(&format!("location.hash = {fragment:?}"));
        self.browser.wait(&format!(
            "document.querySelector('main').querySelector({sign:?})"
        ));
    }

    /// Waits until an element contains a text.
    fn wait_for(&self, selector: &str, text: &str) {
        self.browser.wait(&format!(
            "document.querySelector({selector:?})?.innerText.includes({text:?})"
        ));
    }

    /// Presses a button that asks for confirmation, and confirms.
    fn click_surely(&self, selector: &str) {
        self.browser.click(selector);
        self.browser.wait(&format!(
            "document.querySelector({selector:?}).classList.contains('armed')"
        ));
        self.browser.click(selector);
    }
}

/// Opens a browser with a desktop-size window.
fn desk() -> Browser {
    Browser::open(1280, 900, "en-US", false)
}
