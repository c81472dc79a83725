//! Sessions of browsers.

use convite_core::UserName;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use qrcode::{Color, EcLevel, QrCode};
use serde_json::{Value, json};

use crate::apis::{Api, ORIGIN, Running, http_with, http2, rest};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn with_ana(running: &Running) {
    let user: UserName = "ana".parse().unwrap();
    let made = running
        .get()
        .service
        .local_session(&user, Some("pass word 1"));
    made.await.unwrap();
}

const KEY: &str = "convite-page-key";

/// Returns the page's half of the session.
fn key(answer: &Value) -> &str {
    answer["page_key"].as_str().unwrap()
}

/// Logs in as the page does; returns the response and its only cookie.
async fn login(api: &Api) -> (Value, String) {
    let body = json!({"user": "ana", "password": "pass word 1", "cookie": true}).to_string();
    let (parts, body) = http_with(api, "POST", "/login", None, &[JSON], body.into()).await;
    assert_eq!(parts.status.as_u16(), 200);
    let cookies: Vec<_> = parts.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1);
    let cookie = cookies[0].to_str().unwrap().to_owned();
    (serde_json::from_slice(&body).unwrap(), cookie)
}

fn pair(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

/// Returns the status of a request with both halves of a session, and optionally a bearer token.
async fn status(
    api: &Api,
    line: (&str, &str),
    token: Option<&str>,
    cookie: &str,
    key: &str,
) -> u16 {
    let fields = [JSON, ("cookie", cookie), (KEY, key)];
    let (parts, _) = http_with(api, line.0, line.1, token, &fields, Vec::new()).await;
    parts.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_its_session_as_an_http_only_cookie() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let (answer, cookie) = login(&api).await;
    let token = pair(&cookie).strip_prefix("__Host-convite=").unwrap();
    assert_eq!(token.len(), 43);
    assert_eq!(
        cookie.strip_prefix(pair(&cookie)).unwrap(),
        "; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=2592000"
    );
    assert!(!answer.to_string().contains(token), "{answer}");
    assert!(answer.get("token").is_none(), "{answer}");

    let key = key(&answer);
    assert!(key.len() == 43 && key != token);
    let me = ("GET", "/me");
    let cookies = format!("theme=dark; {}", pair(&cookie));
    let fields = [("cookie", &*cookies), (KEY, key)];
    let (parts, body) = http_with(&api, "GET", "/me", None, &fields, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    assert!(String::from_utf8(body).unwrap().contains("\"ana\""));
    // The cookie lasts as long as the session, counted from this use.
    assert_eq!(parts.headers["set-cookie"].to_str().unwrap(), cookie);

    // If the header is present, it is used, valid or not.
    let whole = format!("{token}.{key}");
    let other = "__Host-convite=x";
    assert_eq!(status(&api, me, Some(&whole), other, "x").await, 200);
    assert_eq!(status(&api, me, Some("x"), pair(&cookie), key).await, 401);
    for other in [
        format!("convite={token}"),
        format!("__Host-convite={token}x"),
        format!("__Host-convite={token}; __Host-convite={token}"),
        "__Host-convite=".to_owned(),
    ] {
        assert_eq!(status(&api, me, None, &other, key).await, 401, "{other}");
    }

    let fields = [("cookie", pair(&cookie)), (KEY, key)];
    let (parts, _) = http_with(&api, "POST", "/logout", None, &fields, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 204);
    assert_eq!(
        parts.headers["set-cookie"],
        "__Host-convite=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0"
    );
    assert_eq!(status(&api, me, None, pair(&cookie), key).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_session_token_gives_no_access() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let (answer, cookie) = login(&api).await;
    let (other, other_cookie) = login(&api).await;
    let half = pair(&cookie).strip_prefix("__Host-convite=").unwrap();
    let key = key(&answer);
    let (parts, description) = http_with(&api, "GET", "/openapi.json", None, &[], Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    let description: Value = serde_json::from_slice(&description).unwrap();
    let mut asked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.replace("{hash}", &"0".repeat(64));
        let path = ["{id}", "{user}", "{space}"]
            .iter()
            .fold(path, |path, part| path.replace(part, "a"));
        for (method, operation) in item.as_object().unwrap() {
            if !operation["security"].is_array() {
                continue;
            }
            asked += 1;
            let method = method.to_uppercase();
            // A server on another port of this host receives the cookie, but no request with the
            // key.
            for (token, fields) in [
                (None, vec![("cookie", pair(&cookie))]),
                (Some(half), vec![]),
                (Some(half), vec![("cookie", pair(&cookie))]),
                (None, vec![("cookie", pair(&cookie)), (KEY, "")]),
                (None, vec![("cookie", pair(&cookie)), (KEY, half)]),
                (
                    None,
                    vec![
                        ("cookie", pair(&cookie)),
                        (KEY, super::cookies::key(&other)),
                    ],
                ),
                (
                    None,
                    vec![("cookie", pair(&cookie)), (KEY, key), (KEY, key)],
                ),
                (None, vec![(KEY, key)]),
                (Some(key), vec![]),
                (None, vec![("cookie", pair(&other_cookie)), (KEY, key)]),
            ] {
                let fields = [&[JSON][..], &fields].concat();
                let answer = http_with(&api, &method, &path, token, &fields, b"{}".to_vec());
                let status = answer.await.0.status.as_u16();
                assert_eq!(status, 401, "{method} {path} {fields:?}");
            }
        }
    }
    assert!(asked > 30, "{asked} operations");
    assert_eq!(
        status(&api, ("GET", "/me"), None, pair(&cookie), key).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_the_cookie_has_a_name_that_browsers_accept() {
    let running = Running::start(|config| config.plaintext = true).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let (answer, cookie) = login(&api).await;
    assert!(cookie.starts_with("convite="), "no prefix");
    assert!(!cookie.contains("Secure") && cookie.contains("HttpOnly; SameSite=Strict"));
    assert_eq!(
        status(&api, ("GET", "/me"), None, pair(&cookie), key(&answer)).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_no_cookie_and_grpc_takes_none() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let body = json!({"user": "ana", "password": "pass word 1"}).to_string();
    let (parts, body) = http_with(&api, "POST", "/login", None, &[JSON], body.into()).await;
    assert!(!parts.headers.contains_key("set-cookie"));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let token = answer["token"].as_str().unwrap();
    let bearer = [JSON];
    for path in ["/me", "/peers"] {
        let (parts, _) = http_with(&api, "GET", path, Some(token), &bearer, Vec::new()).await;
        assert!(!parts.headers.contains_key("set-cookie"), "{path}");
    }

    let origin = http::Uri::from_static(ORIGIN);
    let mut client = DirectoryClient::with_origin(http2(running.get()).await, origin);
    let mut request = tonic::Request::new(v1::WhoAmIRequest {});
    let cookie = format!("__Host-convite={token}").parse().unwrap();
    request.metadata_mut().insert("cookie", cookie);
    let refused = client.who_am_i(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing_with_the_cookie() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let (answer, cookie) = login(&api).await;
    for (fields, refused) in [
        (&[("origin", "https://evil.example")][..], true),
        (&[("origin", "null")], true),
        (&[("origin", "https://localhost:5001")], true),
        (&[("sec-fetch-site", "cross-site")], true),
        // Another service on this machine counts as the same site for cookies.
        (&[("sec-fetch-site", "same-site")], true),
        (
            &[
                ("origin", "https://localhost"),
                ("sec-fetch-site", "same-origin"),
            ],
            false,
        ),
        (&[("sec-fetch-site", "same-origin")], false),
    ] {
        for kind in ["application/json", "text/plain"] {
            let mut fields = fields.to_vec();
            fields.extend([
                ("cookie", pair(&cookie)),
                (KEY, key(&answer)),
                ("content-type", kind),
            ]);
            let body = b"{\"uses\":1}".to_vec();
            let (parts, body) = http_with(&api, "POST", "/invites", None, &fields, body).await;
            let status = match (refused, kind) {
                (true, _) => 403,
                (false, "text/plain") => 415,
                (false, _) => 201,
            };
            let text = String::from_utf8(body).unwrap();
            assert_eq!(parts.status.as_u16(), status, "{fields:?} {text}");
            assert_eq!(text.contains("cross_site"), refused, "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_has_a_web_address_and_a_qr_code() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let api = rest(running.get());
    let (answer, cookie) = login(&api).await;
    let fields = [JSON, ("cookie", pair(&cookie)), (KEY, key(&answer))];
    let mut invite = String::new();
    for (asked, has_picture) in [("{}", false), ("{\"qr\":true}", true)] {
        let made = http_with(&api, "POST", "/invites", None, &fields, asked.into()).await;
        let made: Value = serde_json::from_slice(&made.1).unwrap();
        let web = made["web"].as_str().unwrap();
        let (page, rest) = web.split_once("/#join=").unwrap();
        assert_eq!(page, running.get().url);
        // The page contains what the link contains: the code and the fingerprint.
        let (code, print) = rest.split_once("&ca=").unwrap();
        let link = format!("/{code}?ca={print}");
        assert!(made["invite"].as_str().unwrap().ends_with(&link));
        let picture = made["qr"].as_str();
        assert_eq!(picture.is_some(), has_picture);
        if let Some(picture) = picture {
            assert!(picture.contains("<svg") && !picture.contains(code));
            assert_eq!(
                dark(picture),
                modules(web),
                "the picture contains another address"
            );
        }
        invite = code.to_owned();
    }
    // The invite on the page creates an account.
    let body = json!({"invite": invite, "user": "bob", "password": "pass word 2"}).to_string();
    let (parts, _) = http_with(&api, "POST", "/accounts", None, &[JSON], body.into()).await;
    assert_eq!(parts.status.as_u16(), 201);
}

/// Returns the dark modules of a picture in row order; its path goes from one to the next.
fn dark(picture: &str) -> Vec<(usize, usize)> {
    let path = picture.split(" d=\"M").nth(1).unwrap();
    let path = path.split('"').next().unwrap();
    let squares = path.split('M').map(|square| {
        let (corner, rest) = square.split_once('h').unwrap();
        let (x, y) = corner.split_once(' ').unwrap();
        let side = rest.split('v').next().unwrap();
        let [x, y, side] = [x, y, side].map(|number| number.parse::<usize>().unwrap());
        (y / side, x / side)
    });
    squares.collect()
}

/// Returns the dark modules of a text's QR code, four modules from the edge, in row order.
fn modules(text: &str) -> Vec<(usize, usize)> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
    let width = code.width();
    let colors = code.to_colors().into_iter().enumerate();
    let dark = colors.filter(|(_, color)| *color == Color::Dark);
    dark.map(|(at, _)| (at / width + 4, at % width + 4))
        .collect()
}
