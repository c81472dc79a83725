//! `cargo xtask ci`: runs one list of checks, the same on every machine, and stops at the first
//! failure.

use std::time::Instant;

use crate::Failure;
use crate::install::Consent;
use crate::workspace::{self, cargo};
use crate::{
    chaos, deny, deploy, examples, generated, layers, platforms, schemathesis, sizes, skipped, test,
};

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<(), Failure>,
}

/// The steps in order, cheap ones first, so that common mistakes are reported within seconds.
const STEPS: [Step; 13] = [
    Step {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
    },
    Step {
        name: "sizes",
        about: "files are small and have specific names",
        run: sizes::check,
    },
    Step {
        name: "layers",
        about: "crates depend only on what ARCHITECTURE.md allows",
        run: layers::check,
    },
    Step {
        name: "deploy",
        about: "the programs that read the files in deploy/ accept them",
        run: deploy::check,
    },
    Step {
        name: "deny",
        about: "licences, sources, bans, advisories",
        run: deny::check,
    },
    Step {
        name: "clippy",
        about: "no warnings",
        run: clippy,
    },
    Step {
        name: "docs",
        about: "the documentation builds without warnings",
        run: docs,
    },
    Step {
        name: "generated",
        about: "generated files match the code",
        run: generated::check,
    },
    Step {
        name: "schemathesis",
        about: "the REST API matches its description",
        run: schemathesis::check,
    },
    Step {
        name: "examples",
        about: "the examples of docs/api.md work unchanged",
        run: examples::check,
    },
    Step {
        name: "platforms",
        about: "it compiles for Windows and macOS",
        run: platforms::check,
    },
    Step {
        name: "tests",
        about: "the tests pass",
        run: tests,
    },
    Step {
        name: "chaos",
        about: "under random faults, nothing is lost or exposed",
        run: chaos::check,
    },
];

/// The steps that `--full` adds: checks that take hours, run before an issue is closed.
const FULL_STEPS: [Step; 2] = [
    Step {
        name: "repeat",
        about: "the tests pass five times in a row while the machine is busy",
        run: test::repeat_under_load,
    },
    Step {
        name: "chaos-hour",
        about: "an hour of random faults",
        run: || chaos::run(&["--minutes", "60"]),
    },
];

/// Runs the steps that `options` select, in order, up to the first that fails. Prints the duration
/// of each.
///
/// # Errors
/// Fails if an option is unknown, or if a step fails.
pub fn run(options: &[&str]) -> Result<(), Failure> {
    let has = |option: &str| options.contains(&option);
    skipped::set_consent(Consent::of(has("--yes")));
    let steps: Vec<&Step> = if has("--full") {
        STEPS.iter().chain(&FULL_STEPS).collect()
    } else {
        STEPS.iter().collect()
    };
    let all: Vec<&'static str> = steps.iter().map(|step| step.name).collect();
    let options: Vec<&str> = options
        .iter()
        .copied()
        .filter(|o| !["--yes", "--full"].contains(o))
        .collect();
    let chosen = choose(&all, &options)?;
    let start = Instant::now();
    let mut times = Vec::new();
    let mut ended = Ok(());
    for step in steps.iter().filter(|step| chosen.contains(&step.name)) {
        println!("── {}: {}", step.name, step.about);
        let begun = Instant::now();
        ended = (step.run)().map_err(|failure| {
            let name = step.name;
            format!(
                "{failure}\n\nthe step '{name}' failed; `cargo xtask ci --only {name}` repeats it"
            )
        });
        times.push((step.name, begun.elapsed()));
        if ended.is_err() {
            break;
        }
    }
    println!("── steps");
    for (name, time) in &times {
        println!("   {:7.1} s  {name}", time.as_secs_f64());
    }
    for line in skipped::list() {
        println!("{line}");
    }
    let outcome = if ended.is_ok() { "passed" } else { "failed" };
    println!("── {outcome} after {:.1} s", start.elapsed().as_secs_f64());
    ended
}

fn choose(all: &[&'static str], options: &[&str]) -> Result<Vec<&'static str>, Failure> {
    let mut skip = Vec::new();
    let mut only = Vec::new();
    let mut words = options.iter();
    while let Some(option) = words.next() {
        let list = match *option {
            "--skip" => &mut skip,
            "--only" => &mut only,
            _ => {
                return Err(format!(
                    "'{option}' is not an option of ci: --skip STEP, --only STEP, --full, --yes"
                ));
            }
        };
        let name = words
            .next()
            .ok_or_else(|| format!("{option} needs a step"))?;
        let step = all
            .iter()
            .find(|step| *step == name)
            .ok_or_else(|| format!("'{name}' is not a step; the steps are {}", all.join(", ")))?;
        list.push(*step);
    }
    let chosen: Vec<&'static str> = all
        .iter()
        .copied()
        .filter(|step| only.is_empty() || only.contains(step))
        .filter(|step| !skip.contains(step))
        .collect();
    if chosen.is_empty() {
        return Err("the options select no step".to_owned());
    }
    Ok(chosen)
}

fn fmt() -> Result<(), Failure> {
    workspace::run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), Failure> {
    let args = "clippy --quiet --workspace --all-targets --all-features -- -D warnings";
    workspace::run(cargo().args(args.split(' ')))
}

fn docs() -> Result<(), Failure> {
    let args = "doc --quiet --workspace --no-deps --all-features";
    workspace::run(
        cargo()
            .args(args.split(' '))
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn tests() -> Result<(), Failure> {
    test::run(match skipped::consent() {
        Consent::Given => &["--yes"],
        _ => &[],
    })
}

#[cfg(test)]
mod tests {
    use super::choose;

    const ALL: [&str; 3] = ["fmt", "clippy", "tests"];

    #[test]
    fn every_step_runs_in_order_by_default() {
        assert_eq!(choose(&ALL, &[]).unwrap(), ALL);
        assert_eq!(
            choose(&ALL, &["--skip", "tests"]).unwrap(),
            ["fmt", "clippy"]
        );
        assert_eq!(
            choose(&ALL, &["--only", "tests", "--only", "fmt"]).unwrap(),
            ["fmt", "tests"]
        );
    }

    #[test]
    fn a_mistyped_step_is_an_error() {
        assert!(
            choose(&ALL, &["--only", "test"])
                .unwrap_err()
                .contains("fmt, clippy, tests")
        );
        assert!(choose(&ALL, &["--only"]).is_err());
        assert!(choose(&ALL, &["--fast"]).is_err());
        assert!(choose(&ALL, &["--only", "fmt", "--skip", "fmt"]).is_err());
    }
}
