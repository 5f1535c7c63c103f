//! Files to records and back.

use namechain_core::types::{
    MAX_OWNER_BYTES, MAX_RECORDS_BYTES, Name, REFUSED_TYPES, Record, RecordSet,
};
use proptest::prelude::*;

use super::{master_file, read::read};

fn alice() -> Name {
    Name::parse("alice").unwrap()
}

fn records(text: &str) -> Vec<Record> {
    read(&alice(), text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .records
        .records()
        .to_vec()
}

fn refusal(text: &str) -> String {
    read(&alice(), text.as_bytes()).expect_err(text).to_string()
}

fn wire(text: &str) -> String {
    let records = records(text);
    assert_eq!(records.len(), 1, "{text}");
    format!("{} {}", records[0].rtype, hex::encode(&records[0].rdata))
}

/// The data of every type, checked against what RFC or arithmetic says the bytes are.
#[test]
fn types_have_their_wire_form() {
    for (text, expected) in [
        ("@ A 192.0.2.1", "1 c0000201"),
        ("@ NS ns", "2 026e7305616c69636500"),
        ("@ CNAME .", "5 00"),
        ("a CNAME @", "5 05616c69636500"),
        ("a MX 10 ( ; @\n@ )", "15 000a05616c69636500"),
        ("a CNAME \\@", "5 014005616c69636500"),
        ("a CNAME @.alice.", "5 014005616c69636500"),
        ("a TXT @", "16 0140"),
        ("$ORIGIN s.alice.namechain.alt.\n@ MX 1 @", "15 0001017305616c69636500"),
        ("@ PTR a.example.", "12 0161076578616d706c6500"),
        ("@ MX 10 mail", "15 000a046d61696c05616c69636500"),
        ("@ TXT \"a b\" c \"\\\"\\065\"", "16 036120620163022241"),
        ("@ RP x .", "17 017805616c6963650000"),
        ("@ AAAA 2001:db8::1", "28 20010db8000000000000000000000001"),
        ("@ SRV 1 2 443 host", "33 0001000201bb04686f737405616c69636500"),
        (
            "@ NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            "35 0064000a01750745\
          32552b7369700e215e2e2a24217369703a6140622100",
        ),
        ("@ DNAME example.", "39 076578616d706c6500"),
        (
            "@ DS 60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
            "43 ec4505012bb183af5f22588179a53b0a98631fad1a292118",
        ),
        ("@ SSHFP 4 2 ABCD", "44 0402abcd"),
        ("_443._tcp TLSA 3 1 1 ( 0102\n 0304 )", "52 03010101020304"),
        ("@ OPENPGPKEY AQIDBA==", "61 01020304"),
        ("@ SVCB 0 svc.example.", "64 000003737663076578616d706c6500"),
        (
            "@ HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1",
            "65 00010000010006026832026833000400 04c0000201",
        ),
        ("@ CAA 0 issue \"ca.example\"", "257 000569737375656361 2e6578616d706c65"),
        ("@ TYPE65280 \\# 4 0a0B 0c0d", "65280 0a0b0c0d"),
        ("@ TYPE65280 \\# 0", "65280 "),
        ("@ A \\# 4 c0000201", "1 c0000201"),
        ("@ TYPE1 192.0.2.1", "1 c0000201"),
    ] {
        assert_eq!(
            wire(text),
            expected.replacen(' ', "_", 1).replace(' ', "").replace('_', " "),
            "{text}"
        );
    }
}

/// The types that the library does not know: examples of their RFCs.
#[test]
fn registered_types_have_their_wire_form() {
    for (text, expected) in [
        ("@ AFSDB 1 afs", "18 00010361667305616c69636500"),
        ("@ X25 311061700956", "19 0c333131303631373030393536"),
        ("@ ISDN 150862028003217 004", "20 0f313530383632303238303033323137 03303034"),
        ("@ ISDN 1", "20 0131"),
        ("@ RT 10 @", "21 000a05616c69636500"),
        ("@ NSAP 0x47.0005.80", "22 47000580"),
        ("@ PX 10 a. b.", "26 000a0161000162 00"),
        ("@ GPOS -32.6882 116.8652 10.0", "27 082d33322e36383832083131362e383635320431302e30"),
        ("@ LOC 42 21 54 N 71 06 18 W -24m 30m", "29 LOCATION"),
        ("@ LOC 42 21 54.000 N 71 6 18 W -24.00 30.00m 10000m 10m", "29 LOCATION"),
        ("@ KX 1 @", "36 000105616c69636500"),
        ("@ CERT PGP 0 RSASHA256 AQID", "37 000300000801 0203"),
        ("@ CERT 3 0 8 ( AQ\n ID )", "37 000300000801 0203"),
        ("@ APL 1:192.168.32.0/21 !1:192.168.38.0/28", "42 00011503c0a82000011c83c0a826"),
        ("@ APL 2:2001:db8::/32", "42 0002200420010db8"),
        ("@ DHCID AAEC", "49 000102"),
        ("a SMIMEA 3 0 0 ab CD", "53 030000abcd"),
        ("@ HIP 2 2001 AQI= rvs.", "55 0202000220010102 0372767300"),
        ("@ CSYNC 66 3 A NS AAAA", "62 000000420003000460000008"),
        ("@ DSYNC CDS NOTIFY 1 .", "66 003b01000100"),
        ("@ DSYNC CDS PUSH 1 .", ""),
        ("@ DSYNC CDS 1 5359 c.", "66 003b0114ef016300"),
        ("@ SINK 1 0 0", "40 010000"),
        ("@ SINK 8 0 2 l4ik", "40 0800029788a4"),
        ("@ SPF \"v=spf1 -all\"", "99 0b763d73706631202d616c6c"),
        ("@ NID 10 0014:4fff:ff20:ee64", "104 000a00144fffff20ee64"),
        ("@ L32 10 10.1.02.0", ""),
        ("@ L32 10 10.1.2.0", "105 000a0a010200"),
        ("@ L64 10 2001:0DB8:1140:1000", "106 000a20010db811401000"),
        ("@ LP 10 l64", "107 000a036c363405616c69636500"),
        ("@ EUI48 00-00-5e-00-53-2a", "108 00005e00532a"),
        ("@ EUI64 00-00-5e-ef-10-00-00-2a", "109 00005eef1000002a"),
        ("_ftp._tcp URI 10 1 \"ftp://f/\"", "256 000a00016674703a2f2f662f"),
        ("@ AVC a b", "258 01610162"),
        ("@ AMTRELAY 10 0 2 2001:db8::15", "260 0a0220010db8000000000000000000000015"),
        ("@ AMTRELAY 10 1 3 relays.", "260 0a830672656c61797300"),
        ("@ WALLET BTC x", "262 034254430178"),
        ("@ DLV 60485 RSASHA1 1 ab", "32769 ec450501ab"),
        ("@ TYPE29 \\# 16 003316138917 2dd0 70be15f0 00988d20", "29 LOCATION"),
    ] {
        let expected = expected.replace("LOCATION", "0033161389172dd070be15f000988d20");
        if expected.is_empty() {
            refusal(text);
            continue;
        }
        let expected = expected.replacen(' ', "_", 1).replace(' ', "").replace('_', " ");
        assert_eq!(wire(text), expected, "{text}");
        // And back.
        let zone = read(&alice(), text.as_bytes()).unwrap().records;
        let written = master_file(&alice(), &zone);
        assert_eq!(read(&alice(), written.as_bytes()).unwrap().records, zone, "{written}");
        assert!(!written.contains("\\#"), "{written}");
    }
}

/// What RFC 9460 forbids is refused, what it allows is taken, and is written back.
#[test]
fn service_parameters_are_checked() {
    for text in [
        "1 . alpn=h2,h3 no-default-alpn port=443",
        "1 . alpn=\"h2,h3\" key667=\"hello\\210qoo\"",
        "1 . mandatory=ipv4hint,alpn alpn=h2 ipv4hint=192.0.2.1,192.0.2.2",
        "1 . ipv6hint=2001:db8::1 dohpath=/dns-query{?dns}",
        "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
        "1 . ech=AQID ohttp tls-supported-groups=29,23",
        "16 foo.example. key65534=x key9z=1",
        "0 .",
    ] {
        let line = format!("@ SVCB {text}");
        if text.contains("9z") {
            refusal(&line);
            continue;
        }
        let zone =
            read(&alice(), line.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = master_file(&alice(), &zone.records);
        assert_eq!(read(&alice(), written.as_bytes()).unwrap().records, zone.records, "{written}");
        assert!(!written.contains("\\#"), "{written}");
    }
    for text in [
        "1 . alpn=a,,b",
        "1 . alpn=",
        "1 . alpn",
        "1 . no-default-alpn",
        "1 . alpn=h2 no-default-alpn=x",
        "1 . key0667=x",
        "1 . key65535=x",
        "1 . key65536=x",
        "1 . dohpath=dns-query{?dns}",
        "1 . dohpath=/dns-query",
        "1 . dohpath=/q{?dns",
        "1 . port=",
        "1 . port=65536",
        "1 . port=1 port=2",
        "1 . mandatory=mandatory",
        "1 . mandatory=alpn",
        "1 . mandatory=alpn,alpn alpn=h2",
        "1 . ipv4hint=",
        "1 . ipv4hint=2001:db8::1",
        "1 . ech=?",
        "0 . alpn=h2",
        "1",
    ] {
        let error = refusal(&format!("@ 60 A 192.0.2.1\n@ HTTPS {text}"));
        assert!(error.starts_with("line 2: HTTPS: "), "{text}: {error}");
    }
}

#[test]
fn ttls_have_units() {
    for (ttl, seconds) in
        [("1D", 86_400), ("8H", 28_800), ("1w2d3h4m5s", 788_645), ("0", 0), ("90", 90), ("2m", 120)]
    {
        for text in [
            format!("@ {ttl} A 192.0.2.1"),
            format!("@ IN {ttl} A 192.0.2.1"),
            format!("$TTL {ttl}\n@ A 192.0.2.1"),
            format!("@ {ttl} IN URI 1 1 \"x:y\""),
        ] {
            assert_eq!(records(&text)[0].ttl, seconds, "{text}");
        }
    }
    assert!(refusal("@ 4294967296 A 192.0.2.1").starts_with("line 1: the TTL 4294967296 is over"));
    assert!(refusal("$TTL 99999999w\n").starts_with("line 1: the TTL"));
    for text in ["@ 1d2 A 192.0.2.1", "@ 1x A 192.0.2.1", "@ d A 192.0.2.1"] {
        refusal(text);
    }
}

/// What is rewritten for the library stays on its line.
#[test]
fn lines_stay_where_they_are() {
    let zone = "\u{feff}@ 1d URI ( 1\n 1 \"x:y\"\n)\n; c\nb 60 A 1.2.3\n";
    assert!(refusal(zone).starts_with("line 5: "), "{}", refusal(zone));
    assert!(refusal("\n@ EUI48 1").starts_with("line 2: EUI48: '1' is not of the form 01-"));
    // What the chain holds can be written down, whatever it is.
    assert_eq!(wire("@ LOC \\# 1 00"), "29 00");
    assert!(refusal("@ URI 1 1").contains("ends before its data"));
    assert!(refusal("@ KX 1 @ x").contains("after the end of the record: 'x'"));
    let zone = "$ORIGIN s.alice.namechain.alt.\n@ KX 1 @\n@ KX 2 x\n@ HTTPS 1 @\n";
    let all = records(zone);
    assert!(
        all.iter().all(|record| !hex::encode(&record.rdata).contains(&hex::encode("namechain")))
    );
}

#[test]
fn owners_ttls_directives_and_comments() {
    let zone = "$TTL 600 ; a comment\n\
                @   IN A 192.0.2.1\r\n\
                \x20 IN AAAA 2001:db8::1\n\
                WWW 60 IN A 192.0.2.2\n\
                *.Dyn IN 30 TXT ( \"one\" ; (\n \t two )\n\
                $ORIGIN sub.alice.\n\
                a A 192.0.2.3\n\
                b.alice. A 192.0.2.4\n\
                $ORIGIN alice.namechain.alt.\n\
                c CNAME sub\n\
                d CNAME x.bob.namechain.alt.\n";
    let found: Vec<(String, u16, u32)> = records(zone)
        .iter()
        .map(|r| (String::from_utf8(r.owner.clone()).unwrap(), r.rtype, r.ttl))
        .collect();
    let expected = [
        ("\0", 1, 600),
        ("\0", 28, 600),
        ("\u{1}*\u{3}dyn\0", 16, 30),
        ("\u{1}a\u{3}sub\0", 1, 600),
        ("\u{1}b\0", 1, 600),
        ("\u{1}c\0", 5, 600),
        ("\u{1}d\0", 5, 600),
        ("\u{3}www\0", 1, 60),
    ]
    .map(|(owner, rtype, ttl)| (owner.to_owned(), rtype, ttl));
    let mut sorted = expected.to_vec();
    sorted.sort_by_key(|(owner, rtype, _)| (owner.clone(), *rtype));
    assert_eq!(found, sorted);
    assert_eq!(wire("$ORIGIN alice.namechain.alt.\nc CNAME sub\n"), "5 0373756205616c69636500");
}

#[test]
fn what_the_chain_makes_itself_is_left_out() {
    let zone = "@ 60 SOA ns hostmaster 1 2 3 4 5\n@ 60 NS ns.example.\n\
                @ 60 DNSKEY 257 3 15 AQID\n@ 60 NSEC a.alice. A NS\n";
    let zone = read(&alice(), zone.as_bytes()).unwrap();
    assert_eq!(zone.records.records().len(), 1);
    assert_eq!(
        zone.notes,
        [
            "line 1: SOA left out: the server generates it",
            "line 3: DNSKEY left out: the server signs the zone",
            "line 4: NSEC left out: the server signs the zone",
        ]
    );
}

/// BIND's zone files write the times of an SOA with units.
#[test]
fn the_times_of_an_soa_may_have_units() {
    let zone = "$TTL 1D\n@ SOA ns hostmaster ( 2 8H 2h\n 4W 1D )\n@ A 192.0.2.1\n";
    let zone = read(&alice(), zone.as_bytes()).unwrap();
    assert_eq!(zone.records.records().len(), 1);
    assert_eq!(zone.notes, ["line 2: SOA left out: the server generates it"]);
    refusal("@ SOA ns hostmaster 2 8X 2h 4w 1d");
}

#[test]
fn errors_name_the_line_and_what_to_do() {
    for (text, expected) in [
        ("@ A 192.0.2.1\n@ A 1.2.3\n", "line 2: expected IPv4 address"),
        ("@ A 192.0.2.1\n@ A 1.2.3", "line 2: expected IPv4 address"),
        (
            "@ A 192.0.2.1\n@ MX ( 10\n\n a..b\n )\n",
            "line 2: a name or a value in this MX is malformed",
        ),
        ("@ A 192.0.2.1\na..b A 192.0.2.1", "line 2: the owner is not a domain name"),
        ("@ RP a..b .", "line 1: a name or a value in this RP is malformed"),
        ("@ SVCB 1 a..b alpn=h2", "line 1: SVCB: 'a..b' is not a domain name"),
        ("@ A 192.0.2.1\n)", "line 2: a parenthesis is closed"),
        ("@ A 192.0.2.1\n\\999 A 192.0.2.1", "line 2: a byte or an escape is not allowed"),
        ("@ A 192.0.2.1\n\"a\" X 192.0.2.1", "line 2: expected a record type"),
        (
            "@ A 192.0.2.1\n\n@ TXT (\n\"a\"\n",
            "line 3: the parenthesis opened here is never closed",
        ),
        ("\n@ TXT \"a\n", "line 2: the quote opened here is never closed"),
        (
            "www.bob. A 192.0.2.1\n",
            "line 1: www.bob. is outside of the zone alice. (and of alice.namechain.alt.)",
        ),
        (
            "$ORIGIN example.com.\n; x\nwww A 192.0.2.1\n",
            "line 3: www.example.com. is outside of the zone",
        ),
        (
            "@ 60 A 192.0.2.1\n@ 61 A 192.0.2.2\n",
            "line 2: this A has a TTL of 61 s, the one in line 1 has 60 s",
        ),
        ("@ 2147483648 A 192.0.2.1\n", "line 1: the TTL 2147483648 is over 2147483647"),
        ("$INCLUDE other.zone\n", "line 1: $INCLUDE is not followed"),
        ("@ A 192.0.2.1\n$INCLUDE other.zone\n", "line 2: $INCLUDE is not followed"),
        ("@ A 192.0.2.1\n$GENERATE 1-9 a$ A 192.0.2.$\n", "line 2: $GENERATE is not supported"),
        ("$ORIGIN @\n\na A 192.0.2.1\n", "line 3: $ORIGIN needs a domain name"),
        ("$NONSENSE 1\n", "line 1: $NONSENSE is not supported"),
        ("@ 1y A 192.0.2.1\n", "line 1: expected a record type"),
        ("@ CH A 192.0.2.1\n", "line 1: only records of class IN"),
        ("@ A6 0 ::1\n", "line 1: the text form of this type is not supported"),
        ("@ A \\# 3 010203\n", "line 1: these 3 bytes are not valid data of a record of type A"),
        ("@ MX \\# 4 000ac000\n", "line 1: these 4 bytes are not"),
        ("@ TYPE65280 \\# 4 0102\n", "line 1: the data is longer or shorter than the LENGTH"),
        ("@ A 192.0.2.1\n@ TXT \u{1b}[31m", "line 2: a byte or an escape is not allowed"),
        ("@ TYPE255 \\# 0\n", "line 1: records of type 255 can't be held by a name"),
        ("  A 192.0.2.1\n", "line 1: the first record has no owner"),
        ("@ MX 10\n", "line 1: MX: there is nothing after the preference; for example: MX 10 mail"),
        ("@ PTR\n", "line 1: the record ends before its data does"),
        ("@ A 192.0.2.1 )\n", "line 1: a parenthesis is closed that was never opened"),
        ("@ A 192.0.2.1 x\n", "line 1: there is text after the end of the record"),
        (
            "a CNAME b\na A 192.0.2.1\n",
            "line 2: a name with a CNAME (line 1) can have no other records",
        ),
        (
            "a CNAME b\n\na CNAME c\n",
            "line 3: a name with a CNAME (line 1) can have no other records",
        ),
    ] {
        let found = refusal(text);
        assert!(found.starts_with(expected), "{text:?}\nfound    {found}\nexpected {expected}");
    }
    let mut long = String::from("; a comment\n\n");
    long.push_str(&format!("{0}.{0}.{0} A 192.0.2.1\n", "x".repeat(63)));
    assert_eq!(
        refusal(&long),
        "line 3: a record's owner has 193 bytes in wire form, at most 177 are allowed"
    );
    let big: String = (0..300).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
    assert!(
        refusal(&big).starts_with("the zone has 5290 bytes of records, a name holds at most 4096"),
        "{}",
        refusal(&big)
    );
}

#[test]
fn the_same_record_twice_is_one() {
    assert_eq!(records("@ A 192.0.2.1\nalice.namechain.alt. A 192.0.2.1\n").len(), 1);
    assert!(records("; nothing\n").is_empty());
}

/// Data that no text of its type leads to is written in the form of RFC 3597.
#[test]
fn odd_data_is_written_in_the_unknown_form() {
    let set = RecordSet::new(vec![
        Record {
            owner: b"\x02@$\0".to_vec(),
            rtype: 5,
            ttl: 1,
            rdata: b"\x01x\x05alice\x09namechain\x03alt\0".to_vec(),
        },
        Record { owner: b"\0".to_vec(), rtype: 16, ttl: 2, rdata: b"\x03\x1b[2\0".to_vec() },
        Record { owner: b"\0".to_vec(), rtype: 65280, ttl: 3, rdata: vec![] },
        Record { owner: b"\0".to_vec(), rtype: 65281, ttl: 3, rdata: vec![1, 2, 171] },
        Record { owner: b"\0".to_vec(), rtype: 1, ttl: 4, rdata: vec![1] },
    ])
    .unwrap();
    assert_eq!(
        master_file(&alice(), &set),
        "$ORIGIN alice.\n\
         @ 4 IN A \\# 1 01\n\
         @ 2 IN TXT \"\\027[2\" \"\"\n\
         @ 3 IN TYPE65280 \\# 0\n\
         @ 3 IN TYPE65281 \\# 3 0102ab\n\
         \\064\\036 1 IN CNAME \\# 23 017805616c696365096e616d65636861696e03616c7400\n"
    );
}

fn label() -> impl Strategy<Value = Vec<u8>> + Clone {
    let byte =
        prop_oneof![4 => proptest::char::range('a', 'z').prop_map(|c| c as u8), 1 => any::<u8>()];
    prop::collection::vec(byte, 1..12).prop_map(|label| label.to_ascii_lowercase())
}

fn name_of(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire: Vec<u8> =
        labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).collect();
    wire.push(0);
    wire
}

fn any_name() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop::collection::vec(label(), 0..4).prop_map(|labels| name_of(&labels))
}

