//! Skills from folders, as the skill host sees them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt, future::BoxFuture};
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;

use crate::{
    config,
    domain::{
        message::{FileRef, ToolCall},
        skill::{SkillInfo, ToolBook, ToolSpec, hex},
    },
    ports::{
        files::Files,
        tool::{Skills, ToolContext, ToolOutput},
    },
};

use super::{
    loader::{self, Loaded},
    process::{self, Ended, Script},
};

const GUIDE: &str = include_str!("../../assets/skills/atoll-guide/SKILL.md");
/// Most files that one call may declare, and their largest size in bytes.
const MOST_FILES: usize = 10;
const LARGEST_FILE: u64 = 500 * 1024 * 1024;

/// Where skills lie and work.
#[derive(Debug, Clone)]
pub struct SkillPlaces {
    /// The folders of skills.
    pub folder: PathBuf,
    /// Where scripts work: a folder for each conversation below it.
    pub workspace: PathBuf,
    /// Where running processes are noted.
    pub notes: PathBuf,
}

/// All skills of this home.
pub struct FolderSkills {
    skills: BTreeMap<String, Arc<Skill>>,
    places: SkillPlaces,
    files: Arc<dyn Files>,
}

struct Skill {
    loaded: Loaded,
    config: Option<config::Skill>,
}

impl Skill {
    /// Why it cannot be used, if it cannot.
    fn fault(&self) -> Option<String> {
        let config = self.config.as_ref();
        if config.is_some_and(|config| !config.enabled) {
            return Some("it is switched off in the configuration".into());
        }
        if self.loaded.tools.is_empty() {
            return None;
        }
        if self.loaded.script.is_none() {
            return Some("it has tools and no script in scripts/".into());
        }
        if !config.is_some_and(|config| config.run_on_host) {
            return Some(format!(
                "its scripts may not run: there is no sandbox for skills yet. `skills.{}.run_on_host: true` in \
                 config.yaml lets them run on this machine, unconfined",
                self.loaded.name
            ));
        }
        None
    }

    fn tools(&self) -> Vec<ToolSpec> {
        let ask = self.config.as_ref().is_some_and(|config| config.approval);
        let tools = self.loaded.tools.iter().cloned();
        tools.map(|tool| ToolSpec { approval: tool.approval || ask, ..tool }).collect()
    }
}

impl FolderSkills {
    /// Reads the skills of a home, and those that come with Atoll; one of the home with the same name wins.
    pub fn load(
        places: SkillPlaces,
        config: &BTreeMap<String, config::Skill>,
        files: Arc<dyn Files>,
    ) -> Self {
        let guide = loader::built_in("atoll-guide", GUIDE);
        let own = loader::load_all(&places.folder);
        let skills = guide
            .into_iter()
            .chain(own)
            .map(|loaded| {
                let config = config.get(&loaded.name).cloned();
                (loaded.name.clone(), Arc::new(Skill { loaded, config }))
            })
            .collect();
        Self { skills, places, files }
    }

    fn of_tool(&self, tool: &str) -> Option<Arc<Skill>> {
        let has = |skill: &&Arc<Skill>| skill.loaded.tools.iter().any(|known| known.name == tool);
        self.skills.values().find(has).cloned()
    }
}

impl Skills for FolderSkills {
    fn tools(&self) -> ToolBook {
        let active = self.skills.values().filter(|skill| skill.fault().is_none());
        ToolBook::new(active.flat_map(|skill| skill.tools()))
    }

    fn list(&self) -> Vec<SkillInfo> {
        let info = |skill: &Arc<Skill>| {
            let reason = skill.fault();
            SkillInfo {
                name: skill.loaded.name.clone(),
                description: skill.loaded.description.clone(),
                tools: skill.loaded.tools.len(),
                active: reason.is_none(),
                reason,
            }
        };
        self.skills.values().map(info).collect()
    }

    fn instructions(&self, skill: &str) -> Option<String> {
        self.skills.get(skill).map(|skill| skill.loaded.instructions.clone())
    }

    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutput> {
        let Some(skill) = self.of_tool(&call.name) else {
            let text = format!("Error: there is no tool `{}`.", call.name);
            return Box::pin(std::future::ready(ToolOutput::failed(text)));
        };
        let (places, files) = (self.places.clone(), Arc::clone(&self.files));
        Box::pin(async move { run(&skill, &places, files, call, context).await })
    }
}

