//! Files of the workspace, by small scripts that run inside: a path is resolved where its links are.

use crate::ports::sandbox::Sandbox;

use super::exec::{Ran, run};

/// Largest file that is edited, in bytes.
pub(super) const EDIT_MOST: usize = 4 * 1024 * 1024;
/// Most bytes of a file that are read at once.
const READ_MOST: usize = 256 * 1024;
/// Where the script says that a path is wrong.
const WRONG: i64 = 43;

/// Resolves `$1` against the workspace `$2`, links and all, into `$real`, and refuses what lies outside of it or
/// among git's own files.
const RESOLVE: &str = r#"
set -u
wrong() { printf '%s\n' "$1" >&2; exit 43; }
root=$(realpath -e -- "$2") || wrong "the workspace is missing"
cd "$root" || wrong "the workspace cannot be entered"
real=$(realpath -m -- "$1") || wrong "this path cannot be resolved"
case "$real/" in
  "$root"/*) ;;
  *) wrong "this path leads out of the workspace";;
esac
"#;

const READ: &str = r#"
[ -e "$real" ] || wrong "there is no such file"
[ -d "$real" ] && wrong "this is a folder: look into it with bash"
[ -f "$real" ] || wrong "this is no plain file"
stat -c %s -- "$real" || exit 1
tail -n "+$3" -- "$real" | head -n "$4" | head -c "$5"
"#;

const WHOLE: &str = r#"
[ -f "$real" ] || wrong "there is no such file"
size=$(stat -c %s -- "$real") || exit 1
[ "$size" -le "$3" ] || wrong "the file has $size bytes, too many to edit; most are $3: use bash"
exec cat -- "$real"
"#;

const WRITE: &str = r#"
case "$real/" in
  */.git/*) wrong "git's own files are not to be written";;
esac
[ -d "$real" ] && wrong "this is a folder"
[ -e "$real" ] && [ ! -f "$real" ] && wrong "this is no plain file"
mkdir -p -- "$(dirname -- "$real")" || exit 1
if [ -e "$real" ]; then echo changed; else echo added; fi
cat > "$real"
"#;

const SEARCH: &str = r#"
shift 2
command -v rg >/dev/null || wrong "there is no ripgrep in this image: use grep with bash"
[ -e "$real" ] || wrong "there is no such file or folder"
rel=$(realpath --relative-to="$root" -- "$real")
exec rg --line-number --no-heading --with-filename --color never --no-messages --sort path --hidden \
  --glob '!.git' --max-columns 400 --max-columns-preview --max-count 200 "$@" -- "$rel"
"#;

/// A part of a file.
pub(super) struct Part {
    /// Bytes of the whole file.
    pub(super) size: u64,
    pub(super) bytes: Vec<u8>,
    /// The part was cut at [`READ_MOST`].
    pub(super) cut: bool,
}

/// The workspace of a sandbox.
pub(super) struct Files<'a> {
    pub(super) sandbox: &'a dyn Sandbox,
    pub(super) root: &'a str,
}

impl Files<'_> {
    async fn script(
        &self,
        script: &str,
        path: &str,
        more: &[String],
        input: Option<Vec<u8>>,
        most: usize,
    ) -> Result<Ran, String> {
        if path.contains('\0') {
            return Err("a path has no zero bytes".into());
        }
        let mut argv: Vec<String> = ["sh", "-c"].map(str::to_owned).to_vec();
        argv.push(format!("{RESOLVE}{script}"));
        argv.extend(["sh", path, self.root].map(str::to_owned));
        argv.extend_from_slice(more);
        let ran = run(self.sandbox, argv, input, most, |_| {}).await.map_err(|error| error.to_string())?;
        match ran.exit {
            Some(WRONG) => Err(format!("{path}: {}", ran.err.text().trim())),
            Some(_) => Ok(ran),
            None => Err("the sandbox died".into()),
        }
    }

    /// Some lines of a file, from line `from`.
    pub(super) async fn read(&self, path: &str, from: u64, lines: u64) -> Result<Part, String> {
        let more = [from, lines, READ_MOST as u64].map(|number| number.to_string());
        let ran = self.script(READ, path, &more, None, 2 * READ_MOST + 100).await?;
        let bytes = good(ran, path)?;
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let size =
            String::from_utf8_lossy(&bytes[..end]).parse().map_err(|_| format!("{path}: cannot be read"))?;
        let bytes = bytes.get(end + 1..).unwrap_or_default().to_vec();
        Ok(Part { size, cut: bytes.len() >= READ_MOST, bytes })
    }

    /// A whole file, to be edited.
    pub(super) async fn whole(&self, path: &str) -> Result<Vec<u8>, String> {
        let ran = self.script(WHOLE, path, &[EDIT_MOST.to_string()], None, 2 * EDIT_MOST).await?;
        good(ran, path)
    }

    /// Writes a whole file; true when it is new.
    pub(super) async fn write(&self, path: &str, content: Vec<u8>) -> Result<bool, String> {
        let ran = self.script(WRITE, path, &[], Some(content), 4_096).await?;
        let said = good(ran, path)?;
        Ok(said.starts_with(b"added"))
    }

    /// What ripgrep finds, within `most` bytes; `None` for nothing.
    pub(super) async fn search(
        &self,
        path: &str,
        more: &[String],
        most: usize,
    ) -> Result<Option<String>, String> {
        let ran = self.script(SEARCH, path, more, None, most).await?;
        match ran.exit {
            Some(0) => Ok(Some(ran.out.text())),
            Some(1) => Ok(None),
            _ => Err(ran.err.text().trim().to_owned()),
        }
    }
}

/// All output of a script that worked.
fn good(ran: Ran, path: &str) -> Result<Vec<u8>, String> {
    if ran.exit != Some(0) {
        return Err(format!("{path}: {}", ran.err.text().trim()));
    }
    ran.out.whole().ok_or_else(|| format!("{path}: more came than was asked for"))
}