fn bytes(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> + Clone {
    prop::collection::vec(any::<u8>(), range)
}

fn strings(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(bytes(0..20), count)
        .prop_map(|all| all.iter().flat_map(|s| [&[s.len() as u8][..], s].concat()).collect())
}

fn after(fixed: usize, rest: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (bytes(fixed..fixed + 1), rest).prop_map(|(fixed, rest)| [fixed, rest].concat())
}

/// Well-formed data of the types that people use, and any data of types that nobody knows.
fn data() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let of = |rtype: u16| move |rdata: Vec<u8>| (rtype, rdata);
    let svcb = (bytes(2..3), any_name(), prop::collection::btree_map(0u16..9, bytes(0..9), 0..3))
        .prop_map(|(priority, target, params)| {
            let params = params.into_iter().flat_map(|(key, value)| {
                [&(key + 7).to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), &value].concat()
            });
            priority.into_iter().chain(target).chain(params).collect::<Vec<u8>>()
        });
    prop_oneof![
        bytes(4..5).prop_map(of(1)),
        any_name().prop_map(of(2)),
        any_name().prop_map(of(12)),
        after(2, any_name()).prop_map(of(15)),
        strings(1..4).prop_map(of(16)),
        bytes(16..17).prop_map(of(28)),
        after(6, any_name()).prop_map(of(33)),
        (after(4, strings(3..4)), any_name()).prop_map(|(a, b)| (35, [a, b].concat())),
        any_name().prop_map(of(39)),
        after(4, bytes(0..33)).prop_map(of(43)),
        after(2, bytes(0..33)).prop_map(of(44)),
        after(3, bytes(0..33)).prop_map(of(52)),
        bytes(1..40).prop_map(of(61)),
        svcb.clone().prop_map(of(64)),
        svcb.prop_map(of(65)),
        (any::<u8>(), "[a-z0-9]{1,9}", bytes(0..30)).prop_map(|(flags, tag, value)| (
            257,
            [&[flags, tag.len() as u8][..], tag.as_bytes(), &value].concat()
        )),
        (65_280u16..65_535, bytes(0..40)).prop_map(|(rtype, rdata)| (rtype, rdata)),
        (prop::sample::select(vec![29u16, 37, 53, 62, 256, 258, 263]), bytes(0..40)),
    ]
}

