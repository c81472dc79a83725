//! One nginx that serves a folder over TLS 1.3, and curl that fetches from it.
//!
//! It is a child in the foreground, one process, with a configuration and a certificate of its own:
//! the machine's own nginx, if there is one, is left alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::netns::Host;
use super::super::process::{self, Process};
use super::super::round::Round;
use super::super::usage;
use crate::Failure;
use crate::workspace;

/// A running nginx.
pub struct Nginx {
    process: Process,
    /// Where its files are, with a `/` at the end.
    pub url: String,
}

impl Nginx {
    /// Starts one on `host` that serves `share`, with its own files in `folder`.
    ///
    /// # Errors
    /// If nginx or openssl are missing, or it does not start.
    pub fn start(host: &Host, share: &Path, folder: &Path) -> Result<Self, Failure> {
        let nginx = super::program("nginx")?;
        certificate(folder)?;
        let port = process::free_port()?;
        let address = format!("{}:{port}", host.address);
        let written = folder.join("nginx.conf");
        std::fs::write(&written, configuration(&address, share, folder))
            .map_err(|error| format!("{} cannot be written: {error}", written.display()))?;
        let said = folder.join("nginx.log");
        let mut command = host.command(nginx);
        command.arg("-p").arg(folder).arg("-c").arg(&written);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(process::log(&said)?);
        let mut process = Process::spawn("nginx", &mut command)?;
        process.listens(port).map_err(|failure| {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            format!("{failure}\n{}", said.trim())
        })?;
        let url = format!("https://{address}/");
        Ok(Self { process, url })
    }

    /// CPU seconds that it has used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<f64, Failure> {
        usage::cpu(self.process.id())
    }

    /// The most memory that it held, in bytes.
    pub fn peak(&self) -> u64 {
        usage::peak_memory(self.process.id()).unwrap_or(0)
    }

    /// Bytes that its host's interface `interface` has sent.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        self.process.sent(interface)
    }

    /// Lets curl fetch the file `name` to `to`, fsync included.
    ///
    /// # Errors
    /// If curl is missing or fails.
    pub fn curl(&self, name: &str, to: &Path) -> Result<Round, Failure> {
        let command = curl(&Host::loopback(), &format!("{}{name}", self.url), to);
        self.fetch("curl", &mut command?, to)
    }

    /// Lets `command` fetch a file to `to`, fsync included.
    ///
    /// # Errors
    /// If it fails.
    pub fn fetch(&self, name: &str, command: &mut Command, to: &Path) -> Result<Round, Failure> {
        let before = self.cpu()?;
        let (seconds, receiver) = super::fetched(name, command, to, Instant::now())?;
        Ok(Round {
            seconds,
            sender: (self.cpu()? - before, self.peak()),
            receiver,
            first: None,
        })
    }
}

/// A curl on `host` that fetches `url` to `to`.
///
/// # Errors
/// If it is missing.
pub fn curl(host: &Host, url: &str, to: &Path) -> Result<Command, Failure> {
    let mut command = host.command(super::program("curl")?);
    // -q: without the user's own settings; --noproxy: also without the environment's.
    command.args(["-q", "-k", "-s", "-S", "-f", "--noproxy", "*", "-o"]);
    command.arg(to).arg(url);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn certificate(folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new(super::program("openssl")?);
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=localhost -keyout key.pem -out certificate.pem";
    command.args(words.split_whitespace()).current_dir(folder);
    workspace::output(&mut command).map(|_| ())
}

fn configuration(address: &str, share: &Path, folder: &Path) -> String {
    let at = |name: &str| -> PathBuf { folder.join(name) };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {};\n", at(name).display()))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\n\
         events {{ worker_connections 1024; }}\nhttp {{\n{temporary}  access_log off;\n  \
         sendfile on;\n  server {{\n    listen {address} ssl;\n    ssl_protocols TLSv1.3;\n    \
         ssl_certificate {};\n    ssl_certificate_key {};\n    root {};\n  }}\n}}\n",
        at("nginx.pid").display(),
        at("certificate.pem").display(),
        at("key.pem").display(),
        share.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_touches_nothing_of_the_machines_own() {
        let text = configuration("127.0.0.1:8443", Path::new("/s"), Path::new("/f"));
        assert!(text.contains("listen 127.0.0.1:8443 ssl;"));
        assert!(text.contains("ssl_protocols TLSv1.3;"));
        assert!(text.contains("root /s;"));
        assert!(!text.contains("/var") && !text.contains("/etc"), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
