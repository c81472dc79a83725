//! A real Chromium, driven over WebDriver (W3C). The driver speaks plain HTTP on this machine; the
//! client sends one request per connection over plain sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{DEADLINE, Process, wait_until};

/// The timeout for the driver, which opens windows while two cores run all other tests.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(180);

/// The flags of Chromium: headless, no network traffic of its own, and no certificate errors, because
/// no browser knows the directory's certificate authority.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
];

/// Returns whether Chromium is installed; otherwise the test is skipped.
pub fn is_there() -> bool {
    xtest::Need::Chromium.is_met()
}

/// A browser with one window; closed on drop.
pub struct Browser {
    port: u16,
    session: String,
    downloads: PathBuf,
    // Declared before the folder, so that it is dropped first.
    _driver: Process,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Opens a window with a size in pixels, a preferred language and a light or dark colour scheme.
    pub fn open(width: u32, height: u32, language: &str, is_dark: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (driver, port) = driver();
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ));
        let options = json!({ "args": flags, "prefs": { "intl.accept_languages": language } });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = request(port, "POST", "/session", &wanted);
        let downloads = folder.path().join("downloads");
        fs::create_dir(&downloads).unwrap();
        let browser = Self {
            port,
            session: made["sessionId"].as_str().unwrap().to_owned(),
            downloads,
            _driver: driver,
            _folder: folder,
        };
        browser.set_appearance(width, height, is_dark);
        browser.tell(
            "Browser.setDownloadBehavior",
            json!({ "behavior": "allow", "downloadPath": browser.downloads }),
        );
        browser.tell(
            "Browser.grantPermissions",
            json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
        );
        browser
    }

    fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        request(self.port, method, &path, &body)
    }

    /// Sends a command of the Chrome DevTools Protocol.
    fn tell(&self, command: &str, params: Value) {
        self.ask(
            "POST",
            "/goog/cdp/execute",
            json!({ "cmd": command, "params": params }),
        );
    }

    pub fn go(&self, url: &str) {
        self.ask("POST", "/url", json!({ "url": url }));
    }

    /// Runs a script and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.ask(
            "POST",
            "/execute/sync",
            json!({ "script": script, "args": [] }),
        )
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let start = Instant::now();
        while self.run(&script) != true {
            if start.elapsed() > DEADLINE {
                self.screenshot("never-happened");
                panic!("timeout waiting for: {expression}\n{}", self.text("body"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the visible text of the first element that matches the selector.
    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!(
            "return document.querySelector({selector:?}).innerText"
        ));
        text.as_str().unwrap().to_owned()
    }

    fn element(&self, selector: &str) -> String {
        self.wait(&format!("document.querySelector({selector:?})"));
        let found = self.ask(
            "POST",
            "/element",
            json!({ "using": "css selector", "value": selector }),
        );
        let id = found.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    /// Types text into an element.
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("{}/value", self.element(selector));
        self.ask("POST", &path, json!({ "text": text }));
    }

    pub fn click(&self, selector: &str) {
        let path = format!("{}/click", self.element(selector));
        self.ask("POST", &path, json!({}));
    }

    /// Makes requests to these addresses fail, as if unreachable; `*` is a wildcard.
    pub fn block(&self, addresses: &[&str]) {
        self.tell("Network.enable", json!({}));
        self.tell("Network.setBlockedURLs", json!({ "urls": addresses }));
    }

    /// Drops local files and folders on an element, as with a mouse.
    pub fn drop_on(&self, selector: &str, paths: &[&Path]) {
        self.wait(&format!("document.querySelector({selector:?})"));
        let middle = self.run(&format!(
            "const box = document.querySelector({selector:?}).getBoundingClientRect();
             return [box.x + box.width / 2, box.y + box.height / 2];"
        ));
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": paths, "dragOperationsMask": 1 });
            self.tell(
                "Input.dispatchDragEvent",
                json!({ "type": kind, "x": middle[0], "y": middle[1], "data": data }),
            );
        }
    }

    /// Waits for a finished download with that name and returns its contents.
    pub fn downloaded(&self, name: &str) -> Vec<u8> {
        wait_until(name, || fs::read(self.downloads.join(name)).ok())
    }

    /// Presses keys one after the other in the focused element.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": strokes }]);
        self.ask("POST", "/actions", json!({ "actions": actions }));
    }

    /// Selects an option by its value.
    pub fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value={value:?}]"));
    }

    /// Changes the window size and the colour scheme.
    pub fn set_appearance(&self, width: u32, height: u32, is_dark: bool) {
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 }),
        );
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// Fails the test if the console has new messages since the last call, except about requests that
    /// the test expects to fail.
    #[track_caller]
    pub fn assert_console_clean_except(&self, refused: &[&str]) {
        let said = self.ask("POST", "/se/log", json!({ "type": "browser" }));
        let said = said.as_array().unwrap().iter();
        let texts = said.map(|entry| entry["message"].to_string());
        let is_meant = |text: &String| refused.iter().any(|part| text.contains(part));
        let complaints: Vec<String> = texts.filter(|text| !is_meant(text)).collect();
        assert_eq!(complaints, [""; 0]);
    }

    /// Like [`Self::assert_console_clean_except`], without expected failures.
    #[track_caller]
    pub fn assert_console_clean(&self) {
        self.assert_console_clean_except(&[]);
    }

    /// Saves a screenshot under target/screenshots, for people.
    pub fn screenshot(&self, name: &str) {
        let picture = self.ask("GET", "/screenshot", Value::Null);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let bytes = data_encoding::BASE64
            .decode(picture.as_str().unwrap().as_bytes())
            .unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.ask("DELETE", "", Value::Null);
    }
}

/// Starts a driver and returns it with its port. Fails if the chosen free port was taken meanwhile.
fn driver() -> (Process, u16) {
    loop {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let driver = Process::start(command);
        let port = driver.says("port of the driver", |text| {
            if text.contains("Exiting") {
                return Some(None);
            }
            let (_, after) = text.split_once("successfully on port ")?;
            Some(after.split('.').next()?.parse().ok())
        });
        if let Some(port) = port {
            return (driver, port);
        }
    }
}

fn request(port: u16, method: &str, path: &str, body: &Value) -> Value {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DRIVER_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(DRIVER_TIMEOUT)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = BufReader::new(stream);
    stream
        .get_mut()
        .write_all((head + &body).as_bytes())
        .unwrap();
    // Read by `content-length`, because the driver may keep the connection open.
    let (mut head, mut len) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{path}: {head}");
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    let mut answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200"),
        "{method} {path}: {answer}"
    );
    answer["value"].take()
}
