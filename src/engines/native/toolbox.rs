//! What the tools do: arguments checked, the sandbox asked, an answer of bounded length for the model.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Stop,
    exec::{Ran, run},
    files::Files,
    specs::{BASH_MOST, BASH_SECONDS, READ_LINES, specs},
};
use crate::{
    domain::{
        engine::{Change, QuestionKind},
        skill::ToolSpec,
    },
    ports::sandbox::{ExecSpec, Sandbox},
};

/// Most bytes of an answer.
const ANSWER: usize = 32 * 1024;
/// Longest line of a file that is shown whole, in bytes.
const LINE: usize = 2_000;

/// Starts a command in a process group of its own: first its number, then its output and complaints together.
const BASH: &str = "echo $$; exec 2>&1 </dev/null; exec timeout -k 5 \"$1\" bash -c \"$2\"";
/// Ends a process group at once.
const END: &str = "kill -s KILL -- \"-$1\"";

/// What a call came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// What the model is told.
    pub output: String,
    /// It failed.
    pub failed: bool,
    /// The file that was changed.
    pub changed: Option<(String, Change)>,
}

impl Done {
    fn ok(output: impl Into<String>) -> Self {
        Self { output: output.into(), ..Self::default() }
    }

    fn failed(output: impl Into<String>) -> Self {
        Self { output: format!("Error: {}", output.into()), failed: true, changed: None }
    }
}

/// The tools over one sandbox.
pub struct Toolbox {
    sandbox: Arc<dyn Sandbox>,
    root: String,
    specs: Vec<(Arc<ToolSpec>, Option<jsonschema::Validator>)>,
}

impl Toolbox {
    /// With this folder inside as the workspace.
    pub fn new(sandbox: Arc<dyn Sandbox>, root: impl Into<String>) -> Self {
        let specs = specs().into_iter().map(|spec| {
            let schema = jsonschema::validator_for(&spec.input_schema).ok();
            (spec, schema)
        });
        Self { sandbox, root: root.into(), specs: specs.collect() }
    }

    /// The tools, for the model.
    pub fn specs(&self) -> Vec<Arc<ToolSpec>> {
        self.specs.iter().map(|(spec, _)| Arc::clone(spec)).collect()
    }

    /// What has to be approved before such a call, when anything has to be.
    pub fn asks(&self, tool: &str) -> Option<QuestionKind> {
        match tool {
            "bash" => Some(QuestionKind::Command),
            "write" | "edit" => Some(QuestionKind::Edit),
            _ => None,
        }
    }

    /// Runs a call. `live` hears pieces of a command's output; `stop` ends a command that runs.
    pub async fn call(&self, tool: &str, args: &Value, stop: &Stop, live: impl FnMut(&str)) -> Done {
        let Some((_, schema)) = self.specs.iter().find(|(spec, _)| spec.name == tool) else {
            let names: Vec<&str> = self.specs.iter().map(|(spec, _)| spec.name.as_str()).collect();
            return Done::failed(format!("there is no tool `{tool}`; there are {}", names.join(", ")));
        };
        let faults: Vec<String> = match schema {
            Some(schema) => schema.iter_errors(args).take(3).map(|fault| fault.to_string()).collect(),
            None => vec!["the tool's own schema is broken".into()],
        };
        if !faults.is_empty() {
            return Done::failed(format!("wrong arguments: {}", faults.join("; ")));
        }
        let done = match tool {
            "bash" => self.bash(args, stop, live).await,
            "read" => self.read(args).await,
            "write" => self.write(args).await,
            "edit" => self.edit(args).await,
            "search" => self.search(args).await,
            _ => Ok(todo(args)),
        };
        done.unwrap_or_else(Done::failed)
    }

