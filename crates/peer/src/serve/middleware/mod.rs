//! Checks of every request.

pub(crate) mod body_rate;
pub(crate) mod fallback;
pub(crate) mod observe;
pub(crate) mod origin_check;
