//! Joining a computer to an account of the page, and using an invite's web address in a terminal.

use super::{Web, desk};
use crate::harness::{Home, PASSWORD, finish};

/// Returns the arguments of a command that the page shows, as a shell splits them.
fn arguments(command: &str) -> Vec<String> {
    let words = command.split('\'').enumerate();
    let parts = words.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    parts.collect()
}

#[test]
fn the_page_adds_a_computer_to_an_account() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.join("ben");
    web.screen("#/account", "#connect code");
    browser.screenshot("account-connect-desktop-light");
    let command = browser.text("#connect code");
    let arguments = arguments(&command);
    assert_eq!(arguments[..2], ["convite", "join"]);
    assert!(!command.contains("/#"), "{command}");
    let home = Home::new();
    let run = |args: &[String]| {
        let mut command = home.command("--json");
        command.args(args);
        finish(command)
    };
    let joined = run(&arguments[1..]).ok();
    assert_eq!(joined.objects()[0]["created"], false);
    home.write("docs/mine.txt", b"mine");
    let _peer = home.peer("ben-pc", &home.path("docs"), "");
    web.screen("#/peers", ".list");
    web.wait_for("main .list", "ben-pc");

    // An unknown account is reported.
    let stranger = Home::new();
    let mut command = stranger.command("join");
    command.args([&arguments[2], "--user", "nobody"]);
    let refused = finish(command);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("there is no account 'nobody'"));
    assert!(refused.stderr.contains("invite"), "{}", refused.stderr);

    // The instructions can be opened next to a command that needs them.
    web.screen("#/upload", ".recommended details");
    browser.click(".recommended summary");
    web.wait_for(".recommended details", "convite join 'convite://");
    browser.screenshot("upload-connect-desktop-light");
    browser.assert_console_clean();
}

#[test]
fn an_invite_web_address_works_in_a_terminal() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let made = web.ana.json("invite --uses 2").ok();
    let address = made.objects()[0]["web"].as_str().unwrap().to_owned();
    let cleo = Home::new();
    let join = |home: &Home, address: &str| {
        let mut command = home.command("--json join --user cleo");
        command.arg(address);
        finish(command)
    };
    assert_eq!(join(&cleo, &address).ok().objects()[0]["created"], true);
    // Without the fingerprint, the address is not accepted.
    let (bare, _) = address.split_once("&ca=").unwrap();
    let refused = join(&Home::new(), bare);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("convite://"), "{}", refused.stderr);
    // The page ignores the rest of the address.
    web.browser.go(&address);
    web.browser.wait("document.querySelector('#invite')");
    let invite = web
        .browser
        .run("return document.querySelector('#invite').value");
    assert!(!invite.as_str().unwrap().contains("ca="), "{invite}");
    web.enter("dora", PASSWORD);
    web.browser.assert_console_clean();
}
