//! Compares the documents of `--json` with `docs/schema/zonetool.json`: the part of JSON Schema
//! that this file uses, and no keyword that is not understood here.

use std::sync::OnceLock;

use serde_json::{Map, Value};

/// The definitions.
fn definitions() -> &'static Map<String, Value> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        serde_json::from_str(include_str!("../../../docs/schema/zonetool.json")).expect("JSON")
    });
    schema["$defs"].as_object().expect("definitions")
}

/// The definition of what these arguments print; none for commands that have none yet.
fn definition(args: &[&str]) -> Option<&'static str> {
    let command = args.iter().position(|arg| COMMANDS.iter().any(|(name, _)| name == arg))?;
    let has = |flag: &str| args.contains(&flag);
    let (name, definition) = COMMANDS.iter().find(|(name, _)| *name == args[command])?;
    Some(match *name {
        "register" if has("--dry-run") => "register_dry_run",
        _ if has("--dry-run") => "dry_run",
        _ => definition,
    })
}

const COMMANDS: [(&str, &str); 18] = [
    ("accept", "operation"),
    ("available", "available"),
    ("cancel", "operation"),
    ("check", "check"),
    ("history", "history"),
    ("key", "key"),
    ("list", "list"),
    ("price", "price"),
    ("recover", "operation"),
    ("register", "register"),
    ("renew", "operation"),
    ("revoke", "operation"),
    ("show", "show"),
    ("transfer", "operation"),
    ("update", "update"),
    ("verify", "verify"),
    ("whoami", "whoami"),
    ("zone", "zone"),
];

/// Checks what a command printed on standard output with `--json`. Gives whether there is a
/// definition of it.
pub fn check_document(args: &[&str], document: &Value) -> bool {
    let is_error = document.get("error").is_some();
    // The subcommands of these have documents of their own.
    let is_other = args.iter().any(|arg| ["peer", "bans", "cache"].contains(arg));
    let name = match definition(args) {
        _ if is_error => "error",
        Some(name) if !is_other => name,
        _ => return false,
    };
    let schema = definitions().get(name).unwrap_or_else(|| panic!("no definition of {name}"));
    if let Err(why) = matches(schema, document, name) {
        panic!("zonetool {}: {why} in {document:#}", args.join(" "));
    }
    true
}

fn matches(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, wanted) in schema.as_object().expect("an object") {
        let fits = match keyword.as_str() {
            "description" | "required" | "additionalProperties" => true,
            "$ref" => {
                let name = wanted.as_str().and_then(|it| it.strip_prefix("#/$defs/"));
                let referred = name.and_then(|name| definitions().get(name));
                matches(referred.unwrap_or_else(|| panic!("{wanted}")), value, at)?;
                true
            }
            "anyOf" => {
                let any = wanted.as_array().expect("a list");
                any.iter().any(|schema| matches(schema, value, at).is_ok())
            }
            "type" => match wanted {
                Value::Array(all) => all.iter().any(|one| is_of_type(one, value)),
                one => is_of_type(one, value),
            },
            "enum" => wanted.as_array().expect("a list").contains(value),
            "const" => wanted == value,
            "minimum" => value.as_f64().is_none_or(|it| Some(it) >= wanted.as_f64()),
            "maximum" => value.as_f64().is_none_or(|it| Some(it) <= wanted.as_f64()),
            "pattern" => value.as_str().is_none_or(|text| fits_pattern(wanted, text)),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    matches(wanted, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "properties" => {
                object_matches(schema, value, at)?;
                true
            }
            other => panic!("the keyword {other} is not understood"),
        };
        if !fits {
            return Err(format!("{at} is not of {keyword} {wanted}"));
        }
    }
    Ok(())
}

fn object_matches(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(fields) = value.as_object() else { return Ok(()) };
    assert_eq!(schema["additionalProperties"], false, "{at}: every field is described");
    let required = schema["required"].as_array().into_iter().flatten();
    for field in required.filter_map(Value::as_str) {
        if !fields.contains_key(field) {
            return Err(format!("{at} has no {field}"));
        }
    }
    for (field, value) in fields {
        match schema["properties"].get(field) {
            Some(schema) => matches(schema, value, &format!("{at}.{field}"))?,
            None => return Err(format!("{at}.{field} is not described")),
        }
    }
    Ok(())
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => panic!("the type {name} is not understood"),
    }
}

/// The patterns of the file, one by one: they need no engine.
fn fits_pattern(pattern: &Value, text: &str) -> bool {
    let bytes = text.as_bytes();
    match pattern.as_str() {
        Some("^[0-9a-f]{64}$") => {
            bytes.len() == 64 && bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        }
        Some("^[a-z0-9-]{3,63}$") => {
            (3..=63).contains(&bytes.len())
                && bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'-'))
        }
        Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$") => {
            let form = b"0000-00-00T00:00:00Z";
            let fits = |(byte, form): (&u8, &u8)| match form {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            };
            bytes.len() == form.len() && bytes.iter().zip(form).all(fits)
        }
        _ => panic!("the pattern {pattern} is not understood"),
    }
}
