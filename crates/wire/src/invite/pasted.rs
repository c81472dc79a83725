//! Finds an invite link in pasted text: an e-mail, a chat message, or a `convite join` command.
//!
//! The web page implements the same rules; `tests/data/pasted_invites.json` has test cases for
//! both:
//!
//! 1. Remove invisible characters. Decode `&amp;` and `%XX` of visible ASCII, up to three times.
//! 2. Remove line breaks, with the blanks and the quote marks `>` and `|` around them.
//! 3. Take the first case-insensitive match of
//!    `convite://ADDRESS[/CODE][/][?NAME=VALUE[&NAME=VALUE]…]` with `ca`, the same with
//!    `convite+plaintext://` and without `ca`, or
//!    `http[s]://HOST[:PORT][/PATH]#NAME=VALUE[&NAME=VALUE]…` with `ca`. ADDRESS is `HOST:PORT`;
//!    HOST consists of `[A-Za-z0-9._-]` or is an IPv6 address in brackets; CODE has up to 32 of
//!    `[A-Za-z0-9]`; the value of `ca` has 64 hexadecimal digits. The link ends where the match
//!    ends.
//! 4. If nothing matches, try again with all blanks, `>` and `|` removed.

use convite_core::{PeerAddress, Problem};

use super::{CODE_MAX, Fingerprint, InviteLink, PORT_HTTPS, refuse};

/// The maximum number of decoding passes, because a link may have been encoded repeatedly.
const DECODE_MAX: usize = 3;
/// The number of digits of a fingerprint.
const FINGERPRINT_DIGITS: usize = 64;
/// The maximum number of parameters, and the maximum length of their names.
const PARAMETERS_MAX: usize = 64;
const NAME_MAX: usize = 32;

/// Returns the invite link in `text`.
///
/// # Errors
/// Returns `invalid_argument` if there is none; if a link is incomplete, with the reason for the
/// first.
pub(super) fn read(text: &str) -> Result<InviteLink, Problem> {
    let decoded = decode(&visible(text));
    let joined = without_line_breaks(&decoded);
    let mut first = None;
    for blanks in [true, false] {
        let text: String = if blanks {
            joined.clone()
        } else {
            joined
                .chars()
                .filter(|c| !c.is_whitespace() && !"|>".contains(*c))
                .collect()
        };
        for read in [convite_link, web_link] {
            match first_of(&text, read) {
                Ok(link) => return Ok(link),
                Err(problem) => first = first.or(problem),
            }
        }
    }
    Err(first.unwrap_or_else(refuse))
}

/// Returns whether `c` is an invisible character that is copied along: joiner, direction mark, soft
/// hyphen.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\0'
    )
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

fn decode(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..DECODE_MAX {
        let decoded = decode_once(&text);
        if decoded == text {
            break;
        }
        text = decoded;
    }
    text
}

/// Decodes `%XX` of visible ASCII and the entities of `&`, and nothing else.
fn decode_once(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '&']) {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let entity = ["&amp;", "&#38;", "&#x26;"].iter().find(|entity| {
            let start = from.get(..entity.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(entity))
        });
        let escaped = from.get(1..3).filter(|_| from.starts_with('%'));
        let escaped = escaped.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let taken = match (entity, byte.filter(u8::is_ascii_graphic)) {
            (Some(entity), _) => {
                decoded.push('&');
                entity.len()
            }
            (None, Some(byte)) => {
                decoded.push(char::from(byte));
                3
            }
            (None, None) => {
                decoded.push_str(&from[..1]);
                1
            }
        };
        rest = &from[taken..];
    }
    decoded.push_str(rest);
    decoded
}

/// Joins lines that were wrapped by a mail program or a terminal.
fn without_line_breaks(text: &str) -> String {
    let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = text.split(is_break);
    let mut joined = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        joined.truncate(joined.trim_end().len());
        joined.push_str(line.trim_start_matches(|c: char| c.is_whitespace() || "|>".contains(c)));
    }
    joined
}

/// The result of parsing at one position: `None` if no link begins there.
type Read = Option<Result<InviteLink, Problem>>;

/// Returns the first complete link, or the reason why the first one is incomplete.
fn first_of(text: &str, read: fn(&str, &str) -> Read) -> Result<InviteLink, Option<Problem>> {
    let mut first = None;
    // Every link has this between its scheme and its address.
    for (at, mark) in text.match_indices("://") {
        match read(&text[..at], &text[at + mark.len()..]) {
            Some(Ok(link)) => return Ok(link),
            Some(Err(problem)) => first = first.or(Some(problem)),
            None => {}
        }
    }
    Err(first)
}

