//! Every screen, by day and by night, on a phone and on a desk: nothing sticks out, and axe-core
//! finds nothing serious that would keep anybody from using it.

use std::fs;
use std::path::Path;
use std::process::Command;

use convite_core::ContentHash;
use serde_json::Value;

use super::{HOSTILE, Web, desk};
use crate::browser::Browser;
use crate::harness::contents;

/// From the npm registry, for tests alone.
const AXE: &str = "axe-core@4.10.3";
/// Of its `axe.min.js`.
const AXE_HASH: &str = "a3036ebd965e778aa2f253a311008bcd427e059e24750494fbb353303cfe625b";

/// The text of axe-core, fetched once; none without npm or its registry.
fn axe() -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(AXE);
    let path = folder.join("package/axe.min.js");
    if !path.exists() {
        fs::create_dir_all(&folder).unwrap();
        let ran = |command: &mut Command| {
            let output = command.current_dir(&folder).output();
            output.is_ok_and(|output| output.status.success())
        };
        let _ = ran(Command::new("npm").args(["pack", "--silent", AXE]))
            && ran(Command::new("tar").args(["-xzf", "axe-core-4.10.3.tgz"]));
    }
    let Ok(bytes) = fs::read(&path) else {
        println!("*** SKIPPED: {AXE} is not here, and npm could not fetch it");
        return None;
    };
    assert_eq!(ContentHash::of(&bytes).to_string(), AXE_HASH, "{AXE}");
    Some(String::from_utf8(bytes).unwrap())
}

/// What axe-core finds to be serious or critical on what is shown.
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
fn every_screen_fits_and_keeps_nobody_out() {
    let bytes = contents(66, 120_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.bin", &bytes);
        ana.write(&format!("docs/{}.txt", "lake-".repeat(48)), b"a");
        ana.write(&format!("docs/{HOSTILE}"), b"b");
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
            browser.look(width, height, is_dark);
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
            browser.picture(&format!("{name}-{look}"));
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
    browser.type_into("#q", " nowhere");
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
    browser.is_content_but_for(&["/accounts", "/files/none"]);
}
