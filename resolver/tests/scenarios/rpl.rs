//! The format of unbound's `testbound` and of Stelline: a configuration, ranges of steps with the
//! servers' responses, and the steps.

use super::message::{self, AA, AD, CD, Edns, Message, QR, Question, RA, RD, TC};

/// A scenario.
#[derive(Debug, Default)]
pub struct Scenario {
    /// The lines of its configuration.
    pub config: Vec<String>,
    pub ranges: Vec<Range>,
    pub steps: Vec<Step>,
}

/// The responses of servers in a range of steps.
#[derive(Debug, Default)]
pub struct Range {
    pub first: u32,
    pub last: u32,
    /// The servers; empty: all.
    pub addresses: Vec<String>,
    pub entries: Vec<Entry>,
}

/// A message with the parts that have to match, or the adjustments of a response.
#[derive(Debug, Default)]
pub struct Entry {
    pub matches: Vec<String>,
    pub adjust: Vec<String>,
    pub message: Message,
}

/// A step.
#[derive(Debug)]
pub struct Step {
    pub number: u32,
    pub what: What,
}

/// The action of a step.
#[derive(Debug)]
pub enum What {
    Nothing,
    /// A client, possibly at another address than this machine's, sends a query.
    Query(Entry, Option<String>),
    CheckAnswer(Entry),
    CheckOutQuery(Entry),
    Reply(Entry),
    /// A query to a server is lost.
    Lost,
    /// This many seconds pass.
    TimePasses(f64),
    /// What is in progress ends.
    Traffic,
    /// The answers for a name are flushed.
    Flush(String),
}

impl Entry {
    pub fn matches(&self, word: &str) -> bool {
        self.matches.iter().any(|given| given == word)
    }

    pub fn adjusts(&self, word: &str) -> bool {
        self.adjust.iter().any(|given| given == word)
    }
}

/// Lines without comments.
struct Lines<'a> {
    rest: std::iter::Peekable<std::vec::IntoIter<(usize, &'a str)>>,
    origin: String,
    ttl: Option<u32>,
}

/// Parses a scenario.
pub fn read(text: &str) -> Result<Scenario, String> {
    let (config, body) = text.split_once("CONFIG_END").ok_or("no CONFIG_END")?;
    let mut scenario =
        Scenario { config: config.lines().map(str::to_owned).collect(), ..Scenario::default() };
    let first = config.lines().count();
    let numbered =
        body.lines().enumerate().map(|(at, line)| (first + at + 1, line)).collect::<Vec<_>>();
    let mut lines = Lines { rest: numbered.into_iter().peekable(), origin: ".".into(), ttl: None };
    while let Some((at, line)) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let located = |error: String| format!("line {at}: {error}");
        match words[0] {
            "SCENARIO_BEGIN" => {}
            "SCENARIO_END" => break,
            "RANGE_BEGIN" => scenario.ranges.push(lines.range(&words).map_err(located)?),
            "STEP" => scenario.steps.push(lines.step(&words).map_err(located)?),
            _ if lines.directive(&words) => {}
            word => return Err(format!("line {at}: {word}")),
        }
    }
    if scenario.steps.is_empty() {
        return Err("no steps".into());
    }
    Ok(scenario)
}

