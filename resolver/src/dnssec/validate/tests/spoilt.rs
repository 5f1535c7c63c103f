//! Answers with a single defect.

use super::signer::{Claims, NOW, Pair, judge, judge_at};
use crate::dns::message::Section;
use crate::dns::rtype;
use crate::dns::testing::{Build, name, question};
use crate::dnssec::validate::verdict::Verdict;

const ADDRESS: &[u8] = &[192, 0, 2, 1];

/// The verdict on `www.example. A` with these keys in the zone, signed by this key.
fn verdict(keys: &[&Pair], by: &Pair, claims: &Claims) -> Verdict {
    let anchor = keys[0].anchor("example.");
    let build = Build::answer(&question("www.example", 1));
    let message = by.add(build, Section::Answer, "www.example", 1, &[ADDRESS], claims).done();
    let values: Vec<&[u8]> = keys.iter().map(|key| key.dnskey.as_slice()).collect();
    let build = Build::answer(&question("example", rtype::DNSKEY));
    let dnskey = keys[0].add(
        build,
        Section::Answer,
        "example",
        rtype::DNSKEY,
        &values,
        &Claims::of("example"),
    );
    let dnskey = dnskey.done();
    judge(&anchor, &message, &|zone, kind| {
        (zone == "example." && kind == rtype::DNSKEY).then(|| dnskey.clone())
    })
}

fn code(verdict: &Verdict) -> Option<u16> {
    match verdict {
        Verdict::Bogus(ede) => Some(ede.code),
        _ => None,
    }
}

#[test]
fn a_signature_that_is_not_as_it_should_be_is_bogus_and_says_why() {
    let key = Pair::new(1, 257);
    let other = Pair::new(2, 256);
    let claims = Claims::of("example");
    assert_eq!(verdict(&[&key], &key, &claims), Verdict::Secure);
    assert_eq!(verdict(&[&key, &other], &other, &claims), Verdict::Secure);
    assert_eq!(code(&verdict(&[&key], &other, &claims)), Some(9), "a key that is not there");
    let (old, early) = (NOW as u32 - 1, NOW as u32 + 1);
    let changed = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        code(&verdict(&[&key], &key, &claims))
    };
    assert_eq!(changed(&|claims| claims.expiration = old), Some(7));
    assert_eq!(changed(&|claims| claims.inception = early), Some(8));
    assert_eq!(
        changed(&|claims| claims.inception = claims.expiration + 1),
        Some(6),
        "it ends before it begins"
    );
    assert_eq!(
        changed(&|claims| claims.algorithm = 13),
        Some(9),
        "another algorithm than the key's"
    );
    assert_eq!(changed(&|claims| claims.algorithm = 250), Some(6));
    assert_eq!(
        changed(&|claims| claims.labels = Some(3)),
        Some(6),
        "more labels than the name has"
    );
    assert_eq!(
        changed(&|claims| claims.labels = Some(1)),
        Some(12),
        "a wildcard without its proof"
    );
}

#[test]
fn time_is_counted_modulo_two_to_the_thirty_two() {
    // RFC 1982: the signature's validity wraps around 2^32.
    let key = Pair::new(1, 257);
    let claims = Claims { inception: u32::MAX - 10, expiration: 10, ..Claims::of("example") };
    let build = Build::answer(&question("example", rtype::DNSKEY));
    let message =
        key.add(build, Section::Answer, "example", rtype::DNSKEY, &[&key.dnskey], &claims).done();
    for (now, secure) in [
        (u64::from(u32::MAX) - 11, false),
        (u64::from(u32::MAX), true),
        ((1 << 32) + 10, true),
        ((1 << 32) + 11, false),
    ] {
        let verdict =
            judge_at(&key.anchor("example."), &message, &|_, _| Some(message.clone()), now);
        assert_eq!(verdict == Verdict::Secure, secure, "{now}: {verdict:?}");
    }
}

#[test]
fn keys_that_sign_no_zones_sign_none() {
    let key = Pair::new(1, 257);
    let claims = Claims::of("example");
    for (flags, expected) in [(256, None), (0, Some(11)), (1, Some(11)), (256 | 128, Some(11))] {
        let other = Pair::new(2, flags);
        assert_eq!(code(&verdict(&[&key, &other], &other, &claims)), expected, "flags {flags}");
    }
    let revoked = Pair::new(1, 257 | 128);
    assert_eq!(code(&verdict(&[&revoked], &revoked, &claims)), Some(11), "a revoked anchor");
}

