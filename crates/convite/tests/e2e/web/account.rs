//! The account page: sessions and password.

use super::{Web, desk};
use crate::harness::{Home, PASSWORD, contents};

#[test]
fn a_new_user_gets_from_the_printed_address_to_a_file() {
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
    browser.assert_console_clean();
}

#[test]
fn a_password_change_ends_other_sessions() {
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
    web.wait_for("#said", "Password changed");
    enters(PASSWORD);
    other.wait("document.querySelector('[role=alert]')");
    enters("my other secret 9911");
    other.wait("document.querySelector('#q')");
    browser.assert_console_clean_except(&["/users/ben"]);
}

#[test]
fn a_deep_link_opens_after_the_login() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    web.browser.go(&web.address("/#/browse/peer_1/docs"));
    web.enter("ana", PASSWORD);
    web.wait_for("main .list", "always.txt");
    web.browser.assert_console_clean();
}

#[test]
fn logout_leaves_nothing_for_the_next_account() {
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
    browser.assert_console_clean();
}
