//! Error messages for invalid bodies and queries. The messages of the decoders name types of this
//! program and positions in a text that the user does not see.

use convite_core::Problem;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

const BODY_HINT: &str = "send JSON with the fields of this path: see /docs";

/// Decodes a JSON object from a body.
///
/// # Errors
/// Returns `invalid_argument`.
pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut decoder = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            Category::Data => {
                let text = error.to_string();
                // serde_json appends the position to the type's message.
                let place = format!(" at line {} column {}", error.line(), error.column());
                decode_error("field", &field, text.strip_suffix(&place).unwrap_or(&text))
            }
            _ => not_json(&error),
        }
    })?;
    decoder.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::invalid(format!(
        "the body is not JSON: syntax error or unexpected end in line {}, column {}",
        error.line(),
        error.column()
    ))
    .hint(BODY_HINT)
}

/// Converts a decoder's error about a `field` or `parameter` at `path`. Does not repeat a value,
/// unless the value's type does: it may be a password.
pub(super) fn decode_error(what: &str, path: &str, text: &str) -> Problem {
    let place = match path {
        "" | "." => "the body".to_owned(),
        path => format!("the {what} `{}`", path.trim_matches('.')),
    };
    if let Some(name) = text.strip_prefix("missing field ") {
        let of = inside(path);
        return Problem::invalid(format!("the {what} {name} is missing{of}")).hint(BODY_HINT);
    }
    if let Some(rest) = text.strip_prefix("duplicate field ") {
        return Problem::invalid(format!("the {what} {rest} is given twice"))
            .hint(format!("give each {what} once"));
    }
    if let Some(rest) = text.strip_prefix("unknown field ") {
        let (name, known) = rest.split_once(", expected ").unwrap_or((rest, ""));
        let known = known.strip_prefix("one of ").unwrap_or(known);
        let problem = Problem::invalid(format!("unknown {what} {name}"));
        return match known {
            "" | "there are no fields" => problem.hint("send an object without fields"),
            known => problem.hint(format!("known {what}s: {known}")),
        };
    }
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        let (_, known) = rest.split_once(", expected ").unwrap_or((rest, ""));
        let known = known.strip_prefix("one of ").unwrap_or(known);
        return Problem::invalid(format!("{place} has an unknown value"))
            .hint(format!("valid values: {known}"));
    }
    for (kind, wrong) in [
        ("invalid type: ", "has the wrong type"),
        ("invalid value: ", "is out of bounds"),
        ("invalid length ", "has the wrong length"),
    ] {
        if let Some(rest) = text.strip_prefix(kind) {
            let expected = rest.split_once(", expected ").map_or("", |(_, e)| e);
            return Problem::invalid(format!("{place} {wrong}"))
                .hint(format!("expected: {}", type_name(expected)));
        }
    }
    match text {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            Problem::invalid(format!("{place} is not a whole number")).hint("use digits only")
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            Problem::invalid(format!("{place} is out of bounds")).hint("see the bounds in /docs")
        }
        "provided string was not `true` or `false`" => {
            Problem::invalid(format!("{place} is neither `true` nor `false`"))
                .hint("use `true` or `false`")
        }
        // Messages of `core`.
        text => Problem::from_decode_error(text),
    }
}

/// Returns the object that lacks a field; empty for the body itself.
fn inside(path: &str) -> String {
    match path {
        "" | "." => String::new(),
        path => format!(" in `{path}`"),
    }
}

fn type_name(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "str" | "string" => "a string",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("a sequence") => "an array",
        "" => "another type",
        other => return other.to_owned(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::invites::InviteBody;
    use crate::rest::peers::RegisterBody;
    use crate::rest::sessions::LoginBody;

    fn message_and_hint<T: DeserializeOwned>(body: &str) -> String {
        let problem = from_json::<T>(body.as_bytes()).err().unwrap();
        format!("{} | {}", problem.message, problem.hint.unwrap())
    }

    #[test]
    fn body_errors_have_readable_messages() {
        let login = message_and_hint::<LoginBody>;
        for (body, words) in [
            (r#"{"user":"ana"}"#, "the field `password` is missing | "),
            (
                r#"{"user":"ana lopez","password":"x"}"#,
                "'ana lopez' is not a valid user name: it has a space | try 'ana.lopez'",
            ),
            (
                r#"{"user":"ana","password":8316}"#,
                "the field `password` has the wrong type | expected: a string",
            ),
            (
                r#"{"user":"ana","password":"x","pasword":"y"}"#,
                "unknown field `pasword` | known fields: `user`, `password`, `peer`, `cookie`",
            ),
            (
                r#"{"user":"ana","user":"ana","password":"x"}"#,
                "the field `user` is given twice | ",
            ),
            (
                r#"{"user":"ana","password":"x","peer":{"id":"a b","port":1}}"#,
                "'a b' is not a valid peer id: it has a space | try 'a.b'",
            ),
            (
                r#"{"user":"ana","password":"x","peer":{"id":"a","port":70000}}"#,
                "the field `peer.port` is out of bounds | expected: a whole number from 0 to 65535",
            ),
            (
                r#"{"user":"ana","password":"x","peer":{"id":"a"}}"#,
                "the field `port` is missing in `peer` | ",
            ),
            (
                "{",
                "the body is not JSON: syntax error or unexpected end in line 1, column 1 | ",
            ),
            ("{} x", "the field `user` is missing | "),
        ] {
            assert!(login(body).starts_with(words), "{body}: {}", login(body));
        }
        let register =
            message_and_hint::<RegisterBody>(r#"{"id":"a","port":1,"addresses":["host"]}"#);
        assert!(
            register.starts_with("'host' is not an address | an address is"),
            "{register}"
        );
        let role = message_and_hint::<InviteBody>(r#"{"role":"king"}"#);
        assert!(
            role.contains("admin") && !role.contains("variant"),
            "{role}"
        );
        assert!(message_and_hint::<InviteBody>("{} x").starts_with("the body is not JSON"));
        for text in [register, role, login("{"), login("[")] {
            assert!(
                !text.contains("at line") && !text.contains("struct"),
                "{text}"
            );
        }
    }
}
