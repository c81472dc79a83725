//! What the page says and does while the directory cannot be asked, or refuses.

use super::{Web, desk};

/// Makes every request of the page fail as if nothing were there, until `back()` is called.
const AWAY: &str = "
    const real = window.fetch;
    window.fetch = () => Promise.reject(new TypeError('away'));
    window.back = () => { window.fetch = real; };";

#[test]
fn a_stream_that_was_refused_is_opened_again_and_its_absence_is_said() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/account", "#new_password");
    // As many streams as an account may have.
    browser.run(
        "window.others = [];
         return Promise.all(Array.from({ length: 16 }, () => new Promise((done) => {
             const one = new EventSource('/events');
             one.onopen = () => done();
             window.others.push(one);
         })))",
    );
    web.screen("#/peers", ".list");
    web.wait_for("#lost", "Connection lost");
    assert_eq!(
        browser.run("return document.querySelector('#lost').getAttribute('role')"),
        "status"
    );
    browser.picture("lost-desktop-light");
    // Nobody listens there: nothing is said.
    web.screen("#/account", "#new_password");
    assert_eq!(browser.text("#lost"), "");
    web.screen("#/peers", ".list");
    web.wait_for("#lost", "Connection lost");
    browser.run("for (const one of window.others) one.close()");
    browser.wait("!document.querySelector('#lost p')");
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "");
    web.wait_for("main .list", "peer_2");
    browser.is_content_but_for(&["/events"]);
}

#[test]
fn a_page_of_results_that_does_not_come_is_said_and_can_be_asked_for_again() {
    let Some(web) = Web::open(desk, |ana| {
        for number in 0..40 {
            ana.write(
                &format!("docs/lake-{number}.txt"),
                format!("{number}").as_bytes(),
            );
        }
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "lake");
    browser.wait("document.querySelectorAll('#results li').length === 30");
    browser.run(AWAY);
    browser.click("main .row button");
    web.wait_for("main [role=alert]", "does not answer");
    browser.run("window.back()");
    browser.click("main .row button");
    browser.wait("document.querySelectorAll('#results li').length === 40");
    browser.wait("!document.querySelector('main [role=alert]')");
    browser.is_content();
}

#[test]
fn one_is_signed_out_only_once_the_directory_says_so() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/account", ".list");
    browser.run(AWAY);
    browser.click(".head button");
    web.wait_for("main [role=alert]", "does not answer");
    browser.wait("document.querySelector('#top nav')");
    browser.picture("signing-out-failed-desktop-light");
    browser.run("window.back()");
    browser.click("main [role=alert] button");
    browser.wait("document.querySelector('#user')");
    // And is out: the session is no good any more.
    let status = browser.run("return fetch('/me').then((answer) => answer.status)");
    assert_eq!(status, 401);
    browser.is_content_but_for(&["/me"]);
}