impl<'a> Lines<'a> {
    /// The next line that is not empty.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.rest
            .by_ref()
            .map(|(at, line)| (at, line.trim()))
            .find(|(_, line)| !line.is_empty() && !line.starts_with(';'))
    }

    fn directive(&mut self, words: &[&str]) -> bool {
        match words {
            ["$ORIGIN", origin, ..] => self.origin = format!("{}.", origin.trim_end_matches('.')),
            ["$TTL", ttl, ..] => self.ttl = ttl.parse().ok(),
            _ => return false,
        }
        true
    }

    fn range(&mut self, words: &[&str]) -> Result<Range, String> {
        let number = |at: usize| {
            words.get(at).and_then(|word| word.parse().ok()).ok_or("a range without numbers")
        };
        let mut range = Range { first: number(1)?, last: number(2)?, ..Range::default() };
        loop {
            let (_, line) = self.next().ok_or("a range that does not end")?;
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["RANGE_END", ..] => return Ok(range),
                ["ADDRESS", address, ..] => range.addresses.push((*address).to_owned()),
                ["ENTRY_BEGIN", ..] => range.entries.push(self.entry()?),
                _ if self.directive(&words) => {}
                _ => return Err(line.to_owned()),
            }
        }
    }

    fn step(&mut self, words: &[&str]) -> Result<Step, String> {
        let number =
            words.get(1).and_then(|word| word.parse().ok()).ok_or("a step without a number")?;
        let what = match words.get(2).copied().unwrap_or_default() {
            "NOTHING" | "INFRA_RTT" => What::Nothing,
            "QUERY" => {
                let mut address = words
                    .iter()
                    .position(|word| *word == "ADDRESS")
                    .map(|at| words[at + 1].to_owned());
                let entry = self.begun(&mut address)?;
                What::Query(entry, address)
            }
            "CHECK_ANSWER" => What::CheckAnswer(self.begun(&mut None)?),
            "CHECK_OUT_QUERY" => What::CheckOutQuery(self.begun(&mut None)?),
            "REPLY" => What::Reply(self.begun(&mut None)?),
            "TIMEOUT" | "ERROR" => What::Lost,
            "TRAFFIC" => What::Traffic,
            "TIME_PASSES" => match words.get(3..5) {
                Some(["ELAPSE", seconds]) => {
                    What::TimePasses(seconds.parse().map_err(|_| "a time that is computed")?)
                }
                _ => return Err("a time that is computed".into()),
            },
            "FLUSH_MESSAGE" => What::Flush(words.get(3).copied().unwrap_or_default().to_owned()),
            other => return Err(format!("a step {other}")),
        };
        Ok(Step { number, what })
    }

    /// The entry after a step's line, and the address that may come before it.
    fn begun(&mut self, address: &mut Option<String>) -> Result<Entry, String> {
        loop {
            let (_, line) = self.next().ok_or("no ENTRY_BEGIN")?;
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["ENTRY_BEGIN", ..] => return self.entry(),
                ["ADDRESS", given, ..] => *address = Some((*given).to_owned()),
                _ => return Err(line.to_owned()),
            }
        }
    }

    fn entry(&mut self) -> Result<Entry, String> {
        let mut entry = Entry::default();
        let mut section = None;
        loop {
            let (_, line) = self.next().ok_or("an entry that does not end")?;
            let line =
                if section.is_none() { line.split(';').next().unwrap_or_default() } else { line };
            let words: Vec<&str> = line.split_whitespace().collect();
            let owned = || words[1..].iter().map(|word| (*word).to_owned());
            match words.as_slice() {
                ["ENTRY_END", ..] => return Ok(entry),
                ["MATCH", ..] => entry.matches.extend(owned()),
                ["ADJUST", ..] => entry.adjust.extend(owned()),
                ["REPLY", flags @ ..] => reply(&mut entry.message, flags)?,
                ["SECTION", which, ..] => section = Some(which.to_ascii_uppercase()),
                ["EXTRA_PACKET" | "HEX_ANSWER_BEGIN", ..] => return Err(words[0].to_owned()),
                ["HEX_EDNSDATA_BEGIN", ..] => {
                    let edns = entry.message.edns.get_or_insert_default();
                    edns.options = self.hex("HEX_EDNSDATA_END")?;
                }
                _ if self.directive(&words) => {}
                _ => match section.as_deref() {
                    Some("QUESTION") => entry.message.question = Some(question(&words)?),
                    Some(which) => {
                        let at = ["ANSWER", "AUTHORITY", "ADDITIONAL"]
                            .iter()
                            .position(|name| *name == which);
                        let at = at.ok_or_else(|| format!("a section {which}"))?;
                        let text = self.record(line);
                        entry.message.sections[at].extend(message::records(&text, &self.origin)?);
                    }
                    None => return Err(line.to_owned()),
                },
            }
        }
    }

    /// A record, which continues until its parenthesis is closed.
    fn record(&mut self, line: &str) -> String {
        let open = |text: &str| text.matches('(').count() > text.matches(')').count();
        let mut text = self.ttl.map_or_else(String::new, |ttl| format!("$TTL {ttl}\n")) + line;
        if text.contains("RRSIG") || text.contains("DS") || text.contains("DNSKEY") {
            text = message::numbered(&text);
        }
        while open(&text)
            && let Some((_, more)) = self.rest.next()
        {
            text = text + "\n " + more;
        }
        text
    }

    fn hex(&mut self, end: &str) -> Result<Vec<u8>, String> {
        let mut digits = String::new();
        loop {
            let (_, line) = self.next().ok_or("hex that does not end")?;
            if line.starts_with(end) {
                return hex::decode(digits).map_err(|error| error.to_string());
            }
            digits.extend(line.split(';').next().unwrap_or_default().split_whitespace());
        }
    }
}

/// `NAME [CLASS] TYPE`.
fn question(words: &[&str]) -> Result<Question, String> {
    let (class, qtype) = match words {
        [_, class, qtype, ..] if !class.starts_with(';') && message::class(class).is_some() => {
            (message::class(class).unwrap_or(1), *qtype)
        }
        [_, qtype, ..] => (1, *qtype),
        _ => return Err(format!("a question {words:?}")),
    };
    Ok(Question { name: message::name(words[0])?, qtype: message::rtype(qtype)?, class })
}

fn reply(message: &mut Message, words: &[&str]) -> Result<(), String> {
    for word in words {
        match *word {
            "QR" => message.flags |= QR,
            "AA" => message.flags |= AA,
            "TC" => message.flags |= TC,
            "RD" => message.flags |= RD,
            "RA" => message.flags |= RA,
            "AD" => message.flags |= AD,
            "CD" => message.flags |= CD,
            "DO" => message.edns.get_or_insert_with(Edns::default).dnssec_ok = true,
            "QUERY" => message.opcode = 0,
            "NOTIFY" => message.opcode = 4,
            "UPDATE" => message.opcode = 5,
            "NOERROR" => message.rcode = 0,
            "FORMERR" => message.rcode = 1,
            "SERVFAIL" => message.rcode = 2,
            "NXDOMAIN" => message.rcode = 3,
            "NOTIMPL" | "NOTIMP" => message.rcode = 4,
            "REFUSED" => message.rcode = 5,
            "YXDOMAIN" => message.rcode = 6,
            "YXRRSET" => message.rcode = 7,
            "NOTAUTH" => message.rcode = 9,
            "BADVERS" => message.rcode = 16,
            "BADCOOKIE" => message.rcode = 23,
            comment if comment.starts_with(';') => break,
            other => return Err(format!("a flag {other}")),
        }
    }
    Ok(())
}