#[test]
fn what_is_signed_by_another_zone_is_not_signed() {
    let (key, evil) = (Pair::new(1, 257), Pair::new(2, 257));
    let anchors = format!("{}\n{}", key.anchor("example."), evil.anchor("evil."));
    let build = Build::answer(&question("www.example", 1));
    let message =
        evil.add(build, Section::Answer, "www.example", 1, &[ADDRESS], &Claims::of("evil")).done();
    let dnskey = |pair: &Pair, zone: &'static str| {
        let build = Build::answer(&question(zone, rtype::DNSKEY));
        pair.add(build, Section::Answer, zone, rtype::DNSKEY, &[&pair.dnskey], &Claims::of(zone))
            .done()
    };
    let no_ds = {
        let build = Build::answer(&question("www.example", rtype::DS));
        let next = [name("example").as_slice(), &[0, 1, 0x40]].concat();
        key.add(
            build,
            Section::Authority,
            "www.example",
            rtype::NSEC,
            &[&next],
            &Claims::of("example"),
        )
        .done()
    };
    let verdict = judge(&anchors, &message, &|zone, kind| match (zone, kind) {
        ("example.", rtype::DNSKEY) => Some(dnskey(&key, "example")),
        ("evil.", rtype::DNSKEY) => Some(dnskey(&evil, "evil")),
        ("www.example.", rtype::DS) => Some(no_ds.clone()),
        _ => None,
    });
    assert_eq!(code(&verdict), Some(10), "{verdict:?}");
}

#[test]
fn a_delegation_is_followed_only_with_its_proof() {
    let (parent, child) = (Pair::new(1, 257), Pair::new(2, 257));
    let build = Build::answer(&question("www.sub.example", 1));
    let answer = child
        .add(build, Section::Answer, "www.sub.example", 1, &[ADDRESS], &Claims::of("sub.example"))
        .done();
    let unsigned = Build::answer(&question("www.sub.example", 1)).a(300, [192, 0, 2, 1]).done();
    let keys = |pair: &Pair, zone: &'static str| {
        let build = Build::answer(&question(zone, rtype::DNSKEY));
        pair.add(build, Section::Answer, zone, rtype::DNSKEY, &[&pair.dnskey], &Claims::of(zone))
            .done()
    };
    let digest = ring::digest::digest(
        &ring::digest::SHA256,
        &[name("sub.example"), child.dnskey.clone()].concat(),
    );
    let [high, low] = child.tag().to_be_bytes();
    let ds = |kind: u8, algorithm: u8| {
        let value = [&[high, low, algorithm, kind], digest.as_ref()].concat();
        let build = Build::answer(&question("sub.example", rtype::DS));
        parent
            .add(
                build,
                Section::Answer,
                "sub.example",
                rtype::DS,
                &[&value],
                &Claims::of("example"),
            )
            .done()
    };
    let nsec = |types: &[u8], by: &Pair, signer: &'static str| {
        let value = [name("t.example").as_slice(), &[0, types.len() as u8], types].concat();
        let build = Build::answer(&question("sub.example", rtype::DS));
        by.add(
            build,
            Section::Authority,
            "sub.example",
            rtype::NSEC,
            &[&value],
            &Claims::of(signer),
        )
        .done()
    };
    let bare = Build::answer(&question("sub.example", rtype::DS)).done();
    let anchor = parent.anchor("example.");
    let validated = |message: &[u8], ds: &[u8]| {
        judge(&anchor, message, &|zone, kind| match (zone, kind) {
            ("example.", rtype::DNSKEY) => Some(keys(&parent, "example")),
            ("sub.example.", rtype::DNSKEY) => Some(keys(&child, "sub.example")),
            ("sub.example.", rtype::DS) => Some(ds.to_vec()),
            _ => None,
        })
    };
    assert_eq!(validated(&answer, &ds(2, 15)), Verdict::Secure);
    let said = validated(&unsigned, &ds(2, 15));
    assert!(code(&said).is_some() || matches!(said, Verdict::Indeterminate(_)), "{said:?}");
    let why = |verdict: &Verdict| match verdict {
        Verdict::Insecure(ede) => ede.as_ref().map(|ede| ede.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&validated(&unsigned, &ds(250, 15))), Some(2), "an unknown digest");
    assert_eq!(why(&validated(&unsigned, &ds(2, 250))), Some(1), "an unknown algorithm");
    // NS and no DS; the child's own apex with SOA; a name that is not a delegation.
    assert_eq!(why(&validated(&unsigned, &nsec(&[0x20], &parent, "example"))), None);
    assert_eq!(
        code(&validated(&unsigned, &nsec(&[0x22], &parent, "example"))),
        Some(12),
        "an apex"
    );
    assert_eq!(
        code(&validated(&unsigned, &nsec(&[0x22], &child, "sub.example"))),
        Some(12),
        "the child's word"
    );
    assert_eq!(code(&validated(&unsigned, &bare)), Some(12), "no word");
    assert_eq!(
        code(&validated(&answer, &nsec(&[0x40], &parent, "example"))),
        Some(6),
        "signed by what is no zone"
    );
}

