//! Names of peers, accounts and spaces, safe to use in URLs, paths and log lines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{
    GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton,
};

use crate::error::Problem;

/// The longest peer id, user name or space name, in bytes.
pub const NAME_MAX: usize = 64;

/// Separates the id of the downloading peer from random digits in the id of a transient peer.
const TRANSIENT_MARK: &str = "-get-";
/// The number of random hex digits after [`TRANSIENT_MARK`].
const TRANSIENT_DIGITS: usize = 8;

/// An invalid name and the rule that it breaks.
struct InvalidName<'a> {
    what: &'a str,
    text: &'a str,
    why: String,
}

impl InvalidName<'_> {
    /// `rule` is the full rule, `instead` a valid name to suggest.
    fn problem(self, rule: &str, instead: Option<String>) -> Problem {
        let Self { what, text, why } = self;
        let shown: String = crate::display::escape(text).chars().take(100).collect();
        let hint = match instead {
            Some(name) => format!("try '{name}': {rule}"),
            None => rule.to_owned(),
        };
        Problem::invalid(format!("'{shown}' is not a valid {what}: {why}")).hint(hint)
    }
}

/// Checks that a name is not empty, not too long, and has only `allowed` characters.
fn check_characters(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > NAME_MAX {
        return Err(format!("it is longer than {NAME_MAX} bytes"));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) if c.is_whitespace() => return Err("it has a space".to_owned()),
        Some('@') => return Err("it has an '@', like an e-mail address".to_owned()),
        Some(c) => {
            let mut bytes = [0; 4];
            let shown = crate::display::escape(c.encode_utf8(&mut bytes));
            return Err(format!("it has the character '{shown}'"));
        }
        None => {}
    }
    if text.starts_with(char::is_alphanumeric) {
        Ok(())
    } else {
        Err("it does not begin with a letter or a digit".to_owned())
    }
}

const ID_RULE: &str =
    "use up to 64 letters from a to z, digits, '.', '_' or '-', beginning with a letter or a digit";

/// Parses a peer id. Ids are ASCII because they are used in paths, addresses and log lines.
fn parse_id(what: &str, text: &str) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match check_characters(text, allowed) {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => {
            let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
            let instead = suggest_name(plain, allowed);
            Err(InvalidName { what, text, why }.problem(ID_RULE, instead))
        }
    }
}

const NAME_RULE: &str = "use letters of one alphabet, digits, '.', '_' or '-', beginning with a letter or a digit, at most 64 bytes";

/// Returns whether a name may contain `c`: letters and digits of any language in use today (UTS
/// #39,
/// section 3.1), `.`, `_` and `-`.
fn is_name_char(c: char) -> bool {
    let is_letter = c.is_alphanumeric() || is_combining_mark(c);
    matches!(c, '.' | '_' | '-') || (is_letter && GeneralSecurityProfile::identifier_allowed(c))
}

/// Parses the name of an account or a space.
///
/// Names consist of letters of any language, in NFKC and lower case, so that no name imitates
/// another by case or by another form of the same character. To exclude look-alike letters, a name
/// uses one script, or scripts that are written together (UTS #39, section 5.2, highly
/// restrictive), and a non-ASCII name must not have an ASCII skeleton (section 4).
fn parse_name(what: &str, text: &str) -> Result<String, Problem> {
    let name = normalised(text);
    let why = match check_name(&name) {
        Ok(()) => return Ok(name),
        Err(why) => why,
    };
    // Suggest the part of an e-mail address before the '@'.
    let local = name.split('@').find(|part| !part.is_empty()).unwrap_or("");
    let instead = suggest_name(local.chars(), is_name_char);
    let instead = instead.filter(|name| check_name(name).is_ok() && normalised(name) == *name);
    Err(InvalidName { what, text, why }.problem(NAME_RULE, instead))
}

fn normalised(text: &str) -> String {
    let composed: String = text.nfkc().collect();
    composed.to_lowercase().nfkc().collect()
}

