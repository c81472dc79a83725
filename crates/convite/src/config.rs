//! Settings: arguments before environment before `HOME/convite.toml` before defaults.
//!
//! The file has a section for each command that runs on ([`SECTIONS`]); its keys are the names of
//! that command's flags. It is read before the command line is parsed for good and becomes its
//! defaults, so that there is one list of settings, one check of their values and one text about
//! each: the command line's. `convite config default` writes the file from there.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};
use convite_client::Home;
use convite_core::Problem;

use crate::cli::Cli;
use crate::context;

/// The commands that can be configured, each with the sections that it takes.
const SECTIONS: &[(&str, &[&str])] = &[
    ("directory", &["directory"]),
    ("peer", &["peer"]),
    ("up", &["directory", "peer"]),
];

/// The sections of the file, with what they are for.
const TITLES: &[(&str, &str)] = &[
    (
        "directory",
        "Of `convite directory`, and of the directory in `convite up`.",
    ),
    (
        "peer",
        "Of `convite peer`, and of the peer in `convite up`.",
    ),
];

/// Flags that make no sense in a file.
const NOT_IN_FILE: &[&str] = &[
    "help",
    "version",
    "home",
    "json",
    "quiet",
    "verbose",
    "log-format",
];

/// Why the command line was not taken.
pub enum Refused {
    /// Clap says why (or it was asked for help).
    Usage(clap::Error),
    /// The configuration file is wrong.
    File(Problem),
}

/// Parses the command line, with the home's configuration file behind it.
///
/// # Errors
/// Either of [`Refused`].
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, Refused> {
    let args: Vec<OsString> = args.into_iter().collect();
    let first = Cli::command()
        .try_get_matches_from(&args)
        .map_err(Refused::Usage)?;
    let home = context::named_home(first.get_one::<PathBuf>("home").cloned());
    let Some(file) = read(home).map_err(Refused::File)? else {
        return Ok(first);
    };
    let command = with_defaults(Cli::command(), &file).map_err(Refused::File)?;
    // What was typed was right before: it is the file that is wrong.
    command.try_get_matches_from(&args).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Refused::File(file.wrong(line.trim_start_matches("error: ")))
    })
}

/// Where the configuration file of a home is.
///
/// # Errors
/// `invalid_argument` if no home is known.
pub fn path(home: Option<PathBuf>) -> Result<PathBuf, Problem> {
    let root = match home {
        Some(home) => home,
        None => Home::default_root()?,
    };
    Ok(root.join("convite.toml"))
}

struct File {
    path: PathBuf,
    table: toml::Table,
}

impl File {
    fn wrong(&self, what: impl std::fmt::Display) -> Problem {
        Problem::invalid(format!("{}: {what}", self.path.display()))
            .hint("`convite config default` prints every setting with its default")
    }
}

fn read(home: Option<PathBuf>) -> Result<Option<File>, Problem> {
    let Ok(path) = path(home) else {
        return Ok(None);
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Problem::invalid(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    };
    match text.parse() {
        Ok(table) => Ok(Some(File { path, table })),
        Err(error) => {
            let file = File {
                path,
                table: toml::Table::new(),
            };
            let error: toml::de::Error = error;
            Err(file.wrong(error.message()))
        }
    }
}

/// The settings of a section: flags that may be in the file.
fn settings<'a>(command: &'a Command, section: &str) -> impl Iterator<Item = &'a Arg> {
    let args = command
        .find_subcommand(section)
        .into_iter()
        .flat_map(Command::get_arguments);
    args.filter(|arg| {
        arg.get_long()
            .is_some_and(|long| !NOT_IN_FILE.contains(&long))
    })
}

