//! The gate: one list of steps, the same on every machine, that stops at the first failure.

use std::time::Instant;

use crate::Failure;
use crate::workspace::{self, cargo};
use crate::{deny, deploy, examples, generated, layers, platforms, schemathesis, sizes};

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<(), Failure>,
}

/// Cheap ones first, so that the usual mistakes are told within seconds.
const STEPS: [Step; 12] = [
    Step {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
    },
    Step {
        name: "sizes",
        about: "files are small and named after something",
        run: sizes::check,
    },
    Step {
        name: "layers",
        about: "crates depend on what ARCHITECTURE.md says",
        run: layers::check,
    },
    Step {
        name: "deploy",
        about: "what runs convite as a service is understood by what reads it",
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
        about: "generated files are what the code says",
        run: generated::check,
    },
    Step {
        name: "schemathesis",
        about: "the REST interface does what its description says",
        run: schemathesis::check,
    },
    Step {
        name: "examples",
        about: "the examples of docs/api.md work as they stand",
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
];

/// Runs the steps that `options` leave, in order, up to the first that fails.
///
/// # Errors
/// If an option is unknown, or a step fails.
pub fn run(options: &[&str]) -> Result<(), Failure> {
    let all: Vec<&'static str> = STEPS.iter().map(|step| step.name).collect();
    let chosen = choose(&all, options)?;
    let start = Instant::now();
    let mut times = Vec::new();
    for step in STEPS.iter().filter(|step| chosen.contains(&step.name)) {
        println!("── {}: {}", step.name, step.about);
        let begun = Instant::now();
        (step.run)().map_err(|failure| {
            let name = step.name;
            format!(
                "{failure}\n\nthe step '{name}' failed; `cargo xtask ci --only {name}` repeats it"
            )
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        println!("   ok, {seconds:.1} s");
        times.push(format!("{} {seconds:.1} s", step.name));
    }
    println!(
        "── passed in {:.1} s: {}",
        start.elapsed().as_secs_f64(),
        times.join(", ")
    );
    Ok(())
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
                    "'{option}' is not an option of ci: --skip STEP, --only STEP"
                ));
            }
        };
        let name = words
            .next()
            .ok_or_else(|| format!("{option} wants a step"))?;
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
        return Err("no step is left".to_owned());
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
    workspace::run(cargo().args(["test", "--workspace"]))
}

#[cfg(test)]
mod tests {
    use super::choose;

    const ALL: [&str; 3] = ["fmt", "clippy", "tests"];

    #[test]
    fn every_step_runs_in_order_unless_told_otherwise() {
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
    fn a_mistyped_step_is_an_error_and_not_an_empty_gate() {
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
