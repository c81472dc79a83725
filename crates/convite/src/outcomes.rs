//! Commands with several arguments: a failed argument does not stop the others, and the command ends
//! with the exit code of the first failure.

use serde_json::json;

use crate::exit::CommandError;
use crate::output::Output;

/// Counts failed arguments.
pub struct Outcomes<'a> {
    output: &'a Output,
    total: usize,
    failures: usize,
    first_code: Option<i32>,
}

impl<'a> Outcomes<'a> {
    /// Starts with no failure among `total` arguments.
    pub fn new(total: usize, output: &'a Output) -> Self {
        Self {
            output,
            total,
            failures: 0,
            first_code: None,
        }
    }

    /// Prints the failure of `subject` and counts it.
    ///
    /// # Errors
    /// Returns the failure if the command must stop: it has only one argument, or the failure is an
    /// interruption or wrong usage.
    pub fn record_failure(
        &mut self,
        subject: &str,
        failed: CommandError,
    ) -> Result<(), CommandError> {
        if self.total == 1 || matches!(failed, CommandError::Interrupted | CommandError::Usage(_)) {
            return Err(failed);
        }
        self.failures += 1;
        self.first_code.get_or_insert(failed.exit_code());
        if let CommandError::Problem(problem) = &failed {
            self.output.error_of(Some(subject), problem);
        }
        Ok(())
    }

    /// Prints the number of failures, if any.
    ///
    /// # Errors
    /// Returns the exit code of the first failure.
    pub fn finish(self) -> Result<(), CommandError> {
        let Some(code) = self.first_code else {
            return Ok(());
        };
        let (total, failed) = (self.total, self.failures);
        self.output.json_event(&json!({
            "event": "summary",
            "done": total - failed,
            "failed": failed,
        }));
        self.output.note(&format!("{failed} of {total} failed"));
        Err(CommandError::Reported(code))
    }
}
