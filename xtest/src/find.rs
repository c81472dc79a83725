//! Detection of the programs, libraries and permissions that tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Need;

/// PyPI packages with a gRPC client and its code generator.
pub const GRPCIO: [&str; 2] = ["grpcio==1.76.0", "grpcio-tools==1.76.0"];
/// PyPI package with axe-core 4.12.1. Its dependencies are not needed.
pub const AXE_PACKAGE: &str = "axe-playwright-python==0.1.8";

impl Need {
    /// Returns why this need is not met, or `None` if it is met.
    pub fn missing(self) -> Option<String> {
        let install = |what: &str| Some(format!("{what} (`cargo xtask test` installs it)"));
        match self {
            Self::Postgres if postgres().is_none() => install("PostgreSQL is not installed"),
            Self::Chromium
                if !(runs("chromium", &["--version"]) && runs("chromedriver", &["--version"])) =>
            {
                install("Chromium and chromedriver are not installed")
            }
            Self::Tmux if !runs("tmux", &["-V"]) => install("tmux is not installed"),
            Self::Grpcio if !has_grpcio() => install("Python with grpcio is not installed"),
            Self::Axe if axe().is_none() => install("axe-core is not installed"),
            Self::FuseFat
                if !(can_mount() && runs_at_all("fusefat") && runs_at_all("mkfs.vfat")) =>
            {
                install(
                    "fusefat and mkfs.vfat are not installed, or this user cannot mount file systems",
                )
            }
            Self::Loop if !(can_mount() && runs("losetup", &["--find"])) => {
                Some("no loop device is available (run as root)".to_owned())
            }
            Self::Mount if !can_mount() => {
                Some("this user cannot mount file systems (run as root)".to_owned())
            }
            Self::SecondDisk if !is_not_local(Path::new("/dev/shm")) => {
                Some("/dev/shm is on the same file system as the build folder".to_owned())
            }
            Self::UserNamespace if !runs("unshare", &["--user", "--map-root-user", "true"]) => {
                Some("this user cannot create user namespaces".to_owned())
            }
            Self::NetworkNamespace if !runs("unshare", &["-n", "ip", "link"]) => {
                Some("this user cannot create network namespaces (run as root)".to_owned())
            }
            Self::Faketime if faketime().is_none() => install("libfaketime is not installed"),
            Self::Nginx
                if !(runs("nginx", &["-v"])
                    && has_nginx_stream()
                    && runs("curl", &["-V"])
                    && runs("openssl", &["version"])) =>
            {
                install("nginx with its stream module, curl or openssl is not installed")
            }
            _ => None,
        }
    }
}

/// Returns libfaketime, which gives a process another wall clock, from Debian's location.
pub fn faketime() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    places
        .map(|place| place.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
}

/// Returns whether nginx's stream module exists at Debian's location.
fn has_nginx_stream() -> bool {
    Path::new("/usr/lib/nginx/modules/ngx_stream_module.so").exists()
}

fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns whether a program can be started, whatever its exit code.
fn runs_at_all(program: &str) -> bool {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok()
}

/// Mounts in a new mount namespace, so that nothing stays mounted.
fn can_mount() -> bool {
    runs("unshare", &["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
}

/// Returns cargo's target folder: the parent of this program that contains `CACHEDIR.TAG`.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    match program.ancestors().find(marked) {
        Some(folder) => folder.to_path_buf(),
        None => std::env::temp_dir(),
    }
}

/// Returns the folder with the programs of the newest PostgreSQL server: Debian's, or one on
/// `PATH`.
pub fn postgres() -> Option<PathBuf> {
    let version = |bin: &PathBuf| -> u32 {
        let name = bin.parent().and_then(Path::file_name);
        name.and_then(|n| n.to_str()?.parse().ok()).unwrap_or(0)
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let debian = debian.into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin"));
    let newest = debian
        .filter(|bin| bin.join("initdb").exists())
        .max_by_key(version);
    newest.or_else(|| {
        let path = std::env::var_os("PATH")?;
        let link = std::env::split_paths(&path)
            .map(|folder| folder.join("initdb"))
            .find(|program| program.exists())?;
        // The other programs are next to the program itself, not next to a link to it.
        let program = link.canonicalize().ok()?;
        program.parent().map(Path::to_path_buf)
    })
}

/// Returns the Python virtual environment that `cargo xtask test` creates for tests.
pub fn python() -> PathBuf {
    target().join("test-python")
}

fn has_grpcio() -> bool {
    let program = python().join("bin/python");
    let wanted = GRPCIO[0].rsplit('=').next().unwrap_or_default();
    let check = format!("import grpc, grpc_tools.protoc; assert grpc.__version__ == '{wanted}'");
    program.exists() && runs(&program.to_string_lossy(), &["-c", &check])
}

/// Returns the axe-core script in the virtual environment.
pub fn axe() -> Option<PathBuf> {
    let versions = std::fs::read_dir(python().join("lib")).ok()?.flatten();
    let script = "site-packages/axe_playwright_python/axe.min.js";
    let mut scripts = versions.map(|version| version.path().join(script));
    scripts.find(|script| script.exists())
}

#[cfg(unix)]
fn is_not_local(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|about| about.dev());
    let here = device(&target());
    device(folder).is_some_and(|there| Some(there) != here)
}

#[cfg(not(unix))]
fn is_not_local(_: &Path) -> bool {
    false
}
