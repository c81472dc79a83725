//! Prints the OpenAPI description of the REST API; docs/openapi.json is generated with it.

// The description is the output.
#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", convite_directory::openapi_json());
}
