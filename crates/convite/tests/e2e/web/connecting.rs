//! From an account in a browser to a computer of one's own, and the other way round.

use super::{Web, desk};
use crate::harness::{Home, PASSWORD, finish};

/// What a shell would run of a command that the page shows: its arguments.
fn arguments(command: &str) -> Vec<String> {
    let words = command.split('\'').enumerate();
    let parts = words.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    parts.collect()
}

#[test]
fn an_account_of_the_page_brings_its_own_computer_in() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.join("ben");
    web.screen("#/account", "#connect code");
    browser.picture("account-connect-desktop-light");
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

    // With an account that does not exist it says so.
    let stranger = Home::new();
    let mut command = stranger.command("join");
    command.args([&arguments[2], "--user", "nobody"]);
    let refused = finish(command);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("there is no account 'nobody'"));
    assert!(refused.stderr.contains("invite"), "{}", refused.stderr);

    // Beside a command that needs it, it can be opened.
    web.screen("#/upload", ".recommended details");
    browser.click(".recommended summary");
    web.wait_for(".recommended details", "convite join 'convite://");
    browser.picture("upload-connect-desktop-light");
    browser.is_content();
}

#[test]
fn the_web_address_of_an_invite_joins_from_a_terminal_too() {
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
    // Without what tells the directory from others, it is not trusted.
    let (bare, _) = address.split_once("&ca=").unwrap();
    let refused = join(&Home::new(), bare);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("convite://"), "{}", refused.stderr);
    // And to the page the rest of the address is nothing.
    web.browser.go(&address);
    web.browser.wait("document.querySelector('#invite')");
    let invite = web
        .browser
        .run("return document.querySelector('#invite').value");
    assert!(!invite.as_str().unwrap().contains("ca="), "{invite}");
    web.enter("dora", PASSWORD);
    web.browser.is_content();
}
