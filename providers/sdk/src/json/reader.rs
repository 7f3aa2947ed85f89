//! serde's [`Deserializer`] over a [`Value`], which gives a struct its fields as a sequence.
//!
//! serde's derived code then needs neither a loop nor names: one call for each field. Invariant: what is no object is no
//! struct, and a type that would be read wrongly that way isn't read at all.

use super::fault::Fault;
use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::{Map, Number, Value, map};
use std::slice;

macro_rules! forward {
    ($to:ident: $($from:ident)+) => {$(
        fn $from<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.$to(visitor)
        }
    )+};
}

#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// None: the field isn't there.
    value: Option<&'a Value>,
    /// Unknown fields are faults.
    strict: bool,
}

impl<'a> Reader<'a> {
    pub const fn of(value: &'a Value) -> Self {
        Self { value: Some(value), strict: false }
    }

    pub const fn strict(value: &'a Value) -> Self {
        Self { value: Some(value), strict: true }
    }

    /// Inside of this one.
    const fn inner(self, value: Option<&'a Value>) -> Self {
        Self { value, ..self }
    }

    fn text(self) -> Result<&'a str, Fault> {
        self.value.and_then(Value::as_str).ok_or_else(|| self.unlike("a string"))
    }

    fn object(self) -> Result<&'a Map<String, Value>, Fault> {
        self.value.and_then(Value::as_object).ok_or_else(|| self.unlike("an object"))
    }

    /// With no other fields than these, if that matters.
    fn object_of(self, names: &[&str]) -> Result<&'a Map<String, Value>, Fault> {
        let object = self.object()?;
        let unknown = object.keys().find(|key| !names.contains(&key.as_str()));
        match unknown {
            Some(key) if self.strict => Err(Fault::unknown().within(key)),
            _ => Ok(object),
        }
    }

    fn list(self) -> Result<Items<'a>, Fault> {
        let items = self.value.and_then(Value::as_array).ok_or_else(|| self.unlike("a list"))?;
        Ok(Items { of: self, items: items.iter(), index: 0 })
    }

    fn list_of(self, len: usize) -> Result<Items<'a>, Fault> {
        let list = self.list()?;
        if list.items.len() == len { Ok(list) } else { Err(Fault::expected(&format!("a list of {len}"))) }
    }

    fn number(self) -> Result<&'a Number, Fault> {
        match self.value {
            Some(Value::Number(number)) => Ok(number),
            _ => Err(self.unlike("a number")),
        }
    }

    fn unlike(self, expected: &str) -> Fault {
        if self.value.is_none() { Fault::missing() } else { Fault::expected(expected) }
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            None => Err(Fault::missing()),
            Some(Value::Null) => visitor.visit_unit(),
            Some(Value::Bool(flag)) => visitor.visit_bool(*flag),
            Some(Value::Number(_)) => self.deserialize_f64(visitor),
            Some(Value::String(text)) => visitor.visit_str(text),
            Some(Value::Array(_)) => self.deserialize_seq(visitor),
            Some(Value::Object(_)) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value.and_then(Value::as_bool) {
            Some(flag) => visitor.visit_bool(flag),
            None => Err(self.unlike("true or false")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.number()?;
        if let Some(number) = number.as_u64() {
            visitor.visit_u64(number)
        } else if let Some(number) = number.as_i64() {
            visitor.visit_i64(number)
        } else {
            visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(self.list()?)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries { of: self, entries: self.object()?.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let object = self.object_of(fields)?;
        let mut fields = Fields { of: self, object, names: fields.iter(), absent: None };
        let read = visitor.visit_seq(Cursor(&mut fields)).map_err(|fault| fields.explain(fault))?;
        fields.end();
        Ok(read)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant::of(self)?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(self.list_of(len)?)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(len, visitor)
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
    forward! { deserialize_f64: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_f32 }
    forward! { deserialize_f64: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    forward! { deserialize_str: deserialize_char deserialize_string deserialize_identifier }
}

/// The fields of a struct, in its own order.
struct Fields<'a> {
    of: Reader<'a>,
    object: &'a Map<String, Value>,
    names: slice::Iter<'static, &'static str>,
    /// The last one that isn't there.
    absent: Option<&'static str>,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(&'static str, Reader<'a>)> {
        let name = *self.names.next()?;
        Some((name, self.of.inner(self.object.get(name))))
    }

    /// A field that isn't there and can't be none: its default stands for it, if it has one.
    fn settle(&mut self, name: &'static str, reader: Reader<'_>, fault: Fault) -> Result<(), Fault> {
        if reader.value.is_some() {
            return Err(fault.within(name));
        }
        self.absent = Some(name);
        Ok(())
    }

    /// With `alias`, serde names more fields than it asks for, and each would get another's value. A mistake of who wrote the type,
    /// which its first use tells.
    #[inline(never)]
    fn end(&self) {
        assert!(self.names.as_slice().is_empty(), "a type with serde's `alias` can't be read by portico_sdk::json");
    }

    /// The struct had no default for what wasn't there.
    fn explain(&self, fault: Fault) -> Fault {
        match self.absent {
            Some(name) if fault.is_missing() => fault.within(name),
            _ => fault,
        }
    }
}

struct Cursor<'x, 'a>(&'x mut Fields<'a>);

impl<'de> SeqAccess<'de> for Cursor<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((name, reader)) = self.0.next() else { return Ok(None) };
        match seed.deserialize(reader) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => self.0.settle(name, reader, fault).map(|()| None),
        }
    }
}

struct Items<'a> {
    of: Reader<'a>,
    items: slice::Iter<'a, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.index += 1;
        seed.deserialize(self.of.inner(Some(item))).map(Some).map_err(|fault| fault.within(&(self.index - 1).to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a> {
    of: Reader<'a>,
    entries: map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(named(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (key, value) = self.value.take().ok_or_else(Fault::missing)?;
        seed.deserialize(self.of.inner(Some(value))).map_err(|fault| fault.within(key))
    }
}

fn named(name: &str) -> StrDeserializer<'_, Fault> {
    name.into_deserializer()
}

/// `"name"`, or `{"name": content}`.
struct Variant<'a> {
    name: &'a str,
    content: Reader<'a>,
}

impl<'a> Variant<'a> {
    fn of(reader: Reader<'a>) -> Result<Self, Fault> {
        if let Some(name) = reader.value.and_then(Value::as_str) {
            return Ok(Self { name, content: reader.inner(None) });
        }
        let mut entries = reader.object()?.iter();
        match (entries.next(), entries.next()) {
            (Some((name, content)), None) => Ok(Self { name, content: reader.inner(Some(content)) }),
            _ => Err(Fault::expected("an object with one field")),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Reader<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Reader<'de>), Fault> {
        Ok((seed.deserialize(named(self.name))?, self.content))
    }
}

/// The content of a variant.
impl<'de> VariantAccess<'de> for Reader<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Fault::expected("without content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
