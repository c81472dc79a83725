//! Administration in the browser.

use super::{Web, desk};
use crate::browser::Browser;
use crate::harness::PASSWORD;

const OTHER: &str = "another long secret 5521";

fn open() -> Option<Web> {
    Web::open(desk, |_| {})
}

/// Returns an expression for the row with that text.
fn row(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('main .list > li')].find((row) => row.innerText.includes({text:?}))"
    )
}

/// Gives the element of an expression an id and returns its selector, so that it can be clicked.
fn mark(web: &Web, expression: &str, name: &str) -> String {
    web.browser.wait(expression);
    web.browser.run(&format!("{expression}.id = {name:?}"));
    format!("#{name}")
}

#[test]
fn accounts_are_created_changed_and_disabled() {
    let Some(web) = open() else { return };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/admin/users", ".list");
    browser.type_into("#new-user", "cleo");
    browser.type_into("#new-password", PASSWORD);
    browser.choose("#new-role", "guest");
    browser.click("main form button");
    let cleo = row("cleo");
    browser.wait(&cleo);
    assert!(browser.text("main .list").contains("Guest"));
    // An existing name is reported next to the field.
    browser.type_into("#new-user", "cleo");
    browser.type_into("#new-password", PASSWORD);
    browser.click("main form button");
    web.wait_for("[role=alert]", "cleo");

    let select = mark(
        &web,
        &format!("{cleo}.querySelector('select')"),
        "role-of-cleo",
    );
    // An arrow key in the list does not apply a role.
    browser.choose(&select, "admin");
    let save = mark(
        &web,
        &format!("{cleo}.querySelector('button.main:not([hidden])')"),
        "save-role",
    );
    let back = mark(
        &web,
        &format!("{cleo}.querySelector('button.main + button')"),
        "leave-role",
    );
    browser.screenshot("role-desktop-light");
    browser.click(&back);
    browser.wait("document.querySelector('#role-of-cleo').value === 'guest'");
    browser.choose(&select, "member");
    browser.run("window.kept = document.querySelector('#role-of-cleo')");
    browser.click(&save);
    web.wait_for("#said", "Saved");
    // The row is updated in place and keeps the focus.
    browser.wait("window.kept.isConnected && document.activeElement === window.kept");
    browser.wait(&format!(
        "{cleo}.querySelector('.meta').innerText.includes('Member')"
    ));
    let renew = mark(
        &web,
        &format!("{cleo}.querySelector('[aria-expanded]')"),
        "renew",
    );
    browser.click(&renew);
    browser.type_into("main .inner [type=password]", OTHER);
    browser.click("main .inner button");
    browser.wait("!document.querySelector('main .inner')");

    let other = Browser::open(800, 700, "en-US", false);
    let signs_in = |password: &str| {
        other.go(&web.address("/"));
        other.type_into("#user", "cleo");
        other.type_into("#password", password);
        other.click("form button");
    };
    signs_in(PASSWORD);
    other.wait("document.querySelector('[role=alert]')");
    signs_in(OTHER);
    other.wait("document.querySelector('#q')");
    assert!(!other.text("#top").contains("Administration"));

    // Disabling ends her session at once, and she cannot log in again.
    let shut = mark(&web, &format!("{cleo}.querySelector('button.bad')"), "shut");
    web.click_surely(&shut);
    browser.wait(&format!("{cleo}.innerText.includes('disabled')"));
    // A missing account is reported, and the selection returns to the actual role.
    browser.run("const real = window.fetch; window.fetch = (...all) => { window.fetch = real; return Promise.reject(new TypeError('away')); };");
    browser.choose(&select, "guest");
    browser.click(&save);
    browser.wait("document.querySelector('main [role=alert]')");
    browser.wait("document.querySelector('#role-of-cleo').value === 'member'");
    other.run("location.hash = '#/peers'");
    other.wait("document.querySelector('#user')");
    signs_in(OTHER);
    other.wait("document.querySelector('[role=alert]')");
    browser.screenshot("users-desktop-light");
    browser.assert_console_clean_except(&["/users "]);
    other.assert_console_clean_except(&["/login ", "/peers", "/events", "/me "]);
}

#[test]
fn spaces_are_created_filled_and_removed() {
    let Some(web) = open() else { return };
    let _ben = web.directory.member("ben");
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/admin/spaces", ".empty");
    browser.type_into("#new-space", "lab");
    browser.click("main form button");
    browser.wait(&row("lab"));
    browser.click("main summary");
    browser.wait("document.querySelector('main details[open]')");
    browser.type_into("main details input", "nobody");
    browser.click("main details form button");
    browser.wait("document.querySelector('[role=alert]')");
    browser.run("document.querySelector('main details input').value = ''");
    browser.type_into("main details input", "ben");
    browser.click("main details form button");
    web.wait_for("main details ul", "ben");
    browser.wait("!document.querySelector('[role=alert]')");
    web.wait_for("main summary", "1 member");
    browser.screenshot("spaces-desktop-light");
    // He sees the space in his filters.
    let ben = desk();
    ben.go(&web.address("/"));
    ben.type_into("#user", "ben");
    ben.type_into("#password", PASSWORD);
    ben.click("form button");
    ben.wait("document.querySelector('#space option[value=lab]')");

    web.click_surely("main details li button");
    browser.wait("!document.querySelector('main details li')");
    web.click_surely("main details p button");
    browser.wait("document.querySelector('main .empty')");
    browser.assert_console_clean_except(&["/members/nobody"]);
}

