//! A model provider to the letter: it remembers what it was sent, and answers what it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// The body ends before it is complete.
    pub(crate) breaks: bool,
    /// After the body, it waits until whoever asked hangs up.
    pub(crate) hangs: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".into())];
        Self { status, headers, body: body.to_string(), ..Self::default() }
    }

    pub(crate) fn events(events: &[Value]) -> Self {
        let body = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let headers = vec![("content-type", "text/event-stream; charset=utf-8".into())];
        Self { status: 200, headers, body, ..Self::default() }
    }
}

/// The provider.
pub(crate) struct Upstream {
    pub(crate) base: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    /// How often whoever asked hung up while it waited.
    pub(crate) hung_up: Arc<Mutex<u32>>,
}

impl Upstream {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (asked, hung_up) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<Mutex<u32>>::default());
        let (seen, gone, answer) = (asked.clone(), hung_up.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, gone, answer) = (seen.clone(), gone.clone(), answer.clone());
                tokio::spawn(async move {
                    let (mut stream, request) = read(stream).await;
                    seen.lock().unwrap().push(request.clone());
                    let answer = answer(&request);
                    write(&mut stream, &answer).await;
                    if answer.hangs {
                        let mut rest = [0; 1];
                        let _ = stream.read(&mut rest).await;
                        *gone.lock().unwrap() += 1;
                    }
                });
            }
        });
        Self { base, asked, hung_up }
    }

    /// The only request that it got.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

async fn read(stream: TcpStream) -> (BufReader<TcpStream>, Asked) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let field = |line: &String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    let headers: BTreeMap<String, String> = lines[1..].iter().map(field).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (stream, Asked { line: lines[0].clone(), headers, body })
}

async fn write(stream: &mut BufReader<TcpStream>, answer: &Answer) {
    let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.breaks || answer.hangs {
        text.push_str(&format!("content-length: {}\r\n", answer.body.len() + 1000));
    } else {
        text.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    text.push_str(&format!("\r\n{}", answer.body));
    stream.write_all(text.as_bytes()).await.unwrap();
}
