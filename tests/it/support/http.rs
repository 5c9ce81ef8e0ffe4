//! A small HTTP server over real sockets: it reads a request whole, and a closure answers it. For stand-ins that need
//! their own ways.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A request, read whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// What stands after the question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Status, headers, body.
    Say(u16, Vec<(String, String)>, Vec<u8>),
    /// Hang up without a word.
    HangUp,
}

/// The server; it ends when it is dropped.
pub(crate) struct HttpServer {
    pub address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl HttpServer {
    /// Starts it on a free port of this machine.
    pub(crate) fn start(answer: impl Fn(Asked) -> Told + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, ended) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let (over, answer) = (Arc::clone(&ended), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, Arc::clone(&answer)) else { continue };
                std::thread::spawn(move || serve(stream, answer.as_ref()));
            }
        });
        Self { address, ended }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, answer: &(impl Fn(Asked) -> Told + ?Sized)) -> Option<()> {
    let asked = read(&stream)?;
    match answer(asked) {
        Told::Say(status, headers, body) => {
            let mut head =
                format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(b"\r\n").ok()?;
            stream.write_all(&body).ok()
        }
        Told::HangUp => None,
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked { method, path: path.to_owned(), query: query.to_owned(), ..Asked::default() };
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if asked.header("expect") == "100-continue" {
        (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if asked.header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            from.read_line(&mut size).ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            from.by_ref().take(size).read_to_end(&mut asked.body).ok()?;
            from.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    } else {
        let size = asked.header("content-length").parse().unwrap_or(0);
        from.take(size).read_to_end(&mut asked.body).ok()?;
    }
    Some(asked)
}
