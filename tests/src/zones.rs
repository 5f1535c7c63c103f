//! The zone files: those in `testdata/zones`, and made ones in any number.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::source;

/// A name's zone in a file. The origin is the file's name.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    /// The name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl ZoneFile {
    /// The origin, with its dot, and the text as a whole zone that an authoritative server can
    /// load: with a SOA, whose minimum is as ours.
    ///
    /// # Panics
    /// If the file can't be read.
    pub fn for_server(&self) -> (String, String) {
        let text = fs::read_to_string(&self.path)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        let soa = format!("$ORIGIN {0}.\n@ 300 IN SOA {0}. {0}. 1 2 3 4 5\n", self.name);
        (format!("{}.", self.name), soa + &text)
    }
}

/// The zone files of a directory, by name.
///
/// # Panics
/// If it can't be read.
pub fn in_dir(dir: &Path) -> Vec<ZoneFile> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut zones: Vec<ZoneFile> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "zone"))
        .map(|path| ZoneFile {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            path,
        })
        .collect();
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    zones
}

/// Those in `testdata/zones`.
pub fn kept() -> Vec<ZoneFile> {
    in_dir(&source::root().join("testdata/zones"))
}

/// One of those in `testdata/zones`.
pub fn path(name: &str) -> PathBuf {
    source::root().join("testdata/zones").join(format!("{name}.zone"))
}

/// Makes `count` zone files in `dir`, no two alike, always the same ones.
///
/// # Panics
/// If there is no room.
pub fn make(dir: &Path, count: usize) -> Vec<ZoneFile> {
    for number in 0..count {
        fs::write(dir.join(format!("made-{number:03}.zone")), text(number))
            .expect("room for a zone");
    }
    in_dir(dir)
}

/// Which records there are depends on the number's divisors, what is in them on the number.
fn text(number: usize) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    let mut zone =
        format!("$TTL {}\n@ A 10.{number_hi}.{high}.{low}\n", 60 + number, number_hi = number % 7);
    let mut line = |when: usize, text: String| {
        if number.is_multiple_of(when) {
            writeln!(zone, "{text}").expect("writing to a string");
        }
    };
    line(1, format!("www CNAME @\n@ TXT \"zone {number}\""));
    line(2, format!("@ AAAA 2001:db8::{number:x}\nv6.www-{number} AAAA 2001:db8:1::{number:x}"));
    line(3, format!("@ MX {} mx\nmx A 10.9.{high}.{low}", number % 100));
    line(4, format!("_s{number}._tcp SRV 1 {number} {} www", 1_000 + number));
    line(5, format!("*.pool A 10.8.{high}.{low}"));
    line(6, format!("@ CAA 0 issue \"ca{number}.example.net\""));
    line(7, format!("@ TYPE{} \\# 2 {number:04x}", 65_280 + number % 100));
    line(8, format!("@ HTTPS 1 . alpn=h2 port={}", 2_000 + number));
    line(9, format!("host SSHFP 4 2 {number:064X}\n_443._tcp TLSA 3 1 1 {number:064X}"));
    line(10, format!("long TXT \"{}\" \"{number}\"", "0123456789".repeat(25)));
    line(11, format!("many A 10.7.0.{low}\nmany A 10.7.1.{low}\nmany A 10.7.2.{low}"));
    zone
}
