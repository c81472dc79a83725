//! Login on the page, and its messages when a session has ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use convite_core::ContentHash;

use super::{Web, desk};
use crate::harness::{Directory, PASSWORD, contents};

#[test]
fn an_expired_session_is_shown_before_a_download_starts() {
    let Some(web) = Web::open(desk, |ana| {
        ana.write("docs/lake.bin", &contents(81, 5_000));
    }) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.type_into("#q", "lake");
    browser.click("#results a");
    browser.wait("document.querySelector('#download')");
    // The session ends outside the page's own requests.
    browser.run("return fetch('/logout', { method: 'POST', headers: { 'convite-page-key': localStorage.getItem('convite.key') } }).then((answer) => answer.status)");
    browser.click("#download");
    web.wait_for("[role=alert]", "Your session has ended");
    browser.wait("document.querySelector('#user')");
    browser.screenshot("session-over-desktop-light");
    browser.assert_console_clean_except(&["/files/", "/events", "/me"]);
}

#[test]
fn invites_that_are_broken_or_opened_while_logged_in() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    browser.go(&web.address("/#join=%"));
    browser.wait("document.querySelector('#invite')?.value === '%'");
    browser.assert_console_clean();
    // The page shows its own hint instead of a command.
    browser.type_into("#user", "eve");
    browser.type_into("#password", "a password of eve's");
    browser.click("form button");
    web.wait_for("[role=alert]", "Ask the person who invited you");
    assert!(!browser.text("[role=alert]").contains('`'));
    browser.assert_console_clean_except(&["/accounts"]);
    // The password rule is shown before the form is submitted.
    assert!(browser.text("form").contains("At least 8 characters"));
    web.sign_in("ana");
    browser.go(&web.address("/#join=abc"));
    web.wait_for("#go-on", "Continue as ana");
    browser.screenshot("join-signed-in-desktop-light");
    browser.click("#go-on");
    browser.wait("document.querySelector('#q')");
    assert!(browser.text("#top").contains("Administration"));
    browser.assert_console_clean();
}

#[test]
fn an_expired_link_shows_a_message() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    browser.go(&web.address("/d/none-such"));
    browser.wait("document.querySelector('h1')");
    assert_eq!(browser.text("h1"), "This link does not work");
    let ground =
        browser.run("return getComputedStyle(document.querySelector('.card')).borderRadius");
    assert_eq!(ground, "12px", "the style sheet is missing");
    browser.screenshot("link-over-desktop-light");
    browser.assert_console_clean_except(&["/d/none-such", "favicon"]);
}

#[test]
fn a_screen_that_fails_to_load_is_retried() {
    let Some(web) = Web::open(desk, |_| {}) else {
        return;
    };
    let browser = &web.browser;
    web.sign_in("ana");
    browser.block(&["*/upload.js"]);
    browser.run("location.hash = '#/upload'");
    web.wait_for("main [role=alert]", "does not answer");
    browser.block(&[]);
    browser.click("main [role=alert] button");
    browser.wait("document.querySelector('main .empty')");
    browser.assert_console_clean_except(&["upload.js"]);
}

/// Starts a server on another port of this host, as a peer could be. It answers one request and returns
/// what it received.
fn foreign_server() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let page = "<title>thief</title>";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
            page.len()
        );
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        head
    });
    (port, serving)
}

/// Sends a request without TLS and returns the status.
fn status(port: u16, method: &str, path: &str, fields: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_cookie_from_another_port_is_useless() {
    if !crate::browser::is_there() {
        return;
    }
    // Without TLS, to keep the other server simple; cookies ignore ports in the same way.
    let directory = Directory::with("--plaintext");
    let ana = directory.member("ana");
    ana.write("docs/lake.bin", &contents(82, 5_000));
    let _peer = ana.peer("peer_1", &ana.path("docs"), "");
    let port = directory.port;
    let browser = desk();
    browser.go(&format!("http://127.0.0.1:{port}/"));
    browser.type_into("#user", "ana");
    browser.type_into("#password", PASSWORD);
    browser.click("form button");
    browser.wait("document.querySelector('#top nav')");

    let (other, serving) = foreign_server();
    browser.go(&format!("http://127.0.0.1:{other}/"));
    assert_eq!(browser.run("return document.title"), "thief");
    let sent = serving.join().unwrap();
    let cookie = sent
        .lines()
        .find_map(|line| line.strip_prefix("Cookie: "))
        .expect("the browser did not send the cookie");
    assert!(cookie.contains("convite="), "{sent}");
    assert!(!sent.to_lowercase().contains("page-key"), "{sent}");
    let stored = browser.run("return localStorage.length");
    assert_eq!(stored, 0, "a page of another port can read the key");

    let half = cookie.split("convite=").nth(1).unwrap();
    let half = half.split(';').next().unwrap();
    let hash = ContentHash::of(&contents(82, 5_000));
    for fields in [
        format!("cookie: {cookie}\r\n"),
        format!("authorization: Bearer {half}\r\n"),
        format!("cookie: {cookie}\r\nconvite-page-key: {half}\r\n"),
    ] {
        for (method, path) in [
            ("GET", "/me"),
            ("GET", "/users"),
            ("POST", "/invites"),
            ("POST", "/logout"),
            ("GET", "/events"),
            ("POST", "/events/token"),
            ("GET", &format!("/files/{hash}/content")),
            ("POST", &format!("/files/{hash}/token")),
        ] {
            assert_eq!(status(port, method, path, &fields), 401, "{path} {fields}");
        }
    }
    // The page itself keeps working, in another tab too, because it has both halves.
    browser.go(&format!("http://127.0.0.1:{port}/#/file/{hash}"));
    browser.wait("document.querySelector('#download')");
    browser.click("#download");
    assert!(browser.downloaded("lake.bin") == contents(82, 5_000));
}