async fn run(
    skill: &Skill,
    places: &SkillPlaces,
    files: Arc<dyn Files>,
    call: ToolCall,
    context: ToolContext,
) -> ToolOutput {
    let (Some(program), Some(folder), None) = (&skill.loaded.script, &skill.loaded.folder, skill.fault())
    else {
        return ToolOutput::failed(format!("Error: the skill `{}` cannot run here.", skill.loaded.name));
    };
    let name = hex(&Sha256::digest(context.conversation.as_str())[..12]);
    let workspace = places.workspace.join(name);
    if let Err(error) = tokio::fs::create_dir_all(&workspace).await {
        return ToolOutput::failed(format!("Error: the workspace cannot be made: {error}."));
    }
    let mut settings = skill.config.as_ref().map(|config| config.settings.clone()).unwrap_or_default();
    settings.insert("workspace".into(), workspace.display().to_string().into());
    settings.insert("callKey".into(), context.key.clone().into());
    let config = serde_json::Value::Object(settings).to_string();
    let args = call.args.to_string();
    let script = Script {
        program,
        args: [&call.name, &args],
        folder,
        workspace: &workspace,
        config: &config,
        notes: &places.notes,
    };
    match process::run(script, &context.cancel).await {
        Ended::Exit { code: 0, stdout, .. } => declared(&stdout, &workspace, &files).await,
        Ended::Exit { code, stdout, stderr } => {
            let said = if stderr.trim().is_empty() { stdout } else { stderr };
            ToolOutput::failed(format!("Error (exit {code}): {}", said.trim()))
        }
        Ended::Cancelled => ToolOutput::failed("Error: it was ended."),
        Ended::NotStarted(why) => ToolOutput::failed(format!("Error: the script cannot be started: {why}.")),
    }
}

/// The output without its list of files, and those files stored. Only files that the tool declared and that
/// lie in its workspace are taken; a path anywhere else in the output is just text.
async fn declared(stdout: &str, workspace: &Path, files: &Arc<dyn Files>) -> ToolOutput {
    let Some((before, rest)) = stdout.split_once("[NEW_FILES]") else {
        return ToolOutput::ok(stdout.trim_end());
    };
    let (list, after) = rest.split_once("[/NEW_FILES]").unwrap_or((rest, ""));
    let mut output = ToolOutput::ok(format!("{}{}", before.trim_end(), after.trim_end()));
    for path in list.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST_FILES) {
        match store(Path::new(path), workspace, files).await {
            Ok(file) => {
                output.text.push_str(&format!("\n[file: {} ({} bytes)]", file.name, file.size));
                output.files.push(file);
            }
            Err(why) => output.text.push_str(&format!("\n[file not taken: {path}: {why}]")),
        }
    }
    output
}

async fn store(path: &Path, workspace: &Path, files: &Arc<dyn Files>) -> Result<FileRef, String> {
    let workspace = tokio::fs::canonicalize(workspace).await.map_err(|error| error.to_string())?;
    let path = tokio::fs::canonicalize(workspace.join(path)).await.map_err(|error| error.to_string())?;
    if !path.starts_with(&workspace) {
        return Err("it is not in the workspace".into());
    }
    let found = tokio::fs::metadata(&path).await.map_err(|error| error.to_string())?;
    if !found.is_file() || found.len() > LARGEST_FILE {
        return Err(format!("it is no file of at most {LARGEST_FILE} bytes"));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file").to_owned();
    let file = tokio::fs::File::open(&path).await.map_err(|error| error.to_string())?;
    let (bytes, media_type) = (ReaderStream::new(file).boxed(), media_type(&name).to_owned());
    files.keep(name, media_type, bytes, LARGEST_FILE).await.map_err(|error| error.to_string())
}

/// The media type that a name suggests.
fn media_type(name: &str) -> &'static str {
    let kind = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "ogg" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "csv" => "text/csv",
        "html" => "text/html",
        "txt" | "md" | "log" => "text/plain",
        _ => "application/octet-stream",
    }
}
