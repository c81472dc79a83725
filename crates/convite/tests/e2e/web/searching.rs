//! What is searched for is in the address, and what was found is there for who comes back.

use super::{Web, desk};
use crate::harness::contents;

const ROWS: &str = "document.querySelectorAll('#results li').length";

#[test]
fn a_search_outlives_reload_and_back_with_what_was_found_and_where_one_was() {
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
    // The way back is the one that one came.
    assert!(browser.text(".crumbs").contains("Search"));
    browser.click(".crumbs a");
    browser.wait(&format!("{ROWS} === 60"));
    browser.wait("scrollY === 1200");
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "main",
        "the box is not jumped to"
    );
    assert_eq!(
        browser.run("return document.querySelector('#q').value"),
        "lake"
    );
    browser.run("location.reload()");
    browser.wait("document.querySelector('#type')?.value === 'document'");
    browser.wait(&format!("{ROWS} === 30"));
    browser.wait("document.querySelector('#q').value === 'lake'");

    // From a folder, back to the folder.
    web.screen("#/browse/peer_1/docs/travel", ".list a[href*='/file/']");
    browser.click(".list a[href*='/file/']");
    web.wait_for(".crumbs", "travel");
    browser.click(".crumbs a");
    browser.wait("location.hash === '#/browse/peer_1/docs/travel'");
    browser.is_content();
}

#[test]
fn a_filter_that_leads_nowhere_is_seen_and_can_be_cleared() {
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
    web.wait_for("#space", "lab (not yours any more)");
    browser.choose("#space", "");
    browser.click("#clear");
    browser.wait(&format!("{ROWS} === 1"));
    browser.wait("location.hash === '#/search?q=lake'");

    // A peer that leaves while one looks at what it has.
    let ben = web.directory.member("ben");
    ben.write("docs/other.txt", b"b");
    let peer = ben.peer("peer_2", &ben.path("docs"), "");
    browser.wait("document.querySelector('#peer option[value=peer_2]')");
    browser.choose("#peer", "peer_2");
    browser.wait("document.querySelector('#clear')");
    peer.stop().ok();
    web.wait_for("#peer", "peer_2 (offline)");
    browser.picture("search-offline-peer-desktop-light");
    browser.click("#clear");
    browser.wait(&format!("{ROWS} === 1"));
    browser.is_content_but_for(&["/search"]);
}

#[test]
fn sizes_are_read_as_they_are_written_and_the_newest_need_no_words() {
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
    // A thousand bytes, not one.
    sized("1,000");
    browser.wait(&format!("{ROWS} === 1"));
    assert!(browser.text("#results").contains("large.bin"));
    sized("1,");
    web.wait_for(".count", "Write a size");
    assert_eq!(
        browser.run("return document.querySelector('#min').getAttribute('aria-invalid')"),
        "true"
    );
    browser.picture("search-unread-size-desktop-light");
    // The same answer as before, and the complaint is gone.
    sized("1,000");
    web.wait_for(".count", "1 result");
    browser.wait("!document.querySelector('#min').hasAttribute('aria-invalid')");

    // As people go there: an address that is set at once may still be that of before.
    browser.click("#top nav a[href='#/search']");
    web.wait_for("main", "Find a file");
    browser.choose("#sort", "date");
    browser.wait(&format!("{ROWS} === 3"));
    // Who has it is told, so that names that are alike can be told apart.
    assert!(browser.text("#results li").contains("peer_1 · docs"));
    browser.is_content();
}