#[test]
fn a_proof_that_is_made_from_a_wildcard_proves_nothing() {
    let key = Pair::new(1, 257);
    let value = [name("z.example").as_slice(), &[0, 1, 0x40]].concat();
    let soa = [name("ns.example"), name("host.example"), vec![0; 20]].concat();
    let claims = Claims { labels: Some(1), ..Claims::of("example") };
    let message = |claims: &Claims| {
        let build = Build::answer(&question("m.example", 16));
        let build = key.add(
            build,
            Section::Authority,
            "example",
            rtype::SOA,
            &[&soa],
            &Claims::of("example"),
        );
        key.add(build, Section::Authority, "m.example", rtype::NSEC, &[&value], claims).done()
    };
    let keys = || {
        let build = Build::answer(&question("example", rtype::DNSKEY));
        key.add(
            build,
            Section::Answer,
            "example",
            rtype::DNSKEY,
            &[&key.dnskey],
            &Claims::of("example"),
        )
        .done()
    };
    let validated = |message: &[u8]| {
        judge(&key.anchor("example."), message, &|_, kind| (kind == rtype::DNSKEY).then(keys))
    };
    assert_eq!(validated(&message(&Claims::of("example"))), Verdict::Secure);
    assert!(matches!(validated(&message(&claims)), Verdict::Bogus(_) | Verdict::Indeterminate(_)));
}

/// RFC 4035 §5.3.4: a wildcard's alias in place of a DS proves that there is no cut only with the
/// proof that the name does not exist.
#[test]
fn an_alias_of_a_wildcard_does_not_hide_a_cut() {
    let key = Pair::new(1, 257);
    let claims = Claims::of("example");
    let expanded = Claims { labels: Some(1), ..claims.clone() };
    let unsigned = Build::answer(&question("www.sub.example", 1)).a(300, [192, 0, 2, 1]).done();
    let dnskey = || {
        let build = Build::answer(&question("example", rtype::DNSKEY));
        key.add(build, Section::Answer, "example", rtype::DNSKEY, &[&key.dnskey], &claims).done()
    };
    // From the name before to the name behind: an NSEC record with A.
    let ds = |kind: u16, proof: Option<(&str, &str)>| {
        let value = if kind == rtype::DS { [0; 36].to_vec() } else { name("www.example") };
        let build = Build::answer(&question("sub.example", rtype::DS));
        let build = key.add(build, Section::Answer, "sub.example", kind, &[&value], &expanded);
        let Some((before, behind)) = proof else { return build.done() };
        let value = [name(behind).as_slice(), &[0, 1, 0x40]].concat();
        key.add(build, Section::Authority, before, rtype::NSEC, &[&value], &claims).done()
    };
    let denied = |name: &str| {
        let build = Build::answer(&question(name, rtype::DS));
        let value = [crate::dns::testing::name("t.example").as_slice(), &[0, 1, 0x40]].concat();
        key.add(build, Section::Authority, "s.example", rtype::NSEC, &[&value], &claims).done()
    };
    let validated = |ds: &[u8]| {
        judge(&key.anchor("example."), &unsigned, &|zone, kind| match (zone, kind) {
            ("example.", rtype::DNSKEY) => Some(dnskey()),
            ("sub.example.", rtype::DS) => Some(ds.to_vec()),
            ("www.sub.example.", rtype::DS) => Some(denied("www.sub.example")),
            _ => None,
        })
    };
    assert_eq!(code(&validated(&ds(rtype::CNAME, None))), Some(12), "no proof");
    let other = Some(("a.example", "b.example"));
    assert_eq!(code(&validated(&ds(rtype::CNAME, other))), Some(12), "of another name");
    let proof = Some(("s.example", "t.example"));
    assert_eq!(code(&validated(&ds(rtype::CNAME, proof))), Some(10), "unsigned in a signed zone");
    assert_eq!(code(&validated(&ds(rtype::DS, proof))), Some(6), "a DS of a wildcard");
}

