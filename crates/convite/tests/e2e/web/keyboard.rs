//! The page with only a keyboard.

use super::{Web, desk};
use crate::harness::{PASSWORD, contents};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const DOWN: char = '\u{e015}';
const UP: char = '\u{e013}';

#[test]
fn login_search_and_download_by_keyboard() {
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
    // The number of results is announced to screen readers.
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
    // The focus is visible.
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid");
    browser.press(&ENTER.to_string());
    browser.wait("document.querySelector('#download')");
    // A new screen moves the focus to its beginning.
    focus("main");
    browser.press(&format!("{TAB}{TAB}"));
    focus("#download");
    browser.press(&ENTER.to_string());
    assert!(browser.downloaded("lake a.bin") == bytes);

    // The skip link jumps over the navigation.
    browser.run("location.hash = '#/peers'");
    browser.wait("document.querySelector('main .list')");
    focus("main");
    browser.run("document.activeElement.blur(); document.querySelector('#skip').focus()");
    browser.press(&ENTER.to_string());
    focus("main");
    browser.assert_console_clean();
}

#[test]
fn reduced_motion_disables_animations() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    // The test browser requests reduced motion.
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
