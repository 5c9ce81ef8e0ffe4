//! YAML to a tree of values, with errors that name the place and never show the text.

use serde_json::Value;

/// Parses YAML. An empty document is an empty map.
pub(super) fn yaml(text: &str) -> Result<Value, String> {
    let value: Option<Value> = serde_saphyr::from_str(text).map_err(|error| match error.location() {
        Some(at) => format!("line {}, column {}: this is not valid YAML", at.line(), at.column()),
        None => "this is not valid YAML".to_owned(),
    })?;
    Ok(value.filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(serde_json::Map::new())))
}
