//! A master file to records (RFC 1035 §5, RFC 3597 §5).

use std::{collections::HashMap, io::Read, path::Path};

use domain::{
    base::{
        Name as DomainName, ParsedName, Ttl,
        iana::{Class, Rtype},
        name::ToName,
        rdata::{ComposeRecordData, ParseRecordData},
    },
    dep::octseq::Parser,
    rdata::ZoneRecordData,
    zonefile::inplace::{Entry, ScannedRecord, ScannedRecordData, Zonefile},
};
use namechain_core::types::{Name, REFUSED_TYPES, Record, RecordError, RecordSet};

use super::{
    CNAME, SOA,
    error::{MAX_ZONE_FILE_BYTES, ZoneError},
    fields::shown,
    lines::{Lines, Unclosed},
    names::{Origins, name_len},
    rewrite::rewrite,
    token::entries,
};

/// What a zone file says.
#[derive(Debug)]
pub struct Zone {
    /// The records.
    pub records: RecordSet,
    /// What was left out, one line each.
    pub notes: Vec<String>,
}

fn at(line: usize, what: impl Into<String>) -> ZoneError {
    ZoneError::Line { line, what: what.into() }
}

/// Reads the zone of `name` from a file; `-` is the standard input.
pub fn load(name: &Name, path: &Path) -> Result<Zone, ZoneError> {
    let shown = path.display().to_string();
    let file_error = |source| ZoneError::File { path: shown.clone(), source };
    let mut text = Vec::new();
    let mut input: Box<dyn Read> = if shown == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(file_error)?)
    };
    input.by_ref().take(MAX_ZONE_FILE_BYTES + 1).read_to_end(&mut text).map_err(file_error)?;
    if text.len() as u64 > MAX_ZONE_FILE_BYTES {
        return Err(ZoneError::FileTooLarge(shown));
    }
    read(name, &text)
}

/// Reads the zone of `name`. Names are relative to `NAME.` until an `$ORIGIN` says otherwise; the
/// class is IN; a record without a TTL has that of `$TTL`, or that of the record before, or 3,600
/// s.
pub fn read(name: &Name, text: &[u8]) -> Result<Zone, ZoneError> {
    let text = rewrite(name, text)?;
    let text = text.as_slice();
    let lines = Lines::of(text).map_err(|Unclosed { line, what }| {
        at(line, format!("the {what} opened here is never closed"))
    })?;
    let mut file = Zonefile::with_capacity(text.len() + 1);
    file.extend_from_slice(text);
    // The library wants every record to end with a line feed.
    file.extend_from_slice(b"\n");
    file.set_origin(
        DomainName::bytes_from_str(&format!("{name}."))
            .map_err(|error| at(1, error.to_string()))?,
    );
    file.set_default_class(Class::IN);

    let mut reading =
        Reading { origins: Origins::of(name), name, records: Vec::new(), notes: Vec::new() };
    loop {
        match file.next_entry().map_err(|error| explain(&error.to_string(), text, &lines))? {
            None => break,
            Some(entry) => {
                // The library's buffer begins with a byte of its own.
                let place = lines.entry_at(file.current_offset().saturating_sub(1));
                let Entry::Record(record) = entry else {
                    return Err(at(
                        place.line,
                        "$INCLUDE is not followed: put the records into this file",
                    ));
                };
                let origin = file.origin().map_err(|error| at(place.line, error.to_string()))?;
                if origin.as_slice().starts_with(b"\x01@") {
                    return Err(at(
                        place.line,
                        "$ORIGIN needs a domain name, and there is none before this line",
                    ));
                }
                reading.add(&record, place.line, place.has_at.then_some(origin.as_slice()))?;
            }
        }
    }
    reading.finish()
}

/// The records read so far.
struct Reading<'a> {
    name: &'a Name,
    origins: Origins,
    records: Vec<(Record, usize)>,
    notes: Vec<String>,
}

