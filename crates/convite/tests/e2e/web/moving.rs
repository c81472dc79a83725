//! Files on their way: uploaded from the browser, fetched by peers that are asked to.

use convite_core::ContentHash;

use super::{Web, desk};
use crate::harness::contents;

#[test]
fn a_peer_is_asked_to_fetch_a_file_and_one_sees_how_it_goes() {
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
    // Whoever has it need not be asked.
    let choices = browser
        .run("return [...document.querySelector('#load-on').options].map((one) => one.value)");
    assert_eq!(choices, serde_json::json!(["peer_2"]));
    browser.run(
        "document.querySelector('#load-on').closest('form').querySelector('button').id = 'ask'",
    );
    browser.click("#ask");
    web.wait_for("main [role=status]", "peer_2 is asked");
    web.screen("#/transfers", "section .list li");
    web.wait_for("main section", "done");
    assert!(browser.text("main section").contains("lake.bin"));
    browser.picture("loads-desktop-light");
    web.screen(&file, ".holders");
    web.wait_for("main", "2 providers");
    browser.wait("!document.querySelector('#load-on')");
    browser.is_content();
}
