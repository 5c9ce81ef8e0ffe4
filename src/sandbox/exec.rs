//! Programs inside a sandbox: their streams, carried without a terminal, and how they ended.

use std::{pin::Pin, time::Duration};

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::ports::sandbox::{Exec, ExecSpec, SandboxError, place};

use super::{
    body,
    connection::Connection,
    life::{Fate, ending, gone},
};

/// Pieces of a stream that wait for their reader; the engine's pieces have up to 32 KiB. When as many wait, the
/// program waits too.
const PIECES: usize = 32;
/// Bytes read at a time.
const CAPACITY: usize = 256 * 1024;
/// How long what a dead sandbox said last may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Starts a program in a container.
pub(super) async fn start(
    connection: &Connection,
    container: &str,
    spec: ExecSpec,
    fate: watch::Receiver<Fate>,
) -> Result<Exec, SandboxError> {
    if spec.argv.is_empty() {
        return Err(SandboxError::Engine("there is no program to start".into()));
    }
    let docker = connection.docker().await?.clone();
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: Some(spec.argv),
        user: Some(body::user(spec.user)),
        working_dir: Some(spec.folder.unwrap_or_else(|| place::WORKSPACE.to_owned())),
        ..Default::default()
    };
    let fault = |error| connection.fault("starting a program", error);
    let id = docker.create_exec(container, config).await.map_err(fault)?.id;
    let options = StartExecOptions { detach: false, tty: false, output_capacity: Some(CAPACITY) };
    // A sandbox that dies just now may leave this without an answer.
    let mut dying = fate.clone();
    let started = tokio::select! {
        started = docker.start_exec(&id, Some(options)) => started.map_err(fault)?,
        why = gone(&mut dying) => return Err(SandboxError::Gone(why)),
    };
    let StartExecResults::Attached { output, input } = started else {
        return Err(SandboxError::Engine("starting a program: the engine gives no streams".into()));
    };
    let (stdin, given) = mpsc::channel(PIECES);
    let (stdout, out) = mpsc::channel(PIECES);
    let (stderr, err) = mpsc::channel(PIECES);
    let (exit, ended) = oneshot::channel();
    tokio::spawn(write(input, given));
    tokio::spawn(async move {
        if read(output, stdout, stderr, fate.clone()).await
            && let Some(code) = code(&docker, &id, fate).await
        {
            let _ = exit.send(code);
        }
    });
    Ok(Exec { stdin, stdout: out, stderr: err, exit: ended })
}

/// Carries input until its end; whoever writes on to a program that reads no more is told by a closed channel.
async fn write(mut input: Input, mut given: mpsc::Receiver<Bytes>) {
    while let Some(piece) = given.recv().await {
        if input.write_all(&piece).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

/// Carries output until its end. A reader that went away holds nobody up. False when the sandbox died under it.
async fn read(
    mut output: Output,
    stdout: mpsc::Sender<Bytes>,
    stderr: mpsc::Sender<Bytes>,
    mut fate: watch::Receiver<Fate>,
) -> bool {
    let carry = async |piece| match piece {
        LogOutput::StdOut { message } | LogOutput::Console { message } => drop(stdout.send(message).await),
        LogOutput::StdErr { message } => drop(stderr.send(message).await),
        LogOutput::StdIn { .. } => {}
    };
    loop {
        let piece = tokio::select! {
            piece = output.next() => piece,
            () = ending(&mut fate) => break,
        };
        match piece {
            Some(Ok(piece)) => {
                // Its reader may take long. Who kills the sandbox does not wait for that.
                tokio::select! {
                    () = carry(piece) => {}
                    () = ending(&mut fate) => break,
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the output of a program in a sandbox broke off");
                return true;
            }
            None => return true,
        }
    }
    let mut is_read = true;
    let rest = async {
        while let Some(Ok(piece)) = output.next().await {
            is_read = is_read && timeout(LAST_WORDS, carry(piece)).await.is_ok();
        }
    };
    let over = async {
        gone(&mut fate).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = rest => {}
        () = over => {}
    }
    false
}

/// How a program ended whose output has ended. `None` when the sandbox died with it.
async fn code(docker: &Docker, exec: &str, mut fate: watch::Receiver<Fate>) -> Option<i64> {
    let mut pause = Duration::from_millis(5);
    loop {
        let state = docker.inspect_exec(exec).await.ok()?;
        if state.running != Some(true) {
            let code = state.exit_code?;
            // A program that the sandbox took along did not end by itself. The engine tells of the program
            // first, with a code of its own or a signal, a moment before the sandbox is seen to be dead.
            let wait = if code < 125 { Duration::from_millis(1) } else { LAST_WORDS };
            let dead = timeout(wait, gone(&mut fate)).await.is_ok();
            return (!dead).then_some(code);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = gone(&mut fate) => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