fn record_set() -> impl Strategy<Value = RecordSet> {
    let owner = prop::collection::vec(label(), 0..3).prop_map(|labels| name_of(&labels));
    prop::collection::vec((owner, data()), 0..20).prop_map(|all| {
        let records = all.into_iter().map(|(owner, (rtype, rdata))| {
            // One TTL an RRset: made of what makes the RRset.
            let ttl = u32::from(rtype) * 31 + owner.len() as u32;
            Record { owner, rtype, ttl, rdata }
        });
        RecordSet::new(records.collect()).unwrap_or_default()
    })
}

proptest! {
    /// Records to text and back are the same bytes, and the text is harmless on a terminal.
    #[test]
    fn records_to_text_to_records(set in record_set()) {
        let text = master_file(&alice(), &set);
        prop_assert!(text.bytes().all(|byte| byte == b'\n' || matches!(byte, b' '..=b'~')), "{text}");
        let back = read(&alice(), text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(back.records, set);
        prop_assert_eq!(back.notes.len(), 0);
    }

    /// Whatever a file holds, reading it ends in records that a name can hold, or in an error.
    #[test]
    fn any_bytes_are_read_or_refused(text in bytes(0..200)) {
        let _ = read(&alice(), &text);
    }

    /// The same for what looks like a zone file.
    #[test]
    fn any_tokens_are_read_or_refused(
        text in "((@|www|a\\.b|\\\\064|\"|\\(|\\)|;|\\$ORIGIN|\\$TTL|60|IN|A|TXT|MX|SVCB|CAA|TYPE1|\\\\#|192\\.0\\.2\\.1|4|00|\\\\|key1=|x|\\.)( |\n|)){0,40}"
    ) {
        if let Ok(zone) = read(&alice(), text.as_bytes()) {
            prop_assert!(zone.records.byte_len() <= MAX_RECORDS_BYTES);
            for record in zone.records.records() {
                prop_assert!(record.owner.len() <= MAX_OWNER_BYTES && !REFUSED_TYPES.contains(&record.rtype));
            }
        }
    }
}

/// Every file that a fuzzer found worth keeping, and every finding.
#[test]
fn the_fuzzers_files() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/fuzz/zonefile");
    let mut count = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        super::testing::zonefile(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "only {count} files");
}
