//! One's own account: its sessions and its password.

use super::{Web, desk};
use crate::harness::{Home, PASSWORD, contents};

#[test]
fn a_newcomer_goes_from_the_address_that_up_prints_to_a_file() {
    if !crate::browser::is_there() {
        return;
    }
    let ana = Home::new();
    let bytes = contents(60, 400_000);
    ana.write("shared/lake.bin", &bytes);
    let up = ana.start("--json up shared --user ana --listen 127.0.0.1:0 --port 0");
    let ready = up.object("directory", |o| {
        o["event"] == "ready" && o["kind"] == "directory"
    });
    let browser = desk();
    browser.go(ready["web"].as_str().unwrap());
    browser.type_into("#user", "ben");
    browser.type_into("#password", PASSWORD);
    browser.click("form button");
    browser.wait("document.querySelector('#q')");
    browser.type_into("#q", "lake");
    browser.wait("document.querySelector('#results li a')");
    browser.click("#results a");
    browser.click("#download");
    assert!(browser.downloaded("lake.bin") == bytes);
    browser.is_content();
}

#[test]
fn one_changes_ones_password_and_ends_ones_other_sessions() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.join("ben");
    let other = desk();
    let enters = |password: &str| {
        other.go(&web.address("/"));
        other.type_into("#user", "ben");
        other.type_into("#password", password);
        other.click("form button");
    };
    enters(PASSWORD);
    other.wait("document.querySelector('#q')");

    web.screen("#/account", ".list li + li");
    assert!(browser.text("main .list").contains("this session"));
    web.click_surely("main .list button");
    browser.wait("!document.querySelector('main .list li + li')");
    other.run("location.hash = '#/peers'");
    other.wait("document.querySelector('#user')");

    browser.type_into("#old_password", "not the password");
    browser.type_into("#new_password", "my other secret 9911");
    browser.click("main form button");
    browser.wait("document.querySelector('[role=alert]')");
    browser.run("document.querySelector('#old_password').value = ''");
    browser.type_into("#old_password", PASSWORD);
    browser.click("main form button");
    web.wait_for("#said", "The password is changed");
    enters(PASSWORD);
    other.wait("document.querySelector('[role=alert]')");
    enters("my other secret 9911");
    other.wait("document.querySelector('#q')");
    browser.is_content_but_for(&["/users/ben"]);
}

#[test]
fn an_address_inside_is_gone_to_after_signing_in() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    web.browser.go(&web.address("/#/browse/peer_1/docs"));
    web.enter("ana", PASSWORD);
    web.wait_for("main .list", "always.txt");
    web.browser.is_content();
}

#[test]
fn nothing_of_one_account_is_there_for_the_next() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.txt", b"a");
    }) else {
        return;
    };
    let browser = &web.browser;
    web.join("ben");
    web.screen("#/browse/peer_1/docs", ".list");
    web.screen("#/search", "#q");
    browser.type_into("#q", "lake");
    browser.wait("document.querySelector('#results')");
    web.screen("#/account", ".head button");
    browser.click(".head button");
    browser.wait("document.querySelector('#user')");
    web.enter("ana", PASSWORD);
    web.screen("#/search", "#q");
    assert_eq!(browser.run("return document.querySelector('#q').value"), "");
    browser.is_content();
}