impl Reading<'_> {
    fn add(
        &mut self,
        record: &ScannedRecord,
        line: usize,
        at_sign: Option<&[u8]>,
    ) -> Result<(), ZoneError> {
        let owner = record.owner().to_vec();
        let rtype = record.rtype();
        if name_len(owner.as_slice()) != Some(owner.as_slice().len()) {
            // The library lets an empty label through.
            return Err(at(line, "the owner is not a domain name: it has two dots in a row"));
        }
        let Some(relative) = self.origins.relative(owner.as_slice()) else {
            let name = self.name;
            return Err(at(
                line,
                format!(
                    "{}. is outside of the zone {name}. (and of {name}.{})",
                    owner,
                    super::ALTERNATIVE_SUFFIX
                ),
            ));
        };
        if REFUSED_TYPES.contains(&rtype.to_int()) {
            let why = match rtype.to_int() {
                SOA => "the server generates it",
                _ => "the server signs the zone",
            };
            self.notes.push(format!("line {line}: {rtype} left out: {why}"));
            return Ok(());
        }
        let rdata = self.data(record.data(), rtype, line, at_sign)?;
        let record =
            Record { owner: relative, rtype: rtype.to_int(), ttl: ttl(record.ttl(), line)?, rdata };
        // Checked one by one for the sake of the line number.
        match RecordSet::new(vec![record.clone()]) {
            Err(RecordError::TooLarge(_)) | Ok(_) => {}
            Err(error) => return Err(at(line, error.to_string())),
        }
        self.records.push((record, line));
        Ok(())
    }

    /// The data in wire form; `at_sign` is what a free-standing `@` stands for, if there is one.
    /// Data given in the form of RFC 3597 is kept as it is, if it is well-formed where the type is
    /// known.
    fn data(
        &self,
        data: &ScannedRecordData,
        rtype: Rtype,
        line: usize,
        at_sign: Option<&[u8]>,
    ) -> Result<Vec<u8>, ZoneError> {
        let rdata = compose(data);
        match (data, parse(rtype, &rdata)) {
            (ZoneRecordData::Unknown(_), Some(_)) => Ok(rdata),
            (ZoneRecordData::Unknown(_), None) => Err(at(
                line,
                format!(
                    "these {} bytes are not valid data of a record of type {rtype}",
                    rdata.len()
                ),
            )),
            (_, Some(_)) => Ok(self.origins.move_names(rtype.to_int(), &rdata, at_sign)),
            // The library lets an empty label through.
            (_, None) => Err(at(
                line,
                format!(
                    "a name or a value in this {rtype} is malformed: check for two dots in a row"
                ),
            )),
        }
    }

    fn finish(self) -> Result<Zone, ZoneError> {
        self.check_rrsets()?;
        match RecordSet::new(self.records.into_iter().map(|(record, _)| record).collect()) {
            Err(RecordError::TooLarge(bytes)) => Err(ZoneError::TooLarge(bytes)),
            result => Ok(Zone { records: result?, notes: self.notes }),
        }
    }

    /// One TTL for each RRset (RFC 2181 §5.2); a CNAME alone at its owner (RFC 1034 §3.6.2).
    fn check_rrsets(&self) -> Result<(), ZoneError> {
        let mut ttls: HashMap<(&[u8], u16), (u32, usize)> = HashMap::new();
        let mut aliases: HashMap<&[u8], (&Record, usize)> = HashMap::new();
        for (record, line) in &self.records {
            let (ttl, first) =
                *ttls.entry((&record.owner, record.rtype)).or_insert((record.ttl, *line));
            if ttl != record.ttl {
                let rtype = Rtype::from_int(record.rtype);
                return Err(at(
                    *line,
                    format!(
                        "this {rtype} has a TTL of {} s, the one in line {first} has {ttl} s: records of one name and type need the same TTL",
                        record.ttl
                    ),
                ));
            }
            if record.rtype == CNAME {
                aliases.insert(&record.owner, (record, *line));
            }
        }
        for (record, line) in &self.records {
            if let Some((alias, first)) = aliases.get(record.owner.as_slice())
                && (record.rtype != CNAME || record.rdata != alias.rdata)
            {
                return Err(at(
                    (*line).max(*first),
                    format!(
                        "a name with a CNAME (line {}) can have no other records",
                        (*line).min(*first)
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The library's `Ttl` takes any 32 bits.
fn ttl(ttl: Ttl, line: usize) -> Result<u32, ZoneError> {
    match ttl.as_secs() {
        secs if secs > i32::MAX as u32 => Err(at(line, RecordError::Ttl(secs).to_string())),
        secs => Ok(secs),
    }
}

fn compose<O: AsRef<[u8]>, N: ToName>(data: &ZoneRecordData<O, N>) -> Vec<u8> {
    let mut rdata = Vec::new();
    let Ok(()) = data.compose_rdata(&mut rdata);
    rdata
}

/// Record data as the library takes it apart.
pub(super) type ParsedData<'a> = ZoneRecordData<&'a [u8], ParsedName<&'a [u8]>>;

/// Takes record data apart; `None` if it is not well-formed for its type, or not in the one form
/// without compression.
pub(super) fn parse(rtype: Rtype, rdata: &[u8]) -> Option<ParsedData<'_>> {
    let mut parser = Parser::from_ref(rdata);
    let data = ParsedData::parse_rdata(rtype, &mut parser).ok()??;
    (parser.remaining() == 0 && compose(&data) == rdata).then_some(data)
}

/// The library's error, `line:column: message`, in words that say what to do, with the line on
/// which the record begins.
fn explain(error: &str, text: &[u8], lines: &Lines) -> ZoneError {
    let mut parts = error.splitn(3, ':');
    let mut number = || parts.next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(1);
    let (line, column) = (number(), number());
    let message = parts.next().unwrap_or(error).trim();
    // The library has read past a token before it judges it. Past the last one of a record it
    // stands at the start of the line after, where otherwise only a stray parenthesis or byte stops
    // it.
    let past = column == 1 && message != "unbalanced parens" && !message.starts_with("bad symbol");
    let offset = (offset_of_line(text, line) + column).saturating_sub(if past { 2 } else { 1 });
    let what = match message {
        "unknown control: $GENERATE" => "$GENERATE is not supported: write the records out".into(),
        "expected rtype" => {
            "expected a record type (A, AAAA, TXT, ..., TYPE65280); a TTL is a number of seconds, or 1d, 8h".into()
        }
        "unknown record type with concrete data" => {
            "the text form of this type is not supported: write its data as \\# LENGTH HEX (RFC 3597)".into()
        }
        "missing last owner" => "the first record has no owner: write @ or a name before it".into(),
        "expected IPv4 address" | "expected IPv6 address" => {
            let line = lines.entry_at(offset).line;
            let entry = entries(text).into_iter().find(|entry| entry.line == line);
            let token = entry.and_then(|entry| entry.tokens.last().map(shown));
            format!("{message}, found {}", token.unwrap_or_default())
        }
        "bad charstr" => {
            "this is not a text: it has at most 255 bytes, and bytes are written as \\DDD".into()
        }
        "trailing tokens" => "there is text after the end of the record".into(),
        "unexpected end of entry" | "short buffer" => "the record ends before its data does".into(),
        "bad name" => "this is not a domain name: labels have at most 63 bytes, names 255".into(),
        "generic data has incorrect length" => {
            "the data is longer or shorter than the LENGTH before it says".into()
        }
        "unbalanced parens" => "a parenthesis is closed that was never opened".into(),
        bad if bad.starts_with("bad symbol") => {
            "a byte or an escape is not allowed in a zone file: write bytes as \\DDD, in decimal".into()
        }
        _ => match (message.strip_prefix("unknown control: "), message.strip_prefix("different class: ")) {
            (Some(control), _) => format!("{control} is not supported; $ORIGIN and $TTL are"),
            (_, Some(_)) => "only records of class IN are supported".into(),
            _ => message.to_owned(),
        },
    };
    at(lines.entry_at(offset).line, what)
}

/// The byte offset at which line `line` (from 1) begins.
fn offset_of_line(text: &[u8], line: usize) -> usize {
    let feeds = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    match line.checked_sub(2) {
        None => 0,
        Some(before) => feeds.map(|(at, _)| at + 1).nth(before).unwrap_or(text.len() + 1),
    }
}
