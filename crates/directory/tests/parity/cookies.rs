//! The session as a browser keeps it.

use convite_core::UserName;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use qrcode::{Color, EcLevel, QrCode};
use serde_json::{Value, json};

use crate::doors::{Door, ORIGIN, Running, http_with, http2, rest};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn with_ana(running: &Running) {
    let user: UserName = "ana".parse().unwrap();
    let made = running
        .get()
        .service
        .local_session(&user, Some("pass word 1"));
    made.await.unwrap();
}

/// Logs in as the page does: the answer, and the one cookie that came with it.
async fn login(door: &Door) -> (Value, String) {
    let body = json!({"user": "ana", "password": "pass word 1", "cookie": true}).to_string();
    let (parts, body) = http_with(door, "POST", "/login", None, &[JSON], body.into()).await;
    assert_eq!(parts.status.as_u16(), 200);
    let cookies: Vec<_> = parts.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1);
    let cookie = cookies[0].to_str().unwrap().to_owned();
    (serde_json::from_slice(&body).unwrap(), cookie)
}

fn pair(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

async fn status(door: &Door, line: (&str, &str), token: Option<&str>, cookie: &str) -> u16 {
    let fields = [JSON, ("cookie", cookie)];
    let (parts, _) = http_with(door, line.0, line.1, token, &fields, Vec::new()).await;
    parts.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_its_session_as_a_cookie_that_no_script_reads() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let door = rest(running.get());
    let (answer, cookie) = login(&door).await;
    let token = pair(&cookie).strip_prefix("__Host-convite=").unwrap();
    assert_eq!(token.len(), 43);
    assert_eq!(
        cookie.strip_prefix(pair(&cookie)).unwrap(),
        "; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=2592000"
    );
    assert!(!answer.to_string().contains(token), "{answer}");
    assert!(answer.get("token").is_none(), "{answer}");

    let me = ("GET", "/me");
    let fields = [("cookie", &*format!("theme=dark; {}", pair(&cookie)))];
    let (parts, body) = http_with(&door, "GET", "/me", None, &fields, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    assert!(String::from_utf8(body).unwrap().contains("\"ana\""));
    // The browser is to keep it for as long as the directory does, from this use on.
    assert_eq!(parts.headers["set-cookie"].to_str().unwrap(), cookie);

    // The header is what counts where there is one, good or bad.
    assert_eq!(
        status(&door, me, Some(token), "__Host-convite=x").await,
        200
    );
    assert_eq!(status(&door, me, Some("x"), pair(&cookie)).await, 401);
    for other in [
        format!("convite={token}"),
        format!("__Host-convite={token}x"),
        format!("__Host-convite={token}; __Host-convite={token}"),
        "__Host-convite=".to_owned(),
    ] {
        assert_eq!(status(&door, me, None, &other).await, 401, "{other}");
    }

    let fields = [("cookie", pair(&cookie))];
    let (parts, _) = http_with(&door, "POST", "/logout", None, &fields, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 204);
    assert_eq!(
        parts.headers["set-cookie"],
        "__Host-convite=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0"
    );
    assert_eq!(status(&door, me, None, pair(&cookie)).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_the_cookie_has_the_name_that_browsers_take_there() {
    let running = Running::start(|config| config.plaintext = true).await;
    with_ana(&running).await;
    let door = rest(running.get());
    let (_, cookie) = login(&door).await;
    assert!(cookie.starts_with("convite="), "no prefix");
    assert!(!cookie.contains("Secure") && cookie.contains("HttpOnly; SameSite=Strict"));
    assert_eq!(
        status(&door, ("GET", "/me"), None, pair(&cookie)).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_no_cookie_and_grpc_takes_none() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let door = rest(running.get());
    let body = json!({"user": "ana", "password": "pass word 1"}).to_string();
    let (parts, body) = http_with(&door, "POST", "/login", None, &[JSON], body.into()).await;
    assert!(!parts.headers.contains_key("set-cookie"));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let token = answer["token"].as_str().unwrap();
    let bearer = [JSON];
    for path in ["/me", "/peers"] {
        let (parts, _) = http_with(&door, "GET", path, Some(token), &bearer, Vec::new()).await;
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
    let door = rest(running.get());
    let (_, cookie) = login(&door).await;
    for (fields, refused) in [
        (&[("origin", "https://evil.example")][..], true),
        (&[("origin", "null")], true),
        (&[("origin", "https://localhost:5001")], true),
        (&[("sec-fetch-site", "cross-site")], true),
        // Another service on this machine: the same site to a cookie.
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
            fields.extend([("cookie", pair(&cookie)), ("content-type", kind)]);
            let body = b"{\"uses\":1}".to_vec();
            let (parts, body) = http_with(&door, "POST", "/invites", None, &fields, body).await;
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
async fn an_invite_comes_with_a_page_and_a_picture_of_its_address() {
    let running = Running::start(|_| {}).await;
    with_ana(&running).await;
    let door = rest(running.get());
    let (_, cookie) = login(&door).await;
    let fields = [JSON, ("cookie", pair(&cookie))];
    let mut invite = String::new();
    for (asked, has_picture) in [("{}", false), ("{\"qr\":true}", true)] {
        let made = http_with(&door, "POST", "/invites", None, &fields, asked.into()).await;
        let made: Value = serde_json::from_slice(&made.1).unwrap();
        let web = made["web"].as_str().unwrap();
        let (page, rest) = web.split_once("/#join=").unwrap();
        assert_eq!(page, running.get().url);
        // As much as the link says: the code, and how to know the directory.
        let (code, print) = rest.split_once("&ca=").unwrap();
        let link = format!("/{code}?ca={print}");
        assert!(made["invite"].as_str().unwrap().ends_with(&link));
        let picture = made["qr"].as_str();
        assert_eq!(picture.is_some(), has_picture);
        if let Some(picture) = picture {
            assert!(picture.contains("<svg") && !picture.contains(code));
            assert_eq!(dark(picture), modules(web), "another address is in it");
        }
        invite = code.to_owned();
    }
    // What the page gets is what makes an account.
    let body = json!({"invite": invite, "user": "bob", "password": "pass word 2"}).to_string();
    let (parts, _) = http_with(&door, "POST", "/accounts", None, &[JSON], body.into()).await;
    assert_eq!(parts.status.as_u16(), 201);
}

/// The dark modules of a picture in the order of its rows: its path goes from one to the next.
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

/// The dark modules of the code of a text, four modules from the edge, in the order of their rows.
fn modules(text: &str) -> Vec<(usize, usize)> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
    let width = code.width();
    let colors = code.to_colors().into_iter().enumerate();
    let dark = colors.filter(|(_, color)| *color == Color::Dark);
    dark.map(|(at, _)| (at / width + 4, at % width + 4))
        .collect()
}