    fn files(&self) -> Files<'_> {
        Files { sandbox: self.sandbox.as_ref(), root: &self.root }
    }

    async fn bash(&self, args: &Value, stop: &Stop, mut live: impl FnMut(&str)) -> Result<Done, String> {
        let seconds = number(args, "timeout").unwrap_or(BASH_SECONDS).min(BASH_MOST);
        let script = ["sh", "-c", BASH, "sh", &seconds.to_string(), text(args, "command")];
        let mut group = Group::default();
        let ran = {
            let hear = |chunk: &[u8]| {
                let said = group.hear(chunk);
                if !said.is_empty() {
                    live(&String::from_utf8_lossy(said));
                }
            };
            let work = run(self.sandbox.as_ref(), script.map(str::to_owned).to_vec(), None, ANSWER, hear);
            tokio::select! {
                ran = work => Some(ran.map_err(|error| error.to_string())?),
                () = stop.cancelled() => None,
            }
        };
        let Some(ran) = ran else {
            self.end(&group).await;
            return Err("the command was stopped while it ran; what it did so far stays".into());
        };
        Ok(said(&ran, &group, seconds))
    }

    /// Kills a command and all that it started, as far as it stayed in its group.
    async fn end(&self, group: &Group) {
        let Some(id) = group.id() else { return };
        let argv = ["sh", "-c", END, "sh", id].map(str::to_owned).to_vec();
        if let Ok(exec) = self.sandbox.exec(ExecSpec { argv, ..ExecSpec::default() }).await {
            let _ = exec.exit.await;
        }
    }

    async fn read(&self, args: &Value) -> Result<Done, String> {
        let path = text(args, "path");
        let from = number(args, "from").unwrap_or(1);
        let lines = number(args, "lines").unwrap_or(READ_LINES).min(READ_LINES);
        let part = self.files().read(path, from, lines + 1).await?;
        if part.bytes.contains(&0) {
            return Err(format!("{path}: {} bytes that are no text", part.size));
        }
        if part.bytes.is_empty() {
            let beyond = format!("{path} ends before line {from}");
            return if part.size == 0 { Ok(Done::ok(format!("{path} is empty"))) } else { Err(beyond) };
        }
        let content = String::from_utf8_lossy(&part.bytes);
        let mut shown = String::new();
        let (mut number, mut more) = (from, part.cut);
        for line in content.lines() {
            if number - from == lines || shown.len() > ANSWER {
                more = true;
                break;
            }
            let cut = line.floor_char_boundary(LINE);
            let rest = if cut < line.len() { "[… cut]" } else { "" };
            shown.push_str(&format!("{number}\t{}{rest}\n", &line[..cut]));
            number += 1;
        }
        if more {
            shown.push_str(&format!(
                "[more follows: read on from line {number}; {} bytes in all]\n",
                part.size
            ));
        }
        Ok(Done::ok(shown))
    }

    async fn write(&self, args: &Value) -> Result<Done, String> {
        let (path, content) = (text(args, "path"), text(args, "content"));
        self.put(path, content.as_bytes().to_vec(), "written").await
    }

    async fn put(&self, path: &str, content: Vec<u8>, what: &str) -> Result<Done, String> {
        let bytes = content.len();
        let is_new = self.files().write(path, content).await?;
        let change = if is_new { Change::Added } else { Change::Changed };
        let output = format!("{path}: {what}, {bytes} bytes");
        Ok(Done { output, failed: false, changed: Some((path.to_owned(), change)) })
    }

    async fn edit(&self, args: &Value) -> Result<Done, String> {
        let (path, new) = (text(args, "path"), text(args, "new"));
        let content = self.files().whole(path).await?;
        let Some(old) = args.get("old").and_then(Value::as_str) else {
            return self.put(path, new.as_bytes().to_vec(), "replaced as a whole").await;
        };
        let all = args.get("all").and_then(Value::as_bool).unwrap_or(false);
        let (edited, count) = replaced(&content, old, new, all).map_err(|why| format!("{path}: {why}"))?;
        self.put(path, edited, &format!("{count} replaced")).await
    }

    async fn search(&self, args: &Value) -> Result<Done, String> {
        let mut more = Vec::new();
        if args.get("ignore_case").and_then(Value::as_bool).unwrap_or(false) {
            more.push("--ignore-case".to_owned());
        }
        if let Some(glob) = args.get("glob").and_then(Value::as_str) {
            more.extend(["--glob".to_owned(), glob.to_owned()]);
        }
        more.extend(["-e".to_owned(), text(args, "pattern").to_owned()]);
        let path = args.get("path").and_then(Value::as_str).filter(|path| !path.is_empty()).unwrap_or(".");
        let found = self.files().search(path, &more, ANSWER).await?;
        let Some(found) = found else { return Ok(Done::ok("nothing found")) };
        // Paths as the other tools take them.
        let lines: Vec<&str> = found.lines().map(|line| line.strip_prefix("./").unwrap_or(line)).collect();
        Ok(Done::ok(lines.join("\n")))
    }
}

/// Replaces `old` in a file; it must occur once unless `all`. Line ends of the file are kept.
fn replaced(content: &[u8], old: &str, new: &str, all: bool) -> Result<(Vec<u8>, usize), String> {
    if old.is_empty() {
        return Err("`old` is empty: say what to replace, or leave it out to replace the whole file".into());
    }
    if old == new {
        return Err("`old` and `new` are the same".into());
    }
    let mut pair = (old.to_owned(), new.to_owned());
    let mut places = places(content, pair.0.as_bytes());
    if places.is_empty() && !old.contains('\r') && content.windows(2).any(|two| two == b"\r\n") {
        pair = (old.replace('\n', "\r\n"), new.replace("\r\n", "\n").replace('\n', "\r\n"));
        places = self::places(content, pair.0.as_bytes());
    }
    match places.len() {
        0 => return Err("`old` does not occur; read the file again and copy the text exactly".into()),
        1 => {}
        _ if all => {}
        count => {
            return Err(format!(
                "`old` occurs {count} times; take in more of what is around it, or set `all`"
            ));
        }
    }
    let mut edited = Vec::with_capacity(content.len() + pair.1.len());
    let mut at = 0;
    for place in &places {
        edited.extend_from_slice(&content[at..*place]);
        edited.extend_from_slice(pair.1.as_bytes());
        at = place + pair.0.len();
    }
    edited.extend_from_slice(&content[at..]);
    Ok((edited, places.len()))
}

