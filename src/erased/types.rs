//! The side of the types: compiled once a type, however many formats there are.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Choice, Error, Hint, Input, List, Receiver, Sink, Source, Table};

/// The deserializer that a type sees.
pub(super) struct Erased<'a, 'de>(pub(super) &'a mut dyn Source<'de>);

impl<'de> Erased<'_, 'de> {
    fn read<V: Visitor<'de>>(self, hint: Hint, visitor: V, take: Take<'de, V>) -> Result<V::Value, Error> {
        let mut slot = Slot { visitor: Some(visitor), value: None, take };
        match self.0.read(hint, &mut slot) {
            Ok(()) => received(slot.value),
            Err(error) => Err(error),
        }
    }
}

// What is compiled for each type spells its errors out: `?` takes twice as many instructions in a debug build.

fn received<T>(value: Option<T>) -> Result<T, Error> {
    match value {
        Some(value) => Ok(value),
        None => Err(Error::out_of_order()),
    }
}

/// How a visitor takes what a format has found.
type Take<'de, V> = fn(V, Input<'_, 'de>) -> Result<<V as Visitor<'de>>::Value, Error>;

struct Slot<'de, V: Visitor<'de>> {
    visitor: Option<V>,
    value: Option<V::Value>,
    take: Take<'de, V>,
}

impl<'de, V: Visitor<'de>> Receiver<'de> for Slot<'de, V> {
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.visitor {
            Some(visitor) => visitor.expecting(f),
            None => f.write_str("one value"),
        }
    }

    fn receive(&mut self, input: Input<'_, 'de>) -> Result<(), Error> {
        let Some(visitor) = self.visitor.take() else { return Err(Error::out_of_order()) };
        match (self.take)(visitor, input) {
            Ok(value) => self.value = Some(value),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

// A visitor that asks for something specific takes nothing else, so most need only one of these.

fn anything<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::Bool(flag) => visitor.visit_bool(flag),
        Input::Signed(number) => visitor.visit_i64(number),
        Input::Unsigned(number) => visitor.visit_u64(number),
        Input::Float(number) => visitor.visit_f64(number),
        Input::Text(text) => visitor.visit_str(text),
        Input::Borrowed(text) => visitor.visit_borrowed_str(text),
        Input::Unit => visitor.visit_unit(),
        Input::None => visitor.visit_none(),
        Input::Some(from) => visitor.visit_some(Erased(from)),
        Input::Newtype(from) => visitor.visit_newtype_struct(Erased(from)),
        Input::List(list) => visitor.visit_seq(ErasedList(list)),
        Input::Table(table) => visitor.visit_map(ErasedTable(table)),
        Input::Choice(choice) => visitor.visit_enum(ErasedChoice(choice)),
        Input::Wide(_) => Err(input.refused(&visitor)),
    }
}

fn option<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::Unit => visitor.visit_unit(),
        Input::None => visitor.visit_none(),
        Input::Some(from) => visitor.visit_some(Erased(from)),
        other => Err(other.refused(&visitor)),
    }
}

fn text<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::Text(text) => visitor.visit_str(text),
        Input::Borrowed(text) => visitor.visit_borrowed_str(text),
        other => Err(other.refused(&visitor)),
    }
}

fn list<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::List(list) => visitor.visit_seq(ErasedList(list)),
        other => Err(other.refused(&visitor)),
    }
}

fn table<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::Table(table) => visitor.visit_map(ErasedTable(table)),
        other => Err(other.refused(&visitor)),
    }
}

fn choice<'de, V: Visitor<'de>>(visitor: V, input: Input<'_, 'de>) -> Result<V::Value, Error> {
    match input {
        Input::Choice(choice) => visitor.visit_enum(ErasedChoice(choice)),
        other => Err(other.refused(&visitor)),
    }
}

/// Methods that take nothing but a visitor.
macro_rules! forward {
    ($($method:ident: $hint:ident, $take:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.read(Hint::$hint, visitor, $take)
        })*
    };
}

impl<'de> Deserializer<'de> for Erased<'_, 'de> {
    type Error = Error;

