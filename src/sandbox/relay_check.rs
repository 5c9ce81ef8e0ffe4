//! The self-test's question about the way out: the relay carries a connection, and whoever works inside cannot reach
//! into the relay.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::ports::sandbox::{ExecSpec, Sandbox, place};

use super::{
    checks::Judged,
    mux::{Mux, MuxStream},
    self_test::run,
};

/// What is sent there and back, with the end of its line.
const WORD: &str = "there-and-back\n";

/// Asks a sandbox that was made with the relay.
pub(super) async fn carried(sandbox: &dyn Sandbox) -> Judged {
    let exec = sandbox.exec(ExecSpec::relay()).await.map_err(|error| error.to_string())?;
    let (mux, arrivals) = Mux::start(exec).await.map_err(|error| error.to_string())?;
    let argv = ["bash", "-c", &script(mux.port())].map(str::to_owned).into();
    let seen = tokio::select! {
        seen = run(sandbox, argv, None) => seen.map_err(|error| error.to_string())?.told(),
        () = echo(arrivals) => return Err(format!("the relay ended: {}", mux.ended().await)),
    };
    judge(seen.out.trim(), seen.err.trim())
}

/// Speaks through the relay, then tries to get at it: its memory, its streams, a signal. Its environment can be read
/// in gVisor by everybody inside; nothing is in it that not everybody has.
fn script(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf {WORD:?} >&3 && read -r back <&3 && echo \"$back\"; \
         for place in /proc/[0-9]*; do \
           read -r -d '' name <\"$place/cmdline\" && [ \"$name\" = {relay} ] || continue; echo seen; \
           kill -0 \"${{place#/proc/}}\" && echo signal; \
           (: <\"$place/mem\") && echo memory; \
           for fd in 0 1 2 3 4 5; do \
             (: <\"$place/fd/$fd\") && echo \"read $fd\"; (: >>\"$place/fd/$fd\") && echo \"write $fd\"; \
           done; \
         done 2>/dev/null",
        relay = place::RELAY,
    )
}

fn judge(out: &str, err: &str) -> Judged {
    let mut lines = out.lines();
    if lines.next() != Some(WORD.trim_end()) {
        return Err(format!("nothing comes back through the relay: {out} {err}"));
    }
    let rest: Vec<&str> = lines.collect();
    match rest.as_slice() {
        ["seen"] => Ok("it carries, and programs inside cannot reach into it".into()),
        [] => Err("the relay does not show among the programs inside".into()),
        _ => Err(format!("programs inside can reach into the relay: {}", rest.join(", "))),
    }
}

/// Gives every connection what it said, until there are no more.
async fn echo(mut arrivals: mpsc::UnboundedReceiver<MuxStream>) {
    while let Some(mut stream) = arrivals.recv().await {
        let mut word = vec![0; WORD.len()];
        if stream.read_exact(&mut word).await.is_ok() && stream.write_all(&word).await.is_ok() {
            // Whoever asked reads one line and needs no more.
            let _ = stream.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_relay_that_carries_and_cannot_be_touched_is_good() {
        assert!(judge("there-and-back\nseen", "").is_ok());
        for out in
            ["", "seen", "there-and-back", "there-and-back\nseen\nsignal", "there-and-back\nseen\nwrite 1"]
        {
            assert!(judge(out, "").is_err(), "{out}");
        }
        assert!(judge("there-and-back\nseen\nread 0\nwrite 1", "").unwrap_err().ends_with("read 0, write 1"));
    }
}
