//! The relay as a real process: many streams at once, none in the way of another, and every way to end.

use atoll::sandbox::mux::{Mux, MuxStream};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::kit::{exec, relay};
use crate::support::{PATIENCE, until};

async fn start() -> (Mux, mpsc::UnboundedReceiver<MuxStream>, oneshot::Sender<()>) {
    let (exec, kill) = relay();
    let (mux, arrivals) = Mux::start(exec).await.unwrap();
    (mux, arrivals, kill)
}

async fn connect(mux: &Mux) -> TcpStream {
    TcpStream::connect(("127.0.0.1", mux.port())).await.unwrap()
}

/// Says back what it hears, on every stream, and then ends it.
fn echo(mut arrivals: mpsc::UnboundedReceiver<MuxStream>) {
    tokio::spawn(async move {
        while let Some(stream) = arrivals.recv().await {
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
        }
    });
}

/// Bytes that are not the same anywhere soon.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

async fn round_trip(mux: &Mux, seed: usize, length: usize) {
    let sent = noise(seed, length);
    let (mut read, mut write) = connect(mux).await.into_split();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    writing.await.unwrap();
    assert!(back == expected, "stream {seed}: {} of {length} bytes came back, or others", back.len());
}

#[tokio::test]
async fn hundreds_of_streams_at_once_keep_their_bytes_apart() {
    let (mux, arrivals, _kill) = start().await;
    echo(arrivals);
    // More than may be open at a time: the others wait for their turn.
    let all = (0..400).map(|seed| round_trip(&mux, seed, seed * 1009 % 300_000));
    timeout(PATIENCE, futures_util::future::join_all(all)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_in_no_ones_way() {
    let (mux, mut arrivals, _kill) = start().await;
    // One inside that never reads, one on the host that never reads.
    let idle_inside = connect(&mux).await;
    let mut to_idle = arrivals.recv().await.unwrap();
    let mut stuck_inside = connect(&mux).await;
    let _idle_host = arrivals.recv().await.unwrap();
    let flood = vec![1; 64 * 1024 * 1024];
    let blocked = flood.clone();
    let one = tokio::spawn(async move { to_idle.write_all(&flood).await });
    let two = tokio::spawn(async move { stuck_inside.write_all(&blocked).await });
    echo(arrivals);
    let all = (0..50).map(|seed| round_trip(&mux, seed, 200_000));
    timeout(PATIENCE, futures_util::future::join_all(all)).await.unwrap();
    assert!(!one.is_finished() && !two.is_finished(), "64 MiB went where nobody reads");
    drop(idle_inside);
    assert!(
        timeout(PATIENCE, one).await.unwrap().unwrap().is_err(),
        "the writer is not told that its reader left"
    );
}

#[tokio::test]
async fn a_hundred_megabytes_arrive_whole() {
    const SIZE: usize = 100 * 1024 * 1024;
    let (mux, mut arrivals, _kill) = start().await;
    let down = noise(5, 1024 * 1024);
    let mut hash = Sha256::new();
    (0..SIZE / down.len()).for_each(|_| hash.update(&down));
    let expected = hash.finalize();
    let mut inside = connect(&mux).await;
    let mut outside = arrivals.recv().await.unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..SIZE / down.len() {
            outside.write_all(&down).await.unwrap();
        }
        outside.shutdown().await.unwrap();
    });
    let (mut hash, mut buffer, mut count) = (Sha256::new(), vec![0; 256 * 1024], 0);
    loop {
        let read = timeout(PATIENCE, inside.read(&mut buffer)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        count += read;
    }
    writing.await.unwrap();
    assert_eq!((count, hash.finalize()), (SIZE, expected));
}

#[tokio::test]
async fn what_was_written_arrives_when_the_writer_has_gone() {
    let (mux, mut arrivals, _kill) = start().await;
    let mut inside = connect(&mux).await;
    let mut outside = arrivals.recv().await.unwrap();
    outside.write_all(&noise(1, 200_000)).await.unwrap();
    outside.shutdown().await.unwrap();
    drop(outside);
    let mut all = Vec::new();
    inside.read_to_end(&mut all).await.unwrap();
    assert!(all == noise(1, 200_000));
}

#[tokio::test]
async fn a_stream_that_is_let_go_breaks_on_the_other_side() {
    let (mux, mut arrivals, _kill) = start().await;
    let mut inside = connect(&mux).await;
    drop(arrivals.recv().await.unwrap());
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, inside.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty() && ended.is_ok_and(|count| count == 0));
    let inside = connect(&mux).await;
    let mut outside = arrivals.recv().await.unwrap();
    inside.set_zero_linger().unwrap();
    drop(inside);
    let mut rest = Vec::new();
    assert!(
        timeout(PATIENCE, outside.read_to_end(&mut rest)).await.unwrap().is_err(),
        "a reset looks like an end"
    );
}