#[test]
fn an_invite_is_created_scanned_used_and_revoked() {
    let Some(web) = open() else { return };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/admin/invites", ".list");
    browser.choose("#invite-role", "guest");
    browser.run("document.querySelector('#invite-uses').value = 2");
    browser.click("main form button");
    browser.wait("document.querySelector('#invite-web')");
    browser.wait("document.querySelector('.invite img').naturalWidth > 0");
    let invite = browser.run("return document.querySelector('#invite-web').value");
    let invite = invite.as_str().unwrap().to_owned();
    assert!(invite.starts_with(&web.address("/#join=")), "{invite}");
    assert!(invite.contains("&ca="), "{invite}");
    let link = browser.run("return document.querySelector('#invite-link').value");
    assert!(link.as_str().unwrap().starts_with("convite://"), "{link}");
    browser.wait(&row("2 uses left"));
    browser.screenshot("invites-desktop-light");

    let other = desk();
    other.go(&invite);
    other.type_into("#user", "gus");
    other.type_into("#password", PASSWORD);
    other.click("form button");
    other.wait("document.querySelector('#q')");
    assert!(!other.text("#top").contains("Upload"), "a guest can upload");
    other.assert_console_clean();

    // Revoking an invite removes its card, and no other.
    web.screen("#/admin/users", ".list");
    web.screen("#/admin/invites", ".list");
    browser.run("document.querySelector('#invite-uses').value = 3");
    browser.click("main form button");
    browser.wait("document.querySelector('#invite-web')");
    browser.wait(&row("3 uses left"));
    let one = row("1 use left");
    let revoke = mark(&web, &format!("{one}.querySelector('button')"), "revoke");
    web.click_surely(&revoke);
    browser.wait(&format!("!({one})"));
    assert_eq!(
        browser.run("return Boolean(document.querySelector('#invite-web'))"),
        true
    );
    let three = row("3 uses left");
    let revoke = mark(
        &web,
        &format!("{three}.querySelector('button')"),
        "revoke-other",
    );
    web.click_surely(&revoke);
    browser.wait(&format!("!({three})"));
    browser.wait("!document.querySelector('#invite-web')");
    other.click("#top [href='#/account']");
    other.click(".head button");
    other.wait("document.querySelector('#user')");
    other.go(&invite);
    other.type_into("#user", "eve");
    other.type_into("#password", PASSWORD);
    other.click("form button");
    web.wait_for("main", "Administration");
    other.wait("document.querySelector('[role=alert]')");
    browser.assert_console_clean();
}

#[test]
fn sessions_are_ended_and_the_audit_log_is_paged() {
    let Some(web) = open() else { return };
    let ben = desk();
    ben.go(&web.address(&format!("/#join={}", code(&web))));
    ben.type_into("#user", "ben");
    ben.type_into("#password", PASSWORD);
    ben.click("form button");
    ben.wait("document.querySelector('#q')");
    ben.run("location.hash = '#/peers'");
    ben.wait("document.querySelector('main .list')");

    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/admin/sessions", ".list");
    let end = mark(
        &web,
        &format!("{}.querySelector('button')", row("ben")),
        "end",
    );
    web.click_surely(&end);
    browser.wait(&format!("!({})", row("ben")));
    // His open page notices the end of the session by itself.
    ben.wait("document.querySelector('#user')");

    // More than one page of the log.
    let made = browser.run(
        "return (async () => {
            await fetch('/spaces', { method: 'POST', headers: { 'content-type': 'application/json', 'convite-page-key': localStorage.getItem('convite.key') }, body: '{\"space\": \"lab\"}' });
            for (let turn = 0; turn < 55; turn += 1) {
                for (const method of ['PUT', 'DELETE']) await fetch('/spaces/lab/members/ben', { method, headers: { 'convite-page-key': localStorage.getItem('convite.key') } });
            }
            return true;
        })()",
    );
    assert_eq!(made, true);
    web.screen("#/admin/audit", ".list");
    let rows = "document.querySelectorAll('main .list > li').length";
    browser.wait(&format!("{rows} === 100"));
    assert!(
        browser
            .text("main .list li")
            .contains("Member removed from a space")
    );
    // Two clicks load the next page once.
    browser.run(
        "const more = document.querySelector('main .row button'); more.click(); more.click();",
    );
    browser.wait(&format!("{rows} > 112"));
    browser.wait("document.querySelector('main .row button').hidden");
    let all = browser.run("return fetch('/audit?limit=500', { headers: { 'convite-page-key': localStorage.getItem('convite.key') } }).then((answer) => answer.json()).then((page) => page.entries.length)");
    assert_eq!(browser.run(&format!("return {rows}")), all);
    let seen = browser.text("main .list");
    for part in [
        "Space created",
        "Session ended",
        "Joined with an invite",
        "by ana",
    ] {
        assert!(seen.contains(part), "{part}");
    }
    assert!(!seen.contains("act_"), "{seen}");
    browser.screenshot("audit-desktop-light");
    browser.assert_console_clean();
}

/// Returns the secret of the directory's permanent invite.
fn code(web: &Web) -> String {
    let (_, rest) = web.directory.invite.rsplit_once('/').unwrap();
    rest.split('?').next().unwrap().to_owned()
}
