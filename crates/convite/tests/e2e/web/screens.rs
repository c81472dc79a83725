//! Every screen in light and dark, on phone and desktop sizes: nothing overflows, and axe-core finds no
//! serious accessibility problem.

use std::fs;

use convite_core::ContentHash;
use serde_json::Value;
use xtest::Need;

use super::{MARKUP_NAME, Web, desk};
use crate::browser::Browser;
use crate::harness::contents;

/// Returns the source of axe-core; `None` if it is not installed, and the test is then skipped.
fn axe() -> Option<String> {
    let path = Need::Axe.is_met().then(xtest::axe).flatten()?;
    Some(fs::read_to_string(path).unwrap())
}

/// Returns axe-core's serious and critical findings on the current screen.
fn findings(browser: &Browser, axe: &str) -> Vec<String> {
    if browser.run("return typeof axe") == "undefined" {
        browser.run(axe);
    }
    let found = browser.run(
        "return axe.run(document, { preload: false, resultTypes: ['violations'] }).then((done) => done.violations
            .map((one) => ({ id: one.id, impact: one.impact, where: one.nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary).slice(0, 3) })))",
    );
    let found = found.as_array().unwrap();
    let is_grave = |one: &&Value| one["impact"] == "serious" || one["impact"] == "critical";
    for one in found.iter().filter(|one| !is_grave(one)) {
        println!("axe: {one}");
    }
    found
        .iter()
        .filter(is_grave)
        .map(Value::to_string)
        .collect()
}

const LOOKS: [(&str, u32, u32, bool); 4] = [
    ("phone-light", 360, 780, false),
    ("phone-dark", 360, 780, true),
    ("desktop-dark", 1280, 900, true),
    ("desktop-light", 1280, 900, false),
];

#[test]
fn every_screen_fits_and_is_accessible() {
    let bytes = contents(66, 120_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.bin", &bytes);
        ana.write(&format!("docs/{}.txt", "lake-".repeat(48)), b"a");
        ana.write(&format!("docs/{MARKUP_NAME}"), b"b");
        for number in 0..30 {
            ana.write(
                &format!("docs/many/{number}.txt"),
                format!("{number}").as_bytes(),
            );
        }
    }) else {
        return;
    };
    let axe = axe();
    let ben = web.directory.member("ben");
    ben.write("docs/copy of lake.bin", &bytes);
    let _peer = ben.peer("peer_2", &ben.path("docs"), "--allow-uploads --allow-loads");
    let browser = &web.browser;
    let look_at = |name: &str, path: Option<&str>, sign: &str| {
        for (look, width, height, is_dark) in LOOKS {
            browser.set_appearance(width, height, is_dark);
            if let Some(path) = path {
                browser.run("location.hash = '#/transfers'");
                browser.wait("document.querySelector('main .empty')");
                web.screen(path, sign);
            }
            browser.wait(&format!("document.querySelector({sign:?})"));
            browser.wait("!document.querySelector('.bone')");
            let wide = browser.run("return document.documentElement.scrollWidth");
            assert!(
                wide.as_u64().unwrap() <= width.into(),
                "{name} {look}: {wide}"
            );
            browser.screenshot(&format!("{name}-{look}"));
            if let Some(axe) = &axe {
                assert_eq!(findings(browser, axe), [""; 0], "{name} {look}");
            }
        }
    };
    browser.go(&web.address("/"));
    look_at("sign-in", None, "#user");
    browser.go(&web.address("/#join=abc"));
    look_at("join", None, "#invite");
    browser.type_into("#user", "eve");
    browser.type_into("#password", "not right at all");
    browser.click("form button");
    look_at("join-refused", None, "[role=alert]");
    web.sign_in("ana");
    let file = format!("#/file/{}", ContentHash::of(&bytes));
    let only = format!("#/file/{}", ContentHash::of(b"here"));
    for (name, path, sign) in [
        ("search", "#/search", ".empty"),
        ("browse", "#/browse", ".list"),
        ("tree", "#/browse/peer_1/docs", ".list"),
        ("folder", "#/browse/peer_1/docs/many", "#narrow"),
        ("folder-empty", "#/browse/nobody/docs", ".empty"),
        ("file", file.as_str(), "#download"),
        ("file-of-one", only.as_str(), "#load-on"),
        ("file-missing", "#/file/none", ".trouble"),
        ("peers", "#/peers", ".list"),
        ("transfers", "#/transfers", ".empty"),
        ("upload", "#/upload", ".drop"),
        ("account", "#/account", ".list"),
        ("users", "#/admin/users", ".list"),
        ("spaces-none", "#/admin/spaces", ".empty"),
        ("invites", "#/admin/invites", ".list"),
        ("sessions", "#/admin/sessions", ".list"),
        ("audit", "#/admin/audit", ".list"),
    ] {
        look_at(name, Some(path), sign);
    }
    web.screen("#/search", "#q");
    browser.type_into("#q", "lake");
    look_at("results", None, "#results li");
    web.screen("#/search", "#q");
    browser.choose("#type", "folder");
    browser.type_into("#q", "many");
    browser.wait("document.querySelector('#results a[href*=\"/folder/\"]')");
    browser.click("#results a");
    look_at("folder-found", None, "#entries li");
    web.screen("#/search", "#q");
    browser.type_into("#q", "lake nowhere");
    web.wait_for("main", "Nothing found");
    look_at("results-none", None, ".empty");
    web.screen(&file, "#download");
    browser.click("main form button");
    look_at("link", None, "#link");
    web.screen("#/admin/spaces", "#new-space");
    browser.type_into("#new-space", "lab");
    browser.click("main form button");
    browser.click("main summary");
    look_at("spaces", None, "main details[open]");
    web.screen("#/admin/invites", ".list");
    browser.click("main form button");
    look_at("invite", None, "#invite-web");
    browser.assert_console_clean_except(&["/accounts", "/files/none"]);
}