#[tokio::test]
async fn a_relay_that_is_killed_ends_all_its_streams_with_the_reason() {
    let (mux, mut arrivals, kill) = start().await;
    let mut inside = connect(&mux).await;
    let mut outside = arrivals.recv().await.unwrap();
    outside.write_all(b"half").await.unwrap();
    inside.read_exact(&mut [0; 4]).await.unwrap();
    kill.send(()).unwrap();
    let error = timeout(PATIENCE, outside.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("137"), "{error}");
    assert!(outside.write(b"x").await.is_err());
    assert!(timeout(PATIENCE, mux.ended()).await.unwrap().contains("137"));
    assert!(arrivals.try_recv().is_err());
}

#[tokio::test]
async fn the_relay_ends_when_the_host_hangs_up() {
    let (exec, _kill) = relay();
    let (stdin, exit) = (exec.stdin.clone(), exec.exit);
    let (never, fake_exit) = oneshot::channel();
    let (mux, _arrivals) = Mux::start(atoll::ports::sandbox::Exec { exit: fake_exit, ..exec }).await.unwrap();
    drop((mux, stdin));
    assert_eq!(timeout(PATIENCE, exit).await.unwrap(), Ok(0));
    drop(never);
}

#[tokio::test]
async fn a_relay_that_is_fed_garbage_ends_with_a_word() {
    for (garbage, word) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "unknown kind"),
        (&[0, 0, 0, 1, 2, 0, 0, 0, 1, 9], "the host spoke on stream 1"),
        (&[0, 0, 0, 1, 1, 0, 0, 0, 0], "opened a stream that is not its own"),
        (&[0, 0, 0, 2, 2, 255, 255, 255, 255], "4294967295 bytes"),
    ] {
        let (mut exec, _kill) = relay();
        exec.stdin.send(bytes::Bytes::copy_from_slice(garbage)).await.unwrap();
        assert_eq!(timeout(PATIENCE, exec.exit).await.unwrap(), Ok(2));
        let words = exec.stderr.recv().await.unwrap();
        assert!(String::from_utf8_lossy(&words).contains(word), "{words:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_no_relay_is_found_out() {
    let run = |program: &str, argument: &str| {
        let mut command = Command::new(program);
        command.arg(argument);
        exec(command).0
    };
    let error = Mux::start(run("yes", "HTTP/1.1 200 OK")).await.unwrap_err().to_string();
    assert!(error.contains("unknown kind"), "{error}");
    let error = Mux::start(run("ls", "/no/such/folder")).await.unwrap_err().to_string();
    assert!(error.contains("exit 2") && error.contains("/no/such/folder"), "{error}");
}

#[tokio::test]
async fn a_second_relay_waits_for_the_port_of_the_first() {
    let (mux, arrivals, _kill) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(atoll::sandbox::install_relay(folder.path()).unwrap());
    command.arg(format!("127.0.0.1:{}", mux.port()));
    let (second, _kill) = exec(command);
    let port = mux.port();
    let starting = tokio::spawn(Mux::start(second));
    assert!(!starting.is_finished(), "it greeted without a port");
    drop((mux, arrivals));
    let (mux, _arrivals) = timeout(PATIENCE, starting).await.unwrap().unwrap().unwrap();
    assert_eq!(mux.port(), port);
    until("it is reached", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
}
