//! A record: the values of one row.

use super::{Damage, varint};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'p> {
    /// No value.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// The bytes of a text; usually UTF-8.
    Text(&'p [u8]),
    /// Bytes.
    Blob(&'p [u8]),
}

impl<'p> Value<'p> {
    /// The bytes of a text or a blob.
    pub fn bytes(&self) -> Option<&'p [u8]> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }
}

/// Reads a record: a header of type numbers, then the values. Their sizes must add up.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Value<'_>>, Damage> {
    let broken = || Damage::new("the sizes in a row do not add up");
    let (header, mut at) = varint(payload).ok_or_else(broken)?;
    let header = usize::try_from(header).map_err(|_| broken())?;
    if header < at || header > payload.len() {
        return Err(broken());
    }
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let (kind, length) = payload.get(at..header).and_then(varint).ok_or_else(broken)?;
        at += length;
        let size = size_of(kind).ok_or_else(broken)?;
        let end = body.checked_add(size).ok_or_else(broken)?;
        values.push(value(kind, payload.get(body..end).ok_or_else(broken)?));
        body = end;
    }
    if body == payload.len() { Ok(values) } else { Err(broken()) }
}

/// How many bytes a value of this type number has; 10 and 11 are never written.
fn size_of(kind: i64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        12.. => usize::try_from((kind - 12) / 2).ok(),
        _ => None,
    }
}

fn value(kind: i64, bytes: &[u8]) -> Value<'_> {
    match kind {
        1..=6 => Value::Integer(integer(bytes)),
        7 => Value::Real(f64::from_bits(integer(bytes).cast_unsigned())),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        12.. if kind % 2 == 0 => Value::Blob(bytes),
        12.. => Value::Text(bytes),
        _ => Value::Null,
    }
}

/// A big-endian integer of at most eight bytes with its sign.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let start: i64 = if negative { -1 } else { 0 };
    bytes.iter().fold(start, |value, byte| (value << 8) | i64::from(*byte))
}
