//! Deserialising through one indirection, so that a format's deserializer is compiled once and not again for each type.
//!
//! The types see [`Erased`] in place of the format's deserializer, and the format sees [`Through`] in place of the
//! types' visitors. Errors of the format keep the places that it gave them: they wait in [`Held`] while [`Reason::Held`]
//! passes through the types.

mod format;
mod types;

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Expected, Unexpected};

use format::Held;
use types::Erased;

/// Decodes from any format.
pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let mut held = Held::new(from);
    let value = T::deserialize(Erased(&mut held));
    held.release(value)
}

/// Decodes a whole JSON text.
pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let mut from = serde_json::Deserializer::from_slice(text);
    let value = deserialize(&mut from)?;
    from.end()?;
    Ok(value)
}

/// What a type asks its format for.
#[derive(Clone, Copy)]
enum Hint {
    Any,
    Bool,
    Integer,
    Float,
    Text,
    Option,
    Newtype(&'static str),
    List,
    Table,
    Struct(&'static str, &'static [&'static str]),
    Enum(&'static str, &'static [&'static str]),
    Identifier,
    Ignored,
}

/// What a format has found.
enum Input<'a, 'de> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    /// An integer beyond 64 bits, as it is named in errors.
    Wide(&'a str),
    Float(f64),
    Text(&'a str),
    Borrowed(&'de str),
    Unit,
    None,
    Some(&'a mut dyn Source<'de>),
    Newtype(&'a mut dyn Source<'de>),
    List(&'a mut dyn List<'de>),
    Table(&'a mut dyn Table<'de>),
    Choice(&'a mut dyn Choice<'de>),
}

impl Input<'_, '_> {
    /// The error of a visitor that does not take this.
    fn refused(&self, expected: &dyn Expected) -> Error {
        let found = match self {
            Self::Bool(flag) => Unexpected::Bool(*flag),
            Self::Signed(number) => Unexpected::Signed(*number),
            Self::Unsigned(number) => Unexpected::Unsigned(*number),
            Self::Wide(name) => Unexpected::Other(name),
            Self::Float(number) => Unexpected::Float(*number),
            Self::Text(text) | Self::Borrowed(text) => Unexpected::Str(text),
            Self::Unit => Unexpected::Unit,
            Self::None | Self::Some(_) => Unexpected::Option,
            Self::Newtype(_) => Unexpected::NewtypeStruct,
            Self::List(_) => Unexpected::Seq,
            Self::Table(_) => Unexpected::Map,
            Self::Choice(_) => Unexpected::Enum,
        };
        de::Error::invalid_type(found, expected)
    }
}

/// A deserializer.
trait Source<'de> {
    fn read(&mut self, hint: Hint, to: &mut dyn Receiver<'de>) -> Result<(), Error>;
}

/// The elements of a list.
trait List<'de> {
    /// Fills nothing at the end.
    fn element(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error>;
}

/// The entries of a table.
trait Table<'de> {
    /// Fills nothing at the end.
    fn key(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error>;
    fn value(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error>;
}

/// A variant of an enum: first its name, then what it holds.
trait Choice<'de> {
    fn variant(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error>;
    fn unit(&mut self) -> Result<(), Error>;
    fn newtype(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error>;
    fn tuple(&mut self, len: usize, to: &mut dyn Receiver<'de>) -> Result<(), Error>;
    fn fields(&mut self, fields: &'static [&'static str], to: &mut dyn Receiver<'de>) -> Result<(), Error>;
}

/// A visitor, with room for its value.
trait Receiver<'de> {
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn receive(&mut self, input: Input<'_, 'de>) -> Result<(), Error>;
}

/// A seed, with room for its value.
trait Sink<'de> {
    fn fill(&mut self, from: &mut dyn Source<'de>) -> Result<(), Error>;
}

/// What went wrong.
#[derive(Debug)]
struct Error(Box<Reason>);

#[derive(Debug)]
enum Reason {
    /// The format said this; its own error, which knows more, is in [`Held`].
    Held(String),
    /// A type wanted something else. Formats have their own words for some of these.
    Mismatch { of: Mismatch, found: Found, expected: String },
    /// A type said it.
    Text(String),
}

#[derive(Clone, Copy, Debug)]
enum Mismatch {
    Type,
    Value,
}

#[derive(Debug)]
enum Found {
    Unit,
    Float(f64),
    Other(String),
}

impl Found {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Unit => Unexpected::Unit,
            Self::Float(number) => Unexpected::Float(*number),
            Self::Other(text) => Unexpected::Other(text),
        }
    }
}

impl Error {
    fn mismatch(of: Mismatch, found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit => Found::Unit,
            Unexpected::Float(number) => Found::Float(number),
            other => Found::Other(other.to_string()),
        };
        Self(Box::new(Reason::Mismatch { of, found, expected: expected.to_string() }))
    }

    /// The same in a format's own type.
    fn in_format<E: de::Error>(self) -> E {
        match *self.0 {
            Reason::Mismatch { of, found, expected } => match of {
                Mismatch::Type => E::invalid_type(found.unexpected(), &expected.as_str()),
                Mismatch::Value => E::invalid_value(found.unexpected(), &expected.as_str()),
            },
            Reason::Held(text) | Reason::Text(text) => E::custom(text),
        }
    }

    fn held(error: &impl de::Error) -> Self {
        Self(Box::new(Reason::Held(error.to_string())))
    }

    fn is_held(&self) -> bool {
        matches!(*self.0, Reason::Held(_))
    }

    /// A part was asked for twice, or before its time: no visitor does that.
    fn out_of_order() -> Self {
        de::Error::custom("parts of a value were read out of order")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Held(text) | Reason::Text(text) => f.write_str(text),
            Reason::Mismatch { of: Mismatch::Type, found, expected } => {
                write!(f, "invalid type: {}, expected {expected}", found.unexpected())
            }
            Reason::Mismatch { of: Mismatch::Value, found, expected } => {
                write!(f, "invalid value: {}, expected {expected}", found.unexpected())
            }
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(Box::new(Reason::Text(text.to_string())))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(Mismatch::Type, found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(Mismatch::Value, found, expected)
    }
}

#[cfg(test)]
mod tests;
