//! `zonetool check` and BIND's `named-checkzone` agree about the zone files of other projects:
//! where they don't, the reason is one of the decisions below.
//!
//! `ZONE_CORPORA` names a directory with unpacked sources of BIND, Knot DNS or NSD, such as
//! `apt-get source bind9 knot nsd` leaves; the files stay there. Without it, or without
//! `named-checkzone`, the test says so and passes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The name under which every file is read.
const NAME: &str = "example";
/// The largest file that is read, in bytes: what zonetool reads.
const MAX_BYTES: u64 = 512 * 1024;
/// The fewest files of a directory that is worth the name.
const MIN_FILES: usize = 500;

/// What we refuse and BIND takes: a part of our message, and why.
const REFUSED_HERE: &[(&str, &str)] = &[
    ("is outside of the zone", "BIND ignores such records; here somebody would miss them"),
    ("$GENERATE is not supported", "a name holds 4,096 bytes of records: they can be written out"),
    ("$DATE is not supported", "a directive of BIND's own cache dumps"),
    ("$ORIGIN needs a domain name", "a file without an origin that can be relied on"),
    ("the text form of this type is not supported", "A6, NXT, SIG, WKS and others are obsolete"),
    ("can have no other records", "BIND lets KEY stand beside a CNAME, as RFC 2535 had it"),
    ("bytes of records, a name holds at most", "the chain's limit"),
    ("URI: '' is not", "RFC 7553 §4.4: the target of a URI record is not empty"),
    ("expected decimal number", "BIND takes TXT \\# as text where it is no RFC 3597 data"),
];

/// What BIND refuses and we take: a part of its message, and why.
const REFUSED_BY_BIND: &[(&str, &str)] = &[
    ("has no address records", "a warning here: the delegation may be completed later"),
    ("is below a DNAME", "a warning of BIND's about targets of NS"),
    ("is a CNAME (illegal)", "a warning here"),
    ("SOA record not at top of zone", "the SOA of a file is not used"),
    ("CDS/CDNSKEY consistency", "there are no DNSKEY records to compare with: the server signs"),
    ("DS record at top of zone", "a name is a delegation of its own: its DS stands at its top"),
    ("unexpected end of input", "an NSAP address without bytes"),
    ("disallowed (by application policy)", "a compressed name in the data of an SOA, not used"),
];

/// The files below `directory` that look like zone files: text, with an SOA record in a line.
fn zone_files(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            zone_files(&path, found);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_named = [".db", ".zone", "zone", ".bad", ".good"].iter().any(|it| name.contains(it))
            && ![
                ".c", ".h", ".py", ".sh", ".pl", ".rst", ".conf.in", ".md", ".rpl", ".test", ".yml",
            ]
            .iter()
            .any(|end| name.ends_with(end));
        let is_small = entry.metadata().is_ok_and(|data| data.len() <= MAX_BYTES);
        if !(kind.is_file() && is_named && is_small) {
            continue;
        }
        let text = fs::read(&path).expect("a file");
        let has_soa = text
            .split(|byte| *byte == b'\n')
            .any(|line| line.split(u8::is_ascii_whitespace).skip(1).any(|word| word == b"SOA"));
        if has_soa && !text.contains(&0) {
            found.push(path);
        }
    }
}

/// Whether the program takes the file, and what it says.
fn judge(program: &str, args: &[&str], path: &Path) -> (bool, String) {
    let done = Command::new(program).args(args).arg(path).output().expect("it runs");
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn named_checkzone_agrees() {
    let Some(corpora) = std::env::var_os("ZONE_CORPORA") else {
        println!("skipped: ZONE_CORPORA names no directory with zone files");
        return;
    };
    if Command::new("named-checkzone").arg("-v").output().is_err() {
        println!("skipped: there is no named-checkzone (Debian: bind9-utils)");
        return;
    }
    let mut files = Vec::new();
    zone_files(Path::new(&corpora), &mut files);
    assert!(files.len() >= MIN_FILES, "only {} zone files", files.len());
    // Only the form of records is compared, not what BIND thinks of what they say.
    let ignored = ["-i", "none", "-k", "-m", "-M", "-n", "-r", "-S", "-T", "-W"];
    let mut bind_args = ignored[..2].to_vec();
    bind_args.extend(ignored[2..].iter().flat_map(|option| [option, "ignore"]));
    bind_args.push(NAME);
    let (mut agreed, mut decided, mut differences) = (0, 0, Vec::new());
    for path in &files {
        let ours = judge(env!("CARGO_BIN_EXE_zonetool"), &["check", "--name", NAME], path);
        let theirs = judge("named-checkzone", &bind_args, path);
        let decisions = match (ours.0, theirs.0) {
            (true, true) | (false, false) => {
                agreed += 1;
                continue;
            }
            (false, true) => (REFUSED_HERE, &ours.1),
            (true, false) => (REFUSED_BY_BIND, &theirs.1),
        };
        match decisions.0.iter().any(|(part, _)| decisions.1.contains(part)) {
            true => decided += 1,
            false => differences.push(format!("{}: {}{}", path.display(), ours.1, theirs.1)),
        }
    }
    println!("{} files: {agreed} agree, {decided} differ by decision", files.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
