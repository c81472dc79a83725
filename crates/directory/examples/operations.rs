//! Prints the table of operations; docs/operations.md is generated with it.

// The table is the output.
#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", convite_directory::operations_page());
}
