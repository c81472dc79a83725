//! Uploads from the browser and remote downloads.

use std::fs;

use convite_core::ContentHash;

use super::{Web, desk};
use crate::harness::contents;
use crate::relay::Relay;

#[test]
fn chosen_and_dropped_files_are_uploaded() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    // If no peer accepts uploads, the page shows the command that allows them.
    web.screen("#/upload", ".command");
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "--allow-uploads");
    web.screen("#/peers", ".list");
    web.wait_for("main .list", "accepts uploads");
    web.screen("#/upload", "#files");
    let choices =
        browser.run("return [...document.querySelector('#to').options].map((one) => one.value)");
    assert_eq!(choices, serde_json::json!(["peer_2"]));
    browser.screenshot("uploads-desktop-light");

    let bytes = contents(71, 3_000_000);
    let name = "lago <b>é.bin";
    let path = ben.write(&format!("elsewhere/{name}"), &bytes);
    browser.type_into("#files", path.to_str().unwrap());
    web.wait_for("#uploads", "Uploaded");
    // The page shows the stored name, which is valid on every system.
    let inbox = ben.root().join("inbox/ana");
    let kept = fs::read_dir(&inbox).unwrap().next().unwrap().unwrap();
    assert!(fs::read(kept.path()).unwrap() == bytes, "{kept:?}");
    let kept = kept.file_name().into_string().unwrap();
    assert!(browser.text("#uploads").contains(&kept), "{kept}");
    let dropped = browser.run(
        "const data = new DataTransfer();
         data.items.add(new File(['dropped here'], 'dropped.txt'));
         const zone = document.querySelector('.drop');
         zone.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
         return data.files.length;",
    );
    assert_eq!(dropped, 1);
    browser.wait("document.querySelectorAll('#uploads .chip:not(.off)').length === 2");
    assert_eq!(
        fs::read(inbox.join("dropped.txt")).unwrap(),
        b"dropped here"
    );
    browser.screenshot("uploaded-desktop-light");

    // The file is visible at once, and the list of uploads stays when another screen is opened.
    web.screen("#/search", "#q");
    browser.type_into("#q", "lago");
    browser.wait("document.querySelector('#results li')");
    web.screen("#/upload", "#uploads li + li");
    browser.click("#uploads li:last-child a");
    browser.wait("document.querySelector('#hash')");
    assert_eq!(browser.text("#hash"), ContentHash::of(&bytes).to_string());
    browser.assert_console_clean();
}

#[test]
fn a_dropped_folder_is_uploaded_file_by_file() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "--allow-uploads");
    for (name, bytes) in [
        ("trip/one.txt", "1"),
        ("trip/deep/er/two.txt", "2"),
        ("three.txt", "3"),
    ] {
        ben.write(name, bytes.as_bytes());
    }
    web.sign_in("ana");
    web.screen("#/upload", ".drop");
    browser.drop_on(".drop", &[&ben.path("trip"), &ben.path("three.txt")]);
    browser.wait("document.querySelectorAll('#uploads .chip:not(.off)').length === 3");
    let inbox = ben.root().join("inbox/ana");
    for (name, bytes) in [("one.txt", "1"), ("two.txt", "2"), ("three.txt", "3")] {
        assert_eq!(fs::read_to_string(inbox.join(name)).unwrap(), bytes);
    }
    // If the name exists, the page shows the new name.
    ben.write("again/three.txt", b"another");
    browser.drop_on(".drop", &[&ben.path("again")]);
    web.wait_for("#uploads li", "three (1).txt");
    browser.screenshot("uploaded-folder-desktop-light");
    browser.assert_console_clean();
}

#[test]
fn a_failed_upload_is_retried_from_its_row() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let peer = ben.peer("peer_2", &ben.path("docs"), "--allow-uploads");
    web.sign_in("ana");
    web.screen("#/upload", ".drop");
    peer.stop().ok();
    let file = ben.write("elsewhere/late.txt", b"late");
    browser.drop_on(".drop", &[&file]);
    browser.wait("document.querySelector('#uploads .chip.off')");
    browser.screenshot("upload-failed-desktop-light");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "--allow-uploads");
    browser.click("#uploads .trouble button");
    web.wait_for("#uploads", "Uploaded");
    assert_eq!(
        browser.run("return document.querySelectorAll('#uploads li, #uploads .trouble').length"),
        1
    );
    let kept = ben.root().join("inbox/ana/late.txt");
    assert_eq!(fs::read(kept).unwrap(), b"late");
    browser.assert_console_clean_except(&["/upload"]);
}

#[test]
fn a_remote_fetch_shows_its_progress() {
    let bytes = contents(72, 500_000);
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.bin", &bytes);
    }) else {
        return;
    };
    let browser = &web.browser;
    let ben = web.directory.member("ben");
    ben.write("docs/a.txt", b"a");
    let _peer = ben.peer("peer_2", &ben.path("docs"), "--allow-loads");
    web.sign_in("ana");
    let file = format!("#/file/{}", ContentHash::of(&bytes));
    web.screen(&file, "#load-on");
    // Peers that have the file are not offered.
    let choices = browser
        .run("return [...document.querySelector('#load-on').options].map((one) => one.value)");
    assert_eq!(choices, serde_json::json!(["peer_2"]));
    browser.run(
        "document.querySelector('#load-on').closest('form').querySelector('button').id = 'ask'",
    );
    browser.click("#ask");
    web.wait_for("main [role=status]", "requested on peer_2");
    web.screen("#/transfers", "section .list li");
    web.wait_for("main section", "done");
    assert!(browser.text("main section").contains("lake.bin"));
    browser.screenshot("loads-desktop-light");
    web.screen(&file, ".holders");
    web.wait_for("main", "2 sources");
    browser.wait("!document.querySelector('#load-on')");
    browser.assert_console_clean();
}

#[test]
fn a_transfer_is_shown_until_it_ends() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    let ben = web.directory.member("ben");
    ben.write("big/lake.bin", &contents(73, 8 << 20));
    let relay = Relay::holding_after(3 << 20);
    let _peer = ben.peer_behind(&relay, "peer_2", &ben.path("big"));
    let cleo = web.directory.member("cleo");
    let get = cleo.start("--json get lake.bin -o got/");
    relay.wait_until_held();
    web.sign_in("ana");
    web.screen("#/transfers", "progress");
    web.wait_for("main .list", "lake.bin");
    browser.wait("document.querySelector('main progress').value > 10");
    browser.screenshot("transfers-desktop-light");
    relay.release();
    get.ended().ok();
    browser.wait("document.querySelector('main .empty')");
    browser.assert_console_clean();
}