/// As the operations page says: such a zone is insecure, not bogus. A longer key that a DS names
/// can't be left out to get there.
#[test]
fn a_zone_whose_keys_are_short_rsa_keys_is_insecure() {
    let (parent, good) = (Pair::new(1, 257), Pair::new(2, 257));
    let short = |bits: usize| [&[1, 1, 3, 8, 3, 1, 0, 1][..], &vec![0xc5; bits / 8]].concat();
    let tag = |key: &[u8]| crate::dnssec::validate::key_tag(key).to_be_bytes();
    let ds = |key: &[u8]| {
        let digest = ring::digest::digest(
            &ring::digest::SHA256,
            &[name("sub.example"), key.to_vec()].concat(),
        );
        [&tag(key)[..], &[key[3], 2], digest.as_ref()].concat()
    };
    let unsigned = Build::answer(&question("www.sub.example", 1)).a(300, [192, 0, 2, 1]).done();
    let validated = |named: &[&[u8]], shown: &[&[u8]]| {
        let signed = |owner: &'static str, kind: u16, values: &[&[u8]]| {
            let build = Build::answer(&question(owner, kind));
            parent.add(build, Section::Answer, owner, kind, values, &Claims::of("example")).done()
        };
        let digests: Vec<Vec<u8>> = named.iter().map(|key| ds(key)).collect();
        let digests: Vec<&[u8]> = digests.iter().map(Vec::as_slice).collect();
        let apex = signed("example", rtype::DNSKEY, &[&parent.dnskey]);
        let ds = signed("sub.example", rtype::DS, &digests);
        let keys = shown.iter().fold(
            Build::answer(&question("sub.example", rtype::DNSKEY)),
            |build, key| {
                build.record(Section::Answer, &name("sub.example"), rtype::DNSKEY, 300, key)
            },
        );
        let keys = keys.done();
        judge(&parent.anchor("example."), &unsigned, &|zone, kind| match (zone, kind) {
            ("example.", rtype::DNSKEY) => Some(apex.clone()),
            ("sub.example.", rtype::DS) => Some(ds.clone()),
            ("sub.example.", rtype::DNSKEY) => Some(keys.clone()),
            _ => None,
        })
    };
    let (one, two, long) = (short(512), short(1016), short(1024));
    let is_insecure =
        |verdict: &Verdict| matches!(verdict, Verdict::Insecure(Some(ede)) if ede.code == 1);
    assert!(is_insecure(&validated(&[&one], &[&one])));
    assert!(is_insecure(&validated(&[&one, &two], &[&two, &one, &long])));
    for (named, shown) in [
        (vec![&one, &long], vec![&one]),
        (vec![&one, &good.dnskey], vec![&one]),
        (vec![&one], vec![&two]),
        (vec![&long], vec![&long]),
    ] {
        let slices = |keys: &[&Vec<u8>]| keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>();
        let (named, shown) = (slices(&named), slices(&shown));
        let named: Vec<&[u8]> = named.iter().map(Vec::as_slice).collect();
        let shown: Vec<&[u8]> = shown.iter().map(Vec::as_slice).collect();
        let verdict = validated(&named, &shown);
        assert!(code(&verdict).is_some(), "{verdict:?}");
    }
}
