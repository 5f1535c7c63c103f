//! The first try of somebody with sockets of its own.

use super::*;
use crate::upstream::{FIRST_TRY_RANDOM_BYTES, FirstReply};

const RTT: Duration = Duration::from_millis(7);

fn server(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 53))
}

#[tokio::test]
async fn an_answer_is_judged_kept_and_given_to_whoever_asks_next() {
    let legacy = legacy(&[server(1)]);
    let asked = legacy
        .first_try(&question("www.example", 1), false, false, &[0xa5; FIRST_TRY_RANDOM_BYTES])
        .unwrap();
    assert_eq!((asked.server(), asked.id()), (server(1), 0xa5a5));
    let good = Build::reply(asked.bytes()).a(300, [192, 0, 2, 7]).done();
    let reply = |from, bytes: &[u8]| legacy.on_first_reply(&asked, from, bytes, RTT);
    assert!(matches!(reply(server(2), &good), FirstReply::Stray), "from elsewhere");
    let mut other_id = good.clone();
    other_id[1] ^= 1;
    assert!(matches!(reply(server(1), &other_id), FirstReply::Stray));
    let mut other_case = good.clone();
    other_case[12..28].make_ascii_lowercase();
    assert!(matches!(reply(server(1), &other_case), FirstReply::Other));
    for bad in [
        Build::reply(asked.bytes()).flags(2, 0).done(),
        Build::reply(asked.bytes()).rcode(2).done(),
        Build::reply(asked.bytes()).rcode(5).done(),
        good[..good.len() - 1].to_vec(),
    ] {
        assert!(matches!(reply(server(1), &bad), FirstReply::Other), "{bad:?}");
    }
    assert_eq!(legacy.shared.cache.stats().entries, 0, "nothing of this is kept");
    assert!(matches!(reply(server(1), &good), FirstReply::Answer { alias: false, .. }));
    let again = legacy.resolve(&a("www.example.")).await.unwrap();
    assert_eq!(
        (addresses(&again), again.source),
        (vec!["192.0.2.7".to_owned()], ReplySource::Cache)
    );
}

#[test]
fn an_alias_is_said() {
    let legacy = legacy(&[server(1)]);
    let asked = legacy
        .first_try(&question("www.example", 1), false, false, &[1; FIRST_TRY_RANDOM_BYTES])
        .unwrap();
    let bytes = Build::reply(asked.bytes())
        .record(Section::Answer, &AT_QUESTION, 5, 60, &name("b.example"))
        .done();
    let reply = legacy.on_first_reply(&asked, server(1), &bytes, RTT);
    assert!(matches!(reply, FirstReply::Answer { alias: true, .. }));
}

#[test]
fn who_fails_is_not_the_first_any_more() {
    let legacy = legacy(&[server(1), server(2)]);
    assert_eq!(legacy.first_try_server(&name("www.example")), Some(server(1)));
    legacy.on_first_timeout(server(1), RTT);
    assert_eq!(legacy.first_try_server(&name("www.example")), Some(server(2)));
}

#[test]
fn what_is_no_look_up_is_for_the_long_way() {
    let legacy = legacy(&[server(1)]);
    assert!(
        legacy
            .first_try(&question("www.example", 252), false, false, &[1; FIRST_TRY_RANDOM_BYTES])
            .is_none()
    );
}
