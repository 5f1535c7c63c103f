//! The body of the fuzz target `zonefile`. `cargo test` runs it with every file of
//! `testdata/fuzz/zonefile/`.

use namechain_core::types::Name;

use super::{master_file, read::read};

/// Whatever is read as a zone is written as a file that is read as the same zone, in printable
/// ASCII; whatever is not is refused with words for the user.
pub fn zonefile(data: &[u8]) {
    let name = Name::parse("alice").expect("a name");
    match read(&name, data) {
        Ok(zone) => {
            let text = master_file(&name, &zone.records);
            assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
            let again = read(&name, text.as_bytes()).expect("what we write we can read");
            assert_eq!(zone.records, again.records, "{text}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
