//! The gate.
fn main(){}
