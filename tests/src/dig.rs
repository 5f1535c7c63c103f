//! Asking with `dig`, and reading what it prints.

use std::{fmt::Write as _, io::Write as _, net::SocketAddr, process::Command};

use tempfile::NamedTempFile;

/// One record as `dig` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The owner, absolute.
    pub owner: String,
    /// The type.
    pub rtype: String,
    /// The data.
    pub rdata: String,
    /// Seconds.
    pub ttl: u32,
}

/// One answer as `dig` prints it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// `NOERROR`, `NXDOMAIN`, ...
    pub status: String,
    /// `qr`, `aa`, `tc`, ...
    pub flags: Vec<String>,
    /// Codes of extended errors (RFC 8914).
    pub ede: Vec<u16>,
    /// The UDP size in the answer's EDNS; `None` without EDNS.
    pub edns_size: Option<u16>,
    /// The question, name and type.
    pub question: String,
    /// The answer section, in the order received.
    pub answer: Vec<Row>,
    /// The authority section.
    pub authority: Vec<Row>,
    /// The additional section without OPT.
    pub additional: Vec<Row>,
    /// The length of the message in bytes.
    pub size: usize,
}

impl Reply {
    /// Whether the flag is set.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|set| set == flag)
    }

    /// The data of the answer's records of this type, sorted.
    pub fn rdata(&self, rtype: &str) -> Vec<&str> {
        let mut rdata: Vec<&str> = self
            .answer
            .iter()
            .filter(|row| row.rtype == rtype)
            .map(|row| row.rdata.as_str())
            .collect();
        rdata.sort_unstable();
        rdata
    }
}

/// Asks `server` one question; `options` are dig's, such as `+tcp`.
///
/// # Panics
/// If there is no answer.
pub fn ask(server: SocketAddr, name: &str, rtype: &str, options: &str) -> Reply {
    let mut replies = ask_all(server, &[(name.to_owned(), rtype.to_owned())], options);
    replies.remove(0)
}