/// Case-insensitive `ends_with`. Joined lines can leave a word directly before the scheme.
fn ends_with(text: &str, end: &str) -> bool {
    let begin = text.len().checked_sub(end.len());
    let found = begin.and_then(|begin| text.get(begin..));
    found.is_some_and(|found| found.eq_ignore_ascii_case(end))
}

/// The text that is not parsed yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Takes up to `max` ASCII bytes for which `is` returns true.
    fn take(&mut self, max: usize, is: impl Fn(u8) -> bool) -> &'a str {
        let bytes = self.0.bytes().take(max);
        let length = bytes.take_while(|b| b.is_ascii() && is(*b)).count();
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// Skips `text` if it is next, ignoring case.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.0.get(..text.len());
        let is_there = found.is_some_and(|found| found.eq_ignore_ascii_case(text));
        if is_there {
            self.0 = &self.0[text.len()..];
        }
        is_there
    }

    /// Takes a host; an IPv6 address includes its brackets.
    fn host(&mut self) -> &'a str {
        let all = self.0;
        if self.eat("[") {
            let inside = self.take(64, |b| b.is_ascii_hexdigit() || b":.".contains(&b));
            return if self.eat("]") {
                &all[..inside.len() + 2]
            } else {
                ""
            };
        }
        self.take(253, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    }

    fn port(&mut self) -> Option<u16> {
        let digits = if self.eat(":") {
            self.take(5, |b| b.is_ascii_digit())
        } else {
            ""
        };
        digits.parse().ok()
    }

    fn address(&mut self) -> Option<PeerAddress> {
        let host = self.host();
        let port = self.port()?;
        format!("{host}:{port}").parse().ok()
    }

    fn code(&mut self) -> Option<String> {
        let code = self.take(CODE_MAX, |b| b.is_ascii_alphanumeric());
        (!code.is_empty()).then(|| code.to_owned())
    }

    /// Takes the parameters; the first one follows `first`.
    fn parameters(&mut self, first: &str) -> Result<Parameters, Problem> {
        let mut found = Parameters::default();
        let mut separator = first;
        for _ in 0..PARAMETERS_MAX {
            if !self.eat(separator) {
                break;
            }
            separator = "&";
            let name = self.take(NAME_MAX, |b| b.is_ascii_alphabetic());
            if !self.eat("=") {
                break;
            }
            match &*name.to_ascii_lowercase() {
                "ca" => found.authority = Some(self.fingerprint()?),
                "join" => found.code = self.code(),
                "also" => found.addresses.extend(self.address()),
                // Reserved for future versions.
                _ => drop(self.take(usize::MAX, |b| {
                    b.is_ascii_alphanumeric() || b"._~:[]%+-".contains(&b)
                })),
            }
        }
        Ok(found)
    }

    fn fingerprint(&mut self) -> Result<Fingerprint, Problem> {
        let digits = self.take(FINGERPRINT_DIGITS, |b| b.is_ascii_hexdigit());
        digits.parse().map_err(|_| {
            Problem::invalid("this invite link is incomplete").hint(format!(
                "its fingerprint (ca=) needs {FINGERPRINT_DIGITS} digits but has {}; copy the whole link",
                digits.len()
            ))
        })
    }
}

#[derive(Default)]
struct Parameters {
    authority: Option<Fingerprint>,
    code: Option<String>,
    addresses: Vec<PeerAddress>,
}

/// Parses `convite://…` and `convite+plaintext://…`.
fn convite_link(before: &str, after: &str) -> Read {
    let is_plaintext = ends_with(before, "convite+plaintext");
    if !is_plaintext && !ends_with(before, "convite") {
        return None;
    }
    let mut rest = Rest(after);
    let first = rest.address()?;
    let mut code = None;
    if rest.eat("/") {
        code = rest.code();
        rest.eat("/");
    }
    let parameters = match rest.parameters("?") {
        Ok(parameters) => parameters,
        Err(problem) => return Some(Err(problem)),
    };
    if parameters.authority.is_none() != is_plaintext {
        return Some(Err(refuse()));
    }
    let mut addresses = vec![first];
    addresses.extend(parameters.addresses);
    Some(Ok(InviteLink {
        addresses,
        code,
        authority: parameters.authority,
    }))
}

