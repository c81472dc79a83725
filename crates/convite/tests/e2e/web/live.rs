//! What changes while a page is open, without anybody asking.

use super::{Web, desk};

#[test]
fn peers_come_and_go_before_ones_eyes() {
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
    browser.picture("peers-desktop-light");
    peer.stop().ok();
    web.wait_for(".head .soft", "1 online");

    // An administrator takes one off the list.
    web.click_surely("main .list button");
    web.wait_for("main", "Nobody is online");
    browser.is_content();
}

#[test]
fn a_directory_that_is_away_is_said_so_and_comes_back() {
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
    // Nothing pretends to be an answer while none comes.
    browser.wait("document.querySelector('main .bone')");
    directory.process.signal(rustix::process::Signal::CONT);
    browser.wait("document.querySelector('#results li')");
    let directory = directory.again();
    browser.run("location.hash = '#/browse'");
    browser.wait("document.querySelector('main .list, main .trouble button')");
    drop((directory, peer));
}
