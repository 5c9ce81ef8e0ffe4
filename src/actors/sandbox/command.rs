//! A command in the sandbox: ended in time from inside, its output kept within a bound.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    messages::{BenchError, Program, RunOutput},
    place::Place,
};
use crate::ports::sandbox::{Exec, ExecSpec};

/// Runs what follows the seconds in a process group of its own, both outputs in one, reading nothing. Its time over, the
/// group is asked to end, and killed 5 seconds later.
const IN_TIME: &str = "s=$1; shift; exec 2>&1 </dev/null; exec timeout -k 5 \"$s\" \"$@\"";
/// The same for a line, in the better shell. Each program more takes its time in gVisor.
const LINE_IN_TIME: &str = "exec 2>&1 </dev/null; shell=sh; command -v bash >/dev/null && shell=bash; \
                            exec timeout -k 5 \"$1\" \"$shell\" -c \"$2\"";
/// What `timeout` says of a command that it ended: asked to, and killed.
const ENDED: [i64; 2] = [124, 137];
/// Longest time of a command.
const LONGEST: u64 = 24 * 60 * 60;
/// Most bytes of output that are kept.
const MOST: usize = 4 * 1024 * 1024;
/// How much later than inside a command is given up from outside, with its sandbox.
const SLACK: Duration = Duration::from_secs(35);
/// How long output is read after the end of a command; what it left behind may hold the stream open.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a sandbox that seems to be dead may take to be seen dead.
const SEEN: Duration = Duration::from_secs(3);

/// Runs a command to its end.
pub(super) async fn run(
    place: &Place,
    program: Program,
    timeout_ms: u64,
    max_output: usize,
    env: BTreeMap<String, String>,
) -> Result<RunOutput, BenchError> {
    let seconds = timeout_ms.div_ceil(1_000).clamp(1, LONGEST);
    let began = Instant::now();
    let over = began + Duration::from_secs(seconds) + SLACK;
    let (script, words) = match program {
        Program::Shell(line) => (LINE_IN_TIME, vec![line]),
        Program::Argv(words) if words.is_empty() => {
            return Err(BenchError::Failed("there is no program to run".into()));
        }
        Program::Argv(words) => (IN_TIME, words),
    };
    let mut argv = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    argv.push(seconds.to_string());
    argv.extend(words);
    let mut tail = Tail::new(max_output.min(MOST));
    let work = async {
        let exec = place.sandbox.exec(ExecSpec { argv, env, ..ExecSpec::default() }).await?;
        Ok::<_, BenchError>(listen(exec, &mut tail).await)
    };
    let code = tokio::select! {
        ended = timeout_at(over, work) => ended,
        why = place.gone() => return Err(BenchError::Gone(why)),
    };
    let Ok(code) = code else {
        let why = "a command could not be ended in time";
        place.doom(why);
        return Err(BenchError::Gone(why.into()));
    };
    let Some(code) = code? else {
        let why = timeout(SEEN, place.gone()).await;
        return Err(BenchError::Gone(why.unwrap_or_else(|_| "it took a command along".into())));
    };
    let in_vain = ENDED.contains(&code) && began.elapsed() >= Duration::from_secs(seconds);
    let (tail, truncated) = tail.finish();
    Ok(RunOutput { exit: (!in_vain).then_some(code), tail, truncated })
}

/// Reads to the end of the command; its code, or nothing when that was lost with the sandbox.
async fn listen(exec: Exec, tail: &mut Tail) -> Option<i64> {
    let Exec { stdin, stdout, stderr, mut exit } = exec;
    drop(stdin);
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let code = loop {
        tokio::select! {
            chunk = next(&mut stdout) => hear(&mut stdout, chunk, tail),
            chunk = next(&mut stderr) => hear(&mut stderr, chunk, tail),
            code = &mut exit => break code.ok()?,
        }
    };
    let until = Instant::now() + DRAIN;
    while stdout.is_some() || stderr.is_some() {
        tokio::select! {
            chunk = next(&mut stdout) => hear(&mut stdout, chunk, tail),
            chunk = next(&mut stderr) => hear(&mut stderr, chunk, tail),
            () = sleep_until(until) => break,
        }
    }
    Some(code)
}

fn hear(stream: &mut Option<mpsc::Receiver<Bytes>>, chunk: Option<Bytes>, tail: &mut Tail) {
    match chunk {
        Some(chunk) => tail.push(&chunk),
        None => *stream = None,
    }
}

async fn next(stream: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match stream {
        Some(stream) => stream.recv().await,
        None => std::future::pending().await,
    }
}

/// The last bytes of an output.
struct Tail {
    kept: Vec<u8>,
    most: usize,
    cut: bool,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most, cut: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        let rest = bytes.len().saturating_sub(self.most);
        self.cut |= rest > 0;
        self.kept.extend_from_slice(&bytes[rest..]);
        // Cut only now and then: each cut moves all that stays.
        if self.kept.len() > 2 * self.most {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let over = self.kept.len().saturating_sub(self.most);
        self.cut |= over > 0;
        self.kept.drain(..over);
    }

    /// The words, and whether there were more. What was cut off begins with a whole character.
    fn finish(mut self) -> (String, bool) {
        self.trim();
        let is_rest = |byte: &u8| byte & 0xc0 == 0x80;
        let begin =
            if self.cut { self.kept.iter().take(3).take_while(|byte| is_rest(byte)).count() } else { 0 };
        (String::from_utf8_lossy(&self.kept[begin..]).into_owned(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_end_is_kept_whole_and_within_its_bound(
            text in "\\PC{0,80}", cuts in proptest::collection::vec(0usize..40, 0..8), most in 0usize..60,
        ) {
            let mut tail = Tail::new(most);
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (one, two) = rest.split_at(cut.min(rest.len()));
                tail.push(one);
                prop_assert!(tail.kept.len() <= 2 * most.max(1) + 40);
                rest = two;
            }
            tail.push(rest);
            let (kept, cut) = tail.finish();
            prop_assert!(text.ends_with(&kept), "{:?} is no end of {:?}", kept, text);
            prop_assert!(kept.len() <= most && kept.len() + 3 >= most.min(text.len()));
            prop_assert_eq!(cut, text.len() > most);
        }
    }
}
