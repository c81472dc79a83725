//! Passwords: from a file, the environment or a prompt; never from an argument.

use std::io::{IsTerminal, Read};

use convite_core::{Problem, UserName};

use crate::cli::PasswordArgs;
use crate::exit::Failed;

/// The variable that may hold the password.
const VARIABLE: &str = "CONVITE_PASSWORD";

/// The password, if it was given without a prompt.
///
/// # Errors
/// Wrong usage if the file cannot be read.
pub fn given(args: &PasswordArgs) -> Result<Option<String>, Failed> {
    let Some(path) = &args.password_file else {
        return Ok(std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()));
    };
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failed::Usage(Problem::invalid(format!(
            "cannot read the password from {}: {error}",
            path.display()
        )))
    })?;
    let text = text.lines().next().unwrap_or_default().to_owned();
    Ok(Some(text))
}

/// The password, asked for if need be; twice if `confirm`.
///
/// # Errors
/// Wrong usage if there is nobody to ask.
pub fn obtain(args: &PasswordArgs, prompt: &str, confirm: bool) -> Result<String, Failed> {
    match given(args)? {
        Some(password) => Ok(password),
        None => ask(prompt, confirm),
    }
}

fn ask(prompt: &str, confirm: bool) -> Result<String, Failed> {
    if !std::io::stdin().is_terminal() {
        return Err(Failed::Usage(
            Problem::invalid("a password is wanted, and there is no terminal to ask on")
                .hint("give it with --password-file PATH (- for stdin) or $CONVITE_PASSWORD"),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| {
            Failed::Usage(Problem::invalid(format!(
                "cannot read the password: {error}"
            )))
        })
    };
    let password = ask(&format!("{prompt}: "))?;
    if confirm && ask("The same again: ")? != password {
        return Err(Failed::Usage(Problem::invalid("the two passwords differ")));
    }
    Ok(password)
}

/// A new password for `user`, asked for twice if it is in no file.
///
/// # Errors
/// Wrong usage if there is nobody to ask, or the file cannot be read.
pub fn obtain_new(file: Option<std::path::PathBuf>, user: &UserName) -> Result<String, Failed> {
    if file.is_none() {
        // The variable holds the old one.
        return ask(&format!("New password for {user}"), true);
    }
    let args = PasswordArgs {
        password_file: file,
    };
    Ok(given(&args)?.unwrap_or_default())
}