/// Parses the web form of an invite.
fn web_link(before: &str, after: &str) -> Read {
    if !ends_with(before, "https") && !ends_with(before, "http") {
        return None;
    }
    let mut rest = Rest(after);
    let host = rest.host();
    // Browsers omit the default port.
    let port = if rest.0.starts_with(':') {
        rest.port()?
    } else {
        PORT_HTTPS
    };
    let address = format!("{host}:{port}").parse().ok()?;
    rest.take(usize::MAX, |b| {
        b.is_ascii_alphanumeric() || b"/._~-".contains(&b)
    });
    let parameters = match rest.parameters("#") {
        Ok(parameters) => parameters,
        Err(problem) => return Some(Err(problem)),
    };
    Some(match parameters.authority {
        Some(authority) => Ok(InviteLink {
            addresses: vec![address],
            code: parameters.code,
            authority: Some(authority),
        }),
        None => Err(Problem::invalid(
            "this web address does not contain the fingerprint of the directory",
        )
        .hint(
            "use the link that begins with convite://; the page shows it next to the web address",
        )),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// A test case shared with the web page.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        text: String,
        link: Option<String>,
    }

    #[test]
    fn every_case_of_the_list_is_read_as_it_says() {
        let cases = include_str!("../../tests/data/pasted_invites.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        assert!(cases.len() > 60);
        for Case { name, text, link } in cases {
            let found = read(&text).map(|link| link.to_string()).ok();
            assert_eq!(found, link, "{name}: {text:?}");
        }
    }

    #[test]
    fn a_link_that_was_cut_off_is_said_to_be() {
        let print = "07".repeat(31);
        let cut = read(&format!("convite://192.0.2.1:1/abc123?ca={print}")).unwrap_err();
        assert_eq!(cut.message, "this invite link is incomplete");
        let hint = cut.hint.unwrap();
        assert!(hint.contains("64") && hint.contains("62"), "{hint}");
    }

    fn host() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){0,2}",
            any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            any::<[u8; 16]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
        ]
    }

    prop_compose! {
        fn any_link()(
            addresses in prop::collection::vec((host(), 1..=u16::MAX), 1..4),
            code in prop::option::of("[a-z2-7]{32}"),
            print in any::<[u8; 32]>(),
        ) -> InviteLink {
            let addresses = addresses.into_iter();
            InviteLink {
                addresses: addresses.map(|(host, port)| format!("{host}:{port}").parse().unwrap()).collect(),
                code,
                authority: Some(Fingerprint(print)),
            }
        }
    }

    /// Generates text before and after a link.
    fn decoration() -> impl Strategy<Value = (String, String)> {
        let quotes = prop::sample::select(vec![
            ("", ""),
            ("'", "'"),
            ("\"", "\""),
            ("`", "`"),
            ("<", ">"),
            ("(", ")"),
            ("[", "]"),
            ("{", "}"),
            ("\u{201c}", "\u{201d}"),
            ("\u{2018}", "\u{2019}"),
            ("\u{ab}", "\u{bb}"),
            ("convite join '", "' --user ana"),
            ("[link](", ")"),
            ("\u{a0}", "\u{a0}"),
            ("join us:\n", "\nthanks"),
            ("> ", "\n> bye"),
        ]);
        let ends = prop::sample::select(vec![
            "", ".", ",", ";", "!", "\u{2026}", " ", "\n", "\u{200b}",
        ]);
        (quotes, ends)
            .prop_map(|((before, after), end)| (before.to_owned(), format!("{after}{end}")))
    }

    proptest! {
        #[test]
        fn a_link_is_found_in_any_decoration(
            link in any_link(),
            (before, after) in decoration(),
            invisible in prop::sample::select(vec!["", "\u{200b}", "\u{ad}", "\u{feff}", "\n", "\r\n  ", "\n> "]),
            at in any::<prop::sample::Index>(),
            encoding in 0..4,
        ) {
            let mut text = link.to_string();
            // Before the port, because a port that continues on the next line ends at the line
            // break.
            let at = at.index(text.find("://").unwrap() + 3);
            match encoding {
                1 => text = text.replace('&', "&amp;"),
                2 => text = text.replace(':', "%3A").replace('/', "%2f").replace('&', "%26"),
                3 => text = text.replace("convite", "CONVITE"),
                _ => {}
            }
            if encoding != 2 {
                text.insert_str(at, invisible);
            }
            let text = format!("{before}{text}{after}");
            let found = read(&text);
            prop_assert_eq!(found.as_ref(), Ok(&link), "{}", text);
        }

        #[test]
        fn a_link_that_is_wrapped_anywhere_is_found(link in any_link(), width in 5_usize..90) {
            let text = link.to_string();
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let found = read(&lines.join("\n"));
            prop_assert_eq!(found.as_ref(), Ok(&link));
        }

        #[test]
        fn the_web_address_is_found_in_any_decoration(link in any_link(), (before, after) in decoration()) {
            let mut link = link;
            link.addresses.truncate(1);
            let text = format!("{before}{}{after}", link.web());
            let found = read(&text);
            prop_assert_eq!(found.as_ref(), Ok(&link), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(
            text in "\\PC{0,200}|(convite://|https://|[0-9a-f]{64}|[:/?#&=%]|ca|also|join|\\[|\\]|a\\.b:1|\n){0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = read(&text);
            let _ = read(&String::from_utf8_lossy(&bytes));
        }
    }
}