/// Where `piece` occurs, without overlaps.
fn places(content: &[u8], piece: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while at + piece.len() <= content.len() {
        if content[at..].starts_with(piece) {
            places.push(at);
            at += piece.len();
        } else {
            at += 1;
        }
    }
    places
}

/// The number of a process group, read from the first line of output.
#[derive(Debug, Default)]
struct Group {
    line: Vec<u8>,
    known: bool,
}

impl Group {
    /// Takes output and gives what of it is the command's own.
    fn hear<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        if self.known {
            return chunk;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        self.line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        self.known = end.is_some();
        end.map_or(&[], |end| &chunk[end + 1..])
    }

    fn id(&self) -> Option<&str> {
        let id = std::str::from_utf8(&self.line).ok()?;
        (self.known && id.parse::<u32>().is_ok_and(|id| id > 1)).then_some(id)
    }
}

fn said(ran: &Ran, group: &Group, seconds: u64) -> Done {
    let all = ran.out.text();
    let own = if group.known { all.split_once('\n').map_or("", |(_, own)| own) } else { all.as_str() };
    let own = own.trim_end();
    match ran.exit {
        Some(0) if own.is_empty() => Done::ok("[exit code 0, no output]"),
        Some(0) => Done::ok(own),
        Some(124 | 137) => Done {
            output: format!("{own}\n[killed after {seconds} seconds, or for want of memory]"),
            failed: true,
            changed: None,
        },
        Some(code) => Done { output: format!("{own}\n[exit code {code}]"), failed: true, changed: None },
        None => Done::failed("the sandbox died while the command ran"),
    }
}

fn todo(args: &Value) -> Done {
    let items = args.get("items").and_then(Value::as_array).into_iter().flatten();
    let lines = items.map(|item| {
        let mark = match text(item, "status") {
            "done" => "x",
            "doing" => ">",
            _ => " ",
        };
        format!("[{mark}] {}", text(item, "text"))
    });
    let lines: Vec<String> = lines.collect();
    Done::ok(if lines.is_empty() { "the plan is empty".into() } else { lines.join("\n") })
}

fn text<'a>(args: &'a Value, key: &str) -> &'a str {
    args.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(args: &Value, key: &str) -> Option<u64> {
    args.get(key).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_edit_is_exact_and_unique_and_keeps_line_ends() {
        let edit = |content: &str, old, new, all| {
            replaced(content.as_bytes(), old, new, all).map(|(bytes, _)| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(edit("a b a", "b", "c", false).unwrap(), "a c a");
        assert_eq!(edit("a b a", "a", "x", true).unwrap(), "x b x");
        assert_eq!(edit("1\r\n2\r\n3\r\n", "1\n2", "1\n9", false).unwrap(), "1\r\n9\r\n3\r\n");
        assert!(edit("a b a", "a", "x", false).unwrap_err().contains("2 times"));
        assert!(edit("a", "b", "x", false).unwrap_err().contains("does not occur"));
        assert!(edit("a", "", "x", false).is_err() && edit("a", "a", "a", false).is_err());
        assert_eq!(replaced(b"\xff a", "a", "b", false).unwrap().0, b"\xff b");
    }

    proptest! {
        #[test]
        fn replacing_all_is_what_a_string_does(content in "[abc]{0,40}", old in "[abc]{1,3}", new in "[de]{0,4}") {
            match replaced(content.as_bytes(), &old, &new, true) {
                Ok((bytes, count)) => {
                    prop_assert_eq!(String::from_utf8(bytes).unwrap(), content.replace(&old, &new));
                    prop_assert_eq!(count, content.matches(&old).count());
                }
                Err(_) => prop_assert!(!content.contains(&old)),
            }
        }

        #[test]
        fn the_number_of_a_group_is_read_however_it_is_cut(id in 2u32..99_999, rest in "[a-z\n]{0,20}", cut in 0usize..30) {
            let all = format!("{id}\n{rest}");
            let (one, two) = all.as_bytes().split_at(cut.min(all.len()));
            let mut group = Group::default();
            let own = [group.hear(one), group.hear(two)].concat();
            prop_assert_eq!(String::from_utf8(own).unwrap(), rest);
            let id = id.to_string();
            prop_assert_eq!(group.id(), Some(id.as_str()));
        }
    }
}
