//! Links that are opened before they are used, by browsers, mail scanners and chat previews, with
//! the headers that they really send.

use serde_json::json;

use crate::fake_provider::{Behaviour, contents};
use crate::links::{ask, get, link};
use crate::world::World;

const SIZE: usize = 300_000;

const CHROME: &str = "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    upgrade-insecure-requests: 1\r\nsec-fetch-site: none\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";

/// Clients that only look, and their headers.
fn preview_clients() -> Vec<(&'static str, String)> {
    let agent = |agent: &str| format!("user-agent: {agent}\r\naccept: */*\r\n");
    vec![
        ("chrome", CHROME.to_owned()),
        ("chrome, prefetching", format!("{CHROME}sec-purpose: prefetch;prerender\r\npurpose: prefetch\r\n")),
        ("firefox, prefetching", "accept: */*\r\nx-moz: prefetch\r\n".to_owned()),
        ("a speculative request", "sec-purpose: prefetch\r\naccept: */*\r\n".to_owned()),
        ("an element of a page", "accept: image/avif,image/webp,*/*\r\nsec-fetch-dest: image\r\n".to_owned()),
        // Opens the address like a browser, on other machines.
        ("outlook safe links", "user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0\r\naccept: text/html,*/*\r\n".to_owned()),
        ("slack", agent("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)") + "range: bytes=0-32768\r\n"),
        ("slack's pictures", agent("Slack-ImgProxy (+https://api.slack.com/robots)")),
        ("whatsapp", agent("WhatsApp/2.23.20.0 A")),
        ("signal", agent("WhatsApp/2")),
        ("telegram", agent("TelegramBot (like TwitterBot)")),
        ("facebook", agent("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)") + "range: bytes=0-524287\r\n"),
        ("teams and skype", agent("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com")),
        ("imessage", agent("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0")),
        ("discord", agent("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)")),
        ("linkedin", agent("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)")),
        ("mastodon", agent("http.rb/5.1.1 (Mastodon/4.2.0; +https://mastodon.example/) Bot")),
        ("matrix", agent("Synapse (bot; +https://github.com/matrix-org/synapse)")),
        ("line", agent("facebookexternalhit/1.1;line-poker/1.0")),
        ("viber", agent("Viber/17.0")),
        // Does not identify itself, and requests a small range.
        ("a small range", "range: bytes=0-1023\r\n".to_owned()),
    ]
}

