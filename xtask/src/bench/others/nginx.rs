//! An nginx that serves a folder over TLS 1.3, and curl that downloads from it.
//!
//! It is one child process in the foreground, with its own configuration and certificate. It does
//! not affect an nginx that runs on the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::method::Transfer;
use super::super::netns::Host;
use super::super::process::{self, Process};
use super::super::usage;
use super::programs;
use crate::Failure;
use crate::workspace;

/// A running nginx.
pub struct Nginx {
    process: Process,
    /// The URL of its files, with a `/` at the end.
    pub url: String,
}

impl Nginx {
    /// Starts an nginx on `host` that serves `share`. Its own files are in `folder`.
    ///
    /// # Errors
    /// Fails if nginx or openssl is missing, or if nginx does not start.
    pub fn start(host: &Host, share: &Path, folder: &Path) -> Result<Self, Failure> {
        let nginx = programs::program("nginx")?;
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
        process.wait_for_port(port).map_err(|failure| {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            format!("{failure}\n{}", said.trim())
        })?;
        let url = format!("https://{address}/");
        Ok(Self { process, url })
    }

    /// Returns the CPU seconds of the process.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn cpu(&self) -> Result<f64, Failure> {
        usage::cpu(self.process.id())
    }

    /// Returns the peak memory in bytes.
    pub fn peak(&self) -> u64 {
        usage::peak_memory(self.process.id()).unwrap_or(0)
    }

    /// Returns the bytes sent by its host's interface `interface`.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        self.process.sent(interface)
    }

    /// Downloads the file `name` to `to` with curl, fsync included.
    ///
    /// # Errors
    /// Fails if curl is missing or fails.
    pub fn curl(&self, name: &str, to: &Path) -> Result<Transfer, Failure> {
        let command = curl(&Host::loopback(), &format!("{}{name}", self.url), to);
        self.fetch("curl", &mut command?, to)
    }

    /// Downloads a file to `to` with `command`, fsync included.
    ///
    /// # Errors
    /// Fails if the command fails.
    pub fn fetch(&self, name: &str, command: &mut Command, to: &Path) -> Result<Transfer, Failure> {
        let before = self.cpu()?;
        let (seconds, receiver) = programs::run_and_sync(name, command, to, Instant::now())?;
        Ok(Transfer {
            seconds,
            sender: (self.cpu()? - before, self.peak()),
            receiver,
            first: None,
        })
    }
}

/// Returns a command for curl on `host` that downloads `url` to `to`.
///
/// # Errors
/// Fails if curl is missing.
pub fn curl(host: &Host, url: &str, to: &Path) -> Result<Command, Failure> {
    let mut command = host.command(programs::program("curl")?);
    // -q ignores the user's settings, and --noproxy the proxies of the environment.
    command.args(["-q", "-k", "-s", "-S", "-f", "--noproxy", "*", "-o"]);
    command.arg(to).arg(url);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn certificate(folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new(programs::program("openssl")?);
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
    fn the_configuration_uses_only_its_own_folder() {
        let text = configuration("127.0.0.1:8443", Path::new("/s"), Path::new("/f"));
        assert!(text.contains("listen 127.0.0.1:8443 ssl;"));
        assert!(text.contains("ssl_protocols TLSv1.3;"));
        assert!(text.contains("root /s;"));
        assert!(!text.contains("/var") && !text.contains("/etc"), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
