//! Reads a skill's folder: SKILL.md (the Agent Skills format), and tools.json where it brings tools.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::skill::{EffectClass, ToolSpec};

/// A skill as it lies in its folder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) instructions: String,
    pub(super) tools: Vec<ToolSpec>,
    pub(super) script: Option<PathBuf>,
    pub(super) folder: Option<PathBuf>,
}

/// What stands before the instructions in SKILL.md, between lines of dashes.
#[derive(Debug, Default, Deserialize)]
struct FrontMatter {
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tools: Vec<ToolEntry>,
}

/// tools.json.
#[derive(Debug, Default, Deserialize)]
struct ToolsFile {
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tools: Vec<ToolEntry>,
}

#[derive(Debug, Deserialize)]
struct ToolEntry {
    name: Option<String>,
    #[serde(default)]
    description: String,
    input_schema: Option<Value>,
    effect: Option<EffectClass>,
    #[serde(default)]
    approval: bool,
}

/// Reads all skills below a folder. One that cannot be read is left out and said.
pub(super) fn load_all(folder: &Path) -> Vec<Loaded> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.sort();
    let mut skills: BTreeMap<String, Loaded> = BTreeMap::new();
    for folder in folders {
        match load(&folder) {
            Ok(skill) => {
                if let Some(other) = skills.insert(skill.name.clone(), skill) {
                    tracing::warn!(skill = other.name, "two skills have one name; the later folder is used");
                }
            }
            Err(error) => tracing::warn!(folder = %folder.display(), error, "skill cannot be read"),
        }
    }
    skills.into_values().collect()
}

fn load(folder: &Path) -> Result<Loaded, String> {
    let own_name = folder.file_name().and_then(|name| name.to_str()).ok_or("its folder's name is no text")?;
    let markdown = read(&folder.join("SKILL.md"))?.unwrap_or_default();
    let tools = match read(&folder.join("tools.json"))? {
        Some(text) => {
            serde_json::from_str::<ToolsFile>(&text).map_err(|error| format!("tools.json: {error}"))?
        }
        None => ToolsFile::default(),
    };
    let mut skill = assemble(own_name, &markdown, tools)?;
    skill.script = script(folder);
    skill.folder = Some(folder.to_owned());
    Ok(skill)
}

/// A skill from its two texts.
fn assemble(own_name: &str, markdown: &str, file: ToolsFile) -> Result<Loaded, String> {
    let (front, instructions) = front_matter(markdown)?;
    let name = file.name.or(front.name).unwrap_or_else(|| own_name.to_owned());
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        return Err(format!("`{name}` is no name of a skill: letters, digits, - and _ only"));
    }
    let description = file.description.or(front.description).unwrap_or_default();
    let entries = if file.tools.is_empty() { front.tools } else { file.tools };
    let tools = entries.into_iter().filter_map(|entry| tool(&name, entry)).collect();
    Ok(Loaded {
        name,
        description: description.split_whitespace().collect::<Vec<_>>().join(" "),
        instructions: instructions.trim().to_owned(),
        tools,
        script: None,
        folder: None,
    })
}

/// A skill that comes with Atoll, from its SKILL.md.
pub(super) fn built_in(name: &str, markdown: &str) -> Result<Loaded, String> {
    assemble(name, markdown, ToolsFile::default())
}

fn tool(skill: &str, entry: ToolEntry) -> Option<ToolSpec> {
    let name = entry.name?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        tracing::warn!(skill, tool = name, "tool left out: its name may have letters, digits, - and _ only");
        return None;
    }
    Some(ToolSpec {
        name,
        description: entry.description,
        input_schema: entry.input_schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        effect: entry.effect.unwrap_or(EffectClass::Once),
        approval: entry.approval,
        skill: Some(skill.to_owned()),
    })
}

fn front_matter(markdown: &str) -> Result<(FrontMatter, &str), String> {
    let text = markdown.trim_start_matches('\u{feff}');
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else {
        return Ok((FrontMatter::default(), text));
    };
    let Some(end) = rest.find("\n---") else { return Err("SKILL.md: the front matter has no end".into()) };
    let body = rest[end + 4..].trim_start_matches(['-', '\r']).trim_start_matches('\n');
    let front = serde_saphyr::from_str(&rest[..end]).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        format!("SKILL.md: the front matter is no YAML (line {line})")
    })?;
    Ok((front, body))
}

/// The first script by name.
fn script(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder.join("scripts")).ok()?;
    let mut scripts: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    scripts.sort();
    scripts.into_iter().next()
}

/// The text of a file, if it is there. A link that leads elsewhere is not followed.
fn read(path: &Path) -> Result<Option<String>, String> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            std::fs::read_to_string(path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
        }
        Ok(_) => Err(format!("{} is no plain file", path.display())),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn folders_of_either_kind_are_read_and_broken_ones_left_out() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        write(home, "notes/SKILL.md", "---\nname: notes\ndescription: Keeps\n  notes.\n---\n# How\nWrite.\n");
        write(home, "old/SKILL.md", "# Old\nplain");
        write(
            home,
            "old/tools.json",
            r#"{"name":"old","description":"d","tools":[{"name":"old_do","description":"x"},{"description":"nameless"},
               {"name":"old_look","input_schema":{"type":"object"},"effect":"pure","approval":true}],"metadata":{}}"#,
        );
        write(home, "old/scripts/b.js", "");
        write(home, "old/scripts/a.js", "");
        write(home, "broken/tools.json", "{");
        write(home, "evil/tools.json", r#"{"name":"../../x"}"#);
        let skills = load_all(home);
        assert_eq!(skills.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["notes", "old"]);
        assert_eq!(
            (skills[0].description.as_str(), skills[0].instructions.as_str()),
            ("Keeps notes.", "# How\nWrite.")
        );
        let old = &skills[1];
        assert_eq!(old.tools.len(), 2);
        assert_eq!((old.tools[0].effect, old.tools[0].approval), (EffectClass::Once, false));
        assert_eq!((old.tools[1].effect, old.tools[1].approval), (EffectClass::Pure, true));
        assert!(old.script.as_ref().unwrap().ends_with("a.js"));
    }
}
