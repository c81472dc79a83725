//! Passwords from a file, the environment or a prompt; never from an argument.

use std::io::{IsTerminal, Read};

use convite_core::{Problem, UserName};

use crate::cli::PasswordArgs;
use crate::exit::CommandError;

/// The environment variable with the password.
const PASSWORD_VARIABLE: &str = "CONVITE_PASSWORD";

/// A password; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl PasswordArgs {
    /// Returns whether the password is read from stdin.
    pub fn is_on_stdin(&self) -> bool {
        self.password_file
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
    }
}

/// Returns the password from the file or the environment, if one is set.
///
/// # Errors
/// Returns [`CommandError::Usage`] if the file cannot be read.
pub fn read_configured(args: &PasswordArgs) -> Result<Option<String>, CommandError> {
    let Some(path) = &args.password_file else {
        return Ok(std::env::var(PASSWORD_VARIABLE)
            .ok()
            .filter(|text| !text.is_empty()));
    };
    let mut bytes = Vec::new();
    let read = if args.is_on_stdin() {
        std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
    };
    let refused = |why: String| {
        let path = path.display();
        Problem::invalid(format!("cannot read the password from {path}: {why}"))
    };
    read.map_err(|error| CommandError::Usage(refused(error.to_string())))?;
    let line = first_line(&bytes).map_err(|why| {
        CommandError::Usage(refused(why.to_owned()).hint("save the file as plain UTF-8 text"))
    })?;
    Ok(Some(line.to_owned()))
}

/// The maximum bytes read from a password file; a password has at most 1,024 characters.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Returns the first line of a file, without a UTF-8 byte order mark and the line end.
fn first_line(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    if line.contains(&0) {
        return Err("it contains NUL bytes");
    }
    std::str::from_utf8(line).map_err(|_| "it is not UTF-8 text")
}

/// Returns the password from the file or the environment, else prompts for it; twice if `confirm`.
///
/// # Errors
/// Returns [`CommandError::Usage`] if the file cannot be read, there is no terminal to prompt on, or the
/// two passwords differ.
pub fn obtain(args: &PasswordArgs, prompt: &str, confirm: bool) -> Result<String, CommandError> {
    match read_configured(args)? {
        Some(password) => Ok(password),
        None => prompt_for(prompt, confirm),
    }
}

fn prompt_for(prompt: &str, confirm: bool) -> Result<String, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            Problem::invalid("a password is needed, but there is no terminal to ask for it")
                .hint("set it with --password-file PATH (- for stdin) or $CONVITE_PASSWORD"),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| {
            CommandError::Usage(Problem::invalid(format!(
                "cannot read the password: {error}"
            )))
        })
    };
    let password = ask(&format!("{prompt}: "))?;
    if confirm && ask("Repeat password: ")? != password {
        return Err(CommandError::Usage(Problem::invalid(
            "the two passwords differ",
        )));
    }
    Ok(password)
}

/// Returns a new password for `user` from the file, else prompts for it twice.
///
/// # Errors
/// As [`obtain`].
pub fn obtain_new(
    file: Option<std::path::PathBuf>,
    user: &UserName,
) -> Result<String, CommandError> {
    if file.is_none() {
        // The environment variable holds the old password.
        return prompt_for(&format!("New password for {user}"), true);
    }
    let args = PasswordArgs {
        password_file: file,
    };
    Ok(read_configured(&args)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_a_file() {
        for bytes in [
            &b"pass word 1"[..],
            b"pass word 1\n",
            b"pass word 1\r\n",
            b"pass word 1\r",
            b"\xef\xbb\xbfpass word 1\r\nmore\n",
            b"pass word 1\n\0",
        ] {
            assert_eq!(first_line(bytes), Ok("pass word 1"), "{bytes:?}");
        }
        for (bytes, why) in [
            (&b"\xff\xfep\0a\0"[..], "it is UTF-16 text"),
            (b"\xfe\xff\0p\0a", "it is UTF-16 text"),
            (b"p\0a\0", "it contains NUL bytes"),
            (b"contrase\xf1a", "it is not UTF-8 text"),
        ] {
            assert_eq!(first_line(bytes), Err(why), "{bytes:?}");
        }
        assert_eq!(first_line(b""), Ok(""));
    }
}
