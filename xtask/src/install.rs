//! Installs what tests and checks need, with the system's tools and only with consent.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;
use crate::workspace;

/// Permission to install something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Granted: `--yes`, or `CI` is set.
    Given,
    /// The user at the terminal is asked.
    Ask,
    /// Refused: there is no terminal to ask on.
    Refused,
}

impl Consent {
    /// Returns the consent of a command with or without `--yes`.
    pub fn of(yes: bool) -> Self {
        if yes || in_ci() {
            Self::Given
        } else if std::io::stdin().is_terminal() {
            Self::Ask
        } else {
            Self::Refused
        }
    }

    /// Asks for consent to install `what`, if it is not given already.
    ///
    /// # Errors
    /// Fails without consent.
    pub fn require(self, what: &str) -> Result<(), Failure> {
        println!("── install: {what}");
        if self == Self::Given {
            return Ok(());
        }
        if self == Self::Ask {
            print!("   continue? [Y/n] ");
            let _ = std::io::stdout().flush();
            let mut answer = String::new();
            let _ = std::io::stdin().read_line(&mut answer);
            if matches!(answer.trim(), "" | "y" | "Y" | "yes") {
                return Ok(());
            }
        }
        Err(format!(
            "not installed: {what}\n\n`--yes` installs without asking"
        ))
    }
}

/// Returns whether this runs in continuous integration (`CI` is set), where no user can be asked.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Returns whether a program exists and exits successfully with these arguments.
pub fn is_runnable(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs Debian packages, as root or with sudo.
///
/// # Errors
/// Fails without consent, without apt-get, or if apt-get fails.
pub fn apt(packages: &[&str], consent: Consent) -> Result<(), Failure> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !is_runnable("apt-get", &["--version"]) {
        return Err(format!(
            "missing: {names} (names of Debian packages)\n\ninstall them with this system's package manager"
        ));
    }
    consent.require(&format!("apt-get install {names}"))?;
    let is_root = workspace::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt_get = |args: &[&str]| {
        let mut command = if is_root {
            Command::new("apt-get")
        } else {
            Command::new("sudo")
        };
        if !is_root {
            // sudo removes environment variables.
            command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
            .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
            .args(args);
        command.stdout(Stdio::null());
        workspace::run(&mut command)
    };
    apt_get(&["update"])?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[&install, packages].concat())
}

/// Installs missing programs from the Debian packages of the same names.
///
/// # Errors
/// Those of [`apt`].
pub fn programs(names: &[&str], consent: Consent) -> Result<(), Failure> {
    let missing = names
        .iter()
        .filter(|name| !is_runnable(name, &["--version"]));
    let missing: Vec<&str> = missing.copied().collect();
    apt(&missing, consent)
}

/// Creates a Python virtual environment in `folder`, unless `has_all` accepts the existing one,
/// with `packages` from PyPI, and `alone` without their dependencies. Returns its folder of
/// programs.
///
/// # Errors
/// Fails without consent, or if the environment cannot be created.
pub fn python(
    folder: &Path,
    packages: &[&str],
    alone: &[&str],
    consent: Consent,
    has_all: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Failure> {
    let programs = folder.join("bin");
    if has_all(&programs) {
        return Ok(programs);
    }
    if !is_runnable("python3", &["-c", "import venv, ensurepip"]) {
        apt(&["python3", "python3-venv"], consent)?;
    }
    let all = [packages, alone].concat().join(" ");
    consent.require(&format!("{all} from PyPI into {}", folder.display()))?;
    let mut make = Command::new("python3");
    workspace::run(make.args(["-m", "venv", "--clear"]).arg(folder))?;
    for (packages, options) in [(packages, [].as_slice()), (alone, &["--no-deps"])] {
        if packages.is_empty() {
            continue;
        }
        let mut install = Command::new(programs.join("pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check"]);
        workspace::run(install.args(options).args(packages))?;
    }
    if has_all(&programs) {
        Ok(programs)
    } else {
        Err(format!("{all}: installed, but not usable"))
    }
}
