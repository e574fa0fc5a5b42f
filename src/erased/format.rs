//! The side of the formats: compiled once a format.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Choice, Error, Hint, Input, List, Receiver, Sink, Source, Table};

/// Something of a format's, and the error that it ended with.
pub(super) struct Held<T, E> {
    part: Option<T>,
    error: Option<E>,
}

impl<T, E: de::Error> Held<T, E> {
    pub(super) fn new(part: T) -> Self {
        Self { part: Some(part), error: None }
    }

    fn take(&mut self) -> Result<T, Error> {
        self.part.take().ok_or_else(Error::out_of_order)
    }

    fn part(&mut self) -> Result<&mut T, Error> {
        self.part.as_mut().ok_or_else(Error::out_of_order)
    }

    fn hold<R>(&mut self, result: Result<R, E>) -> Result<R, Error> {
        result.map_err(|error| {
            let told = Error::held(&error);
            self.error = Some(error);
            told
        })
    }

    /// The result in the format's own terms.
    pub(super) fn release<R>(self, result: Result<R, Error>) -> Result<R, E> {
        result.map_err(|error| match self.error {
            Some(held) if error.is_held() => held,
            _ => error.in_format(),
        })
    }
}

impl<'de, D: Deserializer<'de>> Source<'de> for Held<D, D::Error> {
    fn read(&mut self, hint: Hint, to: &mut dyn Receiver<'de>) -> Result<(), Error> {
        let from = self.take()?;
        let to = Through(to);
        let read = match hint {
            Hint::Any => from.deserialize_any(to),
            Hint::Bool => from.deserialize_bool(to),
            Hint::Integer => from.deserialize_i64(to),
            Hint::Float => from.deserialize_f64(to),
            Hint::Text => from.deserialize_str(to),
            Hint::Option => from.deserialize_option(to),
            Hint::Newtype(name) => from.deserialize_newtype_struct(name, to),
            Hint::List => from.deserialize_seq(to),
            Hint::Table => from.deserialize_map(to),
            Hint::Struct(name, fields) => from.deserialize_struct(name, fields, to),
            Hint::Enum(name, variants) => from.deserialize_enum(name, variants, to),
            Hint::Identifier => from.deserialize_identifier(to),
            Hint::Ignored => from.deserialize_ignored_any(to),
        };
        self.hold(read)
    }
}

impl<'de, A: SeqAccess<'de>> List<'de> for Held<A, A::Error> {
    fn element(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error> {
        let element = self.part()?.next_element_seed(Into(to));
        self.hold(element).map(drop)
    }
}

impl<'de, A: MapAccess<'de>> Table<'de> for Held<A, A::Error> {
    fn key(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error> {
        let key = self.part()?.next_key_seed(Into(to));
        self.hold(key).map(drop)
    }

    fn value(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error> {
        let value = self.part()?.next_value_seed(Into(to));
        self.hold(value)
    }
}

/// An enum before and after its variant is known.
enum Variant<'de, A: EnumAccess<'de>> {
    Unknown(A),
    Known(A::Variant),
}

impl<'de, A: EnumAccess<'de>> Held<Variant<'de, A>, A::Error> {
    fn known(&mut self) -> Result<A::Variant, Error> {
        match self.take()? {
            Variant::Known(variant) => Ok(variant),
            Variant::Unknown(_) => Err(Error::out_of_order()),
        }
    }
}

impl<'de, A: EnumAccess<'de>> Choice<'de> for Held<Variant<'de, A>, A::Error> {
    fn variant(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error> {
        let Variant::Unknown(access) = self.take()? else { return Err(Error::out_of_order()) };
        let found = access.variant_seed(Into(to));
        let ((), variant) = self.hold(found)?;
        self.part = Some(Variant::Known(variant));
        Ok(())
    }

    fn unit(&mut self) -> Result<(), Error> {
        let read = self.known()?.unit_variant();
        self.hold(read)
    }

    fn newtype(&mut self, to: &mut dyn Sink<'de>) -> Result<(), Error> {
        let read = self.known()?.newtype_variant_seed(Into(to));
        self.hold(read)
    }

    fn tuple(&mut self, len: usize, to: &mut dyn Receiver<'de>) -> Result<(), Error> {
        let read = self.known()?.tuple_variant(len, Through(to));
        self.hold(read)
    }

    fn fields(&mut self, fields: &'static [&'static str], to: &mut dyn Receiver<'de>) -> Result<(), Error> {
        let read = self.known()?.struct_variant(fields, Through(to));
        self.hold(read)
    }
}

/// The seed that a format sees.
struct Into<'a, 'de>(&'a mut dyn Sink<'de>);

impl<'de> DeserializeSeed<'de> for Into<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let mut held = Held::new(from);
        let filled = self.0.fill(&mut held);
        held.release(filled)
    }
}

/// The visitor that a format sees.
struct Through<'a, 'de>(&'a mut dyn Receiver<'de>);

impl<'de> Through<'_, 'de> {
    fn give<E: de::Error>(self, input: Input<'_, 'de>) -> Result<(), E> {
        self.0.receive(input).map_err(Error::in_format)
    }
}

impl<'de> Visitor<'de> for Through<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        self.give(Input::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.give(Input::Signed(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.give(Input::Unsigned(number))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<(), E> {
        self.give(Input::Wide(&format!("integer `{number}` as i128")))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<(), E> {
        self.give(Input::Wide(&format!("integer `{number}` as u128")))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.give(Input::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.give(Input::Text(text))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<(), E> {
        self.give(Input::Borrowed(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.give(Input::Unit)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.give(Input::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let mut held = Held::new(from);
        let received = self.0.receive(Input::Some(&mut held));
        held.release(received)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let mut held = Held::new(from);
        let received = self.0.receive(Input::Newtype(&mut held));
        held.release(received)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let mut held = Held::new(list);
        let received = self.0.receive(Input::List(&mut held));
        held.release(received)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<(), A::Error> {
        let mut held = Held::new(table);
        let received = self.0.receive(Input::Table(&mut held));
        held.release(received)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        let mut held = Held::new(Variant::Unknown(access));
        let received = self.0.receive(Input::Choice(&mut held));
        held.release(received)
    }
}
