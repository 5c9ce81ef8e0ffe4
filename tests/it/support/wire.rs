//! How the model server says things: both protocols, as streams of events over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};

use super::model::{Reply, Request, Then};

pub(super) async fn answer(write: &mut OwnedWriteHalf, request: &Request, reply: Reply) -> Option<()> {
    match reply {
        Reply::Status(code, headers, body) => {
            let mut head = format!("HTTP/1.1 {code} x\r\ncontent-type: application/json\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
            write.write_all(head.as_bytes()).await.ok()
        }
        Reply::Held(gate, reply) => {
            let _ = gate.0.subscribe().wait_for(|open| *open).await;
            Box::pin(answer(write, request, *reply)).await
        }
        Reply::Raw(body, then) => {
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &body).await?;
            match then {
                Then::End => write.write_all(b"0\r\n\r\n").await.ok(),
                Then::HangUp => None,
                Then::Silence => {
                    tokio::time::sleep(Duration::from_secs(3_600)).await;
                    None
                }
            }
        }
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            None
        }
        Reply::BreakOff(text) => {
            let events = Events::of(request).words(&text);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &events).await?;
            None
        }
        Reply::Slowly(pieces, pause) => {
            let events = Events::of(request);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &events.begin()).await?;
            for piece in &pieces {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                chunk(write, &events.words(piece)).await?;
            }
            chunk(write, &events.end("end", pieces.concat().len())).await?;
            write.write_all(b"0\r\n\r\n").await.ok()
        }
        Reply::Stepwise(pieces, calls, end) => {
            let events = Events::of(request);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &events.begin()).await?;
            for (gate, piece) in &pieces {
                let _ = gate.0.subscribe().wait_for(|open| *open).await;
                chunk(write, &events.words(piece)).await?;
            }
            let _ = end.0.subscribe().wait_for(|open| *open).await;
            for (at, (tool, args)) in calls.iter().enumerate() {
                chunk(write, &events.call(at, tool, args)).await?;
            }
            let stop = if calls.is_empty() { "end" } else { "tools" };
            chunk(write, &events.end(stop, pieces.iter().map(|(_, piece)| piece.len()).sum())).await?;
            write.write_all(b"0\r\n\r\n").await.ok()
        }
        Reply::Until(first, gate, rest) => {
            let events = Events::of(request);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &(events.begin() + &events.words(&first))).await?;
            let _ = gate.0.subscribe().wait_for(|open| *open).await;
            chunk(write, &(events.words(&rest) + &events.end("end", first.len() + rest.len()))).await?;
            write.write_all(b"0\r\n\r\n").await.ok()
        }
        Reply::Say(text) => whole(write, request, &text, &[], "end").await,
        Reply::Cut(text) => whole(write, request, &text, &[], "length").await,
        Reply::Call(text, calls) => whole(write, request, &text, &calls, "tools").await,
    }
}

async fn whole(
    write: &mut OwnedWriteHalf,
    request: &Request,
    text: &str,
    calls: &[(String, Value)],
    stop: &str,
) -> Option<()> {
    let events = Events::of(request);
    let mut body = events.begin();
    if !text.is_empty() {
        body.push_str(&events.words(text));
    }
    for (at, (tool, args)) in calls.iter().enumerate() {
        body.push_str(&events.call(at, tool, args));
    }
    body.push_str(&events.end(stop, text.len()));
    let answer = format!("{}{:x}\r\n{body}\r\n0\r\n\r\n", chunked_head(), body.len());
    write.write_all(answer.as_bytes()).await.ok()
}

fn chunked_head() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".into()
}

async fn chunk(write: &mut OwnedWriteHalf, text: &str) -> Option<()> {
    let piece = format!("{:x}\r\n{text}\r\n", text.len());
    write.write_all(piece.as_bytes()).await.ok()
}

/// Writes the events of one protocol.
struct Events {
    anthropic: bool,
    number: u64,
    input: usize,
}

impl Events {
    fn of(request: &Request) -> Self {
        let input = if request.body.is_null() { 300 } else { request.body.to_string().len() };
        Self { anthropic: request.is_anthropic(), number: request.number, input: input / 4 }
    }

    fn data(value: &Value) -> String {
        match value["type"].as_str() {
            Some(kind) => format!("event: {kind}\ndata: {value}\n\n"),
            None => format!("data: {value}\n\n"),
        }
    }

    fn begin(&self) -> String {
        if !self.anthropic {
            return Self::data(
                &json!({"model": "mock", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
            );
        }
        Self::data(&json!({"type": "message_start", "message": {
            "model": "mock", "usage": {"input_tokens": self.input, "output_tokens": 1},
        }}))
    }

    fn words(&self, text: &str) -> String {
        if !self.anthropic {
            return Self::data(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        }
        Self::data(
            &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ) + &Self::data(&json!({
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
        })) + &Self::data(&json!({"type": "content_block_stop", "index": 0}))
    }

    fn call(&self, at: usize, tool: &str, args: &Value) -> String {
        let id = format!("call_{}_{at}", self.number);
        let args = match args {
            Value::String(raw) => raw.clone(),
            other => other.to_string(),
        };
        let (one, two) =
            args.split_at(args.char_indices().nth(args.chars().count() / 2).map_or(0, |(i, _)| i));
        if !self.anthropic {
            let head = json!({"index": at, "id": id, "type": "function", "function": {"name": tool, "arguments": one}});
            let tail = json!({"index": at, "function": {"arguments": two}});
            return Self::data(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [head]}}]}))
                + &Self::data(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [tail]}}]}));
        }
        let index = at + 1;
        let delta = |piece: &str| {
            Self::data(&json!({
                "type": "content_block_delta", "index": index,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }))
        };
        Self::data(&json!({
            "type": "content_block_start", "index": index,
            "content_block": {"type": "tool_use", "id": id, "name": tool, "input": {}},
        })) + &delta(one)
            + &delta(two)
            + &Self::data(&json!({"type": "content_block_stop", "index": index}))
    }

    fn end(&self, stop: &str, written: usize) -> String {
        let output = written / 4 + 1;
        if !self.anthropic {
            let reason = match stop {
                "length" => "length",
                "tools" => "tool_calls",
                _ => "stop",
            };
            return Self::data(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
                + &Self::data(&json!({
                    "choices": [], "usage": {"prompt_tokens": self.input, "completion_tokens": output},
                }))
                + "data: [DONE]\n\n";
        }
        let reason = match stop {
            "length" => "max_tokens",
            "tools" => "tool_use",
            _ => "end_turn",
        };
        Self::data(&json!({
            "type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": output},
        })) + &Self::data(&json!({"type": "message_stop"}))
    }
}
