//! The canonical binary codec: big-endian integers, fixed arrays, counts before what they count.
//!
//! Every value has exactly one encoding. What decodes re-encodes to the same bytes, trailing bytes
//! are refused, and every count is compared with its cap before anything is allocated for it.

use thiserror::Error;

/// Why bytes are not the encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes ended before the value did.
    #[error("the bytes end {missing} short, at offset {offset}")]
    Truncated {
        /// Where the read began, in bytes from the start.
        offset: usize,
        /// How many more bytes were needed.
        missing: usize,
    },
    /// Bytes remain after the value.
    #[error("{0} bytes remain after the value")]
    Trailing(usize),
    /// A count or a length is over its cap.
    #[error("{what} is {found}, over the cap of {cap}")]
    OverCap {
        /// What was counted.
        what: &'static str,
        /// The count that was read.
        found: usize,
        /// The largest count allowed.
        cap: usize,
    },
    /// A field holds a value that it cannot have.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Reads values off the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, offset: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes read since `start`, an earlier [`Reader::offset`].
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.offset]
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.bytes.len() - self.offset;
        if len > left {
            return Err(DecodeError::Truncated { offset: self.offset, missing: len - left });
        }
        let taken = &self.bytes[self.offset..self.offset + len];
        self.offset += len;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// An 8-bit integer.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A byte that is 0 or 1; `otherwise` says what is wrong with any other.
    pub fn flag(&mut self, otherwise: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid(otherwise)),
        }
    }

    /// A 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A 128-bit integer.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    /// An unsigned LEB128 number of at most `bits` bits (64 or 128), in its shortest form.
    fn varint(&mut self, bits: u32) -> Result<u128, DecodeError> {
        let (mut value, mut shift) = (0u128, 0);
        loop {
            let byte = self.u8()?;
            let part = u128::from(byte & 0x7f);
            if shift >= bits || part.checked_shr(bits - shift).unwrap_or(0) != 0 {
                return Err(DecodeError::Invalid("a varint is too large"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return match byte {
                    0 if shift > 0 => Err(DecodeError::Invalid("a varint is not minimal")),
                    _ => Ok(value),
                };
            }
            shift += 7;
        }
    }

    /// A varint of 64 bits: at most 10 bytes.
    pub fn varint64(&mut self) -> Result<u64, DecodeError> {
        Ok(self.varint(64)? as u64)
    }

    /// A varint of 128 bits: at most 19 bytes.
    pub fn varint128(&mut self) -> Result<u128, DecodeError> {
        self.varint(128)
    }

    /// A signed varint: zigzag in a varint of 64 bits.
    pub fn signed_varint(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.varint64()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Ends the reading: an error if bytes remain.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// Appends a varint: unsigned LEB128, 7 bits a byte, the lowest first, in its shortest form.
pub fn encode_varint(mut value: u128, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint: `2n` for `n >= 0`, `-2n - 1` for `n < 0`, as a varint.
pub fn encode_signed_varint(value: i64, out: &mut Vec<u8>) {
    encode_varint(u128::from((value << 1 ^ value >> 63) as u64), out);
}

/// A value with a canonical encoding.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding by itself.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A value that can be read back from its canonical encoding.
pub trait Decode: Sized {
    /// Reads one value from the front of `reader`.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that is all of `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// `None` is one zero byte; `Some` is a one and the value.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(reader)?)),
            _ => Err(DecodeError::Invalid("an optional field begins with neither 0 nor 1")),
        }
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(reader).map(Box::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u32(), Err(DecodeError::Truncated { offset: 2, missing: 3 }));
        assert_eq!(reader.u8(), Ok(3), "a failed read takes nothing");
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_varint_has_one_form() {
        for value in [0, 1, 127, 128, 300, u64::MAX.into(), u128::MAX] {
            let mut bytes = Vec::new();
            encode_varint(value, &mut bytes);
            assert_eq!(Reader::new(&bytes).varint128(), Ok(value));
            assert_eq!(Reader::new(&bytes).varint64().is_ok(), u64::try_from(value).is_ok());
        }
        for bad in [&[0x80u8, 0][..], &[0xff, 0x80, 0x00], &[0xff; 20], &[0x80]] {
            assert!(Reader::new(bad).varint128().is_err(), "{bad:?}");
        }
        let mut over = [0xff; 10];
        over[9] = 2;
        assert!(Reader::new(&over).varint64().is_err(), "65 bits");
        for value in [0, -1, 1, -2, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            encode_signed_varint(value, &mut bytes);
            assert_eq!(Reader::new(&bytes).signed_varint(), Ok(value));
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut reader = Reader::new(&[1, 2]);
        reader.u8().unwrap();
        assert_eq!(reader.finish(), Err(DecodeError::Trailing(1)));
    }
}
