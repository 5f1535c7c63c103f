//! A reader in another language, which knows only `docs/messaging.md` and the standards, reads what
//! `own.rs` pins.

use std::{env, path::PathBuf, process::Command};

#[test]
fn another_reader_reads_the_same() {
    let can = |python: &&str| {
        let output = Command::new(python).args(["-c", "import argon2.low_level"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    // The system's comes with Debian's python3-argon2, whichever other is found first.
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(can) else {
        let missing = "no python3 with argon2-cffi (Debian: python3-argon2)";
        assert!(env::var_os("NAMECHAIN_REQUIRE_TOOLS").is_none_or(|v| v != "1"), "{missing}");
        println!("skipped: {missing}");
        return;
    };
    let reader = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/verifier/letters.py");
    let output = Command::new(python).arg(reader).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim_end(), "3 name proofs, 1 bundle, 3 letters: read");
}
