//! Tunnels, and everything that is no tunnel and no model: what is let out, what is not, and what is said of it.

use atoll::domain::gateway::{EgressKind, EgressLimits, EgressRecord, Verdict};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::kit::{House, allowing};
use crate::support::{PATIENCE, until};

const PUBLIC: &str = "93.184.215.14";

/// A house that may reach `ok.example.org`, which says back what it hears.
async fn house(limits: EgressLimits) -> House {
    let house = House::open("http://127.0.0.1:9", &["ok.example.org", "*.cdn.example.org"], limits).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    house.internet.place(PUBLIC, listener.local_addr().unwrap());
    house.internet.name("ok.example.org", &[&[PUBLIC]]);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    house
}

fn connect(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

/// Opens a tunnel and gives what is behind it.
async fn tunnel(house: &House, head: &str) -> TcpStream {
    let mut stream = house.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{answer}");
    stream
}

async fn said_back(stream: &mut TcpStream, words: &[u8]) {
    stream.write_all(words).await.unwrap();
    let mut back = vec![0; words.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, words);
}

fn refusal(record: &EgressRecord) -> (&str, bool) {
    match &record.verdict {
        Verdict::Refused { why, ask } => (why, *ask),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_allowed_host_is_reached_at_the_address_that_was_checked() {
    let house = house(EgressLimits::default()).await;
    // Pip on older Pythons speaks 1.0 to a proxy, without a Host.
    for head in [connect("ok.example.org:443"), "CONNECT OK.example.org:443 HTTP/1.0\r\n\r\n".into()] {
        let mut stream = tunnel(&house, &head).await;
        said_back(&mut stream, b"\x16\x03\x01 hello").await;
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let record = house.log.last_of(2).await;
    assert_eq!(
        (record.kind, record.verdict, record.sent, record.received),
        (EgressKind::Tunnel, Verdict::Allowed, 9, 9)
    );
    assert!(record.host.eq_ignore_ascii_case("ok.example.org") && record.ms < 60_000);
    assert_eq!(*house.internet.connected.lock().unwrap(), [PUBLIC.parse::<std::net::IpAddr>().unwrap(); 2]);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_never_followed_inside() {
    let house = house(EgressLimits::default()).await;
    house.internet.name("a.cdn.example.org", &[&[PUBLIC], &["127.0.0.1"]]);
    said_back(&mut tunnel(&house, &connect("a.cdn.example.org:443")).await, b"once").await;
    let answer = house.raw(&connect("a.cdn.example.org:443")).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("loopback"), "{answer}");
    let connected = house.internet.connected.lock().unwrap().clone();
    assert!(connected.iter().all(|address| !address.is_loopback()), "{connected:?}");
}

#[tokio::test]
async fn what_is_not_public_or_not_allowed_is_refused_with_a_text_and_a_record() {
    let house = house(EgressLimits::default()).await;
    let secret = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = secret.local_addr().unwrap();
    let addresses = [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
    ];
    let mut count = 0;
    for address in addresses {
        house.internet.place(address, place);
        house.internet.name("b.cdn.example.org", &[&[PUBLIC, address]]);
        let answer = house.raw(&connect("b.cdn.example.org:443")).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("it resolves to"),
            "{address}: {answer}"
        );
        count += 1;
        assert!(!refusal(&house.log.last_of(count).await).1, "a person cannot allow {address}");
    }
    for target in
        ["127.0.0.1:443", "[::1]:443", "169.254.169.254:443", "ok.example.org:80", "ok.example.org:22"]
    {
        let answer = house.raw(&connect(target)).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("port 443"), "{target}: {answer}");
        count += 1;
        assert!(!refusal(&house.log.last_of(count).await).1);
    }
    let answer = house.raw(&connect("other.example.org:443")).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("a person can allow it"), "{answer}");
    let record = house.log.last_of(count + 1).await;
    assert!(refusal(&record).1 && record.host == "other.example.org");
    let answer = house.raw("GET http://ok.example.org/ HTTP/1.1\r\nHost: ok.example.org\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("use https"), "{answer}");
    let answer = house.raw("GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    house.log.last_of(count + 3).await;
    assert!(house.internet.connected.lock().unwrap().is_empty());
    assert!(timeout(std::time::Duration::ZERO, secret.accept()).await.is_err(), "somebody came in");
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let house = house(EgressLimits::default()).await;
    let post = |fields: &str| {
        format!("POST /llm/anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n\r\n")
    };
    for raw in [
        post("Content-Length: 5\r\nContent-Length: 5"),
        post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        post("Transfer-Encoding: xchunked"),
        post("Host: evil.org"),
        "GET / HTTP/1.1\r\nHost: evil.org\r\n\r\n".into(),
        "CONNECT ok.example.org:443 HTTP/1.1\r\nHost: other.example.org:443\r\n\r\n".into(),
        "GET / HTTP/1.1\nHost: 127.0.0.1\n\r\n\r\n".into(),
        "\x16\x03\x01\x02\r\n\r\n".into(),
    ] {
        let answer = house.raw(&raw).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with('\n'), "{raw:?}: {answer}");
    }
    // A request behind another is not served: there is one on a connection.
    let one = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let answer = house.raw(&format!("{one}{}", connect("ok.example.org:443"))).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(70_000));
    assert!(house.raw(&endless).await.starts_with("HTTP/1.1 400"));
    assert!(house.internet.connected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn limits_cut_tunnels() {
    let limits =
        EgressLimits { tunnels: 2, tunnel_bytes: 100_000, all_bytes: 250_000, ..EgressLimits::default() };
    let house = house(limits).await;
    let head = connect("ok.example.org:443");
    let first = tunnel(&house, &head).await;
    let mut second = tunnel(&house, &head).await;
    assert!(house.raw(&head).await.starts_with("HTTP/1.1 503"));
    let record = house.log.last_of(1).await;
    assert!(refusal(&record).0.contains("too many"));
    // What one tunnel may carry.
    let (mut got, mut buffer) = (0, vec![0; 10_000]);
    let flood = vec![1; 10_000];
    while second.write_all(&flood).await.is_ok() {
        match second.read(&mut buffer).await {
            Ok(count @ 1..) => got += count,
            _ => break,
        }
    }
    assert!(got <= 100_000, "{got}");
    assert!(matches!(house.log.last_of(2).await.verdict, Verdict::Cut(_)));
    drop(first);
    house.log.last_of(3).await;
    // What all together may.
    let mut refused = String::new();
    until("the bytes of the job are used up", async || {
        let mut stream = house.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![1; 90_000]).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        refused = String::from_utf8_lossy(&answer).into_owned();
        refused.starts_with("HTTP/1.1 403")
    })
    .await;
    assert!(refused.contains("used up"), "{refused}");
}

#[tokio::test]
async fn time_and_silence_cut_tunnels() {
    for (limits, word) in [
        (EgressLimits { tunnel_ms: 50, ..EgressLimits::default() }, "too long"),
        (EgressLimits { idle_ms: 50, ..EgressLimits::default() }, "silent"),
    ] {
        let house = house(limits).await;
        let mut stream = tunnel(&house, &connect("ok.example.org:443")).await;
        let ended = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
        assert!(!matches!(ended, Ok(1..)));
        let Verdict::Cut(why) = house.log.last_of(1).await.verdict else { panic!("it was not cut") };
        assert!(why.contains(word), "{why}");
    }
}

#[tokio::test]
async fn a_policy_that_is_changed_counts_for_what_is_open_too() {
    let house = house(EgressLimits::default()).await;
    let mut stream = tunnel(&house, &connect("ok.example.org:443")).await;
    said_back(&mut stream, b"set-up").await;
    house.internet.name("more.example.org", &[&[PUBLIC]]);
    house.gateway.set_policy(allowing(&["ok.example.org", "more.example.org"]));
    said_back(&mut stream, b"still open").await;
    said_back(&mut tunnel(&house, &connect("more.example.org:443")).await, b"new").await;
    house.gateway.set_policy(allowing(&[]));
    assert!(!matches!(timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap(), Ok(1..)));
    assert!(house.raw(&connect("ok.example.org:443")).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_flood_the_records() {
    let house = house(EgressLimits { refusals: 3, ..EgressLimits::default() }).await;
    for _ in 0..10 {
        assert!(house.raw(&connect("evil.example.net:443")).await.starts_with("HTTP/1.1 403"));
    }
    said_back(&mut tunnel(&house, &connect("ok.example.org:443")).await, b"x").await;
    let record = house.log.last_of(4).await;
    assert_eq!(record.host, "ok.example.org");
}

#[tokio::test]
async fn a_killed_relay_shuts_the_gateway() {
    let mut house = house(EgressLimits::default()).await;
    let stream = tunnel(&house, &connect("ok.example.org:443")).await;
    house.kill.take().unwrap().send(()).unwrap();
    assert!(timeout(PATIENCE, house.gateway.ended()).await.unwrap().contains("137"));
    drop(stream);
    let record = house.log.last_of(1).await;
    assert!(matches!(record.verdict, Verdict::Failed(_)), "{record:?}");
}
