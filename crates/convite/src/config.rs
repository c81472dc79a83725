//! Settings, by precedence: arguments, environment, `HOME/convite.toml`, defaults.
//!
//! The file has a section for each long-running command ([`SECTIONS`]); its keys are the long flags of
//! that command. The values become the defaults of the command line, which is then parsed again. So
//! the command line is the only list of settings, with one validation and one help text for each;
//! `convite config default` prints the file from it.

mod file;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};
use convite_client::Home;
use convite_core::Problem;

use crate::cli::Cli;
use crate::context;
use file::{ConfigFile, SECTION_TITLES};

/// The configurable commands, each with the sections that apply to it.
const SECTIONS: &[(&str, &[&str])] = &[
    ("directory", &["directory"]),
    ("peer", &["peer"]),
    ("up", &["directory", "peer"]),
];

/// Flags that are not accepted in the file.
const FLAGS_NOT_IN_FILE: &[&str] = &[
    "help",
    "version",
    "home",
    "json",
    "quiet",
    "verbose",
    "log-format",
    // Only for a single start.
    "new-database",
    "new-keys",
];

/// The reason why parsing stopped.
pub enum ParseError {
    /// A usage error, or a request for help.
    Usage(clap::Error),
    /// An error in the configuration file.
    File(Problem),
}

/// Parses the command line, with the values of the home's configuration file as defaults.
///
/// # Errors
/// Returns [`ParseError::Usage`] for a usage error or a request for help, and [`ParseError::File`] for an
/// error in the file.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, ParseError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let first = Cli::command()
        .try_get_matches_from(&args)
        .map_err(ParseError::Usage)?;
    // An error in the file must not stop other commands, such as `config` and `completions`.
    let configured = |name: &str| SECTIONS.iter().any(|(command, _)| *command == name);
    if !first.subcommand_name().is_some_and(configured) {
        return Ok(first);
    }
    let home = context::home_from(first.get_one::<PathBuf>("home").cloned());
    let Some(file) = read(home).map_err(ParseError::File)? else {
        return Ok(first);
    };
    let command = with_defaults(Cli::command(), &file).map_err(ParseError::File)?;
    // The arguments were valid without the file, so the error is in the file.
    command.try_get_matches_from(&args).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let at = rejected_flag(&error).and_then(|flag| file.offset_of_key(&flag));
        ParseError::File(file.error_at(at, line.trim_start_matches("error: ")))
    })
}

/// Returns the path of a home's configuration file.
///
/// # Errors
/// Returns `invalid_argument` if no home is given and the platform has no data folder.
pub fn path(home: Option<PathBuf>) -> Result<PathBuf, Problem> {
    let root = match home {
        Some(home) => home,
        None => Home::default_root()?,
    };
    Ok(root.join("convite.toml"))
}

/// Returns the long flag whose value clap rejected, without the dashes.
fn rejected_flag(error: &clap::Error) -> Option<String> {
    let ContextValue::String(arg) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let flag = arg.split([' ', '=', '[']).next()?.strip_prefix("--")?;
    Some(flag.to_owned())
}

fn read(home: Option<PathBuf>) -> Result<Option<ConfigFile>, Problem> {
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
    ConfigFile::parse(path, text).map(Some)
}

/// Returns the settings of a section: the flags that the file can contain.
fn settings<'a>(command: &'a Command, section: &str) -> impl Iterator<Item = &'a Arg> {
    let args = command
        .find_subcommand(section)
        .into_iter()
        .flat_map(Command::get_arguments);
    args.filter(|arg| {
        arg.get_long()
            .is_some_and(|long| !FLAGS_NOT_IN_FILE.contains(&long))
    })
}

fn with_defaults(mut command: Command, file: &ConfigFile) -> Result<Command, Problem> {
    for (section, values) in &file.table {
        if !SECTION_TITLES.iter().any(|(title, _)| title == section) {
            return Err(file.unknown_name(
                file.offset_of(section, None),
                format!("unknown section [{section}]"),
                section,
                SECTION_TITLES.iter().map(|(title, _)| *title),
            ));
        }
        let values = values.as_table().ok_or_else(|| {
            let what = format!("'{section}' is a section: write [{section}]");
            file.error_at(file.offset_of(section, None), what)
        })?;
        for (key, value) in values {
            let arg = settings(&command, section)
                .find(|arg| arg.get_long() == Some(key))
                .ok_or_else(|| {
                    file.unknown_name(
                        file.offset_of(section, Some(key)),
                        format!("unknown setting '{key}' in [{section}]"),
                        key,
                        settings(&command, section).filter_map(Arg::get_long),
                    )
                })?;
            let id = arg.get_id().clone();
            let value_strings = value_strings(value).ok_or_else(|| {
                let what = format!("'{key}' must be a string, a number, true or false");
                file.error_at(file.offset_of(section, Some(key)), what)
            })?;
            let takers = SECTIONS
                .iter()
                .filter(|(_, takes)| takes.contains(&&**section));
            for (taker, _) in takers {
                command = command.mut_subcommand(*taker, |taker| {
                    if !taker.get_arguments().any(|arg| *arg.get_id() == id) {
                        return taker;
                    }
                    taker.mut_arg(id.clone(), |arg| arg.default_values(value_strings.clone()))
                });
            }
        }
    }
    Ok(command)
}