/// Clients that download, and their headers.
const DOWNLOADERS: [(&str, &str); 7] = [
    ("curl", "user-agent: curl/8.5.0\r\naccept: */*\r\n"),
    (
        "wget",
        "user-agent: Wget/1.21.4\r\naccept: */*\r\naccept-encoding: identity\r\n",
    ),
    (
        "aria2",
        "user-agent: aria2/1.37.0\r\naccept: */*\r\nwant-digest: SHA-512;q=1\r\n",
    ),
    (
        "wget, resuming",
        "user-agent: Wget/1.21.4\r\naccept: */*\r\nrange: bytes=0-\r\n",
    ),
    (
        "python",
        "user-agent: python-requests/2.31.0\r\naccept: */*\r\n",
    ),
    ("powershell's curl", "user-agent: curl/8.9.1\r\n"),
    ("no user agent", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_a_link_spend_no_use() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _peer = world
        .peer(
            "p-1",
            "a/<b>lake \u{202e}gpj.exe",
            &bytes,
            Behaviour::Honest,
        )
        .await;
    let path = link(&world, &bytes, json!({})).await;
    for (who, fields) in preview_clients() {
        for method in ["GET", "HEAD"] {
            let seen = ask(&world, 3, method, &path, &fields).await;
            assert_eq!(seen.status, 200, "{who}");
            // A program that sends HEAD gets the file's headers, and spends no use.
            let is_program = who == "a small range" && method == "HEAD";
            let kind = "content-type: text/html; charset=utf-8";
            assert!(
                is_program || seen.head.contains(kind),
                "{who}: {}",
                seen.head
            );
            assert!(seen.head.contains("no-store"), "{who}: {}", seen.head);
            if method == "GET" {
                let page = String::from_utf8(seen.body).unwrap();
                for part in [
                    "&lt;b&gt;lake \u{fffd}gpj.exe",
                    "293.0 KiB",
                    "ana",
                    "<form method=\"post\">",
                ] {
                    assert!(page.contains(part), "{who}: {part} is not in {page}");
                }
            }
        }
    }
    // Parameters appended by chat programs are ignored.
    let decorated = format!("{path}?fbclid=IwAR0x&utm_source=chat");
    assert_eq!(ask(&world, 3, "GET", &decorated, CHROME).await.status, 200);
    let spanish = ask(
        &world,
        3,
        "GET",
        &path,
        "accept: text/html\r\naccept-language: es\r\n",
    )
    .await;
    assert!(
        String::from_utf8(spanish.body)
            .unwrap()
            .contains("Descargar")
    );
    // No use was spent: the only one is still available.
    let got = get(&world, 2, &path).await;
    assert_eq!((got.status, got.body == bytes), (200, true));
    // An expired link is expired for previews, too.
    assert_eq!(ask(&world, 3, "GET", &path, CHROME).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_spends_one_use_and_allows_ranges() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _peer = world
        .peer("p-1", "a/lake.bin", &bytes, Behaviour::Honest)
        .await;
    let path = link(&world, &bytes, json!({})).await;
    let form = format!(
        "{CHROME}origin: http://{}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 0\r\n",
        world.directory.address
    );
    let foreign = form.replace("origin: http://", "origin: http://evil.example/");
    assert_eq!(ask(&world, 2, "POST", &path, &foreign).await.status, 403);
    let pressed = ask(&world, 2, "POST", &path, &form).await;
    assert_eq!(pressed.status, 303);
    let place = format!("{path}{}", pressed.location());
    // Pressing the button spends no use, and the address only works for that network.
    let elsewhere = ask(&world, 3, "GET", &place, CHROME).await;
    assert!(elsewhere.head.contains("content-type: text/html"));
    let got = ask(&world, 2, "GET", &place, CHROME).await;
    assert_eq!((got.status, got.body == bytes), (200, true));
    assert!(got.head.contains("attachment"));
    let range = format!("{CHROME}range: bytes=100000-\r\n");
    let rest = ask(&world, 2, "GET", &place, &range).await;
    assert_eq!((rest.status, rest.body == bytes[100_000..]), (206, true));
    // Spent for other networks.
    for from in [3, 4] {
        assert_eq!(get(&world, from, &path).await.status, 404);
        assert_eq!(ask(&world, from, "POST", &path, &form).await.status, 404);
    }
    let wrong = format!("{path}?pass=AAAA");
    let page = ask(&world, 2, "GET", &wrong, CHROME).await;
    assert!(page.head.contains("content-type: text/html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_download_at_once() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _peer = world
        .peer("p-1", "a/lake.bin", &bytes, Behaviour::Honest)
        .await;
    for (who, fields) in DOWNLOADERS {
        let path = link(&world, &bytes, json!({})).await;
        let got = ask(&world, 2, "GET", &path, fields).await;
        assert!([200, 206].contains(&got.status), "{who}: {}", got.head);
        assert!(got.body == bytes, "{who}");
        // Several concurrent connections, each for a part.
        let part = format!("{fields}range: bytes=0-1023\r\n");
        if !fields.contains("range") {
            let part = ask(&world, 2, "GET", &path, &part).await;
            assert_eq!(
                (part.status, part.body == bytes[..1024]),
                (206, true),
                "{who}"
            );
        }
        assert_eq!(get(&world, 3, &path).await.status, 404, "{who}");
    }
}
