//! The verifier in `testdata/verifier`, which knows `docs/protocol.md` alone, in another language.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A Python that can run the verifier. `None`, said in a line, where there is none and none is
/// demanded.
pub fn python() -> Option<&'static str> {
    let can = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import argon2.low_level"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    // The system's comes with Debian's python3-argon2, whichever other is found first.
    let found = ["python3", "/usr/bin/python3"].into_iter().find(can);
    if found.is_none() {
        let missing = "no python3 with argon2-cffi (Debian: python3-argon2)";
        assert!(env::var_os("NAMECHAIN_REQUIRE_TOOLS").is_none_or(|v| v != "1"), "{missing}");
        println!("skipped: {missing}");
    }
    found
}

/// Has the verifier judge a story: whether it agrees, how many checks passed, and all that it said.
pub fn verify_story(python: &str, story: &Path) -> (bool, u64, String) {
    let verifier =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/verifier/verify.py");
    let mut command = Command::new(python);
    let output = command.arg(verifier).arg("--story").arg(story).output().unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let said = said + &errors;
    let passed = said.lines().find_map(|line| line.split_once(" passed, ")?.0.parse().ok());
    (output.status.success(), passed.unwrap_or(0), said)
}
