//! The web page, as somebody with a browser has it.

use std::collections::BTreeSet;
use std::path::Path;

use convite_core::ContentHash;

use crate::browser::{self, Browser};
use crate::harness::{Directory, PASSWORD, contents};

/// Would run, or end its line, if it were taken for markup.
const HOSTILE: &str = "<img src=x onerror=document.title='taken'> lake.txt";
/// Would turn the rest of its line round.
const TURNED: &str = "lake \u{202e}gpj.exe";

/// The one complaint that belongs there: who one is, asked before anybody has signed in.
const STRANGER: &str = "/me - Failed to load resource: the server responded with a status of 401";

fn join(browser: &Browser, directory: &Directory, user: &str) {
    let invite: String = directory
        .invite
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    browser.go(&format!(
        "https://127.0.0.1:{}/#join={invite}",
        directory.port
    ));
    browser.type_into("#user", user);
    browser.type_into("#password", PASSWORD);
    browser.click("form button");
    browser.wait("document.querySelector('#q')");
}

#[test]
fn somebody_with_an_invite_finds_a_file_and_gets_it() {
    if !browser::is_there() {
        return;
    }
    let directory = Directory::with("");
    let ana = directory.member("ana");
    let bytes = contents(61, 300_000);
    ana.write("docs/lake.jpg", &bytes);
    ana.write(&format!("docs/{HOSTILE}"), b"a");
    ana.write(&format!("docs/{TURNED}"), b"b");
    let _peer = ana.peer("peer_1", &ana.path("docs"), "");

    let browser = Browser::open(1280, 900, "en-US", false);
    join(&browser, &directory, "ben");
    // What lets one in is out of every script's reach.
    let kept =
        browser.run("return document.cookie + JSON.stringify(sessionStorage) + location.href");
    assert!(!kept.as_str().unwrap().contains("convite="), "{kept}");
    assert!(!kept.as_str().unwrap().contains("join"), "{kept}");

    browser.type_into("#q", "lak");
    browser.wait("document.querySelectorAll('#results li').length === 3");
    let seen = browser.text("#results");
    assert!(seen.contains(HOSTILE), "{seen}");
    assert!(!seen.contains('\u{202e}'), "{seen:?}");
    assert_eq!(
        browser.run("return document.querySelectorAll('#results img').length"),
        0
    );
    browser.picture("search-desktop-light");
    browser.type_into("#q", "e.jpg");
    browser.wait("document.querySelectorAll('#results li').length === 1");
    // With the keyboard alone, from the box to the file.
    browser.type_into("#q", "\u{e015}");
    browser.wait("document.activeElement.closest('#results')");
    browser.type_into("#results a", "\u{e007}");
    browser.click("#download");
    assert!(browser.downloaded("lake.jpg") == bytes);
    assert_eq!(browser.text("#hash"), ContentHash::of(&bytes).to_string());
    browser.picture("file-desktop-light");
    assert_eq!(browser.complaints(STRANGER), [""; 0]);

    browser.run("location.hash = '#/account'");
    browser.click(".head button");
    browser.wait("document.querySelector('#user')");
    browser.run("location.reload()");
    browser.wait("document.querySelector('#user')");
}

#[test]
fn the_page_fits_a_phone_by_night_in_spanish() {
    if !browser::is_there() {
        return;
    }
    let directory = Directory::with("");
    let ana = directory.member("ana");
    ana.write(&format!("docs/{}.txt", "lake-".repeat(40)), b"a");
    let _peer = ana.peer("peer_1", &ana.path("docs"), "");
    let browser = Browser::open(360, 780, "es", true);
    join(&browser, &directory, "ben");
    assert_eq!(browser.run("return document.documentElement.lang"), "es");
    assert_eq!(
        browser.run("return document.documentElement.dataset.theme"),
        "dark"
    );
    browser.type_into("#q", "lake");
    browser.wait("document.querySelector('#results')");
    assert!(browser.text(".count").contains("resultado"));
    browser.picture("search-phone-dark");
    let first = browser.run("return document.querySelector('#results a').hash");
    let first = first.as_str().unwrap();
    for (screen, sign) in [
        (first, "#download"),
        ("#/browse/peer_1", ".list"),
        ("#/peers", ".list"),
        ("#/transfers", ".empty"),
        ("#/account", "#new_password"),
    ] {
        browser.run(&format!("location.hash = {screen:?}"));
        browser.wait(&format!(
            "document.querySelector('main').querySelector({sign:?})"
        ));
        let width = browser.run("return document.documentElement.scrollWidth");
        assert!(width.as_u64().unwrap() <= 360, "{screen}: {width}");
    }
}

#[test]
fn both_languages_have_the_same_sentences() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../directory/web/js/lang");
    let keys = |language: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(folder.join(format!("{language}.js"))).unwrap();
        let keys = text
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once(": \""));
        keys.map(|(key, _)| key.to_owned()).collect()
    };
    let english = keys("en");
    assert!(english.len() > 100, "the sentences were not found");
    assert_eq!(english, keys("es"));
}
