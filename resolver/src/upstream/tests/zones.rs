//! Zones with upstreams of their own.

use super::*;
use crate::upstream::ForwardZone;

fn zone(name: &str, upstreams: &[SocketAddr]) -> ForwardZone {
    ForwardZone {
        zone: Name::from_ascii(name).unwrap(),
        upstreams: upstreams.iter().copied().map(Into::into).collect(),
        validate: None,
    }
}

fn of(last: u8) -> impl Fn(&Seen) -> Vec<u8> {
    move |seen| Build::reply(&seen.bytes).a(300, [192, 0, 2, last]).done()
}

#[tokio::test]
async fn each_name_is_asked_of_its_zones_upstreams() {
    let (rest, corp, lab) =
        (Fake::answering(of(1)).await, Fake::answering(of(2)).await, Fake::answering(of(3)).await);
    let legacy = legacy_with(&[rest.address], |config| {
        config.zones =
            vec![zone("corp.example.", &[corp.address]), zone("lab.corp.example.", &[lab.address])];
    });
    for (name, address) in [
        ("www.example.", "192.0.2.1"),
        ("corp.example.", "192.0.2.2"),
        ("a.b.CORP.example.", "192.0.2.2"),
        ("notcorp.example.", "192.0.2.1"),
        ("www.lab.corp.example.", "192.0.2.3"),
    ] {
        for _ in 0..2 {
            assert_eq!(addresses(&legacy.resolve(&a(name)).await.unwrap()), [address], "{name}");
        }
    }
    assert_eq!(
        (rest.counts().0, corp.counts().0, lab.counts().0),
        (2, 2, 1),
        "the second time from the cache"
    );
    assert!(legacy.has_zone(&Name::from_ascii("x.corp.example.").unwrap()));
    assert_eq!(legacy.first_try_server(&name("x.corp.example")), None, "for the long way");
    assert_eq!(legacy.first_try_server(&name("example")), Some(rest.address));
}

#[tokio::test]
async fn when_a_zones_upstreams_fail_nobody_else_is_asked() {
    let rest = Fake::answering(of(1)).await;
    let refusing = Fake::answering(|seen| Build::reply(&seen.bytes).rcode(5).done()).await;
    let nobody = fake::closed().await;
    let legacy = legacy_with(&[rest.address], |config| {
        config.zones =
            vec![zone("gone.example.", &[nobody]), zone("no.example.", &[refusing.address])];
    });
    assert!(matches!(
        legacy.resolve(&a("www.gone.example.")).await,
        Err(ForwardError::AllFailed { .. })
    ));
    let reply = legacy.resolve(&a("www.no.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::Refused);
    assert_eq!(rest.counts(), (0, 0));
}

#[tokio::test]
async fn new_settings_keep_what_is_known_but_of_zones_that_others_are_asked_for() {
    let (rest, corp) = (Fake::answering(of(1)).await, Fake::answering(of(2)).await);
    let before = legacy_with(&[rest.address], |config| {
        config.zones = vec![zone("same.example.", &[corp.address])];
    });
    for name in ["www.example.", "www.corp.example.", "www.same.example."] {
        before.resolve(&a(name)).await.unwrap();
    }
    let config = UpstreamsConfig {
        upstreams: vec![rest.address.into()],
        zones: vec![zone("corp.example.", &[corp.address]), zone("same.example.", &[corp.address])],
        ..UpstreamsConfig::default()
    };
    let after = before.reconfigured(config).unwrap();
    after.take_over(&before);
    for (name, address, cached) in [
        ("www.example.", "192.0.2.1", true),
        ("www.corp.example.", "192.0.2.2", false),
        ("www.same.example.", "192.0.2.2", true),
    ] {
        let reply = after.resolve(&a(name)).await.unwrap();
        assert_eq!(
            (addresses(&reply), reply.source == ReplySource::Cache),
            (vec![address.to_owned()], cached)
        );
    }
}
