//! `docs/operate/resolver.example.toml` equals the defaults and has every key;
//! `docs/operate/configuration.md` describes every key.

use std::{collections::BTreeMap, fs, path::Path};

use resolver::config::{self, Cli, Config};

const EXAMPLE: &str = "../docs/operate/resolver.example.toml";
const REFERENCE: &str = "../docs/operate/configuration.md";

fn load(file: Option<&Path>) -> Result<Config, String> {
    let cli =
        Cli { data_dir: Some("/data".into()), config: file.map(Path::to_owned), ..Cli::default() };
    config::load(cli, |_| None).map_err(|error| error.to_string())
}

fn load_text(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("resolver.toml");
    fs::write(&path, text).expect("a file");
    load(Some(&path))
}

/// The valid keys of a table, as the error for an unknown key lists them.
fn known_keys(header: &str) -> Vec<String> {
    let error = load_text(&format!("{header}\nsomething-else-altogether = 1"))
        .expect_err("the key is not known");
    let (_, list) = error.split_once("expected").unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_example_is_the_default() {
    let example = load(Some(Path::new(EXAMPLE))).expect("a file that can be used");
    let default = load(None).expect("defaults");
    assert_eq!(format!("{example:#?}"), format!("{default:#?}"));
}

/// The keys that are commented out can be used as they are.
#[test]
fn keys_that_are_commented_out_can_be_used() {
    let text = fs::read_to_string(EXAMPLE).expect("the example");
    let above_tables = text.lines().take_while(|line| !line.starts_with("# [["));
    let mut tried = Vec::new();
    for line in above_tables.filter_map(|line| line.strip_prefix("# ")) {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let config = load_text(line);
        assert!(config.is_ok(), "{line}: {config:?}");
        tried.push(key);
    }
    assert_eq!(tried, ["data-dir", "admin-socket", "node", "workers", "upstream"]);
}

#[test]
fn every_key_is_in_the_example_and_in_the_reference() {
    let example = fs::read_to_string(EXAMPLE).expect("the example");
    let reference = fs::read_to_string(REFERENCE).expect("the reference");
    // The keys of the example, by the header above them.
    let mut keys: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut header = String::new();
    for line in example.lines().map(|line| line.trim_start_matches("# ")) {
        if line.starts_with('[') {
            line.clone_into(&mut header);
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.entry(header.clone()).or_default().push(key);
        }
    }
    let headers = ["", "[recursive]", "[validate]", "[encrypted]", "[sign]", "[delegation]"];
    for header in headers.iter().chain(&["[[upstreams]]", "[[forward]]"]) {
        let required = match *header {
            "[[upstreams]]" => "\nurl = \"192.0.2.1\"",
            "[[forward]]" => "\nzone = \"example\"\nupstream = \"192.0.2.1\"",
            _ => "",
        };
        let known = known_keys(&format!("{header}{required}"));
        assert!(known.len() >= 2, "{header}: {known:?}");
        for key in known {
            let is_table = headers.contains(&&*format!("[{key}]"))
                || ["upstreams", "forward"].contains(&&*key);
            if is_table {
                assert!(reference.contains(&format!("[{key}]")), "{key} in {REFERENCE}");
                continue;
            }
            let there = keys.get(*header).is_some_and(|keys| keys.contains(&&*key));
            assert!(there, "{header} {key} in {EXAMPLE}: {keys:#?}");
            assert!(reference.contains(&format!("| `{key}` |")), "{header} {key} in {REFERENCE}");
        }
    }
}
