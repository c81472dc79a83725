//! Messages about a difference between this machine's clock and the directory's.

use convite_client::DirectoryClient;
use convite_net::clock::describe_offset;

use crate::output::Output;

/// The hint for a clock difference.
pub const CLOCK_HINT: &str = "compare both clocks with a third one and correct the wrong one \
     (on Linux: `timedatectl set-ntp true`)";

/// Describes the difference, if it is large enough to matter. `ahead` is the number of milliseconds by
/// which the directory's clock is ahead of this machine's.
pub fn describe_difference(ahead: i64) -> Option<String> {
    let difference = describe_offset(ahead)?;
    Some(format!(
        "this machine's clock is {difference} the directory's"
    ))
}

/// Prints the difference, if the directory's responses showed one.
pub fn print_difference(client: &DirectoryClient, output: &Output) {
    if let Some(difference) = client.clock().ahead().and_then(describe_difference) {
        output.note(&format!("{difference}; {CLOCK_HINT}"));
    }
}
