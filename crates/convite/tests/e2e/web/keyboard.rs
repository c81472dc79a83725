//! The page without a mouse.

use super::{Web, desk};
use crate::harness::{PASSWORD, contents};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const DOWN: char = '\u{e015}';
const UP: char = '\u{e013}';

#[test]
fn one_signs_in_searches_and_downloads_by_keyboard_alone() {
    let bytes = contents(64, 90_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake a.bin", &bytes);
        ana.write("docs/lake b.bin", &contents(65, 10));
    }) else {
        return;
    };
    let browser = &web.browser;
    let focus = |what: &str| browser.wait(&format!("document.activeElement.matches({what:?})"));
    browser.go(&web.address("/"));
    focus("#user");
    browser.press(&format!("ana{TAB}{PASSWORD}{ENTER}"));
    focus("#q");
    browser.press("lake");
    browser.wait("document.querySelectorAll('#results li').length === 2");
    // How many there are is said to those who do not see it.
    let said = "document.querySelector('.count').getAttribute('role') === 'status'";
    browser.wait(said);
    browser.press(&DOWN.to_string());
    focus("#results li:first-child a");
    browser.press(&DOWN.to_string());
    focus("#results li:last-child a");
    browser.press(&format!("{UP}{UP}"));
    focus("#q");
    browser.press(" a.bin");
    browser.wait("document.querySelectorAll('#results li').length === 1");
    browser.press(&DOWN.to_string());
    focus("#results a");
    // It can be seen where one is.
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid");
    browser.press(&ENTER.to_string());
    browser.wait("document.querySelector('#download')");
    // The screen is new, and so reading goes on at its beginning.
    focus("main");
    browser.press(&format!("{TAB}{TAB}"));
    focus("#download");
    browser.press(&ENTER.to_string());
    assert!(browser.downloaded("lake a.bin") == bytes);

    // Past the navigation in one step.
    browser.run("location.hash = '#/peers'");
    browser.wait("document.querySelector('main .list')");
    focus("main");
    browser.run("document.activeElement.blur(); document.querySelector('#skip').focus()");
    browser.press(&ENTER.to_string());
    focus("main");
    browser.is_content();
}

#[test]
fn nothing_moves_for_those_who_want_no_motion() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    // The windows of these tests ask for it.
    web.sign_in("ana");
    let moving = web.browser.run(
        "const bone = document.createElement('div');
         bone.className = 'bone';
         bone.append(document.createElement('i'));
         document.body.append(bone);
         const name = getComputedStyle(bone.firstChild).animationName;
         bone.remove();
         return name;",
    );
    assert_eq!(moving, "none");
}
