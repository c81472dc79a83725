//! A real directory and what one may do to it: bytes by hand, slowly, in floods, under wrong names.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the parity suite uses more of it")]
#[path = "../parity/doors.rs"]
mod doors;
mod floods;
mod names;
mod origins;
mod overload;
mod proxies;
mod raw;
mod requests;
mod shares;
mod slowness;
