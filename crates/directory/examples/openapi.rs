//! Prints the description of the REST interface: how docs/openapi.json is made.

// Output is its work.
#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", convite_directory::openapi_json());
}