fn check_name(name: &str) -> Result<(), String> {
    check_characters(name, is_name_char)?;
    if name.is_ascii() {
        return Ok(());
    }
    if !name.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
        return Err("it mixes letters of several alphabets".to_owned());
    }
    let skeleton: String = skeleton(name).collect();
    if skeleton.is_ascii() {
        Err(format!("it looks like '{skeleton}'"))
    } else {
        Ok(())
    }
}

/// Makes a name from the allowed characters, with a dot for white space.
fn suggest_name(
    characters: impl Iterator<Item = char>,
    allowed: impl Fn(char) -> bool,
) -> Option<String> {
    let mut name = String::new();
    for c in characters {
        let c = if c.is_whitespace() { '.' } else { c };
        let begins_well = !name.is_empty() || c.is_alphanumeric();
        let doubles = c == '.' && name.ends_with('.');
        if allowed(c) && begins_well && !doubles && name.len() + c.len_utf8() <= NAME_MAX {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Parses a value from a serde string. A serde error carries only one text, so the hint is appended
/// as a second line; [`Problem::from_decode_error`] splits them.
pub(crate) fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Problem>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(|problem: Problem| {
        serde::de::Error::custom(match problem.hint {
            Some(hint) => format!("{}\n{hint}", problem.message),
            None => problem.message,
        })
    })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, $read:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $type(String);

        impl $type {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self, Problem> {
                $read($what, text).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    };
}

name_type!(
    /// The id of a peer, unique in its directory. Case-sensitive.
    PeerId, "peer id", parse_id
);
name_type!(
    /// The name of an account, in letters of any language. Case-insensitive: stored in lower case.
    UserName, "user name", parse_name
);

name_type!(
    /// The name of a space. Case-insensitive: stored in lower case.
    SpaceName, "space name", parse_name
);

impl PeerId {
    /// Makes an id from the allowed characters of a text, or `peer` if there are none.
    pub fn from_lossy(text: &str) -> Self {
        let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        Self(suggest_name(plain, allowed).unwrap_or_else(|| "peer".to_owned()))
    }

    /// Returns the DNS name in the certificate of this peer, under a suffix that no real host has.
    ///
    /// The name is a hash, because ids may have characters and lengths that host names may not.
    pub fn certificate_name(&self) -> String {
        let digest = blake3::hash(self.0.as_bytes());
        let label = data_encoding::HEXLOWER.encode(&digest.as_bytes()[..16]);
        format!("{label}.peer.convite")
    }

    /// Returns the id of a transient peer for one download of this peer.
    pub fn transient_id(&self, random: [u8; 4]) -> Self {
        let random = data_encoding::HEXLOWER.encode(&random);
        Self(format!(
            "{}{TRANSIENT_MARK}{random}",
            self.transient_prefix()
        ))
    }

    /// Returns the prefix of the ids of this peer's transient peers.
    pub fn transient_prefix(&self) -> &str {
        let long = NAME_MAX - TRANSIENT_MARK.len() - TRANSIENT_DIGITS;
        // Ids are ASCII.
        self.0.get(..long).unwrap_or(&self.0)
    }

    /// If this is the id of a transient peer, returns the [`Self::transient_prefix`] of the peer that
    /// downloads.
    pub fn transient_owner_prefix(&self) -> Option<&str> {
        let (name, random) = self.0.rsplit_once(TRANSIENT_MARK)?;
        let is_random =
            random.len() == TRANSIENT_DIGITS && random.bytes().all(|b| b.is_ascii_hexdigit());
        (is_random && !name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn peer_ids_that_scripts_use_are_accepted() {
        for good in ["peer_1", "a", "ana-laptop.local", "7", &"x".repeat(64)] {
            assert_eq!(good.parse::<PeerId>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn the_id_of_a_download_says_whose_it_is() {
        for id in ["ana-1", "a-get-b", &"x".repeat(64)] {
            let peer: PeerId = id.parse().unwrap();
            let download = peer.transient_id([0, 1, 0xab, 0xff]);
            assert_eq!(download.as_str().parse::<PeerId>().unwrap(), download);
            assert!(download.as_str().ends_with("-get-0001abff"));
            assert_eq!(
                download.transient_owner_prefix(),
                Some(peer.transient_prefix())
            );
        }
        for id in ["ana-1", "a-get-b", "a-get-0001abf", "a-get-0001abfg"] {
            assert_eq!(
                id.parse::<PeerId>().unwrap().transient_owner_prefix(),
                None,
                "{id}"
            );
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            "../etc",
            "-rf",
            "a/b",
            "a b",
            "a\0",
            "a\n",
            "\u{202e}a",
            &long,
        ] {
            assert!(bad.parse::<PeerId>().is_err(), "{bad:?}");
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
            assert!(bad.parse::<SpaceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn users_are_called_as_people_are() {
        for (typed, kept) in [
            ("josé", "josé"),
            ("JOSE\u{301}", "josé"),
            ("Łukasz.Żółw", "łukasz.żółw"),
            ("Ольга", "ольга"),
            ("山田太郎", "山田太郎"),
            ("やまだ-たろう", "やまだ-たろう"),
            ("김민수", "김민수"),
            ("नेहा", "नेहा"),
            ("محمد", "محمد"),
            ("ａｎａ", "ana"),
        ] {
            let user: UserName = typed.parse().unwrap();
            assert_eq!(user.as_str(), kept);
            assert_eq!(kept.parse::<UserName>().unwrap(), user);
            assert_eq!(typed.parse::<SpaceName>().unwrap().as_str(), kept);
        }
        // Look-alikes are refused.
        for bad in [
            "an\u{430}",
            "\u{430}\u{43e}\u{440}\u{435}",
            // Two scripts, and no look-alike in ASCII: Cyrillic zhe, Greek lambda.
            "ana\u{436}",
            "ana\u{3bb}",
            "ana\u{200b}",
            "a\u{200d}na",
            "\u{202e}ana",
            "an\u{131}",
            "ana\u{ad}",
            "☃",
            "ana😀",
        ] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said_in_words() {
        let user = |text: &str| text.parse::<UserName>().unwrap_err();
        for (text, why, instead) in [
            ("ana lopez", "it has a space", "'ana.lopez'"),
            ("me@example.org", "an '@'", "'me'"),
            ("-rf", "begin with a letter", "'rf'"),
            ("ana/b", "the character '/'", "'anab'"),
            ("", "it is empty", "letters of one alphabet"),
            ("an\u{430}", "several alphabets", "letters of one alphabet"),
            (
                "\u{430}\u{43e}\u{440}\u{435}",
                "looks like 'aope'",
                "letters",
            ),
        ] {
            let problem = user(text);
            assert!(problem.message.contains(why), "{problem}");
            assert!(
                problem.hint.clone().unwrap().contains(instead),
                "{problem:?}"
            );
        }
        for (text, id) in [
            ("josé-laptop", "jose-laptop"),
            ("김민수", "peer"),
            ("-", "peer"),
        ] {
            assert_eq!(PeerId::from_lossy(text).as_str(), id);
            assert!(id.parse::<PeerId>().is_ok());
        }
        let id = "josé laptop".parse::<PeerId>().unwrap_err();
        assert!(id.hint.unwrap().contains("'jose.laptop'"));
    }

    proptest! {
        #[test]
        fn a_name_that_is_kept_is_read_as_itself(text in "\\PC{1,8}|[a-zA-ZàéÀİıß]{1,8}|[А-яЁё]{1,8}|[ぁ-ん一-龠]{1,8}") {
            if let Ok(user) = text.parse::<UserName>() {
                prop_assert_eq!(user.as_str().parse::<UserName>(), Ok(user.clone()));
                prop_assert!(user.as_str().len() <= NAME_MAX);
                let upper = user.as_str().to_uppercase();
                prop_assert!(!user.as_str().is_ascii() || upper.parse() == Ok(user));
            }
        }
    }

    #[test]
    fn users_differ_by_more_than_case() {
        assert_eq!("Ana".parse::<UserName>(), "ana".parse::<UserName>());
        assert_ne!("Ana".parse::<PeerId>(), "ana".parse::<PeerId>());
    }
}
