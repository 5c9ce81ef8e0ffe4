//! The tools of our own engine, as models see them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::skill::{EffectClass, ToolSpec};

/// Longest time of a command, in seconds, unless it is told otherwise.
pub(super) const BASH_SECONDS: u64 = 120;
/// Longest time of a command that may be asked for, in seconds.
pub(super) const BASH_MOST: u64 = 1_200;
/// Lines of a file that are read at once.
pub(super) const READ_LINES: u64 = 2_000;

/// All tools, in a stable order.
pub fn specs() -> Vec<Arc<ToolSpec>> {
    vec![bash(), read(), write(), edit(), search(), todo()].into_iter().map(Arc::new).collect()
}

fn spec(
    name: &str,
    description: String,
    properties: &Value,
    required: &[&str],
    effect: EffectClass,
) -> ToolSpec {
    let input_schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    ToolSpec { name: name.into(), description, input_schema, effect, approval: false, skill: None }
}

fn path() -> Value {
    json!({"type": "string", "minLength": 1, "description": "path below the workspace"})
}

fn bash() -> ToolSpec {
    let properties = json!({
        "command": {"type": "string", "minLength": 1, "description": "what bash runs, in the workspace"},
        "timeout": {
            "type": "integer", "minimum": 1, "maximum": BASH_MOST,
            "description": format!("seconds after which it is killed; {BASH_SECONDS} unless told"),
        },
    });
    let description = "Runs a command with bash in the workspace and gives its output and exit code. There is no \
        terminal, no input and no network beyond what the project allows. Use it to build, to test and to look \
        around; to read and change files use the other tools.";
    spec("bash", description.into(), &properties, &["command"], EffectClass::Once)
}

fn read() -> ToolSpec {
    let properties = json!({
        "path": path(),
        "from": {"type": "integer", "minimum": 1, "description": "first line, from 1"},
        "lines": {"type": "integer", "minimum": 1, "maximum": READ_LINES, "description": "how many lines"},
    });
    let description = format!(
        "Reads a text file. Each line is shown after its number and a tab. At most {READ_LINES} lines at a time; \
         what is left out is said."
    );
    spec("read", description, &properties, &["path"], EffectClass::Pure)
}

fn write() -> ToolSpec {
    let properties = json!({"path": path(), "content": {"type": "string", "description": "the whole file"}});
    let description = "Writes a whole file, new or over an old one. Missing folders are made.";
    spec("write", description.into(), &properties, &["path", "content"], EffectClass::Idempotent)
}

fn edit() -> ToolSpec {
    let properties = json!({
        "path": path(),
        "old": {
            "type": "string",
            "description": "the exact text to replace, without line numbers, with enough around it to occur once; \
                left out, the whole file becomes `new`",
        },
        "new": {"type": "string", "description": "what stands there instead"},
        "all": {"type": "boolean", "description": "replace it wherever it occurs"},
    });
    let description =
        "Replaces a piece of a file that exists. The piece must occur exactly once, unless `all` is set.";
    spec("edit", description.into(), &properties, &["path", "new"], EffectClass::Once)
}

fn search() -> ToolSpec {
    let properties = json!({
        "pattern": {"type": "string", "minLength": 1, "description": "regular expression of ripgrep"},
        "path": {"type": "string", "description": "file or folder; the whole workspace unless told"},
        "glob": {"type": "string", "description": "only files like this, such as `*.rs`"},
        "ignore_case": {"type": "boolean"},
    });
    let description = "Searches the files of the workspace with ripgrep, leaving out what git ignores. Gives file, \
        line number and line.";
    spec("search", description.into(), &properties, &["pattern"], EffectClass::Pure)
}

fn todo() -> ToolSpec {
    let item = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1},
            "status": {"type": "string", "enum": ["open", "doing", "done"]},
        },
        "required": ["text", "status"],
        "additionalProperties": false,
    });
    let properties = json!({"items": {"type": "array", "maxItems": 50, "items": item}});
    let description =
        "Notes the plan: the whole list each time. For work of more than a few steps; people watch it.";
    spec("todo", description.into(), &properties, &["items"], EffectClass::Idempotent)
}
