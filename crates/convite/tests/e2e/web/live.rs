//! Live updates of an open page.

use super::{Web, desk};

#[test]
fn the_list_of_peers_updates_live() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/peers", ".list");
    assert_eq!(browser.text(".head .soft"), "1 online");
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let peer = ben.peer("peer_2", &ben.path("docs"), "");
    web.wait_for("main", "peer_2");
    web.wait_for(".head .soft", "2 online");
    browser.screenshot("peers-desktop-light");
    peer.stop().ok();
    web.wait_for(".head .soft", "1 online");

    // An administrator removes a peer from the list.
    web.click_surely("main .list button");
    web.wait_for("main", "No peers online");
    browser.assert_console_clean();
}

#[test]
fn a_lost_directory_is_shown_until_it_returns() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let Web {
        browser,
        directory,
        peer,
        ana: _ana,
    } = web;
    browser.go(&format!("https://127.0.0.1:{}/", directory.port));
    browser.type_into("#user", "ana");
    browser.type_into("#password", crate::harness::PASSWORD);
    browser.click("form button");
    browser.wait("document.querySelector('#q')");
    directory.process.signal(rustix::process::Signal::STOP);
    browser.type_into("#q", "always");
    // Without an answer, the page shows placeholders.
    browser.wait("document.querySelector('main .bone')");
    directory.process.signal(rustix::process::Signal::CONT);
    browser.wait("document.querySelector('#results li')");
    let directory = directory.restart();
    browser.run("location.hash = '#/browse'");
    browser.wait("document.querySelector('main .list, main .trouble button')");
    drop((directory, peer));
}

#[test]
fn the_sources_of_a_file_update_live() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    web.sign_in("ana");
    let hash = convite_core::ContentHash::of(b"here");
    web.screen(&format!("#/file/{hash}"), "#download");
    web.wait_for("main", "1 source");
    let ben = web.directory.member("ben");
    ben.write("docs/copy.txt", b"here");
    let peer = ben.peer("peer_2", &ben.path("docs"), "");
    web.wait_for("main", "2 sources");
    peer.stop().ok();
    web.wait_for("main", "1 source");
    let Web { browser, peer, .. } = web;
    peer.stop().ok();
    browser.wait("document.querySelector('#download').hidden");
    browser.wait("document.querySelector('main').innerText.includes('No peer with this file')");
    browser.screenshot("file-of-nobody-desktop-light");
    browser.assert_console_clean_except(&["/files/"]);
}

/// Holds the page's requests whose address contains `part` until `release()` is called, also aborted
/// ones.
fn hold(web: &Web, part: &str) {
    web.browser.run(&format!(
        "const real = window.fetch;
         const gate = new Promise((open) => {{ window.release = open; }});
         window.held = 0;
         window.fetch = async (address, init) => {{
             if (!String(address).includes({part:?})) return real(address, init);
             const answer = await real(address, {{ ...init, signal: undefined }});
             window.held += 1;
             await gate;
             return answer;
         }};"
    ));
}

#[test]
fn files_of_two_peers_are_not_mixed() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    let ben = web.directory.member("ben");
    ben.write("docs/other.txt", b"b");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "");
    web.sign_in("ana");
    hold(&web, "/index?peer=peer_1");
    browser.run("location.hash = '#/browse/peer_1/docs'");
    browser.wait("window.held === 1");
    browser.run("location.hash = '#/browse/peer_2/docs'");
    web.wait_for("main .list", "other.txt");
    browser.run("window.release()");
    browser.run("return new Promise((done) => setTimeout(done, 300))");
    web.screen("#/browse/peer_2", "a[href='#/browse/peer_2/docs']");
    assert!(
        browser.text("main .list").contains("1 file"),
        "of both peers: {}",
        browser.text("main .list")
    );
    // A partly loaded list is completed.
    browser.run("location.hash = '#/browse/peer_1/docs'");
    web.wait_for("main .list", "always.txt");
    assert!(!browser.text("main .list").contains("other.txt"));
    browser.assert_console_clean();
}

#[test]
fn a_late_answer_does_not_replace_a_newer_one() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.txt", b"a");
        ana.write("docs/land.txt", b"b");
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.wait("document.querySelector('#q')");
    hold(&web, "q=la&");
    browser.type_into("#q", "la");
    browser.wait("window.held === 1");
    browser.type_into("#q", "ke");
    browser.wait("document.querySelector('#results')");
    browser.run("window.release()");
    let shown = browser.run(
        "return new Promise((done) => setTimeout(() => done(document.querySelector('#results').innerText), 300))",
    );
    let shown = shown.as_str().unwrap();
    assert!(
        shown.contains("lake.txt") && !shown.contains("land"),
        "{shown}"
    );

    // A late answer for a left screen is not shown.
    hold(&web, "/peers?");
    browser.run("location.hash = '#/peers'");
    browser.wait("window.held >= 1");
    web.screen("#/account", "#new_password");
    browser.run("window.release()");
    let shown = browser.run(
        "return new Promise((done) => setTimeout(() => done(document.querySelector('main').innerText), 300))",
    );
    assert!(!shown.as_str().unwrap().contains("1 online"), "{shown}");
    browser.wait("document.querySelector('#new_password')");
    browser.assert_console_clean();
}
