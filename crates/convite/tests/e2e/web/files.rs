//! Files on the page: search, details, browsing, download, links.

use std::fs::File;
use std::time::{Duration, SystemTime};

use convite_core::ContentHash;
use serde_json::Value;

use super::{MARKUP_NAME, REVERSING_NAME, TWO_LINE_NAME, Web, desk};
use crate::browser::Browser;
use crate::harness::{contents, text};

const ROWS: &str = "document.querySelectorAll('#results li').length";

#[test]
fn an_invited_user_finds_and_downloads_a_file() {
    let bytes = contents(61, 300_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.jpg", &bytes);
        ana.write(&format!("docs/{MARKUP_NAME}"), b"a");
        ana.write(&format!("docs/{REVERSING_NAME}"), b"b");
        ana.write(&format!("docs/{TWO_LINE_NAME}"), b"c");
    }) else {
        return;
    };
    let browser = &web.browser;
    web.join("ben");
    // Scripts cannot read the session cookie.
    let kept =
        browser.run("return document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + location.href");
    for secret in ["convite=", "join", "token"] {
        assert!(!kept.as_str().unwrap().contains(secret), "{kept}");
    }

    browser.type_into("#q", "lak");
    browser.wait(&format!("{ROWS} === 4"));
    let seen = browser.text("#results");
    assert!(seen.contains(MARKUP_NAME), "{seen}");
    assert!(!seen.contains('\u{202e}'), "{seen:?}");
    assert!(seen.contains("lake\u{fffd}second line.txt"), "{seen:?}");
    assert_eq!(
        browser.run("return document.querySelectorAll('#results img').length"),
        0
    );
    browser.screenshot("search-desktop-light");
    browser.type_into("#q", "e.jpg");
    browser.wait(&format!("{ROWS} === 1"));
    browser.click("#results a");
    browser.click("#download");
    assert!(browser.downloaded("lake.jpg") == bytes);
    assert_eq!(browser.text("#hash"), ContentHash::of(&bytes).to_string());
    assert_ne!(browser.run("return document.title"), "taken");
    browser.screenshot("file-desktop-light");
    browser.assert_console_clean();

    // After logout nothing of the session remains, also not with the back button.
    web.screen("#/account", ".head button");
    browser.click(".head button");
    browser.wait("document.querySelector('#user')");
    assert!(!browser.text("body").contains("ben"));
    browser.run("location.reload()");
    browser.wait("document.querySelector('#user')");
    browser.assert_console_clean();
}

#[test]
fn filters_reduce_the_results() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake one.jpg", &contents(1, 3_000));
        let old = ana.write("docs/lake two.txt", &contents(2, 2_000_000));
        let days_ago = SystemTime::now() - Duration::from_secs(3 * 86_400);
        let file = File::options().write(true).open(old).unwrap();
        file.set_modified(days_ago).unwrap();
        ana.write("docs/deep/lake/three.mp4", &contents(3, 500));
    }) else {
        return;
    };
    let ben = web.directory.member("ben");
    ben.write("docs/lake four.jpg", &contents(4, 700));
    let _peer = ben.peer("peer_2", &ben.path("docs"), "");
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "lake");
    browser.wait(&format!("{ROWS} === 4"));
    assert_eq!(browser.text(".count"), "4 results");
    assert_eq!(browser.text("#results li mark").to_lowercase(), "lake");
    // A file found only by its folder shows the reason.
    web.wait_for("#results", "matched by folder");
    let first = || browser.text("#results li");
    let clear = |id: &str| {
        browser.choose(id, "");
        browser.wait(&format!("{ROWS} === 4"));
    };

    browser.choose("#type", "image");
    browser.wait(&format!("{ROWS} === 2"));
    clear("#type");
    browser.choose("#peer", "peer_2");
    browser.wait(&format!("{ROWS} === 1"));
    assert!(first().contains("four.jpg"));
    clear("#peer");
    browser.choose("#sort", "size");
    browser.wait("document.querySelector('#results li').innerText.includes('two.txt')");
    browser.choose("#sort", "");
    browser.type_into("#min", "1 MiB");
    browser.wait(&format!("{ROWS} === 1"));
    assert!(first().contains("two.txt"));
    browser.type_into("#max", "a lot");
    web.wait_for(".count", "10 MiB");
    browser.run("for (const [id, size] of [['min', ''], ['max', '1 KiB']]) { const box = document.getElementById(id); box.value = size; box.dispatchEvent(new Event('input', { bubbles: true })); }");
    browser.wait(&format!("{ROWS} === 2"));
    assert!(!browser.text("#results").contains("one.jpg"));
    browser.run("for (const id of ['min', 'max']) { const box = document.getElementById(id); box.value = ''; box.dispatchEvent(new Event('input', { bubbles: true })); }");
    browser.wait(&format!("{ROWS} === 4"));
    browser.choose("#newer", "1d");
    browser.wait(&format!("{ROWS} === 3"));
    assert!(!browser.text("#results").contains("two.txt"));
    clear("#newer");

    // A search without results shows hints.
    browser.type_into("#q", " nowhere");
    web.wait_for("main", "Nothing found");
    browser.assert_console_clean();
}