/// Asks `server` many questions with one run of dig; the replies are in the order of the questions.
///
/// # Panics
/// If one stays without an answer.
pub fn ask_all(server: SocketAddr, questions: &[(String, String)], options: &str) -> Vec<Reply> {
    let mut batch = String::new();
    for (name, rtype) in questions {
        // `-q` and `-t`: a name or a type that looks like something else is not taken for it.
        writeln!(batch, "-q {name} -t {rtype}").expect("writing to a string");
    }
    let mut file = NamedTempFile::new().expect("a file for the questions");
    file.write_all(batch.as_bytes()).expect("room for the questions");
    // What stands before `-f` holds for every line of the file.
    let output = Command::new("dig")
        .args(["-r", &format!("@{}", server.ip()), "-p", &server.port().to_string()])
        .args(DEFAULTS.iter().copied().chain(options.split_whitespace()))
        .arg("-f")
        .arg(file.path())
        .output()
        .expect("dig runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let replies = parse(&text);
    assert_eq!(replies.len(), questions.len(), "an answer to each question, but dig says: {text}");
    replies
}

const DEFAULTS: [&str; 6] =
    ["+tries=2", "+time=20", "+nocookie", "+noshowsearch", "+noidnin", "+noidnout"];

/// The whole zone by AXFR, without the SOA.
///
/// # Panics
/// If the server does not give it.
pub fn transfer(server: SocketAddr, zone: &str) -> Vec<Row> {
    let output = Command::new("dig")
        .args(["-r", "+noall", "+answer", "+onesoa", "+noidnout", "-p", &server.port().to_string()])
        .args([&format!("@{}", server.ip()), "-q", zone, "-t", "AXFR"])
        .output()
        .expect("dig runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Row> = text.lines().filter_map(row).collect();
    assert!(rows.iter().any(|row| row.rtype == "SOA"), "AXFR of {zone}: {text}");
    rows.into_iter().filter(|row| row.rtype != "SOA").collect()
}

fn parse(text: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut current: Option<Reply> = None;
    let mut section = String::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix(";; ->>HEADER<<- ") {
            let status = head
                .split("status: ")
                .nth(1)
                .and_then(|rest| rest.split(',').next())
                .unwrap_or_default();
            current = Some(Reply { status: status.to_owned(), ..Reply::default() });
        }
        let Some(reply) = &mut current else { continue };
        if let Some(flags) = line.strip_prefix(";; flags: ") {
            let flags = flags.split(';').next().unwrap_or_default();
            reply.flags = flags.split_whitespace().map(str::to_owned).collect();
        } else if let Some(edns) = line.strip_prefix("; EDNS:") {
            reply.edns_size = edns.split("udp: ").nth(1).and_then(|size| size.trim().parse().ok());
        } else if let Some(ede) = line.strip_prefix("; EDE: ") {
            // A code that dig does not know has a colon behind it.
            reply
                .ede
                .extend(ede.split([' ', ':']).next().and_then(|code| code.parse::<u16>().ok()));
        } else if let Some(name) =
            line.strip_prefix(";; ").and_then(|line| line.strip_suffix(" SECTION:"))
        {
            section = name.to_owned();
        } else if let Some(size) = line.strip_prefix(";; MSG SIZE  rcvd: ") {
            reply.size = size.trim().parse().unwrap_or_default();
            replies.extend(current.take());
        } else if let Some(question) = line.strip_prefix(';').filter(|_| section == "QUESTION") {
            if reply.question.is_empty() {
                reply.question = question.split_whitespace().collect::<Vec<_>>().join(" ");
            }
        } else if let Some(row) = row(line) {
            match section.as_str() {
                "ANSWER" => reply.answer.push(row),
                "AUTHORITY" => reply.authority.push(row),
                _ => reply.additional.push(row),
            }
        }
    }
    replies
}

fn row(line: &str) -> Option<Row> {
    if line.starts_with(';') {
        return None;
    }
    // Owner, TTL, class, type and data; blanks inside the data are kept.
    let mut rest = line;
    let mut field = || {
        let at = rest.find([' ', '\t'])?;
        let (head, tail) = rest.split_at(at);
        rest = tail.trim_start_matches([' ', '\t']);
        Some(head)
    };
    let (owner, ttl, _class) = (field()?, field()?, field()?);
    let ttl = ttl.parse().ok()?;
    let (rtype, rdata) = match rest.split_once([' ', '\t']) {
        Some((rtype, rdata)) => (rtype, rdata.trim()),
        None => (rest, ""),
    };
    Some(Row { owner: owner.to_owned(), rtype: rtype.to_owned(), rdata: rdata.to_owned(), ttl })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read() {
        let text = "
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 7
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
; EDE: 14 (Not Ready): (the node syncs)
;; QUESTION SECTION:
;www.alice.\t\t\tIN\tTXT

;; ANSWER SECTION:
www.alice.\t\t60\tIN\tTXT\t\"a  b\" \"c;d\"

;; AUTHORITY SECTION:
alice.\t\t60\tIN\tSOA\ta. b. 1 2 3 4 5

;; Query time: 0 msec
;; MSG SIZE  rcvd: 99
";
        let replies = parse(text);
        assert_eq!(replies.len(), 1);
        let reply = &replies[0];
        assert_eq!(
            (reply.status.as_str(), reply.size, reply.edns_size),
            ("NXDOMAIN", 99, Some(1232))
        );
        assert_eq!(reply.ede, [14]);
        assert!(reply.has("aa") && !reply.has("tc"));
        assert_eq!(reply.question, "www.alice. IN TXT");
        assert_eq!(reply.rdata("TXT"), ["\"a  b\" \"c;d\""]);
        assert_eq!(reply.authority[0].ttl, 60);
    }
}