fn with_defaults(mut command: Command, file: &File) -> Result<Command, Problem> {
    for (section, values) in &file.table {
        if !TITLES.iter().any(|(title, _)| title == section) {
            return Err(file.wrong(format!("there is no section [{section}]")));
        }
        let values = values
            .as_table()
            .ok_or_else(|| file.wrong(format!("{section} is a section: write [{section}]")))?;
        for (key, value) in values {
            let arg = settings(&command, section)
                .find(|arg| arg.get_long() == Some(key))
                .ok_or_else(|| file.wrong(format!("[{section}] has no setting '{key}'")))?;
            let id = arg.get_id().clone();
            let texts = texts(value)
                .ok_or_else(|| file.wrong(format!("'{key}' is a text, a number, true or false")))?;
            let takers = SECTIONS
                .iter()
                .filter(|(_, takes)| takes.contains(&&**section));
            for (taker, _) in takers {
                command = command.mut_subcommand(*taker, |taker| {
                    if !taker.get_arguments().any(|arg| *arg.get_id() == id) {
                        return taker;
                    }
                    taker.mut_arg(id.clone(), |arg| arg.default_values(texts.clone()))
                });
            }
        }
    }
    Ok(command)
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(texts).collect();
            items.map(|items| items.concat())
        }
        _ => None,
    }
}

/// A configuration file with every setting, commented out, at its default.
pub fn default_file() -> String {
    let command = Cli::command();
    let mut out = String::from(
        "# Settings of Convite: HOME/convite.toml.\n\
         # Arguments and environment variables come before what is written here.\n",
    );
    for (section, about) in TITLES {
        let _ = write!(out, "\n# {about}\n[{section}]\n");
        for arg in settings(&command, section) {
            // Documented once, under the name of the position.
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let key = arg.get_long().unwrap_or_default();
            let _ = write!(out, "\n# {help}\n# {key} = {}\n", default_text(arg));
        }
    }
    out
}

fn default_text(arg: &Arg) -> String {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return "false".to_owned();
    }
    let default = arg.get_default_values().first();
    match (default, arg.get_action()) {
        (_, ArgAction::Append) => "[]".to_owned(),
        (Some(value), _) => format!("{:?}", value.to_string_lossy()),
        (None, _) => "\"\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command as Typed;
    use clap::FromArgMatches;
    use std::time::Duration;

    fn file(text: &str) -> File {
        File {
            path: "convite.toml".into(),
            table: text.parse().unwrap(),
        }
    }

    fn typed(text: &str, args: &[&str]) -> Typed {
        let command = with_defaults(Cli::command(), &file(text)).unwrap();
        let matches = command.try_get_matches_from(args).unwrap();
        Cli::from_arg_matches(&matches).unwrap().command
    }

    #[test]
    fn the_file_is_behind_the_arguments_and_before_the_defaults() {
        let text = "[directory]\nlisten = \"127.0.0.1:1\"\nplaintext = true\n\
                    public-address = [\"a:1\", \"b:2\"]\n[peer]\nport = 7\nrescan = \"5s\"";
        let Typed::Directory(directory) = typed(text, &["convite", "directory"]) else {
            panic!("not a directory");
        };
        let directory = directory.args;
        assert_eq!(directory.listen.to_string(), "127.0.0.1:1");
        assert!(directory.plaintext);
        assert_eq!(directory.public_addresses.len(), 2);
        assert_eq!(directory.lease, Duration::from_secs(60));
        let args = ["convite", "up", "--listen", "127.0.0.1:2", "."];
        let Typed::Up(up) = typed(text, &args) else {
            panic!("not up");
        };
        assert_eq!(up.directory.listen.to_string(), "127.0.0.1:2");
        assert_eq!(
            (up.port, up.ports.rescan),
            (Some(7), Duration::from_secs(5))
        );
    }

    #[test]
    fn unknown_settings_are_refused() {
        for text in [
            "[peers]",
            "[peer]\ncolour = 1",
            "peer = 1",
            "[peer]\nport = {}",
        ] {
            let refused = with_defaults(Cli::command(), &file(text));
            assert!(refused.is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_file_with_its_comments_taken_away_is_valid_where_it_has_values() {
        let text: String = default_file()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") && !rest.ends_with("\"\"") => rest,
                Some(_) => "",
                None => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(matches!(
            typed(&text, &["convite", "directory"]),
            Typed::Directory(_)
        ));
        assert!(matches!(typed(&text, &["convite", "peer"]), Typed::Peer(_)));
    }
}