    forward! {
        deserialize_any: Any, anything;
        deserialize_bool: Bool, anything;
        deserialize_i8: Integer, anything;
        deserialize_i16: Integer, anything;
        deserialize_i32: Integer, anything;
        deserialize_i64: Integer, anything;
        deserialize_u8: Integer, anything;
        deserialize_u16: Integer, anything;
        deserialize_u32: Integer, anything;
        deserialize_u64: Integer, anything;
        deserialize_f32: Float, anything;
        deserialize_f64: Float, anything;
        deserialize_char: Text, anything;
        deserialize_str: Text, anything;
        deserialize_string: Text, anything;
        deserialize_bytes: Any, anything;
        deserialize_byte_buf: Any, anything;
        deserialize_option: Option, option;
        deserialize_unit: Any, anything;
        deserialize_seq: List, list;
        deserialize_map: Table, table;
        deserialize_identifier: Identifier, text;
        deserialize_ignored_any: Ignored, anything;
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.read(Hint::Any, visitor, anything)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.read(Hint::Newtype(name), visitor, anything)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.read(Hint::List, visitor, list)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.read(Hint::List, visitor, list)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.read(Hint::Struct(name, fields), visitor, table)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.read(Hint::Enum(name, variants), visitor, choice)
    }
}

/// A seed and its value.
struct Filled<'de, S: DeserializeSeed<'de>> {
    seed: Option<S>,
    value: Option<S::Value>,
}

impl<'de, S: DeserializeSeed<'de>> Filled<'de, S> {
    fn new(seed: S) -> Self {
        Self { seed: Some(seed), value: None }
    }
}

impl<'de, S: DeserializeSeed<'de>> Sink<'de> for Filled<'de, S> {
    fn fill(&mut self, from: &mut dyn Source<'de>) -> Result<(), Error> {
        let Some(seed) = self.seed.take() else { return Err(Error::out_of_order()) };
        match seed.deserialize(Erased(from)) {
            Ok(value) => self.value = Some(value),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

struct ErasedList<'a, 'de>(&'a mut dyn List<'de>);

impl<'de> SeqAccess<'de> for ErasedList<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let mut element = Filled::new(seed);
        match self.0.element(&mut element) {
            Ok(()) => Ok(element.value),
            Err(error) => Err(error),
        }
    }
}

struct ErasedTable<'a, 'de>(&'a mut dyn Table<'de>);

impl<'de> MapAccess<'de> for ErasedTable<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let mut key = Filled::new(seed);
        match self.0.key(&mut key) {
            Ok(()) => Ok(key.value),
            Err(error) => Err(error),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let mut value = Filled::new(seed);
        match self.0.value(&mut value) {
            Ok(()) => received(value.value),
            Err(error) => Err(error),
        }
    }
}

struct ErasedChoice<'a, 'de>(&'a mut dyn Choice<'de>);

impl<'a, 'de> EnumAccess<'de> for ErasedChoice<'a, 'de> {
    type Error = Error;
    type Variant = ErasedVariant<'a, 'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, ErasedVariant<'a, 'de>), Error> {
        let mut name = Filled::new(seed);
        self.0.variant(&mut name)?;
        Ok((received(name.value)?, ErasedVariant(self.0)))
    }
}

struct ErasedVariant<'a, 'de>(&'a mut dyn Choice<'de>);

impl<'de> ErasedVariant<'_, 'de> {
    fn read<V: Visitor<'de>>(
        visitor: V,
        take: Take<'de, V>,
        read: impl FnOnce(&mut dyn Receiver<'de>) -> Result<(), Error>,
    ) -> Result<V::Value, Error> {
        let mut slot = Slot { visitor: Some(visitor), value: None, take };
        read(&mut slot)?;
        received(slot.value)
    }
}

impl<'de> VariantAccess<'de> for ErasedVariant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.0.unit()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let mut inner = Filled::new(seed);
        self.0.newtype(&mut inner)?;
        received(inner.value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        Self::read(visitor, list, |to| self.0.tuple(len, to))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        Self::read(visitor, table, |to| self.0.fields(fields, to))
    }
}
