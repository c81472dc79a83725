//! A directory behind a proxy: deploy/nginx.conf with a real nginx, and untrusted balancers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use xtest::Need;

use crate::harness::{Directory, Home, PASSWORD, text, wait_until};

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An nginx with the configuration of deploy/ on other ports; killed on drop.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, because SIGKILL would leave its workers holding the ports for a moment.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Nginx {
    fn start(place: &Path, public: u16, inner: u16, directory: u16, default_host: bool) -> Self {
        let certificate = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(place.join("key.pem"))
            .arg("-out")
            .arg(place.join("cert.pem"))
            .output()
            .unwrap();
        assert!(certificate.status.success());
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx.conf");
        let folder = place.display().to_string();
        let mut config = fs::read_to_string(recipe)
            .unwrap()
            .replace("listen 443;", &format!("listen 127.0.0.1:{public};"))
            .replace("127.0.0.1:8443", &format!("127.0.0.1:{inner}"))
            .replace("127.0.0.1:50051", &format!("127.0.0.1:{directory}"))
            .replace("/etc/ssl/files.example.pem", &format!("{folder}/cert.pem"))
            .replace("/etc/ssl/files.example.key", &format!("{folder}/key.pem"));
        if default_host {
            config = config.replace("proxy_set_header Host $host;", "");
        }
        let mut whole = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        );
        let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
        if Path::new(module).exists() {
            whole.insert_str(0, &format!("load_module {module};\n"));
        }
        let mut http = String::from("http {\n    access_log off;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            http.push_str(&format!("    {kind}_temp_path {folder}/{kind};\n"));
        }
        whole.push_str(&config.replace("http {\n", &http));
        let path = place.join("nginx.conf");
        fs::write(&path, whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(place).arg("-c").arg(&path);
        let nginx = Self(command.spawn().unwrap());
        wait_until("nginx listens", || {
            TcpStream::connect(("127.0.0.1", public)).ok()
        });
        nginx
    }
}

#[test]
fn nginx_serves_browsers_and_peers_on_one_port() {
    if !Need::Nginx.is_met() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (public, inner) = (free_port(), free_port());
    let directory = Directory::with(&format!(
        "--public-address localhost:{public} --trusted-proxy 127.0.0.1"
    ));
    // The ready line names the public address, so the listening port is read from the system.
    let listening = listening_port(&directory);
    for default_host in [false, true] {
        let _nginx = Nginx::start(place.path(), public, inner, listening, default_host);
        if !default_host {
            // Through nginx, whose address is in the invite.
            let ana = directory.member("ana");
            ana.write("data/a.txt", b"a file");
            ana.peer("desk", &ana.path("data"), "").stop().ok();
        }
        let login = |origin: &str| {
            let body = format!("{{\"user\": \"ana\", \"password\": \"{PASSWORD}\"}}");
            let output = Command::new("curl")
                .args(["-sS", "--cacert"])
                .arg(place.path().join("cert.pem"))
                .args(["-H", "content-type: application/json", "-H"])
                .arg(format!("origin: {origin}"))
                .args(["-w", "\n%{http_code}", "-d", &body])
                .arg(format!("https://localhost:{public}/login"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            said + &errors
        };
        let own = login(&format!("https://localhost:{public}"));
        assert!(own.contains("\n200"), "{own}");
        let other = login("https://evil.example");
        assert!(other.contains("\n403"), "{other}");
    }
}

/// Returns the port on which a directory listens, independent of its public address.
fn listening_port(directory: &Directory) -> u16 {
    let pid = directory.process.id();
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let listening = table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_ours = sockets.contains(&format!("socket:[{}]", fields[9]));
        // 0A is the state LISTEN.
        (is_ours && fields[3] == "0A").then(|| fields[1].rsplit(':').next().unwrap().to_owned())
    });
    u16::from_str_radix(&listening.unwrap(), 16).unwrap()
}

#[test]
fn unusable_addresses_are_refused_at_start() {
    let home = Home::new();
    let plain = home
        .run("directory --listen 127.0.0.1:0 --plaintext --public-address files.example:443")
        .ends(1);
    assert!(
        plain.stderr.contains("omit --plaintext"),
        "{}",
        plain.stderr
    );
    let below = home
        .run("directory --listen 127.0.0.1:0 --public-address files.example:443/convite")
        .ends(2);
    assert!(
        below.stderr.contains("a scheme or a path"),
        "{}",
        below.stderr
    );
}

#[test]
fn an_untrusted_balancer_is_logged() {
    let directory = Directory::with("");
    for header in [
        &b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", directory.port)).unwrap();
        stream.write_all(header).unwrap();
        // The connection is closed, with or without a TLS alert.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let said = wait_until("the log has the warning", || {
        let said = directory.process.stderr();
        said.contains("--trusted-proxy 127.0.0.1").then_some(said)
    });
    // Once for each address.
    assert_eq!(said.matches("PROXY protocol").count(), 1, "{said}");
    let ana = directory.member("ana");
    assert_eq!(text(&ana.json("status").ok().objects()[0], "user"), "ana");
}
