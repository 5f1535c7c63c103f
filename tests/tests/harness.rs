//! The tests' own tools: what compares must find a difference, and none where there is none.

use tests::{
    compare::{self, Depth},
    dig,
    nsd::Nsd,
    tools, zones,
};

#[test]
fn a_comparison_finds_what_differs_and_nothing_else() {
    if !tools::available("a_comparison_finds_what_differs_and_nothing_else", &["dig", "nsd"]) {
        return;
    }
    let made = tempfile::tempdir().expect("a directory");
    let mut files = zones::kept();
    files.extend(zones::make(made.path(), 40));
    let whole: Vec<(String, String)> = files.iter().map(zones::ZoneFile::for_server).collect();
    let changed: Vec<(String, String)> = whole
        .iter()
        .map(|(origin, text)| {
            (origin.clone(), text.replace("192.0.2.25", "192.0.2.26").replace("mx1 ", "mx9 "))
        })
        .collect();
    let (one, same, other) = (Nsd::start(&whole), Nsd::start(&whole), Nsd::start(&changed));
    let mut questions = Vec::new();
    for (origin, _) in &whole {
        questions.extend(compare::questions(&dig::transfer(one.addr, origin)));
    }
    for depth in [Depth::Answer, Depth::Sections] {
        assert_eq!(
            compare::differences(one.addr, same.addr, &questions, "", depth),
            Vec::<String>::new()
        );
        let found = compare::differences(one.addr, other.addr, &questions, "", depth);
        let of = |name: &str| found.iter().any(|line| line.starts_with(name));
        assert!(
            of("mail.alice. A") && of("mx1.postoffice. A") && !of("www.alice. A"),
            "{found:#?}"
        );
    }
}
