//! Coming in, and what is said when one is out.

use super::{Web, desk};
use crate::harness::contents;

#[test]
fn a_session_that_is_over_is_said_before_anything_is_saved() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.bin", &contents(81, 5_000));
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "lake");
    browser.click("#results a");
    browser.wait("document.querySelector('#download')");
    // Elsewhere: this page is not told by an answer of its own.
    browser.run("return fetch('/logout', { method: 'POST' }).then((answer) => answer.status)");
    browser.click("#download");
    web.wait_for("[role=alert]", "Your session is over");
    browser.wait("document.querySelector('#user')");
    browser.picture("session-over-desktop-light");
    browser.is_content_but_for(&["/files/", "/events", "/me"]);
}

#[test]
fn a_broken_invite_is_a_form_and_one_opened_while_signed_in_is_a_choice() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    browser.go(&web.address("/#join=%"));
    browser.wait("document.querySelector('#invite')?.value === '%'");
    browser.is_content();
    // A page has nowhere to type a command: what to do is said in its own words.
    browser.type_into("#user", "eve");
    browser.type_into("#password", "a password of eve's");
    browser.click("form button");
    web.wait_for("[role=alert]", "Ask whoever invited you");
    assert!(!browser.text("[role=alert]").contains('`'));
    browser.is_content_but_for(&["/accounts"]);
    // What a password has to be is said before it is refused.
    assert!(browser.text("form").contains("At least 8 characters"));
    web.sign_in("ana");
    browser.go(&web.address("/#join=abc"));
    web.wait_for("#go-on", "Go on as ana");
    browser.picture("join-signed-in-desktop-light");
    browser.click("#go-on");
    browser.wait("document.querySelector('#q')");
    assert!(browser.text("#top").contains("Administration"));
    browser.is_content();
}

#[test]
fn a_link_that_is_over_says_so_in_words() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    browser.go(&web.address("/d/none-such"));
    browser.wait("document.querySelector('h1')");
    assert_eq!(browser.text("h1"), "This link opens nothing");
    let ground =
        browser.run("return getComputedStyle(document.querySelector('.card')).borderRadius");
    assert_eq!(ground, "12px", "its style is there");
    browser.picture("link-over-desktop-light");
    browser.is_content_but_for(&["/d/none-such", "favicon"]);
}

#[test]
fn a_screen_that_does_not_come_is_said_and_tried_again() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.block(&["*/upload.js"]);
    browser.run("location.hash = '#/upload'");
    web.wait_for("main [role=alert]", "does not answer");
    browser.block(&[]);
    browser.click("main [role=alert] button");
    browser.wait("document.querySelector('main .empty')");
    browser.is_content_but_for(&["upload.js"]);
}
