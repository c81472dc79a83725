//! The state of a search in the page's address, and its results after navigating back.

use super::{Web, desk};
use crate::harness::contents;

const ROWS: &str = "document.querySelectorAll('#results li').length";

#[test]
fn a_search_survives_reload_and_back() {
    let Some(web) = Web::open(desk, |ana| {
        for number in 0..70 {
            ana.write(
                &format!("docs/travel/lake-{number}.txt"),
                format!("{number}").as_bytes(),
            );
        }
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "lake & co");
    browser.wait("location.hash === '#/search?q=lake+%26+co'");
    browser.run("const box = document.querySelector('#q'); box.value = 'lake'; box.dispatchEvent(new Event('input'))");
    browser.choose("#type", "document");
    browser.wait("location.hash === '#/search?q=lake&type=document'");
    browser.wait(&format!("{ROWS} === 30"));
    browser.click("main .row button");
    browser.wait(&format!("{ROWS} === 60"));
    browser.run("scrollTo(0, 1200)");
    browser.run("document.querySelector('#results li:nth-child(40) a').click()");
    browser.wait("document.querySelector('#download')");
    // The breadcrumb leads back to the search.
    assert!(browser.text(".crumbs").contains("Search"));
    browser.click(".crumbs a");
    browser.wait(&format!("{ROWS} === 60"));
    browser.wait("scrollY === 1200");
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "main",
        "the focus moved to the search box"
    );
    assert_eq!(
        browser.run("return document.querySelector('#q').value"),
        "lake"
    );
    browser.run("location.reload()");
    browser.wait("document.querySelector('#type')?.value === 'document'");
    browser.wait(&format!("{ROWS} === 30"));
    browser.wait("document.querySelector('#q').value === 'lake'");

    // From a folder, it leads back to the folder.
    web.screen("#/browse/peer_1/docs/travel", ".list a[href*='/file/']");
    browser.click(".list a[href*='/file/']");
    web.wait_for(".crumbs", "travel");
    browser.click(".crumbs a");
    browser.wait("location.hash === '#/browse/peer_1/docs/travel'");
    browser.assert_console_clean();
}

#[test]
fn an_empty_filter_is_shown_and_can_be_cleared() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake old.txt", &contents(1, 3_000));
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen("#/search?q=lake&peer=ana-vm&space=lab", "#q");
    web.wait_for("#peer", "ana-vm (offline)");
    assert_eq!(
        browser.run("return document.querySelector('#peer').value"),
        "ana-vm"
    );
    web.wait_for("#space", "lab (no longer available to you)");
    browser.choose("#space", "");
    browser.click("#clear");
    browser.wait(&format!("{ROWS} === 1"));
    browser.wait("location.hash === '#/search?q=lake'");

    // A peer leaves while its files are shown.
    let ben = web.directory.member("ben");
    ben.write("docs/other.txt", b"b");
    let peer = ben.peer("peer_2", &ben.path("docs"), "");
    browser.wait("document.querySelector('#peer option[value=peer_2]')");
    browser.choose("#peer", "peer_2");
    browser.wait("document.querySelector('#clear')");
    peer.stop().ok();
    web.wait_for("#peer", "peer_2 (offline)");
    browser.screenshot("search-offline-peer-desktop-light");
    browser.click("#clear");
    browser.wait(&format!("{ROWS} === 1"));
    browser.assert_console_clean_except(&["/search"]);
}

#[test]
fn size_filters_parse_units_and_recent_files_need_no_words() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/small.bin", &contents(2, 500));
        ana.write("docs/large.bin", &contents(3, 2_000));
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "bin");
    browser.wait(&format!("{ROWS} === 2"));
    let sized = |text: &str| {
        browser.run(&format!("const box = document.querySelector('#min'); box.value = {text:?}; box.dispatchEvent(new Event('input', {{ bubbles: true }}))"));
    };
    // The comma is a thousands separator.
    sized("1,000");
    browser.wait(&format!("{ROWS} === 1"));
    assert!(browser.text("#results").contains("large.bin"));
    sized("1,");
    web.wait_for(".count", "Enter a size");
    assert_eq!(
        browser.run("return document.querySelector('#min').getAttribute('aria-invalid')"),
        "true"
    );
    browser.screenshot("search-unread-size-desktop-light");
    // The same results as before, without the error.
    sized("1,000");
    web.wait_for(".count", "1 result");
    browser.wait("!document.querySelector('#min').hasAttribute('aria-invalid')");

    // By the link, because an address set directly could still be the previous one.
    browser.click("#top nav a[href='#/search']");
    web.wait_for("main", "Find a file");
    browser.choose("#sort", "date");
    browser.wait(&format!("{ROWS} === 3"));
    // Results show a peer and the folder, to distinguish equal names.
    assert!(browser.text("#results li").contains("peer_1 · docs"));
    browser.assert_console_clean();
}

#[test]
fn a_folder_is_found_and_opened_level_by_level() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/summer/lake.jpg", &contents(4, 2_000));
        ana.write("docs/summer/raw/lake.nef", &contents(5, 3_000));
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "summer");
    browser.choose("#type", "folder");
    // The folder below matches by its path, so it comes after.
    browser.wait(&format!("{ROWS} === 2"));
    assert!(browser.text("#results .meta").contains("2 files"));
    browser.click("#results a");
    web.wait_for("h1", "summer");
    web.wait_for("#entries", "lake.jpg");
    assert!(browser.text(".crumbs").contains("Search"));
    browser.screenshot("folder-desktop-light");
    browser.click("#entries a[href*='/folder/']");
    web.wait_for("#entries", "lake.nef");
    assert!(browser.text(".crumbs").contains("Folder"));
    browser.click("#entries a[href*='/file/']");
    browser.wait("document.querySelector('#download')");
    browser.run("history.go(-3)");
    browser.wait(&format!("{ROWS} === 2"));
    browser.assert_console_clean();
}
