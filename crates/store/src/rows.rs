//! Parameters and rows of the statements that both databases run.
//!
//! A statement has only four types of values: integers of 64 bits (PostgreSQL: `BIGINT`), booleans
//! (SQLite: the integers 0 and 1), texts and bytes. [`ToParameter`] converts the types of this crate
//! to them, and [`Column`] converts them back.

use convite_core::model::Role;
use convite_core::{ContentHash, PeerId, SpaceName, UnixMillis, UserName};

use crate::error::{DbError, DbResult};
use crate::{AccountId, PeerKey, SpaceKey};

/// The value of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Parameter<'a> {
    Null,
    /// An integer or a boolean.
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The values of `$1`, `$2` and so on.
pub type Parameters<'a> = &'a [&'a dyn ToParameter];

/// A type that can be the value of a parameter.
pub trait ToParameter: Sync {
    fn to_parameter(&self) -> Parameter<'_>;
}

/// The value of a column.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    /// An integer or a boolean.
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A type that can be read from a column.
pub trait Column: Sized {
    /// Name of the type, for the log.
    const NAME: &'static str;

    /// Converts a value. Returns `None` if the database contains a value that this type excludes.
    fn from_value(value: &Value) -> Option<Self>;
}

/// A row of a result.
#[derive(Debug)]
pub struct Row {
    values: Vec<Value>,
}

impl Row {
    pub fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// Reads a column, counted from 0.
    ///
    /// # Errors
    /// Returns [`DbError::Damaged`] if the value is not a `T`.
    pub fn get<T: Column>(&self, column: usize) -> DbResult<T> {
        let value = self.values.get(column).and_then(T::from_value);
        value.ok_or(DbError::Damaged(T::NAME))
    }
}

impl<T: ToParameter + ?Sized> ToParameter for &T {
    fn to_parameter(&self) -> Parameter<'_> {
        (**self).to_parameter()
    }
}

impl<T: ToParameter> ToParameter for Option<T> {
    fn to_parameter(&self) -> Parameter<'_> {
        self.as_ref().map_or(Parameter::Null, T::to_parameter)
    }
}

impl<T: Column> Column for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

// Numbers.

impl ToParameter for i64 {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer(*self)
    }
}

impl ToParameter for u32 {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer((*self).into())
    }
}

impl ToParameter for bool {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer((*self).into())
    }
}

impl ToParameter for UnixMillis {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer(self.0)
    }
}

impl ToParameter for AccountId {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer(self.0)
    }
}

impl ToParameter for PeerKey {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer(self.0)
    }
}

impl ToParameter for SpaceKey {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Integer(self.0)
    }
}

impl Column for i64 {
    const NAME: &'static str = "an integer";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl Column for u64 {
    const NAME: &'static str = "a count or size";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl Column for u32 {
    const NAME: &'static str = "a count";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl Column for bool {
    const NAME: &'static str = "a boolean";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl Column for UnixMillis {
    const NAME: &'static str = "a time";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

impl Column for AccountId {
    const NAME: &'static str = "the number of an account";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

impl Column for PeerKey {
    const NAME: &'static str = "the number of a peer";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

impl Column for SpaceKey {
    const NAME: &'static str = "the number of a space";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

// Texts.

impl ToParameter for str {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self)
    }
}

impl ToParameter for String {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self)
    }
}

impl ToParameter for UserName {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self.as_str())
    }
}

impl ToParameter for SpaceName {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self.as_str())
    }
}

impl ToParameter for PeerId {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self.as_str())
    }
}

impl ToParameter for Role {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Text(self.name())
    }
}

impl Column for String {
    const NAME: &'static str = "a text";

    fn from_value(value: &Value) -> Option<Self> {
        text(value).map(str::to_owned)
    }
}

impl Column for UserName {
    const NAME: &'static str = "a user name";

    fn from_value(value: &Value) -> Option<Self> {
        text(value)?.parse().ok()
    }
}

impl Column for SpaceName {
    const NAME: &'static str = "the name of a space";

    fn from_value(value: &Value) -> Option<Self> {
        text(value)?.parse().ok()
    }
}

impl Column for PeerId {
    const NAME: &'static str = "a peer id";

    fn from_value(value: &Value) -> Option<Self> {
        text(value)?.parse().ok()
    }
}

impl Column for Role {
    const NAME: &'static str = "a role";

    fn from_value(value: &Value) -> Option<Self> {
        text(value)?.parse().ok()
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

// Bytes.

impl<const N: usize> ToParameter for [u8; N] {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Bytes(self)
    }
}

impl ToParameter for Vec<u8> {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Bytes(self)
    }
}

impl ToParameter for ContentHash {
    fn to_parameter(&self) -> Parameter<'_> {
        Parameter::Bytes(self.as_bytes())
    }
}

impl Column for Vec<u8> {
    const NAME: &'static str = "bytes";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl<const N: usize> Column for [u8; N] {
    const NAME: &'static str = "bytes of a fixed length";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

impl Column for ContentHash {
    const NAME: &'static str = "a content hash";

    fn from_value(value: &Value) -> Option<Self> {
        <[u8; 32]>::from_value(value).map(Self::from_bytes)
    }
}
