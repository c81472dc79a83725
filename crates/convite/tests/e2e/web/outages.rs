//! The page while the directory is unreachable or refuses requests.

use super::{Web, desk};

/// Makes every request of the page fail as if the directory were unreachable, until `back()` is called.
const OFFLINE_SCRIPT: &str = "
    const real = window.fetch;
    window.fetch = () => Promise.reject(new TypeError('away'));
    window.back = () => { window.fetch = real; };";

#[test]
fn a_refused_event_stream_is_reopened() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/account", "#new_password");
    // Opens the maximum number of streams of an account.
    browser.run(
        "window.others = [];
         const key = { 'convite-page-key': localStorage.getItem('convite.key') };
         return fetch('/events/token', { method: 'POST', headers: key })
             .then((answer) => answer.json())
             .then(({ token }) => Promise.all(Array.from({ length: 16 }, () => new Promise((done) => {
                 const one = new EventSource('/events?token=' + encodeURIComponent(token));
                 one.onopen = () => done();
                 window.others.push(one);
             })))).then(() => true)",
    );
    web.screen("#/peers", ".list");
    web.wait_for("#lost", "Connection lost");
    assert_eq!(
        browser.run("return document.querySelector('#lost').getAttribute('role')"),
        "status"
    );
    browser.screenshot("lost-desktop-light");
    // This screen has no live updates, so there is no message.
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
    browser.assert_console_clean_except(&["/events"]);
}

#[test]
fn a_failed_page_of_results_can_be_retried() {
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
    browser.run(OFFLINE_SCRIPT);
    browser.click("main .row button");
    web.wait_for("main [role=alert]", "does not answer");
    browser.run("window.back()");
    browser.click("main .row button");
    browser.wait("document.querySelectorAll('#results li').length === 40");
    browser.wait("!document.querySelector('main [role=alert]')");
    browser.assert_console_clean();
}

#[test]
fn logout_waits_for_the_directory() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/account", ".list");
    browser.run(OFFLINE_SCRIPT);
    browser.click(".head button");
    web.wait_for("main [role=alert]", "does not answer");
    browser.wait("document.querySelector('#top nav')");
    browser.screenshot("signing-out-failed-desktop-light");
    browser.run("window.back()");
    browser.click("main [role=alert] button");
    browser.wait("document.querySelector('#user')");
    // The session has ended.
    let status = browser.run("return fetch('/me', { headers: { 'convite-page-key': localStorage.getItem('convite.key') } }).then((answer) => answer.status)");
    assert_eq!(status, 401);
    browser.assert_console_clean_except(&["/me"]);
}