fn value_strings(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(value_strings).collect();
            items.map(|items| items.concat())
        }
        _ => None,
    }
}

/// Returns a configuration file with every setting, commented out, at its default.
pub fn default_file() -> String {
    let command = Cli::command();
    let mut out = String::from(
        "# Settings of Convite: HOME/convite.toml.\n\
         # Arguments and environment variables override the settings in this file.\n",
    );
    for (section, about) in SECTION_TITLES {
        let _ = write!(out, "\n# {about}\n[{section}]\n");
        for arg in settings(&command, section) {
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
    use proptest::prelude::*;
    use std::time::Duration;

    fn file(text: &str) -> ConfigFile {
        ConfigFile::parse("convite.toml".into(), text.to_owned()).unwrap()
    }

    fn typed(text: &str, args: &[&str]) -> Typed {
        let command = with_defaults(Cli::command(), &file(text)).unwrap();
        let matches = command.try_get_matches_from(args).unwrap();
        Cli::from_arg_matches(&matches).unwrap().command
    }

    #[test]
    fn arguments_precede_the_file_and_the_file_precedes_defaults() {
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
    fn an_error_names_its_line_and_a_similar_setting() {
        for (text, place, meant) in [
            (
                "[peer]\nport = 1\n\n  rescann = \"5s\"",
                ":4:3: ",
                "'rescan'",
            ),
            ("[peer]\nupload_limit = 1", ":2:1: ", "'upload-limit'"),
            ("[directory]\n[peeer]\n", ":2:2: ", "'peer'"),
            ("[directory]\n\"ñ\" = 1", ":2:1: ", "config default"),
        ] {
            let Err(problem) = with_defaults(Cli::command(), &file(text)) else {
                panic!("{text}");
            };
            assert!(problem.message.contains(place), "{}", problem.message);
            let hint = problem.hint.unwrap();
            assert!(hint.contains(meant), "{hint}");
        }
    }

    #[test]
    fn up_accepts_every_setting_of_directory_and_peer() {
        let command = Cli::command();
        for (taker, sections) in SECTIONS {
            let takes = command.find_subcommand(taker).unwrap();
            for section in *sections {
                for arg in settings(&command, section) {
                    // Only `peer` opens the menu by default.
                    let is_exempt = *taker == "up" && arg.get_long() == Some("no-menu");
                    let is_taken = takes
                        .get_arguments()
                        .any(|own| own.get_id() == arg.get_id());
                    assert!(is_taken || is_exempt, "{taker} does not accept {arg}");
                }
            }
        }
        let text = "[peer]\naddress = [\"a:1\"]\nbind = \"127.0.0.9\"\nshare = [\"x\"]\n\
                    metrics-listen = \"127.0.0.1:7\"\n[directory]\nmetrics-listen = \"127.0.0.1:8\"";
        let Typed::Up(up) = typed(text, &["convite", "up", "."]) else {
            panic!("not up");
        };
        assert_eq!((up.addresses.len(), up.shares.len()), (1, 1));
        assert_eq!(up.bind.unwrap().to_string(), "127.0.0.9");
        assert_eq!(up.peer_metrics_listen.unwrap().port(), 7);
        assert_eq!(up.directory.metrics_listen.unwrap().port(), 8);
    }

    #[test]
    fn the_uncommented_default_file_is_valid() {
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

    /// A piece of a settings file: whole lines, their parts, and any bytes.
    fn fragment() -> impl Strategy<Value = String> {
        let file = default_file();
        let lines = file
            .lines()
            .filter(|line| line.starts_with('[') || line.contains(" = "));
        let lines: Vec<String> = lines
            .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
            .collect();
        let part = prop::sample::select(vec![
            "[directory]",
            "[peer]",
            "[up]",
            "[[peer]]",
            "[peer.x]",
            "listen",
            "share",
            "port",
            "=",
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            ",",
            "0",
            "-1",
            "99999999999999999999",
            "1e9",
            "true",
            "1979-05-27",
            "inf",
            "\\u0000",
            "\"\u{202e}\"",
            "[\"a\", 1]",
            "#",
            "\n",
        ]);
        let bytes = prop::collection::vec(any::<u8>(), 0..20);
        prop_oneof![
            12 => prop::sample::select(lines),
            2 => part.prop_map(str::to_owned),
            1 => bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ]
    }

    proptest! {
        #[test]
        fn arbitrary_settings_are_accepted_or_refused_with_the_file_name(
            fragments in prop::collection::vec(fragment(), 0..8),
        ) {
            let read = ConfigFile::parse("convite.toml".into(), fragments.concat())
                .and_then(|file| with_defaults(Cli::command(), &file));
            match read {
                Ok(command) => {
                    let _ = command.try_get_matches_from(["convite", "peer"]);
                }
                Err(problem) => {
                    prop_assert!(problem.to_string().contains("convite.toml"), "{problem:?}");
                }
            }
        }
    }
}
