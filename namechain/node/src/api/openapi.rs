//! The description of the API: a file, which a test makes from the handlers and the types. So what
//! makes it is not built into the programs.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::app::App;

/// The description of a node's routes.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// This document.
#[cfg_attr(test, utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, description = "an OpenAPI document", body = Object, content_type = "application/json"),
)))]
pub(super) async fn openapi(State(app): State<App>) -> Json<Value> {
    let more = app.extension.document.unwrap_or("{}");
    Json(app.document.get_or_init(|| merge_documents(DOCUMENT, more)).clone())
}

/// The OpenAPI document `document` with the routes and the types of `more`.
///
/// # Panics
/// If one of them is not JSON: they are parts of the program.
pub fn merge_documents(document: &str, more: &str) -> Value {
    let parse = |text| serde_json::from_str::<Value>(text).expect("a part of the program");
    let (mut document, mut more) = (parse(document), parse(more));
    for pointer in ["/paths", "/components/schemas"] {
        let Some(Value::Object(new)) = more.pointer_mut(pointer).map(Value::take) else { continue };
        if document.pointer(pointer).is_none() {
            document["components"]["schemas"] = json!({});
        }
        if let Some(Value::Object(all)) = document.pointer_mut(pointer) {
            all.extend(new);
        }
    }
    document
}

#[cfg(test)]
pub(super) mod tests {
    use utoipa::OpenApi;

    use super::*;
    use crate::api::{bans, blocks, bundles, metrics, mining, names, node, ops};

    /// The document, made from the handlers and the types.
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "namechain node",
            description = "What a node of the naming chain tells and takes. Every refusal is a `Refusal`. Routes with the tag `admin` are served on the admin socket only, the others over TCP too, where a client that asks too often gets 429.",
            license(name = "MIT OR Apache-2.0")
        ),
        paths(
            node::status,
            node::peers,
            bans::list,
            bans::add,
            bans::lift,
            node::price,
            names::name,
            names::proof,
            names::history,
            names::commitment,
            bundles::bundle,
            bundles::put,
            bundles::prekey,
            ops::submit,
            blocks::block,
            blocks::place,
            mining::template,
            mining::mined,
            node::healthz,
            node::readyz,
            metrics::metrics,
            super::openapi,
        )
    )]
    struct Document;

    /// `NAMECHAIN_WRITE=1 cargo test openapi` writes the file.
    #[test]
    fn the_file_is_what_the_handlers_and_types_say() {
        let made = Document::openapi().to_pretty_json().expect("a document") + "\n";
        if std::env::var_os("NAMECHAIN_WRITE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/openapi.json");
            std::fs::write(path, &made).expect("the file is written");
        } else {
            assert!(made == DOCUMENT, "run NAMECHAIN_WRITE=1 cargo test -p namechain-node openapi");
        }
    }

    #[test]
    fn documents_are_merged() {
        let types = r#"{"paths": {"/a": 1}, "components": {"schemas": {"T": {}}}}"#;
        for (one, two) in [(r#"{"paths": {"/b": 2}}"#, types), (types, r#"{"paths": {"/b": 2}}"#)] {
            let all = json!({"paths": {"/a": 1, "/b": 2}, "components": {"schemas": {"T": {}}}});
            assert_eq!(merge_documents(one, two), all);
        }
    }
}
