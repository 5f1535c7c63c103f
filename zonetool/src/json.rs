//! JSON documents: pretty-printed, with an RFC 3339 date beside every Unix time, and with nothing
//! in a string that a terminal could take as more than a character.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::rfc3339::{YEAR_10000, utc};

/// The fields whose numbers of 64 bits are seconds of Unix time, in documents of this program and
/// of nodes; heights have 32 bits. Beside each, the document has the same with `_utc` in RFC 3339,
/// or null if it is null.
const TIME_FIELDS: [&str; 14] = [
    "created",
    "expires",
    "from",
    "grace_ends",
    "lapses",
    "opens_time",
    "recorded_time",
    "registered_time",
    "settles_time",
    "time",
    "tip_time",
    "until",
    "updated_time",
    "valid_until",
];

/// Adds `FIELD_utc` after each of [`TIME_FIELDS`].
struct DatedFormatter<'a> {
    inner: PrettyFormatter<'a>,
    /// The key of the innermost object that is written, while its value is a single number or null.
    key: Vec<u8>,
    in_key: bool,
    /// The number that is the value of `key`, `Some(None)` for null.
    time: Option<Option<u64>>,
}

impl DatedFormatter<'_> {
    fn is_time(&self) -> bool {
        TIME_FIELDS.iter().any(|field| field.as_bytes() == self.key)
    }
}

impl Formatter for DatedFormatter<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.key.clear();
        self.inner.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.inner.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.key.clear();
        self.inner.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.key.clear();
        self.inner.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.key.clear();
        (self.in_key, self.time) = (true, None);
        self.inner.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_key = false;
        self.inner.end_object_key(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Some(time) = self.time.take() {
            let key = String::from_utf8_lossy(&self.key).into_owned();
            self.inner.begin_object_key(writer, false)?;
            write!(writer, "\"{key}_utc\"")?;
            self.inner.begin_object_value(writer)?;
            match time {
                Some(seconds) if seconds < YEAR_10000 => write!(writer, "\"{}\"", utc(seconds))?,
                // A later one can't be written so.
                _ => writer.write_all(b"null")?,
            }
        }
        self.key.clear();
        self.inner.end_object_value(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.in_key {
            self.key.extend_from_slice(fragment.as_bytes());
        }
        writer.write_all(fragment.as_bytes())
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if self.is_time() {
            self.time = Some(Some(value));
        }
        write!(writer, "{value}")
    }

    fn write_null<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_time() {
            self.time = Some(None);
        }
        writer.write_all(b"null")
    }
}

/// The document of `value`, on several lines. Control characters in strings stay.
pub fn pretty(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    let formatter = DatedFormatter {
        inner: PrettyFormatter::new(),
        key: Vec::new(),
        in_key: false,
        time: None,
    };
    match value.serialize(&mut Serializer::with_formatter(&mut out, formatter)) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => format!("{{\"error\": \"{error}\"}}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Value {
        serde_json::from_str(&pretty(value)).unwrap_or_else(|error| panic!("{error}: {value}"))
    }

    #[test]
    fn a_time_has_a_date_beside_it() {
        let found = read(&json!({
            "expires": 1_795_046_400u64, "height": 7, "recorded_time": null, "name": "a\"\n",
        }));
        assert_eq!(
            found,
            json!({
                "expires": 1_795_046_400u64, "expires_utc": "2026-11-19T00:00:00Z", "height": 7,
                "recorded_time": null, "recorded_time_utc": null, "name": "a\"\n",
            })
        );
        let text = pretty(&json!({ "time": 0 }));
        assert_eq!(text, "{\n  \"time\": 0,\n  \"time_utc\": \"1970-01-01T00:00:00Z\"\n}");
    }

    /// What is inside of an array or another object under such a key is no time.
    #[test]
    fn only_the_number_itself_is_a_time() {
        let nested = json!({ "time": [1, 2, null], "until": { "height": 1 }, "created": {} });
        assert_eq!(read(&nested), nested);
        let deep = read(&json!({ "a": [{ "time": 0 }, { "b": { "time": 1 } }] }));
        assert_eq!(deep["a"][0]["time_utc"], "1970-01-01T00:00:00Z");
        assert_eq!(deep["a"][1]["b"]["time_utc"], "1970-01-01T00:00:01Z");
    }

    #[test]
    fn all_else_is_as_the_library_prints_it() {
        let other = json!({ "a": [], "b": {}, "c": [1, -2, 0.5, true, "x\u{1}"], "d": null });
        assert_eq!(pretty(&other), serde_json::to_string_pretty(&other).unwrap());
    }
}