#[test]
fn a_file_page_shows_sources_and_resumes() {
    let bytes = contents(62, 3_000_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/travel/2024/lake.bin", &bytes);
    }) else {
        return;
    };
    let ben = web.directory.member("ben");
    ben.write("docs/copy of it.bin", &bytes);
    let _peer = ben.peer("peer_2", &ben.path("docs"), "");
    let browser = &web.browser;
    let hash = ContentHash::of(&bytes).to_string();
    web.sign_in("ben");

    // Browses the folders to the file.
    web.screen("#/browse", ".list");
    browser.click("a[href='#/browse/peer_1']");
    for folder in ["docs", "travel", "2024"] {
        let row = format!(
            "[...document.querySelectorAll('main .list a')].find((a) => a.innerText.startsWith({folder:?}))"
        );
        browser.wait(&row);
        browser.run(&format!("{row}.click()"));
    }
    web.wait_for("main .list", "lake.bin");
    assert!(browser.text(".crumbs").contains("travel"));
    browser.screenshot("tree-desktop-light");
    browser.click("main .list a[href*='/file/']");
    browser.wait("document.querySelector('#hash')");
    assert_eq!(browser.text("#hash"), hash);
    let seen = browser.text("main");
    for part in ["lake.bin", "copy of it.bin", "3,000,000 bytes", "2 sources"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let label = browser.run("return document.querySelector('.holders').getAttribute('aria-label')");
    let label = label.as_str().unwrap().to_owned();
    assert!(
        label.contains("peer_1") && label.contains("peer_2"),
        "{label}"
    );
    browser.click(".copied button");
    browser.wait("document.querySelector('#said').innerText.includes('Copied')");
    assert_eq!(browser.run("return navigator.clipboard.readText()"), *hash);

    // A download that stops is resumed: only the missing part is requested, and the file is correct.
    let resumed = browser.run(&format!(
        "return (async () => {{
            const stop = new AbortController();
            const key = {{ 'convite-page-key': localStorage.getItem('convite.key') }};
            const first = await fetch('/files/{hash}/content', {{ signal: stop.signal, headers: key }});
            const tag = first.headers.get('etag');
            const reader = first.body.getReader();
            const {{ value }} = await reader.read();
            stop.abort();
            const rest = await fetch('/files/{hash}/content', {{ headers: {{ ...key, range: `bytes=${{value.length}}-`, 'if-range': tag }} }});
            const body = new Uint8Array(await rest.arrayBuffer());
            const all = new Uint8Array(value.length + body.length);
            all.set(value);
            all.set(body, value.length);
            const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
            const whole = await (await fetch('/files/{hash}/content', {{ headers: key }})).arrayBuffer();
            const wanted = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
            return {{ status: rest.status, from: value.length, length: all.length, same: sum.join() === wanted.join() }};
        }})()"
    ));
    assert_eq!(resumed["status"], 206, "{resumed}");
    assert_eq!(resumed["length"], bytes.len(), "{resumed}");
    assert!(resumed["from"].as_u64().unwrap() > 0, "{resumed}");
    assert_eq!(resumed["same"], true, "{resumed}");
    browser.assert_console_clean();
}

#[test]
fn a_link_opens_a_file_without_an_account() {
    let bytes = contents(63, 200_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/gift.bin", &bytes);
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    web.screen(&format!("#/file/{}", ContentHash::of(&bytes)), "#download");
    browser.choose("#link-age", "86400");
    browser.click("main form button");
    browser.wait("document.querySelector('#link')");
    let link = browser.run("return document.querySelector('#link').value");
    let link = link.as_str().unwrap();
    assert!(link.starts_with(&web.address("/d/")), "{link}");
    browser.click("#link + button");
    browser.wait("document.querySelector('#said').innerText.includes('Copied')");
    assert_eq!(browser.run("return navigator.clipboard.readText()"), link);
    browser.screenshot("link-desktop-light");
    browser.assert_console_clean();

    // A browser without any session.
    let other = Browser::open(800, 600, "en-US", false);
    other.go(&web.address("/"));
    other.wait("document.querySelector('#user')");
    // Opening the link does not count as a use; it shows a page about the file.
    for _ in 0..2 {
        other.go(link);
        other.wait("document.querySelector('#download')");
    }
    let page = other.text("main");
    for part in ["gift.bin", "195.3 KiB", "ana", "Download"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    other.screenshot("link-page-desktop-light");
    other.set_appearance(390, 844, true);
    other.screenshot("link-page-phone-dark");
    other.click("#download");
    assert!(other.downloaded("gift.bin") == bytes);
    other.assert_console_clean_except(&["favicon"]);
    // After the last use, other networks get nothing, and the same network can restart the download.
    other.go(link);
    other.wait("document.querySelector('#download')");
}

#[test]
fn a_peer_with_thousands_of_files_is_browsed() {
    const FILES: usize = 2_500;
    let Some(web) = Web::open(desk, |ana| {
        for number in 0..FILES {
            ana.write(
                &format!("docs/many/file-{number}.txt"),
                format!("{number}").as_bytes(),
            );
        }
    }) else {
        return;
    };
    let browser = &web.browser;
    let peers: Vec<Value> = web.ana.json("peers").ok().objects();
    assert_eq!(text(&peers[0], "id"), "peer_1");
    web.sign_in("ana");
    web.screen("#/browse/peer_1/docs", ".list");
    // The folder shows the total, and loads more files on request.
    web.wait_for("main .list", "2,500 files");
    web.screen("#/browse/peer_1/docs/many", ".list li:nth-child(200)");
    let rows = "document.querySelectorAll('main .list li').length";
    assert_eq!(browser.run(&format!("return {rows}")), 200);
    // Names are in numeric order.
    assert!(
        browser
            .text("main .list li:nth-child(11)")
            .contains("file-10.txt")
    );
    browser.click("main .centred button");
    browser.wait(&format!("{rows} === 400"));
    browser.type_into("#narrow", "file-2499");
    browser.wait(&format!("{rows} === 1"));
    browser.assert_console_clean();
}
